"""What a job left, for whoever takes it away: every file with its digest, and bundles of the named ones.

Only regular files inside the job folder: links are not followed, since a subject may have put them there.
What is larger than `LARGEST_B` is named as left behind.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .paths import JobPaths

LARGEST_B = 2 << 30
BUNDLED_B = 16 << 20
"""Of one file in a bundle, which is held in memory; larger ones are taken piece by piece."""
CHUNK_B = 1 << 20


def listed(job: Path) -> dict[str, Any]:
    """{"files": {path: {"size_b", "sha256"}}, "left": {path: why}}: the runs, and the records beside them."""
    paths = JobPaths(job)
    files: dict[str, Any] = {}
    left: dict[str, str] = {}
    for path in (*sorted(job.glob("*.json")), paths.log, *_below(paths.runs)):
        name = path.relative_to(job).as_posix()
        try:
            with _opened(path) as file:
                size_b = os.fstat(file.fileno()).st_size
                if size_b > LARGEST_B:
                    left[name] = f"{size_b} bytes"
                    continue
                digest = hashlib.sha256()
                while chunk := file.read(CHUNK_B):
                    digest.update(chunk)
            files[name] = {"size_b": size_b, "sha256": digest.hexdigest()}
        except FileNotFoundError:
            continue
        except OSError as error:
            left[name] = error.strerror or "cannot be read"
    return {"files": files, "left": left}


def pack(job: Path, names: Sequence[str], target: BinaryIO) -> None:
    """A zip of the named files; one that is gone meanwhile is not in it. Raises ValueError, OSError."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            path = job / name
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"file name {name!r} leaves the job folder")
            try:
                with _opened(path) as file:
                    archive.writestr(zipfile.ZipInfo(name), file.read(BUNDLED_B + 1), zipfile.ZIP_DEFLATED)
            except FileNotFoundError:
                continue


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def _opened(path: Path) -> BinaryIO:
    """Raises OSError for what is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a file")
    return os.fdopen(descriptor, "rb")

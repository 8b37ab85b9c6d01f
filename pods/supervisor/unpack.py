"""Makes a job folder out of a bundle (a zip), whole or not at all.

It is built under a temporary name beside its final one, every file and folder is synced, and one rename puts
it in place. A repeat finds it there and changes nothing. Refuses names that would leave the folder.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from . import record
from .paths import JobPaths


def unpack(root: Path, bundle: BinaryIO) -> dict[str, Any]:
    """{"prepared"} or, where the folder is there, {"prepared": false, "is_same"}: whether its job.json is
    equal.

    Raises ValueError, OSError; then nothing is left behind.
    """
    with zipfile.ZipFile(bundle) as archive:
        final = JobPaths(root)
        if final.root.exists():
            return {"prepared": False, "is_same": _is_same(final, archive)}
        root.parent.mkdir(parents=True, exist_ok=True)
        aside = root.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            _fill(aside, archive)
            if record.take_place(aside, root):
                return {"prepared": True, "is_same": True}
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return {"prepared": False, "is_same": _is_same(final, archive)}


def _fill(aside: Path, archive: zipfile.ZipFile) -> None:
    aside.mkdir(mode=0o700)  # the environment of a job may hold tokens
    folders = {aside, JobPaths(aside).started, JobPaths(aside).runs}
    for name in archive.namelist():
        inner = PurePosixPath(name)
        if inner.is_absolute() or ".." in inner.parts or not inner.parts:
            raise ValueError(f"file name {name!r} leaves the job folder")
        path = aside / inner
        folders.update(folder for folder in path.parents if aside in folder.parents)
        path.parent.mkdir(parents=True, exist_ok=True)
        record.write_bytes(path, archive.read(name))
    for folder in folders:
        folder.mkdir(exist_ok=True)
        record.sync_folder(folder)


def _is_same(final: JobPaths[Path], archive: zipfile.ZipFile) -> bool:
    with contextlib.suppress(OSError, KeyError):
        return final.job.read_bytes() == archive.read(final.job.name)
    return False

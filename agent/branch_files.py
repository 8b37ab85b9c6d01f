"""Reads the files of a job folder that go to the results branch, or writes them into a local folder.

Follows no link out of the job folder, reads no file that is too large, leaves a folder whole or as it was.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from agent.branch import Bundle, Clean, bundle_of, check_files, is_wanted
from agent.errors import TaskError
from agent.report_html import chart_files, report_charts
from agent.result import Result

READ_LIMIT_B = 64 << 20
TOTAL_READ_LIMIT_B = 512 << 20


def read_bundle(result: Result, folder: str, clean: Clean) -> Bundle:
    """The job's files, and its charts as they are drawn now. Raises TaskError where it cannot be read."""
    held, left = dict[str, bytes](), dict[str, str]()
    root, total_b = result.folder, 0
    for path in _paths(root):
        size_b = (root / path).lstat().st_size
        if size_b > READ_LIMIT_B or total_b + size_b > TOTAL_READ_LIMIT_B:
            left[path] = f"{size_b} bytes: too large to be packed"
            continue
        try:
            held[path] = (root / path).read_bytes()
        except OSError as error:
            raise TaskError(f"cannot read {root / path}: {error.strerror}") from None
        total_b += size_b
    charts = dict(chart_files(report_charts(result))) if find_spec("matplotlib") else {}
    return bundle_of(folder, held, charts, clean, left)


def write_local(root: Path, folder: str, files: Mapping[str, bytes]) -> Path:
    """The folder below `root` with these files and no others; nothing is written where they are there.

    Raises TaskError, TrackerError (a path that leads elsewhere).
    """
    check_files(folder, files)
    wanted = root / folder
    try:
        if _held(wanted) == dict(files):
            return wanted
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=wanted.parent, prefix=".paceline-") as beside:
            new = Path(beside) / "new"
            for name, content in files.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).write_bytes(content)
            if wanted.exists():
                wanted.rename(Path(beside) / "old")
            new.rename(wanted)
    except OSError as error:
        raise TaskError(f"cannot write {wanted}: {error.strerror}") from None
    return wanted


def _paths(root: Path) -> list[str]:
    """The wanted files, none of them a link or behind one."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not (Path(folder) / name).is_symlink())
        for name in sorted(names):
            path = Path(folder) / name
            inner = path.relative_to(root).as_posix()
            if is_wanted(inner) and path.is_file() and not path.is_symlink():
                found.append(inner)
    return found


def _held(folder: Path) -> dict[str, bytes] | None:
    """What lies in a folder; None where there is none."""
    if not folder.is_dir():
        return None
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

"""Small JSON records on disk: written whole or not at all, and folders that only one process can make.

Owns the order of temporary name, fsync, rename, fsync of the folder. Refuses nothing; a record that cannot be
read is told apart from one that is not there, because unknown is not absent.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
LIMIT_B = 1 << 20
"""Longest record that is read; ours are a thousand times smaller."""


class BrokenRecord(Exception):
    """A record is there and cannot be read."""


def write(path: Path, record: Record, *, is_durable: bool = True) -> None:
    """Puts a record in place by rename. Not durable: without fsync, for what is stale in two seconds."""
    write_bytes(path, json.dumps(record).encode() + b"\n", is_durable=is_durable)


def write_bytes(path: Path, data: bytes, *, is_durable: bool = True, mode: int = 0o644) -> None:
    """Raises OSError (a full disk); then `path` is as it was and nothing is left beside it."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        _write_new(temporary, data, is_durable=is_durable, mode=mode)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if is_durable:
        sync_folder(path.parent)


def _write_new(path: Path, data: bytes, *, is_durable: bool, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fchmod(descriptor, mode)
        if is_durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def share(folder: Path) -> None:
    """Makes a folder that all users of the machine may write to: they share its slots. One that is there
    is left as it is (it may be somebody's link to somewhere else)."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o777)  # not the umask's say


def is_there(path: Path) -> bool:
    """Raises OSError where that cannot be known: another user's folder. `Path.exists` and `glob` raise or say
    no there, as they like."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def names_in(folder: Path) -> list[str]:
    """Of everything that is not hidden, sorted; none where there is no such folder. Raises OSError."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 - names
    except (FileNotFoundError, NotADirectoryError):
        return []


def read(path: Path) -> dict[str, Any] | None:
    """The record, or None where there is none. Raises BrokenRecord."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_B + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BrokenRecord(f"{path.name}: {error.strerror}") from error
    try:
        record = json.loads(data)
    except ValueError as error:
        raise BrokenRecord(f"{path.name}: not JSON: {error}") from error
    if not isinstance(record, dict):
        raise BrokenRecord(f"{path.name}: not a JSON object")
    return record


def claim(folder: Path, name: str, record: Record) -> bool:
    """Makes `folder` with the record `name` in it; False where somebody has it already.

    A folder built aside is renamed into place: that fails on a folder that is not empty, so of many exactly
    one wins, and no crash leaves a claim without its record (mkdir first and record later does).
    """
    aside = folder.with_name(f".{uuid.uuid4().hex}.tmp")
    aside.mkdir()
    try:
        write(aside / name, record)
        return take_place(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def take_place(aside: Path, folder: Path) -> bool:
    """Renames a folder that is not empty to its final name; False where that name is taken."""
    try:
        aside.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    sync_folder(folder.parent)
    return True

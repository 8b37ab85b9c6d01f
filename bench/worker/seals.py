"""Keeps what the worker wrote from being changed by what it measures: hook, inputs, records of earlier runs.

A subject runs as the same user and can write wherever the worker can. So each file has an identity (inode,
size, times) that any change alters; after each run it is looked whether one has, small files are put back,
and the run is told what happened while it lasted. A record of a run that nobody here has made is removed.
A subject that replaces the worker itself, or everything at once, is out of reach of this.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KEPT_B = 8 << 20
"""Larger files are not kept in memory: a change is told and not mended."""
RECORDS = "*/*/*/exit.json"


@dataclass(frozen=True)
class _Seal:
    identity: tuple[int, ...]
    data: bytes | None


class Seals:
    """Names are given relative to `root`; `runs` is the folder with the records of runs."""

    def __init__(self, root: Path, runs: Path) -> None:
        self._root = root
        self._runs = runs
        self._folders: list[Path] = []
        self._seals: dict[Path, _Seal] = {}
        self.seal(runs.glob(RECORDS))

    def seal(self, paths: Iterable[Path]) -> None:
        """From now on these files stay as they are, and these folders with all that is in them."""
        for path in paths:
            if path.is_dir():
                self._folders.append(path)
                self.seal(_files_below(path))
            elif path.is_file():
                data = path.read_bytes() if path.stat().st_size <= KEPT_B else None
                self._seals[path] = _Seal(_identity(path), data)

    def open(self, folder: Path) -> None:
        """A run is made anew: what was sealed in its folder may go."""
        self._seals = {path: seal for path, seal in self._seals.items() if folder not in path.parents}

    def holds(self, path: Path) -> bool:
        """Whether it was there when this worker began, or was written by it."""
        return path in self._seals

    def mend(self) -> list[str]:
        """What was changed since it was sealed, or does not belong here, put right where that is possible.

        Bytecode that another interpreter left is removed without a word.
        """
        broken = [path for path, seal in self._seals.items() if _identity(path) != seal.identity]
        for path in broken:
            self._restore(path)
        found = [path for folder in self._folders for path in _files_below(folder)]
        strange = [path for path in (*found, *self._runs.glob(RECORDS)) if path not in self._seals]
        for path in strange:
            _remove(path)
        told = (*broken, *(path for path in strange if path.suffix != ".pyc"))
        return sorted(str(path.relative_to(self._root)) for path in told)

    def _restore(self, path: Path) -> None:
        data = self._seals[path].data
        if data is not None:
            with contextlib.suppress(OSError):
                if path.is_symlink() or path.is_dir():
                    _remove(path)
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_name(f".{path.name}.{os.getpid()}")
                temporary.write_bytes(data)
                temporary.replace(path)
        self._seals[path] = _Seal(_identity(path), data)


def _files_below(folder: Path) -> list[Path]:
    """Everything but folders, links included."""
    return [Path(root, name) for root, _, names in os.walk(folder) for name in names]


def _identity(path: Path) -> tuple[int, ...]:
    """Changes with the content: the last number is when the inode was changed, which nobody can set."""
    try:
        stat = path.lstat()
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

"""Takes the files of a job from its pod, as often as wanted: only what is not here yet, digest by digest.

Owns the copy: a file is written when its digest is what the pod said, whole or not at all. A file that grows
meanwhile is taken as it was when it was listed, or at the next call. The copy may be deleted at any time; it
is never read as state.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pods import answers
from pods.answers import Paths
from pods.shell import PodError, Shell
from pods.supervisor import record

TIMEOUT_S = 300.0
BUNDLE_B = 16 << 20
"""Of files in one round trip, before compression: what a lost link costs."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """`taken` files came over; `left` stay on the pod, and why; `moving` changed while they were taken."""

    taken: int
    left: Mapping[str, str]
    moving: tuple[str, ...]


def fetch(shell: Shell, paths: Paths, into: Path, *, timeout_s: float = TIMEOUT_S) -> Fetched:
    """Raises PodError; then what came over stays, and a repeat goes on from there."""
    listed = answers.ask(shell, paths, ["files", str(paths.root)], timeout_s)
    wanted = {name: one for name, one in listed["files"].items() if not _is_here(into, name, one)}
    moving: list[str] = []
    for names in _bundles(wanted):
        moving += _take(shell, paths, into, {name: wanted[name] for name in names}, timeout_s)
    return Fetched(len(wanted) - len(moving), listed["left"], tuple(moving))


def _take(shell: Shell, paths: Paths, into: Path, wanted: Mapping[str, Any], timeout_s: float) -> list[str]:
    """The names that did not come as they were listed."""
    argv = [shell.python, "-I", "-S", str(paths.supervisor), "pack", str(paths.root)]
    names = "\0".join(wanted).encode(errors="surrogateescape")
    done = shell.run(
        argv, stdin=names, timeout_s=timeout_s, limit_b=2 * BUNDLE_B + sum(map(_size_b, wanted.values()))
    )
    if done.status != 0 or done.is_truncated:
        raise PodError(f"the files of {paths.root} did not arrive: {done.last_words or 'no whole answer'}")
    moving = []
    with zipfile.ZipFile(io.BytesIO(done.out)) as archive:
        there = set(archive.namelist())
        for name, one in wanted.items():
            data = archive.read(name) if name in there else b""
            if name in there and hashlib.sha256(data).hexdigest() == one["sha256"]:
                _write(into, name, data)
            else:
                moving.append(name)
    return moving


def _write(into: Path, name: str, data: bytes) -> None:
    path = _inside(into, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    record.write_bytes(path, data, is_durable=False)


def _is_here(into: Path, name: str, listed: Mapping[str, Any]) -> bool:
    path = _inside(into, name)
    try:
        if path.is_symlink() or path.stat().st_size != listed["size_b"]:
            return False
        return bool(hashlib.sha256(path.read_bytes()).hexdigest() == listed["sha256"])
    except OSError:
        return False


def _inside(into: Path, name: str) -> Path:
    """Raises PodError for a name that would leave the copy: no pod is trusted with this machine's files."""
    inner = PurePosixPath(name)
    if inner.is_absolute() or ".." in inner.parts or not inner.parts:
        raise PodError(f"a pod names a file {name!r}")
    return into / inner


def _bundles(wanted: Mapping[str, Any]) -> list[Sequence[str]]:
    bundles: list[list[str]] = [[]]
    size_b = 0
    for name, one in wanted.items():
        if bundles[-1] and size_b + _size_b(one) > BUNDLE_B:
            bundles.append([])
            size_b = 0
        bundles[-1].append(name)
        size_b += _size_b(one)
    return [names for names in bundles if names]


def _size_b(one: Mapping[str, Any]) -> int:
    return int(one["size_b"])

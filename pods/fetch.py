"""Takes the files of a job from its pod, as often as wanted: only what is not here yet, digest by digest.

Owns the copy: a file is written when its digest is what the pod said, whole or not at all. A file that grows
meanwhile is taken as it was when it was listed, or at the next call. The copy may be deleted at any time; it
is never read as state.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pods import answers
from pods.answers import Paths
from pods.shell import PodError, Shell
from pods.supervisor import record
from pods.supervisor.files import BUNDLED_B

TIMEOUT_S = 300.0
BUNDLE_B = BUNDLED_B
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
    small = {name: one for name, one in wanted.items() if _size_b(one) <= BUNDLE_B}
    for names in _bundles(small):
        moving += _take(shell, paths, into, {name: small[name] for name in names}, timeout_s)
    for name in wanted.keys() - small.keys():
        moving += _take_by_pieces(shell, paths, into, name, wanted[name], timeout_s)
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


def _take_by_pieces(
    shell: Shell, paths: Paths, into: Path, name: str, one: Mapping[str, Any], timeout_s: float
) -> list[str]:
    """Like `_take`, for a file too large to be held in memory."""
    target = _inside(into, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        digest = hashlib.sha256()
        with os.fdopen(descriptor, "wb") as file:
            for begin_b in range(0, _size_b(one), BUNDLE_B):
                piece = _piece(shell, paths, name, begin_b, timeout_s)[: _size_b(one) - begin_b]
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != one["sha256"]:
            return [name]
        Path(aside).replace(target)
    finally:
        Path(aside).unlink(missing_ok=True)
    return []


def _piece(shell: Shell, paths: Paths, name: str, begin_b: int, timeout_s: float) -> bytes:
    argv = ["dd", f"if={paths.root / name}", "bs=1M", "status=none"]
    argv += [f"skip={begin_b >> 20}", f"count={BUNDLE_B >> 20}"]
    done = shell.run(argv, timeout_s=timeout_s, limit_b=BUNDLE_B)
    if done.status != 0:
        raise PodError(f"{paths.root / name} did not arrive: {done.last_words or 'no whole answer'}")
    return done.out


def _write(into: Path, name: str, data: bytes) -> None:
    path = _inside(into, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    record.write_bytes(path, data, is_durable=False)


def _is_here(into: Path, name: str, listed: Mapping[str, Any]) -> bool:
    path = _inside(into, name)
    try:
        if path.is_symlink() or path.stat().st_size != listed["size_b"]:
            return False
        with path.open("rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == listed["sha256"])
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

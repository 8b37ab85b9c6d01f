"""One diff as data: which files it touches, and which lines, from what `git diff-tree --raw -p -U0` prints.

Pure. Hunks are counted by their headers, so that no line of a file is ever taken for a header. A file that is
binary, huge, a submodule or only renamed has no hunks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.review.objects import SUBMODULE, SYMLINK

PATCH = ("--patch", "--unified=0")
"""What makes git print lines; each of the two does."""
DIFF = (
    "-r",
    "--raw",
    *PATCH,
    "--no-abbrev",
    "--full-index",
    "--find-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--submodule=short",
    "--diff-algorithm=myers",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
LFS = "version https://git-lfs.github.com/spec/v1"

_RAW = re.compile(rb":(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) ([A-Z])\d*\t(.*)")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_QUOTED = re.compile(rb"\\([0-7]{3}|.)")
_LETTERS = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13}


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `old` to `old + removed - 1` become `new` to `new + len(added) - 1`, both counted from 1.

    With nothing removed `old` is the line before which something was put in; with nothing added `new` is the
    line that stands there now.
    """

    old: int
    removed: int
    new: int
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """`status` is git's letter (A, D, M, R, T). `path` is the name after, for a deleted file before."""

    status: str
    old_path: str
    path: str
    old_mode: str
    mode: str
    old_blob: str
    blob: str
    hunks: tuple[Hunk, ...] = ()
    is_binary: bool = False

    @property
    def added(self) -> int:
        return sum(len(hunk.added) for hunk in self.hunks)

    @property
    def removed(self) -> int:
        return sum(hunk.removed for hunk in self.hunks)

    @property
    def added_lines(self) -> Iterator[tuple[int, str]]:
        """Number (in the file after) and text of each line that it adds."""
        for hunk in self.hunks:
            yield from enumerate(hunk.added, start=hunk.new)

    @property
    def is_python(self) -> bool:
        return self.path.endswith((".py", ".pyi")) and self.mode not in (SUBMODULE, SYMLINK)

    @property
    def note(self) -> str:
        """What it is where its text is not what it holds; "" for an ordinary file."""
        if SUBMODULE in (self.old_mode, self.mode):
            return "a submodule, whose own commits are not looked at"
        if SYMLINK in (self.old_mode, self.mode):
            return "a symbolic link"
        if any(LFS in hunk.added for hunk in self.hunks):
            return "a pointer to a file in LFS, which is not looked at"
        return "binary or longer than 1 MiB" if self.is_binary else ""


def files_of(printed: bytes) -> tuple[FileDiff, ...]:
    """The files of a diff. Raises ValueError where it is not what git prints."""
    lines = printed.split(b"\n")
    end = next((n for n, line in enumerate(lines) if not line.startswith(b":")), len(lines))
    files = [_file(line) for line in lines[:end]]
    sections = list(_sections(lines[end:]))
    expected = sum(2 if file.status == "T" else 1 for file in files)
    if sections and len(sections) != expected:
        raise ValueError(f"{len(sections)} parts of a diff of {expected}")
    found, at = [], 0
    for file in files:
        count = 2 if file.status == "T" else 1
        parts = sections[at : at + count]
        at += count
        found.append(
            replace(
                file,
                hunks=tuple(hunk for hunks, _ in parts for hunk in hunks),
                is_binary=any(is_binary for _, is_binary in parts),
            )
        )
    return tuple(found)


def _file(line: bytes) -> FileDiff:
    found = _RAW.fullmatch(line)
    if not found:
        raise ValueError(f"not a line of a raw diff: {line[:80]!r}")
    old_mode, mode, old_blob, blob, status, names = found.groups()
    paths = [_unquoted(name) for name in names.split(b"\t")]
    return FileDiff(
        status.decode(),
        paths[0],
        paths[-1],
        old_mode.decode(),
        mode.decode(),
        old_blob.decode(),
        blob.decode(),
    )


def _unquoted(name: bytes) -> str:
    if name.startswith(b'"'):
        name = _QUOTED.sub(_byte, name[1:-1])
    return os.fsdecode(name)


def _byte(match: re.Match[bytes]) -> bytes:
    told = match[1]
    if len(told) == 3:
        return bytes([int(told, 8)])
    return bytes([_LETTERS[told]]) if told in _LETTERS else told


def _sections(lines: Sequence[bytes]) -> Iterator[tuple[list[Hunk], bool]]:
    """Per file of a patch: its hunks, and whether git shows no lines of it."""
    hunks: list[Hunk] | None = None
    is_binary, at = False, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"diff --git "):
            if hunks is not None:
                yield hunks, is_binary
            hunks, is_binary = [], False
        elif line.startswith(b"Binary files "):
            is_binary = True
        elif hunks is not None and (found := _HUNK.match(line)):
            hunk, at = _hunk(found, lines, at)
            hunks.append(hunk)
    if hunks is not None:
        yield hunks, is_binary


def _hunk(header: re.Match[bytes], lines: Sequence[bytes], at: int) -> tuple[Hunk, int]:
    """The hunk whose lines begin at `at`, and where the next line stands."""
    old, new = int(header[1]), int(header[3])
    removed, count = int(header[2] or 1), int(header[4] or 1)
    left = removed
    added: list[str] = []
    while at < len(lines) and (left or len(added) < count or lines[at].startswith(b"\\")):
        line = lines[at]
        at += 1
        if line.startswith(b"-"):
            left -= 1
        elif line.startswith(b"+"):
            added.append(line[1:].removesuffix(b"\r").decode(errors="replace"))
    # With none on a side git gives the line before the gap.
    return Hunk(old + (not removed), removed, new + (not count), tuple(added)), at

"""Where a claimed change is said to be, and where those lines are after each commit.

Pure. A place as people write it (`trainer.py:302-322 (SFTConfig) and trainer.py:545-563`) becomes files and
spans of lines; a span is carried over a diff by its hunks. A name that fits several files stays unresolved.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agent.review.diff import FileDiff, Hunk

NEAR = 5
"""Lines between a hunk and the named lines, up to which the hunk counts as being there."""

_NOTE = re.compile(r"\([^()]*\)")
_PARTS = re.compile(r"\s*(?:,|;|&|\+ |\band\b)\s*")
_PLACE = re.compile(
    r"(?P<path>[\w.@+/-]*\.\w+|[\w.@+-]+/[\w.@+/-]*)(?:(?::|\s|#)\s*(?P<lines>(?:L|lines?\s*)?\d.*))?",
    re.IGNORECASE,
)
_LINES = re.compile(r"(?:L|lines?\s*)?(\d{1,7})(?:\s*[-\u2013]\s*L?(\d{1,7}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A file as it was named, and the lines in it, (0, 0) where none are named."""

    path: str
    first: int = 0
    last: int = 0

    @property
    def text(self) -> str:
        if not self.first:
            return self.path
        return f"{self.path}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")

    def after(self, files: Sequence[FileDiff]) -> Place | None:
        """The same lines once a diff has been applied; None where the file is deleted."""
        for file in files:
            if file.old_path == self.path and file.status != "C":
                if file.status == "D":
                    return None
                first, last = span_after(self.first, self.last, file.hunks) if self.first else (0, 0)
                return replace(self, path=file.path, first=first, last=last)
        return self

    def is_touched(self, file: FileDiff, near: int) -> bool:
        """Whether a diff changes these lines or some within `near` of them; any line where none are named."""
        if file.old_path != self.path:
            return False
        if not self.first:
            return True
        # Hunks are in order and apart, so the nearest one is among the last two that begin early enough.
        behind = bisect_right(file.hunks, self.last + near + 1, key=lambda hunk: hunk.old)
        return any(_distance(hunk, self) <= near for hunk in file.hunks[max(behind - 2, 0) : behind])

    def meets(self, other: Place) -> bool:
        """Whether a hunk could be at both."""
        if self.path != other.path or not self.first or not other.first:
            return self.path == other.path
        return max(self.first, other.first) - min(self.last, other.last) <= 2 * NEAR


def places_of(text: str) -> tuple[Place, ...]:
    """The places that a text names, in its order; none where it names no file."""
    found: list[Place] = []
    for part in _PARTS.split(_NOTE.sub(" ", text).replace("`", " ")):
        words = part.strip()
        if place := _PLACE.fullmatch(words):
            found += _placed(place["path"].removeprefix("./"), place["lines"] or "")
        elif found and (lines := _LINES.fullmatch(words)):
            found.append(_span(found[-1].path, lines))
    return tuple(dict.fromkeys(found))


def _placed(path: str, lines: str) -> list[Place]:
    found = _LINES.fullmatch(lines.strip())
    return [_span(path, found)] if found else [Place(path)]


def _span(path: str, lines: re.Match[str]) -> Place:
    first = int(lines[1])
    return Place(path, first, max(first, int(lines[2] or first))) if first else Place(path)


def resolved(place: Place, paths: Collection[str], touched: Collection[str]) -> Place | str:
    """The place with the full path of its file, or why it has none.

    Of several files that end like it, one is meant only where the range touches one alone.
    """
    named = place.path
    fitting = [path for path in paths if path == named or path.endswith(f"/{named}")]
    if named in fitting:
        fitting = [named]
    if len(fitting) > 1:
        fitting = [path for path in fitting if path in touched] or fitting
    if not fitting:
        return f"no file {named} at the baseline"
    if len(fitting) > 1:
        return f"{named} names {len(fitting)} files"
    return replace(place, path=fitting[0])


def span_after(first: int, last: int, hunks: Sequence[Hunk]) -> tuple[int, int]:
    """Where a span of lines is once the hunks of its file, in their order, have been applied."""
    begin, end = _line_after(first, hunks, is_end=False), _line_after(last, hunks, is_end=True)
    return max(begin, 1), max(begin, end, 1)


def _line_after(line: int, hunks: Sequence[Hunk], *, is_end: bool) -> int:
    behind = bisect_right(hunks, line, key=lambda hunk: hunk.old)
    if not behind:
        return line
    hunk = hunks[behind - 1]
    if line < hunk.old + hunk.removed:
        return hunk.new + (len(hunk.added) - 1 if is_end else 0)
    return line + (hunk.new + len(hunk.added)) - (hunk.old + hunk.removed)


def _distance(hunk: Hunk, place: Place) -> int:
    """Lines between what a hunk replaces and a span; 0 where they meet, also for a gap in it or at an end."""
    first, last = hunk.old, hunk.old + hunk.removed - 1
    if not hunk.removed:
        first, last = hunk.old - 1, hunk.old  # the two lines around the gap
    return max(place.first - last, first - place.last, 0)

"""The issue form as GitHub renders it: its headings, and what stands under each, with the line in the body.

Owns the headings of `.github/ISSUE_TEMPLATE/infra.yml` and how Markdown hides or shows them; what a value
means is `task.py`'s. A heading counts where a reader of the rendered issue sees one: not in a code fence, an
HTML comment, a quotation or a list. A known heading that stands twice, is hidden or is misspelt is a problem;
what stands under an unknown heading is nobody's value. Pure.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from markdown_it import MarkdownIt
from markdown_it.token import Token

T = TypeVar("T")

NO_RESPONSE = "_No response_"
BODY_LIMIT = 65_536  # GitHub's own
LINE_LIMIT = 1_000
LINES_LIMIT = 100
MOST_STRANGE_HEADINGS = 50

# Field -> an example that is right. The order is the form's.
EXAMPLES: Mapping[str, str] = {
    "Kind": "infra",
    "Context": "Training runs at a third of what the GPU can do.",
    "Baseline commit": "656703d",
    "Optimized commit": "097beae",
    "Recipes": "sft, dpo",
    "Extra arms": "packing = optimized, packing=true",
    "Success criteria": "sft: +30 %",
    "Loss band": "2 %",
    "GPU-hour budget": "1.5",
    "Replicates": "5",
    "Changes": "| A | trainer.py:98 | FlashAttention 2, with a fallback | +15-20 % SFT |",
    "What must not change": "configs/dpo/default.yaml:beta",
}
REQUIRED = ("Kind", "Baseline commit", "Optimized commit", "Recipes")
CHANGES_HEADER = ("#", "File:Line", "Change", "Expected win")

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[^`]*")
_BULLET = re.compile(r"^[-*] +")
_DELIMITER = re.compile(r":?-+:?")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # invisible, and part of how some scripts and emoji are written
_HIDING = {"fence": "code fence", "code_block": "indented code", "html_block": "HTML or comment"}


class Unread(ValueError):
    """A value that does not say what its field takes; the text is the `what` of a Problem."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read: field, line of the body (from 1; None where the field is missing), example."""

    field: str
    what: str
    example: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts the lines of the body from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A known heading in line `number`, and all text up to the next known one.

    `lines` end at any other heading that follows one, and are without blank ones and a fence around all.
    """

    number: int
    text: str
    lines: tuple[Line, ...]


class Form:
    """Sections by heading. Reading a value that is not there or not right adds to `problems`."""

    def __init__(self, body: str) -> None:
        self.problems: list[Problem] = []
        self._told: set[str] = set()  # fields whose heading is a problem already
        lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.sections = self._sections(lines)

    def text(self, label: str) -> str:
        """Free text, verbatim; empty where there is none."""
        section = self.sections.get(label)
        return "" if section is None or section.text == NO_RESPONSE else section.text

    def one(self, label: str, read: Callable[[str], T]) -> T | None:
        """The value of a field that takes one line; `read` raises Unread."""
        lines = self._lines(label)
        if not lines:
            return None
        if len(lines) > 1:
            self._add(label, "takes one value in one line", lines[1].number)
            return None
        return self._read(label, lines[0], read)

    def each(self, label: str, read: Callable[[str], T]) -> tuple[T, ...] | None:
        """The values of a field that takes one a line; None where one of them could not be read."""
        values = [self._read(label, _without_bullet(line), read) for line in self._lines(label)]
        whole = tuple(value for value in values if value is not None)
        return whole if len(whole) == len(values) else None

    def rows(self, label: str, header: Sequence[str], read: Callable[[Sequence[str]], T]) -> tuple[T, ...]:
        """The values of the rows of a Markdown table; rows of empty cells are skipped."""
        lines = self._lines(label)
        if not lines:
            return ()
        asked = f"begins with the table's header: | {' | '.join(header)} |"
        if [cell.casefold() for cell in cells_of(lines[0].text)] != [name.casefold() for name in header]:
            self._add(label, asked, lines[0].number)
            return ()
        if len(lines) < 2 or not all(_DELIMITER.fullmatch(cell) for cell in cells_of(lines[1].text)):
            self._add(label, "needs a line of dashes under the header: |---|---|---|---|", lines[0].number)
            return ()

        def row(text: str) -> T:
            cells = cells_of(text)
            if "|" not in text or len(cells) != len(header):
                raise Unread(
                    f"is no row of {len(header)} cells (a | inside one is written \\|): {quoted(text)}"
                )
            return read(cells)

        values = [self._read(label, line, row) for line in lines[2:] if any(cells_of(line.text))]
        return tuple(value for value in values if value is not None)

    def line_where(self, label: str, is_so: Callable[[str], bool]) -> int | None:
        """The number of the first line of a field whose value is so; `is_so` may raise Unread for no."""
        for line in self._lines(label):
            with contextlib.suppress(Unread):
                if is_so(_checked(_without_bullet(line).text)):
                    return line.number
        return None

    def _lines(self, label: str) -> tuple[Line, ...]:
        section = self.sections.get(label)
        lines = section.lines if section else ()
        if len(lines) > LINES_LIMIT:
            self._add(label, f"has {len(lines)} lines, {LINES_LIMIT} are allowed", lines[LINES_LIMIT].number)
            return ()
        if lines and (len(lines) > 1 or lines[0].text != NO_RESPONSE):
            return lines
        if label in REQUIRED and label not in self._told:
            what = "is empty" if section else "is missing: there is no such heading"
            self._add(label, what, section.number if section else None)
        return ()

    def _read(self, label: str, line: Line, read: Callable[[str], T]) -> T | None:
        try:
            return read(_checked(line.text))
        except Unread as error:
            self._add(label, str(error), line.number)
            return None

    def _add(self, field: str, what: str, line: int | None) -> None:
        self.problems.append(Problem(field, what, EXAMPLES[field], line))

    def _sections(self, lines: Sequence[str]) -> dict[str, Section]:
        tokens = _blocks().parse("\n".join(lines))
        headings = _headings(tokens)
        known = {row: lines[row].rstrip()[4:] for row in headings if _is_known(lines[row])}
        self._add_misspelt({row: text for row, text in headings.items() if row not in known})
        self._add_hidden(lines, tokens, known)
        sections: dict[str, Section] = {}
        for row, end in pairwise([*sorted(known), len(lines)]):
            label = known[row]
            if label in sections:
                first = sections[label].number
                self._add(label, f"the heading stands twice, first in line {first}: keep one", row + 1)
                self._told.add(label)
                continue
            sections[label] = _section(lines, row, end, sorted(headings))
        return {label: section for label, section in sections.items() if label not in self._told}

    def _add_misspelt(self, headings: Mapping[int, str]) -> None:
        names = {label.casefold(): label for label in EXAMPLES}
        for row, text in list(headings.items())[:MOST_STRANGE_HEADINGS]:
            near = difflib.get_close_matches(text[:60].casefold(), names, n=1, cutoff=0.85)
            if near:
                label = names[near[0]]
                what = f"the heading {quoted(text)} is not read: did you mean '### {label}'?"
                self._add(label, what, row + 1)
                self._told.add(label)

    def _add_hidden(self, lines: Sequence[str], tokens: Sequence[Token], known: Mapping[int, str]) -> None:
        """A heading that is there for its author and not for a reader: mostly a fence that never ends."""
        for token in tokens:
            if token.type not in _HIDING or token.map is None:
                continue
            rows = [row for row in range(*token.map) if _is_known(lines[row])]
            labels = {lines[row].rstrip()[4:]: row for row in reversed(rows)}
            missed = [label for label in labels if label not in known.values()]
            if missed:
                label = min(missed, key=lambda label: labels[label])
                named = f"this heading and {len(missed) - 1} more are" if missed[1:] else "this heading is"
                what = f"{named} hidden by the {_HIDING[token.type]} that begins in line {token.map[0] + 1}"
                self._add(label, f"{what}: end that before it", labels[label] + 1)
                self._told.update(missed)


def cells_of(row: str) -> list[str]:
    """The cells of a table's row; `\\|` is a pipe inside a cell."""
    text = row.strip().removeprefix("|")
    if text.endswith("|") and not text.endswith("\\|"):
        text = text[:-1]
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", text)]


def is_hidden(char: str) -> bool:
    """Controls, bidirectional marks, half characters: nobody sees them, and some change what is seen."""
    return unicodedata.category(char) in _HIDDEN and char not in _JOINERS


def quoted(text: str) -> str:
    """Foreign text in a sentence of ours, short and in ASCII, so that it hides nothing."""
    return ascii(text if len(text) <= 60 else f"{text[:59]}...")


@lru_cache(maxsize=1)
def _blocks() -> MarkdownIt:
    """CommonMark's block structure only: what is inside a paragraph hides no heading."""
    markdown = MarkdownIt("commonmark")
    markdown.core.ruler.enableOnly(["normalize", "block"])
    return markdown


def _headings(tokens: Sequence[Token]) -> dict[int, str]:
    """Row -> text of the headings of the body itself (`# x` to `###### x`)."""
    found = {}
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map and token.markup[0] == "#":
            found[token.map[0]] = inline.content.strip()
    return found


def _is_known(line: str) -> bool:
    return line.startswith("### ") and line.rstrip()[4:] in EXAMPLES


def _section(lines: Sequence[str], row: int, end: int, headings: Sequence[int]) -> Section:
    filled = next((other for other in range(row + 1, end) if lines[other].strip()), end)
    cut = next((other for other in headings if filled < other < end), end)
    return Section(row + 1, _text(lines[row + 1 : end]), _lines(lines, row + 1, cut))


def _text(lines: Sequence[str]) -> str:
    """Without the blank lines around it."""
    filled = [row for row, line in enumerate(lines) if line.strip()]
    return "\n".join(lines[filled[0] : filled[-1] + 1]).rstrip() if filled else ""


def _lines(lines: Sequence[str], begin: int, end: int) -> tuple[Line, ...]:
    found = [Line(row + 1, _spaced(lines[row])) for row in range(begin, end)]
    found = [line for line in found if line.text]
    if len(found) > 1 and _is_fenced(lines[found[0].number - 1], lines[found[-1].number - 1]):
        found = found[1:-1]
    return tuple(found)


def _spaced(text: str) -> str:
    """Every kind of space as a space, without those at the ends."""
    return "".join(
        " " if unicodedata.category(char) == "Zs" or char == "\t" else char for char in text
    ).strip()


def _is_fenced(first: str, last: str) -> bool:
    opened = _FENCE.fullmatch(first)
    if opened is None:
        return False
    end = last.strip()
    return len(end) >= len(opened[1]) and not end.strip(opened[1][0])


def _without_bullet(line: Line) -> Line:
    return Line(line.number, _BULLET.sub("", line.text, count=1))


def _checked(text: str) -> str:
    """A line without code marks around it. Raises Unread for what nobody can see or would write."""
    for char in text:
        if is_hidden(char):
            raise Unread(f"holds the invisible character U+{ord(char):04X}: delete it")
    if len(text) > LINE_LIMIT:
        raise Unread(f"the line has {len(text)} characters, {LINE_LIMIT} are allowed")
    if len(text) > 2 and text[0] == text[-1] == "`" and "`" not in text[1:-1]:
        text = text[1:-1].strip()
    return text

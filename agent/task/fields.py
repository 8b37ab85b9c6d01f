"""The fields of a task: keys, headings, examples; what a body says in each, and how their values are read.

Each of the three forms (`form.py`, `block.py`, `prose.py`) gives a `Written`: by key of a
field its lines or rows as text, with their lines in the body. `Reader` reads values from them and keeps what
could not be read, with name and example as the field's author knows them. What a value means is
`values.py`'s. Pure.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

T = TypeVar("T")

BODY_LIMIT = 65_536  # GitHub's own
LINE_LIMIT = 1_000
LINES_LIMIT = 100

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # invisible, and part of how some scripts and emoji are written

Shape = Literal["one", "each", "rows", "text"]


@dataclass(frozen=True, slots=True)
class Blank:
    """A field to be filled in: its key in a block and in `/set`, its heading in the form, a right example.

    `shape` says what it takes: one line, one value a line, the rows of a table, or text as it is.
    """

    key: str
    label: str
    shape: Shape
    example: str


# In the order of the form.
BLANKS: tuple[Blank, ...] = (
    Blank("kind", "Kind", "one", "infra"),
    Blank("context", "Context", "text", "Training runs at a third of what the GPU can do."),
    Blank("baseline", "Baseline commit", "one", "656703d"),
    Blank("optimized", "Optimized commit", "one", "097beae"),
    Blank("recipes", "Recipes", "each", "sft, dpo"),
    Blank("arms", "Extra arms", "each", "packing = optimized, packing=true"),
    Blank("criteria", "Success criteria", "each", "sft: +30 %"),
    Blank("stated", "Further criteria", "each", "no crashes"),
    Blank("loss_band", "Loss band", "one", "2 %"),
    Blank("gpu_hours", "GPU-hour budget", "one", "1.5"),
    Blank("replicates", "Replicates", "one", "5"),
    Blank(
        "changes",
        "Changes",
        "rows",
        "| A | trainer.py:98 | FlashAttention 2, with a fallback | +15-20 % SFT |",
    ),
    Blank(
        "withheld",
        "Changes not to apply",
        "rows",
        "| H | configs/dpo/default.yaml:6 | beta: 0.1 → 5.0 | another loss landscape |",
    ),
    Blank("unchanged", "What must not change", "each", "configs/dpo/default.yaml:beta"),
    Blank("protocol", "Testing protocol", "each", "sft: examples = 200"),
    Blank("report", "Report back", "each", "GPU-hours spent"),
    Blank("follow_ups", "Follow-ups", "each", "FlashAttention 3, once this is validated"),
)
BY_KEY: Mapping[str, Blank] = {blank.key: blank for blank in BLANKS}
KEYS: Mapping[str, str] = {blank.label: blank.key for blank in BLANKS}
EXAMPLES: Mapping[str, str] = {blank.label: blank.example for blank in BLANKS}
REQUIRED_KEYS = ("kind", "baseline", "optimized", "recipes")
REQUIRED = tuple(BY_KEY[key].label for key in REQUIRED_KEYS)
CHANGES_HEADER = ("#", "File:Line", "Change", "Expected win")
WITHHELD_HEADER = ("#", "File:Line", "Change", "Why not")
HEADERS: Mapping[str, Sequence[str]] = {"changes": CHANGES_HEADER, "withheld": WITHHELD_HEADER}


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
    """`number` counts the lines of the body from 1; None where the text is not from the body."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    number: int | None
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """What is said in one field; `name` and `example` as whoever wrote it knows them.

    `problems` are of the field as a whole: a heading that stands twice, a table without its header.
    """

    name: str
    example: str
    number: int | None = None
    lines: tuple[Line, ...] = ()
    rows: tuple[Row, ...] = ()
    text: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def is_filled(self) -> bool:
        return bool(self.lines or self.rows or self.text or self.problems)


@dataclass(frozen=True, slots=True)
class Written:
    """What a body says: fields by key, and problems that are of no field or of several.

    `number` is the line where it begins, where it does not begin with the body.
    """

    form: Literal["form", "block", "prose"]
    fields: Mapping[str, Field] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    number: int | None = None


class Reader:
    """Reads values out of fields. What is not there or not right is in `problems`, the field in `failed`."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.problems: list[Problem] = []
        self.failed: set[str] = set()
        self._fields = fields

    def text(self, key: str) -> str:
        """Free text, verbatim; empty where there is none."""
        found = self._field(key)
        return found.text if found else ""

    def one(self, key: str, read: Callable[[str], T]) -> T | None:
        """The value of a field that takes one line; `read` raises Unread."""
        lines = self._lines(key)
        if len(lines) > 1:
            self.refuse(key, "takes one value in one line", lines[1].number)
            return None
        return self._read(key, lines[0], read) if lines else None

    def each(self, key: str, read: Callable[[str], T]) -> tuple[T, ...]:
        """The values of a field that takes one a line, those that could be read."""
        values = [self._read(key, line, read) for line in self._lines(key)]
        return tuple(value for value in values if value is not None)

    def rows(self, key: str, read: Callable[[Sequence[str]], T]) -> tuple[T, ...]:
        """The values of the rows of a table; a row of empty cells is none."""
        found = self._field(key)
        rows = [row for row in found.rows if any(row.cells)] if found else []
        if len(rows) > LINES_LIMIT:
            self.refuse(key, f"has {len(rows)} rows, {LINES_LIMIT} are allowed", rows[LINES_LIMIT].number)
            return ()
        values = []
        for row in rows:
            try:
                seen(" ".join(row.cells))
                values.append(read(row.cells))
            except Unread as error:
                self.refuse(key, str(error), row.number)
        return tuple(values)

    def refuse(self, key: str, what: str, line: int | None = None) -> None:
        found = self._fields[key]
        self.problems.append(Problem(found.name, what, found.example, line or found.number))
        self.failed.add(key)

    def _field(self, key: str) -> Field | None:
        found = self._fields.get(key)
        if found and found.problems:
            self.problems += found.problems
            self.failed.add(key)
        return found

    def _lines(self, key: str) -> tuple[Line, ...]:
        found = self._field(key)
        lines = found.lines if found else ()
        if len(lines) > LINES_LIMIT:
            number = lines[LINES_LIMIT].number
            self.refuse(key, f"has {len(lines)} lines, {LINES_LIMIT} are allowed", number)
            return ()
        return lines

    def _read(self, key: str, line: Line, read: Callable[[str], T]) -> T | None:
        try:
            return read(checked(line.text))
        except Unread as error:
            self.refuse(key, str(error), line.number)
            return None


def line_where(found: Field, is_so: Callable[[str], bool]) -> int | None:
    """The number of the first line of a field whose value is so; `is_so` may raise Unread for no."""
    for line in found.lines:
        with contextlib.suppress(Unread):
            if is_so(checked(line.text)):
                return line.number
    return None


def checked(text: str) -> str:
    """A line without code marks around it. Raises Unread for what nobody can see or would write."""
    seen(text)
    if len(text) > 2 and text[0] == text[-1] == "`" and "`" not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def seen(text: str) -> None:
    """Raises Unread for what nobody can see or would write."""
    for char in text:
        if is_hidden(char):
            raise Unread(f"holds the invisible character U+{ord(char):04X}: delete it")
    if len(text) > LINE_LIMIT:
        raise Unread(f"the line has {len(text)} characters, {LINE_LIMIT} are allowed")


def is_hidden(char: str) -> bool:
    """Controls, bidirectional marks, half characters: nobody sees them, and some change what is seen."""
    return unicodedata.category(char) in _HIDDEN and char not in _JOINERS


def spaced(text: str) -> str:
    """Every kind of space as a space, without those at the ends."""
    return "".join(
        " " if unicodedata.category(char) == "Zs" or char == "\t" else char for char in text
    ).strip()


def quoted(text: str) -> str:
    """Foreign text in a sentence of ours, short and in ASCII, so that it hides nothing."""
    return ascii(text if len(text) <= 60 else f"{text[:59]}...")

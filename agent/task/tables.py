"""The tables of an issue in prose: which changes there are, and which must not be applied.

A table is ours by the names of its columns: `#` and `Change`, with `Expected win` a table of changes, with
`Why not ...` one of changes that must not be applied. One that is only nearly ours is a problem. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.task.fields import CHANGES_HEADER, EXAMPLES, WITHHELD_HEADER, Line, Problem, Row, quoted
from agent.task.markdown import Chapter, Table

_PLACES = ("file:line", "file", "files", "place", "where", "path")
_WINS = ("expected win", "expected", "win", "expected effect", "claim", "promise")
_NAME = r"[A-Za-z0-9][A-Za-z0-9+._]{0,39}"
_LEAVE = re.compile(rf"leave (?P<names>{_NAME}(?:(?:, | and |, and ){_NAME}){{0,20}}) unchanged\b.*", re.I)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows have the columns of the form's tables. `unchanged` are lines about what is in neither."""

    changes: tuple[Row, ...]
    withheld: tuple[Row, ...]
    unchanged: tuple[Line, ...]
    problems: tuple[Problem, ...]


def tables_of(chapters: Sequence[Chapter]) -> Tables:
    changes: list[Row] = []
    withheld: list[Row] = []
    problems: list[Problem] = []
    for table in (table for chapter in chapters for table in chapter.tables):
        columns = _columns(table)
        if columns is None:
            continue
        if isinstance(columns, Problem):
            problems.append(columns)
            continue
        is_withheld, places = columns
        for row in table.rows:
            if len(row.cells) != len(table.header):
                if any(row.cells):
                    problems.append(_no_row(row, len(table.header)))
                continue
            cells = tuple("" if place is None else row.cells[place] for place in places)
            (withheld if is_withheld else changes).append(Row(row.number, cells))
    unchanged, contrary = _left(
        chapters, [row.cells[0] for row in changes], [row.cells[0] for row in withheld]
    )
    return Tables(tuple(changes), tuple(withheld), tuple(unchanged), (*problems, *contrary))


def _columns(table: Table) -> tuple[bool, tuple[int | None, ...]] | Problem | None:
    """(whether its changes must not be applied, the place of each column of the form)."""
    header = [" ".join(cell.casefold().split()) for cell in table.header]
    name, change = _place(header, ("#", "id", "name")), _place(header, ("change",))
    place, win = _place(header, _PLACES), _place(header, _WINS)
    why = next((n for n, cell in enumerate(header) if cell.startswith("why not")), None)
    if change is None and win is None and why is None:
        return None
    if name is None or change is None or (win is None) == (why is None):
        if name is None and place is None and win != _place(header, ("expected win",)):
            return None
        ours, held = (f"| {' | '.join(names)} |" for names in (CHANGES_HEADER, WITHHELD_HEADER))
        shown = quoted(" | ".join(table.header))
        what = f"a table with the header {shown} is not read: write {ours}, or {held} for what is not applied"
        return Problem("Changes", what, EXAMPLES["Changes"], table.number)
    return why is not None, (name, place, change, why if why is not None else win)


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((n for n, cell in enumerate(header) if cell in names), None)


def _no_row(row: Row, cells: int) -> Problem:
    text = quoted(" | ".join(row.cells))
    what = f"is no row of {cells} cells (a | inside one is written \\|): {text}"
    return Problem("Changes", what, EXAMPLES["Changes"], row.number)


def _left(
    chapters: Sequence[Chapter], changes: Sequence[str], withheld: Sequence[str]
) -> tuple[list[Line], list[Problem]]:
    """What `Leave H and I unchanged.` adds to the tables: nothing where both are there as such."""
    unchanged, problems = [], []
    for line, sentence in _sentences(chapters):
        found = _LEAVE.fullmatch(sentence)
        if found is None:
            continue
        names = re.split(r", and | and |, ", found["names"], flags=re.IGNORECASE)
        asked = [name for name in names if name in changes and name not in withheld]
        if asked:
            what = f"{asked[0]} is listed as a change to apply, and here as one to leave unchanged"
            problems.append(Problem("Changes", what, EXAMPLES["Changes"], line.number))
        elif any(name not in withheld for name in names):
            unchanged.append(Line(line.number, sentence))
    return unchanged, problems


def _sentences(chapters: Sequence[Chapter]) -> list[tuple[Line, str]]:
    texts = [text for chapter in chapters for text in chapter.texts]
    return [
        (text.lines[0], sentence) for text in texts for sentence in _SENTENCE.split(text.text) if sentence
    ]

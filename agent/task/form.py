"""The issue form as GitHub renders it: its headings, and what stands under each, with the line in the body.

Owns how Markdown hides or shows the headings of `.github/ISSUE_TEMPLATE/infra.yml`; which there are is
`fields.py`'s. A heading counts where a reader of the rendered issue sees one: not in a code fence, an
HTML comment, a quotation or a list. A known heading that stands twice, is hidden or is misspelt is a problem;
what stands under an unknown heading is nobody's value. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from markdown_it.token import Token

from agent.task.fields import (
    BY_KEY,
    EXAMPLES,
    HEADERS,
    KEYS,
    REQUIRED,
    Blank,
    Field,
    Line,
    Problem,
    Row,
    Written,
    quoted,
    spaced,
)
from agent.task.markdown import cells_of, markdown_of

NO_RESPONSE = "_No response_"
MOST_STRANGE_HEADINGS = 50

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[^`]*")
_BULLET = re.compile(r"^[-*] +")
_DELIMITER = re.compile(r":?-+:?")
_HIDING = {"fence": "code fence", "code_block": "indented code", "html_block": "HTML or comment"}


def written_form(body: str) -> Written | None:
    """The fields under the form's headings; None where no heading asks for what the form requires."""
    lines, tokens = markdown_of(body)
    headings = _headings(tokens)
    known = {row: lines[row].rstrip()[4:] for row in headings if _is_known(lines[row])}
    fields = _fields(lines, known, sorted(headings))
    misspelt = _misspelt({row: text for row, text in headings.items() if row not in known})
    hidden = _hidden(lines, tokens, known)
    if not fields or not any(label in REQUIRED for label in (*known.values(), *misspelt, *hidden)):
        return None
    for label, problem in (*hidden.items(), *misspelt.items()):
        key = KEYS[label]
        one = fields.get(key) or Field(label, EXAMPLES[label])
        fields[key] = replace(one, lines=(), rows=(), text="", problems=(*one.problems, problem))
    return Written("form", fields)


def hidden_in(body: str) -> tuple[Problem, ...]:
    """Headings that are there for the author of a body and not for a reader."""
    lines, tokens = markdown_of(body)
    known = {row: lines[row].rstrip()[4:] for row in _headings(tokens) if _is_known(lines[row])}
    return tuple(dict.fromkeys(_hidden(lines, tokens, known).values()))


def missing(written: Written, key: str) -> Problem:
    found, label = written.fields.get(key), BY_KEY[key].label
    what = "is empty" if found else "is missing: there is no such heading"
    return Problem(label, what, EXAMPLES[label], found.number if found else None)


def lines_of(lines: Sequence[str], begin: int, end: int, first: int = 1) -> tuple[Line, ...]:
    """Those that are not blank, without a fence around all; the first of all has the number `first`."""
    found = [Line(row + first, spaced(lines[row])) for row in range(begin, end)]
    found = [line for line in found if line.text]
    if len(found) > 1:
        rows = [(line.number or 0) - first for line in (found[0], found[-1])]
        if _is_fenced(lines[rows[0]], lines[rows[1]]):
            found = found[1:-1]
    return tuple(found)


def without_bullet(line: Line) -> Line:
    return Line(line.number, _BULLET.sub("", line.text, count=1))


def _fields(lines: Sequence[str], known: Mapping[int, str], headings: Sequence[int]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for row, end in pairwise([*sorted(known), len(lines)]):
        label = known[row]
        key = KEYS[label]
        if key in fields:
            first = fields[key]
            what = f"the heading stands twice, first in line {first.number}: keep one"
            problem = Problem(label, what, EXAMPLES[label], row + 1)
            fields[key] = Field(label, EXAMPLES[label], first.number, problems=(*first.problems, problem))
            continue
        filled = next((other for other in range(row + 1, end) if lines[other].strip()), end)
        cut = next((other for other in headings if filled < other < end), end)
        found = Field(label, EXAMPLES[label], row + 1)
        fields[key] = _filled(found, BY_KEY[key], lines_of(lines, row + 1, cut), _text(lines[row + 1 : end]))
    return fields


def _filled(found: Field, blank: Blank, lines: tuple[Line, ...], text: str) -> Field:
    if blank.shape == "text":
        return replace(found, text="" if text == NO_RESPONSE else text)
    if not lines or (len(lines) == 1 and lines[0].text == NO_RESPONSE):
        return found
    if blank.shape == "rows":
        return _table(found, HEADERS[blank.key], lines)
    if blank.shape == "each":
        return replace(found, lines=tuple(without_bullet(line) for line in lines))
    return replace(found, lines=lines)


def _table(found: Field, header: Sequence[str], lines: Sequence[Line]) -> Field:
    """The rows of a Markdown table; those that are none are problems."""
    if [cell.casefold() for cell in cells_of(lines[0].text)] != [name.casefold() for name in header]:
        asked = f"begins with the table's header: | {' | '.join(header)} |"
        return replace(found, problems=(Problem(found.name, asked, found.example, lines[0].number),))
    if len(lines) < 2 or not all(_DELIMITER.fullmatch(cell) for cell in cells_of(lines[1].text)):
        what = "needs a line of dashes under the header: |---|---|---|---|"
        return replace(found, problems=(Problem(found.name, what, found.example, lines[0].number),))
    rows, problems = [], []
    for line in lines[2:]:
        cells = tuple(cells_of(line.text))
        if not any(cells):
            continue
        if "|" in line.text and len(cells) == len(header):
            rows.append(Row(line.number, cells))
        else:
            what = f"is no row of {len(header)} cells (a | inside one is written \\|): {quoted(line.text)}"
            problems.append(Problem(found.name, what, found.example, line.number))
    return replace(found, rows=tuple(rows), problems=tuple(problems))


def _misspelt(headings: Mapping[int, str]) -> dict[str, Problem]:
    names = {label.casefold(): label for label in EXAMPLES}
    found: dict[str, Problem] = {}
    for row, text in list(headings.items())[:MOST_STRANGE_HEADINGS]:
        near = difflib.get_close_matches(text[:60].casefold(), names, n=1, cutoff=0.85)
        if near:
            label = names[near[0]]
            what = f"the heading {quoted(text)} is not read: did you mean '### {label}'?"
            found.setdefault(label, Problem(label, what, EXAMPLES[label], row + 1))
    return found


def _hidden(lines: Sequence[str], tokens: Sequence[Token], known: Mapping[int, str]) -> dict[str, Problem]:
    """By label, the one problem of all that are hidden together: mostly by a fence that never ends."""
    found: dict[str, Problem] = {}
    for token in tokens:
        if token.type not in _HIDING or token.map is None:
            continue
        rows = [row for row in range(*token.map) if _is_known(lines[row])]
        labels = {lines[row].rstrip()[4:]: row for row in reversed(rows)}
        missed = [label for label in labels if label not in known.values()]
        if missed:
            label = min(missed, key=lambda label: labels[label])
            others = f"this heading and {len(missed) - 1} more are" if missed[1:] else "this heading is"
            what = f"{others} hidden by the {_HIDING[token.type]} that begins in line {token.map[0] + 1}"
            problem = Problem(label, f"{what}: end that before it", EXAMPLES[label], labels[label] + 1)
            found.update(dict.fromkeys(missed, problem))
    return found


def _headings(tokens: Sequence[Token]) -> dict[int, str]:
    """Row -> text of the headings of the body itself (`# x` to `###### x`)."""
    found = {}
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map and token.markup[0] == "#":
            found[token.map[0]] = inline.content.strip()
    return found


def _is_known(line: str) -> bool:
    return line.startswith("### ") and line.rstrip()[4:] in EXAMPLES


def _text(lines: Sequence[str]) -> str:
    """Without the blank lines around it."""
    filled = [row for row, line in enumerate(lines) if line.strip()]
    return "\n".join(lines[filled[0] : filled[-1] + 1]).rstrip() if filled else ""


def _is_fenced(first: str, last: str) -> bool:
    opened = _FENCE.fullmatch(first)
    if opened is None:
        return False
    end = last.strip()
    return len(end) >= len(opened[1]) and not end.strip(opened[1][0])

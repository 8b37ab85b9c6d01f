"""A fenced block with the info string `paceline`: TOML whose keys are those of `fields.py`.

A list holds what the form takes one a line, in the same spelling; `[[changes]]` and `[[withheld]]` are tables
with a key a column. `protected` are values `path:key`, `unchanged` is what else must not change. An unknown
key is a problem with a near miss. Says of everything in which line of the body it stands, which TOML's own
reader does not tell. Pure.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.metrics import near_miss

from agent.task.fields import (
    BY_KEY,
    LINES_LIMIT,
    Blank,
    Field,
    Line,
    Problem,
    Row,
    Unread,
    Written,
    checked,
    quoted,
    spaced,
)
from agent.task.markdown import markdown_of
from agent.task.values import protected_of

INFO = "paceline"
NAME = "paceline block"
PROTECTED_KEY = "protected"
PROTECTED_EXAMPLE = 'protected = ["configs/dpo/default.yaml:beta"]'
COLUMNS: Mapping[str, Sequence[str]] = {
    "changes": ("name", "place", "change", "expected"),
    "withheld": ("name", "place", "change", "why"),
}
BLOCK_EXAMPLE = 'kind = "infra"\nbaseline = "656703d"\noptimized = "097beae"\nrecipes = ["sft", "dpo"]'
MOST_DOTS = 20  # TOML's reader takes time by the square of the dots in a key

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?(?:""""{0,2}|\\?\Z)|\'\'\'.*?(?:\'\'\'\'{0,2}|\Z)'
    r"|\"(?:\\.|[^\"\\\n])*\"?|'[^'\n]*'?|#[^\n]*|\n|[\[\]{}]|[^\"'#\n\[\]{}]+",
    re.DOTALL,
)
_HEADER = re.compile(r"\s*\[{1,2}\s*([^\]]*?)\s*\]")
_KEY = re.compile(r"\s*([^=]*?)\s*=")
_WHERE = re.compile(r"\s*\((at line (?P<line>[0-9]+)|at end).*\)$")


@dataclass(frozen=True, slots=True)
class _Block:
    """`number` is of its first line behind the fence, `rows` are those of the body, fences included."""

    number: int
    text: str
    rows: range


@dataclass(frozen=True, slots=True)
class _Statement:
    """`table` is "" at the top, else the header's key; `key` is "" for a header itself."""

    number: int
    table: str
    key: str


def written_block(body: str) -> Written | None:
    """None where a reader of the body sees no such block."""
    blocks, strange = _blocks_of(body)
    if not blocks:
        return Written("block", problems=tuple(strange)) if strange else None
    if len(blocks) > 1:
        what = f"stands twice, first in line {blocks[0].number - 1}: keep one"
        return Written("block", problems=(Problem(NAME, what, BLOCK_EXAMPLE, blocks[1].number - 1),))
    [block] = blocks
    tokens = [found[0] for found in _TOKEN.finditer(block.text)]
    dotted = _dotted(tokens)
    if dotted is not None:
        what = f"a line holds more than {MOST_DOTS} dots outside of texts"
        return _broken(what, block, dotted + block.number)
    try:
        table = tomllib.loads(block.text, parse_float=str)
    except (ValueError, RecursionError) as error:
        found = _WHERE.search(str(error))
        number = block.number + int(found["line"] or 1) - 1 if found else block.number
        told = _WHERE.sub("", str(error)) if isinstance(error, tomllib.TOMLDecodeError) else "is no TOML"
        return _broken(f"cannot be read: {quoted(told)}", block, number)
    return _written(block, table, _statements(block, tokens))


def around(body: str) -> str:
    """The body with blank lines in place of its blocks."""
    hidden = {row for block in _blocks_of(body)[0] for row in block.rows}
    return "\n".join("" if row in hidden else line for row, line in enumerate(markdown_of(body)[0]))


def missing(written: Written, key: str) -> Problem:
    return Problem(key, "is missing in the paceline block", _example(BY_KEY[key]), written.number)


def _broken(what: str, block: _Block, number: int) -> Written:
    return Written("block", problems=(Problem(NAME, what, BLOCK_EXAMPLE, number),), number=block.number - 1)


def _written(block: _Block, table: Mapping[str, object], statements: Sequence[_Statement]) -> Written:
    fields: dict[str, Field] = {}
    problems: list[Problem] = []
    for key, value in table.items():
        number = _number_of(key, statements, block)
        if key in BY_KEY:
            fields[key] = _field(BY_KEY[key], value, block, number, statements)
        elif key != PROTECTED_KEY:
            known = [*BY_KEY, PROTECTED_KEY]
            what = f"no key {quoted(key)}{near_miss(key, known)}"
            near = difflib.get_close_matches(key, known, n=1)
            example = _example(BY_KEY[near[0]]) if near and near[0] in BY_KEY else BLOCK_EXAMPLE
            problems.append(Problem(NAME, what, example, number))
    if PROTECTED_KEY in table:
        number = _number_of(PROTECTED_KEY, statements, block)
        value = table[PROTECTED_KEY]
        blank = replace(BY_KEY["unchanged"], key=PROTECTED_KEY)
        held = _field(blank, value, block, number, statements)
        other = fields.get("unchanged") or replace(held, lines=(), problems=())
        refused = [Problem(PROTECTED_KEY, what, PROTECTED_EXAMPLE, n) for n, what in _unprotected(held)]
        fields["unchanged"] = replace(
            other,
            lines=(*held.lines, *other.lines),
            problems=(*other.problems, *held.problems, *refused),
        )
    return Written("block", fields, tuple(problems), block.number - 1)


def _unprotected(held: Field) -> list[tuple[int | None, str]]:
    found = []
    for line in held.lines:
        try:
            protected_of(checked(line.text))
        except Unread as error:
            found.append((line.number, str(error)))
    return found


def _field(
    blank: Blank, value: object, block: _Block, number: int, statements: Sequence[_Statement]
) -> Field:
    found = Field(blank.key, _example(blank), number)

    def refused(what: str, line: int = number) -> Field:
        return replace(found, problems=(*found.problems, Problem(found.name, what, found.example, line)))

    if blank.shape == "text":
        return replace(found, text=value.strip("\n")) if isinstance(value, str) else refused("takes a text")
    if blank.shape == "rows":
        return _rows(blank, found, value, statements)
    values = value if isinstance(value, list) else [value]
    if blank.shape == "one" and isinstance(value, list):
        return refused("takes one value, not a list")
    is_number = blank.key in ("gpu_hours", "replicates")
    if not all(isinstance(one, str) or (is_number and _is_small(one)) for one in values):
        return refused("takes a number, or a text" if is_number else 'takes text, in ""')
    texts = [str(one) for one in values]
    rows = _rows_of(texts, number, block, _end_of(number, statements, block))
    return replace(
        found,
        lines=tuple(Line(row, spaced(one)) for row, one in zip(rows, texts, strict=True) if one.strip()),
    )


def _is_small(value: object) -> bool:
    """A whole number that Python prints (a float is a text already)."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9


def _rows(blank: Blank, found: Field, value: object, statements: Sequence[_Statement]) -> Field:
    columns = COLUMNS[blank.key]
    tables = value if isinstance(value, list) else [value]
    headers = [one.number for one in statements if one.table == blank.key and not one.key]
    rows, problems = [], []
    for position, table in enumerate(tables):
        number = headers[position] if position < len(headers) else found.number
        if not isinstance(table, dict):
            what = f"takes tables: [[{blank.key}]] with {', '.join(columns)}"
            problems.append(Problem(found.name, what, found.example, number))
            continue
        strange = [key for key in table if key not in columns]
        if strange:
            what = f"no key {quoted(strange[0])}{near_miss(strange[0], columns)}"
            problems.append(Problem(found.name, what, found.example, number))
        elif not all(isinstance(cell, str) for cell in table.values()):
            problems.append(Problem(found.name, 'takes text, in ""', found.example, number))
        else:
            rows.append(Row(number, tuple(spaced(table.get(column, "")) for column in columns)))
    return replace(found, rows=tuple(rows), problems=tuple(problems))


def _example(blank: Blank) -> str:
    if blank.shape == "rows":
        cells = [cell.strip() for cell in blank.example.strip("|").split("|")]
        pairs = zip(COLUMNS[blank.key], cells, strict=True)
        return "\n".join([f"[[{blank.key}]]", *(f'{column} = "{cell}"' for column, cell in pairs)])
    if blank.key in ("gpu_hours", "replicates"):
        return f"{blank.key} = {blank.example}"
    if blank.key == "recipes":
        return 'recipes = ["sft", "dpo"]'
    return (
        f'{blank.key} = ["{blank.example}"]' if blank.shape == "each" else f'{blank.key} = "{blank.example}"'
    )


def _blocks_of(body: str) -> tuple[list[_Block], list[Problem]]:
    """Blocks outside of quotations, and those whose info string is only nearly ours."""
    blocks, strange, quotations = [], [], 0
    for token in markdown_of(body)[1]:
        quotations += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        if token.type != "fence" or token.map is None or quotations:
            continue
        info = (token.info.split() or [""])[0]
        if info.casefold() == INFO:
            blocks.append(_Block(token.map[0] + 2, token.content, range(*token.map)))
        elif difflib.SequenceMatcher(None, info[:40].casefold(), INFO).ratio() >= 0.85:
            what = f"a block {quoted(info)} is not read: did you mean {INFO!r}?"
            strange.append(Problem(NAME, what, f"```{INFO}\n{BLOCK_EXAMPLE}\n```", token.map[0] + 1))
    return blocks, strange


def _dotted(tokens: Sequence[str]) -> int | None:
    """The row of a line with more dots than any key of ours has."""
    row = dots = 0
    for token in tokens:
        if token == "\n":  # noqa: S105  (a line's end, no secret)
            row, dots = row + 1, 0
        elif token[0] in "\"'#":
            row += token.count("\n")
        else:
            dots += token.count(".")
        if dots > MOST_DOTS:
            return row
    return None


def _statements(block: _Block, tokens: Sequence[str]) -> list[_Statement]:
    """Where each key and each table begins. The text is TOML."""
    lines = block.text.split("\n")
    found: list[_Statement] = []
    row = depth = 0
    table, is_begun = "", False
    for token in tokens:
        if not is_begun and token[0] not in "#\n" and token.strip():
            is_begun = True
            header, key = _HEADER.match(lines[row]), _KEY.match(lines[row])
            if header:
                table = _bare(header[1])
                found.append(_Statement(row + block.number, table, ""))
            elif key:
                found.append(_Statement(row + block.number, table, _bare(key[1])))
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        elif "\n" in token:
            row += token.count("\n")
            is_begun = is_begun and not (token == "\n" and depth <= 0)  # noqa: S105
    return found


def _bare(key: str) -> str:
    first = re.match(r"\"[^\"]*\"|'[^']*'|[^.\s]*", key)
    return first[0].strip("\"'") if first else key


def _number_of(key: str, statements: Sequence[_Statement], block: _Block) -> int:
    """Where a key of the top, or the first of its tables, stands."""
    for one in statements:
        if (one.table == key and not one.key) or (not one.table and one.key == key):
            return one.number
    return block.number


def _end_of(number: int, statements: Sequence[_Statement], block: _Block) -> int:
    after = [one.number for one in statements if one.number > number]
    return min(after, default=block.number + block.text.count("\n") + 1)


def _rows_of(texts: Sequence[str], number: int, block: _Block, end: int) -> list[int]:
    """The lines in which the values of one key stand; that of the key where it cannot be told."""
    lines = block.text.split("\n")
    found, row = [], number
    for text in texts[: LINES_LIMIT + 1]:
        hit = next((n for n in range(row, end) if text in lines[n - block.number]), None)
        row = hit if hit is not None else row
        found.append(hit if hit is not None else number)
    return [*found, *[number] * (len(texts) - len(found))]

"""The author's own text in a Markdown body: chapters by heading, with paragraphs, list items and tables.

CommonMark's block structure with GitHub's tables. Quotations, code, HTML and what stands in them are left
out; list items that are indented code, since they are too deep under a blank line, are kept apart. Everything
knows its line in the body, counted from 1. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from agent.task.fields import Line, Row, spaced

_BULLET = re.compile(r"\s*(?:[-*+]|[0-9]{1,9}[.)])\s+(\S.*)")


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, or one of a list item, by its lines."""

    lines: tuple[Line, ...]
    is_item: bool

    @property
    def number(self) -> int | None:
        return self.lines[0].number

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Table:
    number: int
    header: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Chapter:
    """`titles` are in lower case, from the outermost heading to its own; none before the first heading.

    `source` is the text as it is written, `number` the line of the heading.
    """

    number: int
    titles: tuple[str, ...] = ()
    source: str = ""
    texts: list[Text] = field(default_factory=list)
    indented: list[Text] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.titles[-1] if self.titles else ""

    def is_in(self, titles: Sequence[str]) -> bool:
        return any(title in titles for title in self.titles)


@lru_cache(maxsize=2)
def markdown_of(body: str) -> tuple[Sequence[str], Sequence[Token]]:
    """The lines of a body and its blocks, whose rows count these lines from 0. What is inside a paragraph
    hides no heading. Kept for the next who asks: the forms of one body are told apart one after the other."""
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines, _markdown().parse("\n".join(lines))


def cells_of(row: str) -> list[str]:
    """The cells of a table's row; `\\|` is a pipe inside a cell."""
    text = row.strip().removeprefix("|")
    if text.endswith("|") and not text.endswith("\\|"):
        text = text[:-1]
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", text)]


def chapters_of(body: str) -> list[Chapter]:
    """The first one is what stands before the first heading."""
    lines, shown = markdown_of(body)
    tokens = list(_shown(shown))
    chapters, begins, is_item = [Chapter(1)], [0], 0
    path: list[tuple[int, str]] = []
    for position, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            level = int(token.tag[1])
            path = [*((n, title) for n, title in path if n < level), (level, _title(tokens[position + 1]))]
            chapters.append(Chapter(token.map[0] + 1, tuple(title for _, title in path)))
            begins += [token.map[0], token.map[1]]
        is_item += (token.type == "list_item_open") - (token.type == "list_item_close")
        if token.type == "paragraph_open":
            text = _text(tokens[position + 1], bool(is_item))
            chapters[-1].texts += [text] if text.lines else []
        if token.type == "code_block" and token.map:
            chapters[-1].indented += _items(token.content, token.map[0] + 1)
        if token.type == "table_open" and token.level == 0 and token.map:
            chapters[-1].tables.append(_table(lines, *token.map))
    ends = [*begins[1::2], len(lines)]
    for chapter, begin, end in zip(chapters, begins[::2], ends, strict=True):
        chapter.source = "\n".join(lines[begin:end]).strip("\n").rstrip()
    return chapters


def _shown(tokens: Sequence[Token]) -> Iterator[Token]:
    """Without quotations."""
    depth = 0
    for token in tokens:
        depth += token.type == "blockquote_open"
        if not depth:
            yield token
        depth -= token.type == "blockquote_close"


def _title(inline: Token) -> str:
    return " ".join(inline.content.casefold().split()).strip("*_`:. ")


def _text(inline: Token, is_item: bool) -> Text:
    number = (inline.map or [0])[0] + 1
    found = [Line(number + n, spaced(text)) for n, text in enumerate(inline.content.split("\n"))]
    return Text(tuple(line for line in found if line.text), is_item)


def _items(content: str, number: int) -> list[Text]:
    found = [(number + row, _BULLET.match(line)) for row, line in enumerate(content.split("\n"))]
    return [Text((Line(row, spaced(item[1])),), is_item=True) for row, item in found if item]


def _table(lines: Sequence[str], begin: int, end: int) -> Table:
    rows = [Row(row + 1, tuple(cells_of(lines[row]))) for row in range(begin + 2, end)]
    return Table(begin + 1, tuple(cells_of(lines[begin])), tuple(rows))


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark").enable("table")
    markdown.core.ruler.enableOnly(["normalize", "block"])
    return markdown

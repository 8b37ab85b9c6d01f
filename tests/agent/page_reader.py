"""Reads a page as a browser would, as far as tests ask: elements with their attributes, and text by block."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
BLOCKS = {
    "p",
    "li",
    "td",
    "th",
    "h1",
    "h2",
    "h3",
    "dt",
    "dd",
    "figcaption",
    "summary",
    "title",
    "desc",
    "text",
}


@dataclass
class Table:
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    figure_columns: list[bool] = field(default_factory=list)


class Page(HTMLParser):
    """Raises AssertionError where an element is closed that is not the open one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: list[Table] = []
        self.blocks: list[str] = []
        self._open: list[str] = []
        self._styles: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], self._open

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    @property
    def text(self) -> str:
        """What is to be read, a block a line, white space as a reader sees it."""
        return "\n".join(" ".join(block.split()) for block in self.blocks)

    @property
    def style(self) -> str:
        return "".join(self._styles)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag in BLOCKS:
            self.blocks.append("")
        if tag == "table":
            self.tables.append(Table())
        if tag == "tr" and "tbody" in self._open:
            self.tables[-1].rows.append([])
        if tag in ("th", "td"):
            self._begin_cell(dict(attrs).get("class", ""))

    def _begin_cell(self, kind):
        table = self.tables[-1]
        if "thead" in self._open:
            table.header.append("")
            table.figure_columns.append("figure" in kind.split())
        else:
            table.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, f"</{tag}> in {self._open}"
        self._open.pop()

    def handle_data(self, data):
        if "style" in self._open:
            self._styles.append(data)
            return
        if self.blocks:
            self.blocks[-1] += data
        if "td" in self._open or "th" in self._open:
            row = self.tables[-1].header if "thead" in self._open else self.tables[-1].rows[-1]
            row[-1] += data

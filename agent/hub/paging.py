"""Pages of a list: which rows, and GitHub's `Link` header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

DEFAULT_SIZE = 30
MAX_SIZE = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """`number` counts from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    def of(self, rows: Sequence[T]) -> Sequence[T]:
        return rows[self.offset : self.offset + self.size]


def page_of(query: Mapping[str, str], *, default_size: int = DEFAULT_SIZE) -> Page:
    """What is not a number, or too large, is brought into range, as on GitHub."""
    size = min(_positive(query.get("per_page")) or default_size, max(MAX_SIZE, default_size))
    return Page(min(_positive(query.get("page")) or 1, 1_000_000), size)


def links(address: str, query: Mapping[str, str], page: Page, total: int) -> dict[str, str]:
    """The header for a list of `total` rows; none where everything is on one page."""
    last = max(1, -(-total // page.size))
    wanted: dict[str, int] = {}
    if page.number > 1:
        wanted["prev"] = min(page.number - 1, last)
    if page.number < last:
        wanted["next"] = page.number + 1
        wanted["last"] = last
    if page.number > 1:
        wanted["first"] = 1
    told = [
        f'<{address}?{urlencode({**query, "page": number})}>; rel="{relation}"'
        for relation, number in wanted.items()
    ]
    return {"Link": ", ".join(told)} if told else {}


def _positive(text: str | None) -> int:
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_number and text else 0

"""The list of open issues with a label: one conditional request for each page where nothing changed.

Pull requests, closed issues and those without the label are left out, whatever the tracker lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent import github_shapes as shapes
from agent.github_line import FIRST, Line
from agent.tracker import Issue


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of a list as it was last read; `at` and `next` are what it and the next are asked for with."""

    at: Mapping[str, str]
    etag: str
    issues: tuple[Issue, ...]
    next: Mapping[str, str]


class IssueList:
    """`repository` is its path in the API."""

    def __init__(self, line: Line, repository: str) -> None:
        self._line = line
        self._path = f"{repository}/issues"
        self._pages: dict[str, list[_Page]] = {}

    def tagged(self, label: str) -> Sequence[Issue] | None:
        """Each page has its own ETag: an issue that leaves the second page does not touch the first."""
        known, pages = self._pages.get(label, []), list[_Page]()
        while not pages or pages[-1].next:
            at = pages[-1].next if pages else FIRST
            before = next((page for page in known if page.at == at), None)
            pages.append(self._page(label, at, before))
        if [id(page) for page in pages] == [id(page) for page in known]:
            return None
        self._pages[label] = pages
        found = {one.number: one for page in pages for one in page.issues}.values()
        return [one for one in found if one.is_open and shapes.has_label(one, label)]

    def _page(self, label: str, at: Mapping[str, str], known: _Page | None) -> _Page:
        """`known` itself where it has not changed."""
        query = {"labels": label, "state": "open", "sort": "updated", "direction": "desc"}
        headers = {"If-None-Match": known.etag} if known and known.etag else {}
        answer = self._line.get(self._path, accept=(200, 304), headers=headers, query=query, page=at)
        if answer.status == 304 and known:
            return known
        found = self._line.parsed(f"GET {self._path}", shapes.issues, answer)
        return _Page(at, answer.headers.get("etag", ""), found, answer.link("next"))

"""The comments of issues: read whole, posted once, and never missed where this process has posted them.

A tracker's list may lag behind its writes: what was posted here is asked for by its id where the list lacks
it, and after a post whose answer was unsure a list without it is read once more before it is believed.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent import github_shapes as shapes
from agent.github_line import FIRST, Line
from agent.tracker import Comment, Unsure

LOOK_AGAIN_S = 3.0
"""How far a list may lag behind an unsure post without being taken for a post that was lost."""


class Comments:
    """`repository` is its path in the API."""

    def __init__(self, line: Line, repository: str) -> None:
        self._line = line
        self._path = f"{repository}/issues"
        self._posted: dict[int, set[int]] = {}
        self._doubts: dict[int, str] = {}

    def of(self, number: int) -> Sequence[Comment]:
        found = self._listed(number)
        if (doubt := self._doubts.pop(number, None)) and doubt not in {one.body for one in found.values()}:
            self._line.sleep(LOOK_AGAIN_S)  # a list that lags must not look like a post that was lost
            found = self._listed(number)
        for key in self._posted.get(number, set()) - set(found):
            if (missed := self._own(key)) is not None:
                found[key] = missed
            else:
                self._posted[number].discard(key)  # somebody deleted it
        return [found[key] for key in sorted(found)]

    def _listed(self, number: int) -> dict[int, Comment]:
        """From the last page to the first: what is deleted meanwhile moves others to pages yet to come."""
        path = f"{self._path}/{number}/comments"
        first = self._line.get(path, page=FIRST)
        numbers = range(first.last_page or 0, 0, -1)
        answers = (self._line.get(path, page={"page": str(number)}) for number in numbers)
        found: dict[int, Comment] = {}
        for answer in answers if numbers else self._line.pages(path, first):
            found |= {one.id: one for one in self._line.parsed(f"GET {path}", shapes.comments, answer)}
        return found

    def _own(self, comment: int) -> Comment | None:
        path = f"{self._path}/comments/{comment}"
        answer = self._line.get(path, accept=(200, 404))
        return self._line.parsed(f"GET {path}", shapes.comment, answer) if answer.status == 200 else None

    def post(self, number: int, body: str) -> Comment:
        path = f"{self._path}/{number}/comments"
        try:
            answer = self._line.write("POST", path, {"body": body})
            posted = self._line.parsed(f"POST {path}", shapes.comment, answer, Unsure)
        except Unsure:
            self._doubts[number] = body
            raise
        self._posted.setdefault(number, set()).add(posted.id)
        return posted

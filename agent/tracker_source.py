"""The tracker's repository as a source of plans: recipes and held-out rows of the default branch, commits.

Recipes come from one commit, the default branch's tip when this was made, so that a plan is of one piece.
A commit that is not reachable from an allowed branch or a tag is refused here, before a plan exists.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import TaskError
from agent.tracker import Tracker


class TrackerSource:
    """What `agent.planning.plan_for` reads from."""

    def __init__(self, tracker: Tracker, branches: Sequence[str]) -> None:
        self._tracker = tracker
        branch = tracker.default_branch()
        self._branches = tuple(branches) or (branch,)
        tip = tracker.commit_of(branch)
        if tip is None:
            raise TaskError(f"the default branch {branch!r} has no commit")
        self._tip = tip.id

    @property
    def tip(self) -> str:
        """The commit that recipes and held-out rows come from."""
        return self._tip

    @property
    def name(self) -> str:
        return self._tracker.repository.partition("/")[2]

    @property
    def where(self) -> str:
        return f"{self._tracker.repository} at {self._tip[:12]}"

    def commit_of(self, revision: str) -> str:
        """The full id. Raises TaskError where there is none, or it lies outside the allowed branches."""
        commit = self._tracker.commit_of(revision)
        if commit is None:
            raise TaskError(f"no commit {revision!r} in {self._tracker.repository}")
        if not self._tracker.is_reachable(commit.id, self._branches):
            allowed = ", ".join(self._branches)
            raise TaskError(f"commit {commit.id[:12]} is on no tag and on no allowed branch ({allowed})")
        return commit.id

    def bytes_of(self, path: str) -> bytes:
        """Raises TaskError."""
        data = self._tracker.file(path, self._tip)
        if data is None:
            raise TaskError(f"no {path} in {self.where}")
        return data

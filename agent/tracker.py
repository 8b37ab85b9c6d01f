"""The port to an issue tracker: what the agent reads there and the few things that it writes.

Adapters translate; they decide nothing. A write whose answer did not come is `Unsure`: who called looks for
it with a fresh read before anything is sent again. Nothing here is repeated by the adapter but reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Role = Literal["admin", "maintain", "write", "triage", "read", "none"]
Reaction = Literal["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"]


class TrackerError(Exception):
    """The tracker refused or could not be reached; the text is one line that says what to do."""


class Unsure(TrackerError):
    """A write was sent and its answer did not come: it may or may not be there."""


class Locked(TrackerError):
    """The issue takes no comments from this account: say so once, and try again later."""


class Revoked(TrackerError):
    """The token does not hold, or no longer: nothing works until somebody mends that."""


class Limited(TrackerError):
    """Asked too much: refused or not even sent, surely not carried out. Nothing is sent before `until`."""

    def __init__(self, text: str, until: datetime) -> None:
        super().__init__(text)
        self.until = until


@dataclass(frozen=True, slots=True)
class User:
    """`id` stays when the login changes. `is_bot`: an app's account, not a person's."""

    login: str
    id: int
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Issue:
    """`comments` is their number: times are told in whole seconds, so that two comments may share one."""

    number: int
    title: str
    body: str
    author: User
    labels: tuple[str, ...]
    is_open: bool
    updated_at: datetime
    comments: int = 0


@dataclass(frozen=True, slots=True)
class Comment:
    """`node_id` is what minimising asks for; `is_minimised` is false too where the tracker does not tell."""

    id: int
    node_id: str
    author: User
    body: str
    created_at: datetime
    updated_at: datetime
    is_minimised: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """An issue that is not there to be worked on."""

    why: Literal["deleted", "transferred", "not found"]


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as the tracker knows it. `subject` is the first line of its message."""

    id: str
    subject: str


class Tracker(Protocol):
    """One repository of one tracker, seen as one account. Every method may raise TrackerError."""

    @property
    def repository(self) -> str:
        """`owner/name`."""
        ...

    def repository_id(self) -> int: ...

    def me(self) -> User: ...

    def scopes(self) -> frozenset[str] | None:
        """Those of the token; None for a kind of token whose permissions cannot be read."""
        ...

    def clone_url(self) -> str: ...

    def page_of(self, number: int) -> str:
        """The address of an issue's page, for people."""
        ...

    def page(self) -> str:
        """The address of the repository's page, for people."""
        ...

    def tagged(self, label: str) -> Sequence[Issue] | None:
        """The open issues with a label, or None where nothing changed since the last call that succeeded.

        One conditional request where nothing changed (304, which costs nothing of the rate limit).
        """
        ...

    def issue(self, number: int) -> Issue | Gone: ...

    def comments(self, number: int) -> Sequence[Comment]:
        """All comments, oldest first; what this process has posted is among them, however late the tracker's
        own list is, until somebody deletes it."""
        ...

    def post(self, number: int, body: str) -> Comment:
        """Raises Unsure where the answer did not come, Locked where the issue takes no comments."""
        ...

    def edit(self, comment: int, body: str) -> None: ...

    def minimise(self, comment: Comment) -> None:
        """Fold a comment as outdated."""
        ...

    def react(self, comment: int, content: Reaction) -> None:
        """Be seen to have read a comment. One that is there already stays as it is: may be repeated."""
        ...

    def set_labels(self, number: int, add: Sequence[str], remove: Sequence[str]) -> None:
        """Put labels on an issue and take others off; all that is so already costs no write. May be repeated.

        Other labels are left alone. A label that the repository does not have is made, as plain as it comes.
        """
        ...

    def role(self, user: User) -> Role | None:
        """The user's role in the repository, read now; None where it cannot be read."""
        ...

    def default_branch(self) -> str: ...

    def commit_of(self, revision: str) -> Commit | None:
        """The commit of a branch, tag or id (full or at least 7 digits); None where there is none."""
        ...

    def is_reachable(self, commit: str, branches: Sequence[str]) -> bool:
        """Whether a full commit id is reachable from one of these branches or from a tag."""
        ...

    def file(self, path: str, commit: str) -> bytes | None: ...

    def write_files(self, branch: str, folder: str, files: Mapping[str, bytes], message: str) -> str:
        """The id of a commit of the results branch in which the folder holds these files and no others.

        Nothing is written where they are there already, so it may be repeated, also after Unsure. Other
        folders stay. A branch that is missing is made, with no parent. Refuses every other branch.
        """
        ...

    def ensure_labels(self, labels: Sequence[tuple[str, str, str]]) -> None:
        """Make labels (name, six hex digits of colour, description) that are not there yet."""
        ...

    def close(self) -> None: ...

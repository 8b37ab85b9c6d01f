"""A tracker in memory, for tests that read like a conversation: people file and comment, the agent answers.

The clock is passed in, ids count upwards, every write of the agent is kept in `writes` and every read in
`reads`. `test_fake_tracker.py` holds it to the same tests as the real adapter on the real hub.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from agent.branch import BRANCH, check, check_files
from agent.tracker import Comment, Commit, Gone, Issue, Reaction, Role, TrackerError, Unsure, User

ME = "paceline"
BODY_LIMIT = 65_536
SHORTEST = 7


@dataclass(frozen=True)
class Write:
    """What the agent sent: `on` is the issue of a post, the comment of an edit or minimise, else 0."""

    kind: str
    on: int
    body: str = ""


@dataclass
class _Commit:
    commit: Commit
    parent: str | None
    files: dict[str, bytes] = field(default_factory=dict)


class FakeTracker:
    """`FakeTracker(clock)` is a repository with one empty commit on `main` and nobody but the agent."""

    def __init__(self, clock: Callable[[], datetime], repository: str = "acme/target") -> None:
        self.writes: list[Write] = []
        self.reads: list[str] = []
        self.minimised: set[int] = set()
        self.reactions: dict[int, list[Reaction]] = {}
        self.labels: dict[str, tuple[str, str]] = {}
        self.tells_minimised = True  # older servers do not
        self.results_branch = BRANCH
        self.is_closed = False
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self._clock = clock
        self._repository = repository
        self._people: dict[str, User] = {}
        self._roles: dict[int, Role] = {}
        self._issues: dict[int, Issue] = {}
        self._gone: dict[int, Gone] = {}
        self._comments: dict[int, tuple[int, Comment]] = {}
        self._commits: dict[str, _Commit] = {}
        self._listed: dict[str, list[Issue]] = {}
        self._failing: deque[str] = deque()
        self._unsure: deque[tuple[str, bool]] = deque()
        self._number, self._comment_id = 0, 0
        self.set_role(ME, "write")
        self.add_commit("first")

    # What people do.

    def person(self, login: str) -> User:
        return self._people.setdefault(login, User(login, 1001 + len(self._people)))

    def set_role(self, login: str, role: Role) -> User:
        self._roles[self.person(login).id] = role
        return self.person(login)

    def give_login_away(self, login: str) -> User:
        """The login belongs to somebody new from now on; returns the new one."""
        self._people[login] = User(login, 9001 + len(self._people))
        return self._people[login]

    def file_issue(
        self, author: str, body: str, labels: Sequence[str] = ("bench",), title: str = "faster"
    ) -> int:
        self._number += 1
        self._issues[self._number] = Issue(
            self._number, title, body, self.person(author), tuple(labels), True, self._now()
        )
        return self._number

    def comment(self, author: str, text: str, number: int = 1) -> Comment:
        self._comment_id += 1
        now = self._now()
        key = self._comment_id
        made = Comment(key, f"IC_{key}", self.person(author), text, now, now)
        self._comments[key] = (number, made)
        self._touch(number)
        return made

    def edit_body(self, number: int, body: str) -> None:
        self._touch(number, body=body)

    def edit_comment(self, comment: int, body: str) -> None:
        number, known = self._comments[comment]
        self._comments[comment] = (number, replace(known, body=body, updated_at=self._now()))
        self._touch(number)

    def delete_comment(self, comment: int) -> None:
        number, _ = self._comments.pop(comment)
        self._touch(number)

    def label(self, number: int, *labels: str) -> None:
        """These labels and no others."""
        self._touch(number, labels=labels)

    def reactions_of(self, comment: int, login: str) -> list[str]:
        """Only the agent reacts here."""
        return list(self.reactions.get(comment, ())) if login == ME else []

    def close_issue(self, number: int) -> None:
        self._touch(number, is_open=False)

    def reopen_issue(self, number: int) -> None:
        self._touch(number, is_open=True)

    def delete(self, number: int) -> None:
        self._leave(number, Gone("deleted"))

    def transfer(self, number: int) -> None:
        self._leave(number, Gone("transferred"))

    def add_commit(
        self, subject: str, branch: str | None = "main", parent: str | None = None, **files: str
    ) -> str:
        """A new commit, the tip of `branch` unless that is None; files are named `paceline__toml="..."`."""
        before = parent or self.branches.get(branch or "main")
        key = hashlib.sha1(f"{subject}\n{before}\n{len(self._commits)}".encode()).hexdigest()
        held = dict(self._commits[before].files) if before else {}
        held |= {name.replace("__", "."): text.encode() for name, text in files.items()}
        self._commits[key] = _Commit(Commit(key, subject.splitlines()[0]), before, held)
        if branch is not None:
            self.branches[branch] = key
        return key

    # Trouble on purpose.

    def fail_next(self, read: str) -> None:
        """The next call of that read raises TrackerError."""
        self._failing.append(read)

    def unsure_next(self, write: str, *, stored: bool) -> None:
        """The next call of that write raises Unsure, and happened or not."""
        self._unsure.append((write, stored))

    # The port.

    @property
    def repository(self) -> str:
        return self._repository

    def repository_id(self) -> int:
        self._read("repository_id")
        return 42

    def me(self) -> User:
        self._read("me")
        return self.person(ME)

    def scopes(self) -> frozenset[str] | None:
        self._read("scopes")
        return frozenset({"repo"})

    def clone_url(self) -> str:
        self._read("clone_url")
        return f"https://tracker.invalid/{self._repository}.git"

    def page_of(self, number: int) -> str:
        self._read("page_of")
        return f"https://tracker.invalid/{self._repository}/issues/{number}"

    def page(self) -> str:
        self._read("page")
        return f"https://tracker.invalid/{self._repository}"

    def tagged(self, label: str) -> Sequence[Issue] | None:
        self._read("tagged")
        wanted = label.casefold()
        listed = [one for one in self._issues.values() if one.is_open]
        listed = [one for one in listed if wanted in {name.casefold() for name in one.labels}]
        listed.sort(key=lambda one: (one.updated_at, one.number), reverse=True)
        if self._listed.get(label) == listed:
            return None
        self._listed[label] = listed
        return list(listed)

    def issue(self, number: int) -> Issue | Gone:
        self._read("issue")
        return self._gone.get(number) or self._issues.get(number) or Gone("not found")

    def comments(self, number: int) -> Sequence[Comment]:
        self._read("comments")
        self._there(number)
        found = [comment for on, comment in self._comments.values() if on == number]
        return [replace(one, is_minimised=self.tells_minimised and one.id in self.minimised) for one in found]

    def post(self, number: int, body: str) -> Comment:
        self._there(number)
        self._fits(body)
        made: list[Comment] = []
        self._write(Write("post", number, body), lambda: made.append(self.comment(ME, body, number)))
        return made[0]

    def edit(self, comment: int, body: str) -> None:
        self._fits(body)
        if comment not in self._comments:
            raise TrackerError(f"no comment {comment}")
        self._write(Write("edit", comment, body), lambda: self.edit_comment(comment, body))

    def minimise(self, comment: Comment) -> None:
        if comment.id not in self._comments:
            raise TrackerError(f"no comment {comment.id}")
        self._write(Write("minimise", comment.id), lambda: self.minimised.add(comment.id))

    def react(self, comment: int, content: Reaction) -> None:
        if comment not in self._comments:
            raise TrackerError(f"no comment {comment}")
        self._write(Write("react", comment, content), lambda: self._reacted(comment, content))

    def set_labels(self, number: int, add: Sequence[str], remove: Sequence[str]) -> None:
        self._there(number)
        there = {name.casefold() for name in self._issues[number].labels}
        new = [name for name in dict.fromkeys(add) if name.casefold() not in there]
        old = {name.casefold() for name in remove} & there
        if new:
            self._write(Write("label", number, ",".join(new)), lambda: self._relabel(number, new, set()))
        for name in sorted(old):
            self._write(Write("unlabel", number, name), lambda name=name: self._relabel(number, [], {name}))

    def role(self, user: User) -> Role | None:
        try:
            self._read("role")
        except TrackerError:
            return None
        if self._people.get(user.login) != user:
            return None
        return self._roles.get(user.id, "read")  # whoever is signed in may read a public repository

    def default_branch(self) -> str:
        self._read("default_branch")
        return "main"

    def commit_of(self, revision: str) -> Commit | None:
        self._read("commit_of")
        begun = [key for key in self._commits if key.startswith(revision.lower())]
        if len(begun) == 1 and len(revision) >= SHORTEST:
            return self._commits[begun[0]].commit
        found = self.branches.get(revision) or self.tags.get(revision)
        return self._commits[found].commit if found else None

    def is_reachable(self, commit: str, branches: Sequence[str]) -> bool:
        self._read("is_reachable")
        tips = [self.branches[name] for name in branches if name in self.branches] + [*self.tags.values()]
        return any(commit in self._history(tip) for tip in tips)

    def file(self, path: str, commit: str) -> bytes | None:
        self._read("file")
        known = self._commits.get(commit)
        return known.files.get(path) if known else None

    def write_files(self, branch: str, folder: str, files: Mapping[str, bytes], message: str) -> str:
        check(branch, self.results_branch, "main")
        check_files(folder, files)
        tip = self.branches.get(branch)
        held = self._commits[tip].files if tip else {}
        wanted = {f"{folder}/{name}": content for name, content in files.items()}
        if tip and {name: held[name] for name in held if name.startswith(f"{folder}/")} == wanted:
            return tip
        kept = {name: content for name, content in held.items() if not name.startswith(f"{folder}/")}
        self._write(Write("files", 0, folder), lambda: self._put(branch, tip, {**kept, **wanted}, message))
        return self.branches[branch]

    def ensure_labels(self, labels: Sequence[tuple[str, str, str]]) -> None:
        known = {name.casefold() for name in self.labels}
        for name, colour, description in labels:
            if name.casefold() not in known:
                self._write(Write("label", 0, name), lambda: None)
                self.labels[name] = (colour, description)
                known.add(name.casefold())

    def close(self) -> None:
        self.is_closed = True

    def _read(self, name: str) -> None:
        self.reads.append(name)
        if name in self._failing:
            self._failing.remove(name)
            raise TrackerError(f"{name}: the tracker is in trouble; try again later")

    def _write(self, write: Write, carry_out: Callable[[], object]) -> None:
        self.writes.append(write)
        for trouble in self._unsure:
            if trouble[0] == write.kind:
                self._unsure.remove(trouble)
                if trouble[1]:
                    carry_out()
                raise Unsure(f"{write.kind}: the answer did not come")
        carry_out()

    def _there(self, number: int) -> None:
        if number not in self._issues:
            raise TrackerError(f"no issue {number}")

    def _fits(self, body: str) -> None:
        if not body.strip() or len(body) > BODY_LIMIT:
            raise TrackerError(f"a comment has 1 to {BODY_LIMIT} characters, not {len(body)}")

    def _put(self, branch: str, tip: str | None, files: dict[str, bytes], message: str) -> None:
        key = hashlib.sha1(f"{message}\n{tip}\n{len(self._commits)}".encode()).hexdigest()
        self._commits[key] = _Commit(Commit(key, message.splitlines()[0]), tip, files)
        self.branches[branch] = key

    def _reacted(self, comment: int, content: Reaction) -> None:
        given = self.reactions.setdefault(comment, [])
        if content not in given:
            given.append(content)

    def _relabel(self, number: int, new: Sequence[str], old: set[str]) -> None:
        kept = [name for name in self._issues[number].labels if name.casefold() not in old]
        self._touch(number, labels=(*kept, *new))

    def _touch(self, number: int, **changes: object) -> None:
        counted = sum(on == number for on, _ in self._comments.values())
        told = {"updated_at": self._now(), "comments": counted, **changes}
        self._issues[number] = replace(self._issues[number], **told)

    def _leave(self, number: int, gone: Gone) -> None:
        del self._issues[number]
        self._gone[number] = gone

    def _history(self, tip: str | None) -> set[str]:
        found: set[str] = set()
        while tip is not None:
            found.add(tip)
            tip = self._commits[tip].parent
        return found

    def _now(self) -> datetime:
        return self._clock().replace(microsecond=0)

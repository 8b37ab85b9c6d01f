"""What only the operator may do: people, tokens, repositories, roles; removing, moving, locking an issue.

Works on the file of a hub, whether it is being served or not: SQLite keeps writers of two processes apart.
The login, owner/name and role words are checked here; a ValueError says which one is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType

from agent.hub import people, repositories
from agent.hub.database import Database
from agent.hub.git import GitError, git
from agent.hub.issues import Issue, delete_issue, issue_numbered, lock, transfer_issue, unlock
from agent.hub.people import User
from agent.hub.repositories import Repository
from agent.hub.roles import role_named


class Admin:
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def user(self, login: str, *, kind: str = "User", name: str | None = None) -> User:
        """The user of that login, made where there is none."""
        with self._database.writing() as sql:
            found = people.user_named(sql, login)
            return found or people.create_user(sql, login, now=self._now(), kind=kind, name=name)

    def token(self, login: str, *, scopes: str = "repo", text: str | None = None) -> str:
        """A new token of a user (or `text` as one); it cannot be read again."""
        user = self.user(login)
        with self._database.writing() as sql:
            return people.create_token(sql, user, now=self._now(), scopes=scopes, text=text)

    def revoke(self, token: str) -> None:
        with self._database.writing() as sql:
            people.revoke_token(sql, token)

    def repository(self, full_name: str, path: Path, *, is_private: bool = False) -> Repository:
        """The repository of that name on the git repository at `path`, made where there is none.

        One that is there already is pointed at `path`; it stays as public as it was.
        """
        try:
            git(path, "rev-parse", "--git-dir")
        except (GitError, OSError) as error:
            raise ValueError(f"{path} is not a git repository: {error}") from None
        owner, _, name = full_name.partition("/")
        path = path.absolute()
        with self._database.writing() as sql:
            found = repositories.repository_named(sql, owner, name)
            if found is None:
                made = {"now": self._now()}
                return repositories.create_repository(sql, full_name, path, is_private=is_private, **made)
            repositories.move_repository(sql, found, path)
            return repositories.repository_named(sql, owner, name) or found

    def role(self, full_name: str, login: str, word: str) -> None:
        """Give somebody one of none, read, triage, write, maintain, admin."""
        role = role_named(word)
        user = self.user(login)
        repository = self._repository(full_name)
        with self._database.writing() as sql:
            repositories.set_role(sql, repository, user, role)

    def delete_issue(self, full_name: str, number: int) -> None:
        issue = self._issue(full_name, number)
        with self._database.writing() as sql:
            delete_issue(sql, issue)

    def lock_issue(self, full_name: str, number: int) -> None:
        issue = self._issue(full_name, number)
        with self._database.writing() as sql:
            lock(sql, issue)

    def unlock_issue(self, full_name: str, number: int) -> None:
        issue = self._issue(full_name, number)
        with self._database.writing() as sql:
            unlock(sql, issue)

    def transfer_issue(self, full_name: str, number: int, target: str) -> int:
        """The new number in the target."""
        issue = self._issue(full_name, number)
        repository = self._repository(target)
        with self._database.writing() as sql:
            return transfer_issue(sql, issue, repository, self._now()).number

    def _repository(self, full_name: str) -> Repository:
        owner, _, name = full_name.partition("/")
        with self._database.reading() as sql:
            found = repositories.repository_named(sql, owner, name)
        if found is None:
            raise ValueError(f"there is no repository {full_name!r}")
        return found

    def _issue(self, full_name: str, number: int) -> Issue:
        repository = self._repository(full_name)
        with self._database.reading() as sql:
            found = issue_numbered(sql, repository, number)
        if not isinstance(found, Issue):
            raise ValueError(f"there is no issue {number} in {full_name}")
        return found

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

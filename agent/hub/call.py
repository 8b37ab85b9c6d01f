"""One request as a handler sees it, what it answers, and the troubles it may raise.

Handlers are plain functions `Call -> Answer`: no sockets, no clock, one open transaction. Everything that
goes wrong for a caller is a `Trouble` with GitHub's status, message and error list.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.hub.people import User, Viewer
from agent.hub.urls import Urls

DOCS = "https://docs.github.com/rest"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """`path` holds the parts of the address, `query` what follows the question mark; `now` is in seconds."""

    sql: sqlite3.Connection
    urls: Urls
    viewer: Viewer | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Json
    now: str

    @property
    def user(self) -> User | None:
        return self.viewer.user if self.viewer else None

    def signed_in(self) -> User:
        """Raises Trouble 401 for nobody."""
        if self.viewer is None:
            raise Trouble(401, "Requires authentication")
        return self.viewer.user

    def number(self, name: str) -> int:
        """A number in the address. Raises Trouble 404 where it is none that a database could hold."""
        text = self.path[name]
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise not_found()
        return int(text)


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is JSON, or None for an answer without a body."""

    data: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """`writes` says that the handler changes the database; what changes only git repositories does not."""

    method: str
    path: str
    handler: Handler
    writes: bool = False


class Trouble(Exception):
    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[Mapping[str, object]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.data: Json = {"message": message, "documentation_url": DOCS, **(extra or {})}
        if status == 422:
            if errors:
                self.data["errors"] = [dict(error) for error in errors]
        else:
            self.data["status"] = str(status)


def not_found() -> Trouble:
    return Trouble(404, "Not Found")


def forbidden(message: str = "Must have admin rights to Repository.") -> Trouble:
    return Trouble(403, message)


def invalid(resource: str, field_name: str, code: str = "invalid", message: str = "") -> Trouble:
    error = {"resource": resource, "field": field_name, "code": code}
    if message:
        error["message"] = message
    return Trouble(422, "Validation Failed", errors=[error])


def too_long(resource: str, field_name: str, limit: int) -> Trouble:
    message = f"{field_name} is too long (maximum is {limit} characters)"
    return invalid(resource, field_name, "custom", message)

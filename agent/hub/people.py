"""Users and the tokens that speak for them. A token is kept as its digest only."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from dataclasses import dataclass

LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}(\[bot\])?")
RESERVED = {"api", "static"}  # their pages would hide behind ours


@dataclass(frozen=True, slots=True)
class User:
    """`kind` is User, Bot or Organization."""

    id: int
    login: str
    kind: str
    name: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, and the scopes of the token they ask with."""

    user: User
    scopes: str


def create_user(
    sql: sqlite3.Connection, login: str, *, now: str, kind: str = "User", name: str | None = None
) -> User:
    """Raises ValueError for a login that GitHub would not have, or that is taken."""
    if not LOGIN.fullmatch(login) or login.lower() in RESERVED:
        raise ValueError(f"{login!r} is not a login: letters, digits and '-', at most 39")
    if user_named(sql, login):
        raise ValueError(f"there is a user {login!r} already")
    row = sql.execute(
        "INSERT INTO users (login, kind, name, created_at) VALUES (?, ?, ?, ?) RETURNING *",
        (login, kind, name, now),
    ).fetchone()
    return _user(row)


def user_named(sql: sqlite3.Connection, login: str) -> User | None:
    row = sql.execute("SELECT * FROM users WHERE login = ?", (login,)).fetchone()
    return _user(row) if row else None


def user_with(sql: sqlite3.Connection, user_id: int) -> User | None:
    row = sql.execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone()
    return _user(row) if row else None


def user_of(sql: sqlite3.Connection, user_id: int) -> User:
    """The user of an id that a row refers to."""
    return _user(sql.execute("SELECT * FROM users WHERE id = ?", (user_id,)).fetchone())


def create_token(
    sql: sqlite3.Connection, user: User, *, now: str, scopes: str = "repo", text: str | None = None
) -> str:
    """A new token (or `text` as one). It is told once and cannot be read again."""
    token = text or f"ghp_{secrets.token_hex(18)}"
    sql.execute(
        "INSERT INTO tokens (digest, user_id, scopes, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (digest) DO UPDATE SET user_id = excluded.user_id, scopes = excluded.scopes",
        (_digest(token), user.id, scopes, now),
    )
    return token


def revoke_token(sql: sqlite3.Connection, token: str) -> None:
    sql.execute("DELETE FROM tokens WHERE digest = ?", (_digest(token),))


def viewer_with(sql: sqlite3.Connection, token: str) -> Viewer | None:
    row = sql.execute(
        "SELECT users.*, tokens.scopes FROM tokens JOIN users ON users.id = tokens.user_id WHERE digest = ?",
        (_digest(token),),
    ).fetchone()
    return Viewer(_user(row), row["scopes"]) if row else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _user(row: sqlite3.Row) -> User:
    return User(row["id"], row["login"], row["kind"], row["name"], row["created_at"])

"""Repositories: a name, a git repository on this disk, who may do what. Their commits are git's business."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from agent.hub.people import User, create_user, user_named, user_of
from agent.hub.roles import Role

NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class Repository:
    id: int
    owner: User
    name: str
    path: Path
    is_private: bool
    created_at: str

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"


def create_repository(
    sql: sqlite3.Connection, full_name: str, path: Path, *, now: str, is_private: bool = False
) -> Repository:
    """The owner is made as an organization where nobody has that name. Raises ValueError."""
    login, _, name = full_name.partition("/")
    if not NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"{full_name!r} is not owner/name")
    if repository_named(sql, login, name):
        raise ValueError(f"there is a repository {full_name!r} already")
    owner = user_named(sql, login) or create_user(sql, login, now=now, kind="Organization")
    row = sql.execute(
        "INSERT INTO repositories (owner_id, name, path, is_private, created_at) VALUES (?, ?, ?, ?, ?)"
        " RETURNING *",
        (owner.id, name, str(path), is_private, now),
    ).fetchone()
    return _repository(sql, row)


def move_repository(sql: sqlite3.Connection, repository: Repository, path: Path) -> None:
    """Point at another folder: the git repository was moved on the disk."""
    sql.execute("UPDATE repositories SET path = ? WHERE id = ?", (str(path), repository.id))


def repository_named(sql: sqlite3.Connection, owner: str, name: str) -> Repository | None:
    row = sql.execute(
        "SELECT repositories.* FROM repositories JOIN users ON users.id = owner_id"
        " WHERE users.login = ? AND repositories.name = ?",
        (owner, name),
    ).fetchone()
    return _repository(sql, row) if row else None


def repository_with(sql: sqlite3.Connection, repository_id: int) -> Repository | None:
    row = sql.execute("SELECT * FROM repositories WHERE id = ?", (repository_id,)).fetchone()
    return _repository(sql, row) if row else None


def public_repositories(sql: sqlite3.Connection) -> list[Repository]:
    rows = sql.execute("SELECT * FROM repositories WHERE NOT is_private ORDER BY id").fetchall()
    return [_repository(sql, row) for row in rows]


def set_role(sql: sqlite3.Connection, repository: Repository, user: User, role: Role) -> None:
    sql.execute(
        "INSERT INTO roles (repository_id, user_id, role) VALUES (?, ?, ?)"
        " ON CONFLICT (repository_id, user_id) DO UPDATE SET role = excluded.role",
        (repository.id, user.id, int(role)),
    )


def role_of(sql: sqlite3.Connection, repository: Repository, user: User | None) -> Role:
    """The owner is an admin; everybody may read what is public."""
    floor = Role.NONE if repository.is_private else Role.READ
    if user is None:
        return floor
    if user.id == repository.owner.id:
        return Role.ADMIN
    return max(floor, granted_role(sql, repository, user))


def granted_role(sql: sqlite3.Connection, repository: Repository, user: User) -> Role:
    """The role as a collaborator, NONE for who is none."""
    row = sql.execute(
        "SELECT role FROM roles WHERE repository_id = ? AND user_id = ?", (repository.id, user.id)
    ).fetchone()
    return Role(row["role"]) if row else Role.NONE


def open_issue_count(sql: sqlite3.Connection, repository: Repository) -> int:
    query = "SELECT count(*) FROM issues WHERE repository_id = ? AND state = 'open'"
    return int(sql.execute(query, (repository.id,)).fetchone()[0])


def take_number(sql: sqlite3.Connection, repository: Repository) -> int:
    """The next issue number; numbers are never given twice."""
    row = sql.execute(
        "UPDATE repositories SET last_number = last_number + 1 WHERE id = ? RETURNING last_number",
        (repository.id,),
    ).fetchone()
    return int(row["last_number"])


def _repository(sql: sqlite3.Connection, row: sqlite3.Row) -> Repository:
    return Repository(
        row["id"],
        user_of(sql, row["owner_id"]),
        row["name"],
        Path(row["path"]),
        bool(row["is_private"]),
        row["created_at"],
    )

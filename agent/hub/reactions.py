"""Reactions on issues and comments: each person each kind once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from agent.hub.people import User

CONTENTS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


@dataclass(frozen=True, slots=True)
class Subject:
    """An issue, or one of its comments."""

    issue_id: int
    comment_id: int | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    id: int
    user_id: int
    content: str
    created_at: str


def react(
    sql: sqlite3.Connection, subject: Subject, user: User, content: str, now: str
) -> tuple[Reaction, bool]:
    """The reaction, and whether it is new."""
    for reaction in reactions_on(sql, subject):
        if (reaction.user_id, reaction.content) == (user.id, content):
            return reaction, False
    row = sql.execute(
        "INSERT INTO reactions (issue_id, comment_id, user_id, content, created_at) VALUES (?, ?, ?, ?, ?)"
        " RETURNING *",
        (subject.issue_id, subject.comment_id, user.id, content, now),
    ).fetchone()
    return _reaction(row), True


def reactions_on(sql: sqlite3.Connection, subject: Subject) -> list[Reaction]:
    rows = sql.execute(
        "SELECT * FROM reactions WHERE issue_id = ? AND comment_id IS ? ORDER BY id",
        (subject.issue_id, subject.comment_id),
    )
    return [_reaction(row) for row in rows]


def withdraw(sql: sqlite3.Connection, reaction: Reaction) -> None:
    sql.execute("DELETE FROM reactions WHERE id = ?", (reaction.id,))


def counts(sql: sqlite3.Connection, subject: Subject) -> Mapping[str, int]:
    rows = sql.execute(
        "SELECT content, count(*) AS n FROM reactions"
        " WHERE issue_id = ? AND comment_id IS ? GROUP BY content",
        (subject.issue_id, subject.comment_id),
    )
    found = {row["content"]: row["n"] for row in rows}
    return {content: found.get(content, 0) for content in CONTENTS}


def _reaction(row: sqlite3.Row) -> Reaction:
    return Reaction(row["id"], row["user_id"], row["content"], row["created_at"])

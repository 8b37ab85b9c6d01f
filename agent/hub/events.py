"""What happened to an issue, in order: who labelled, closed, reopened, renamed, commented.

`before` and `after` hold a label's colour and name, the two titles, or the reason for closing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from agent.hub.people import User


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    issue_id: int
    actor_id: int
    event: str
    comment_id: int | None
    before: str | None
    after: str | None
    created_at: str


def record(
    sql: sqlite3.Connection,
    issue_id: int,
    actor: User,
    event: str,
    now: str,
    *,
    comment_id: int | None = None,
    before: str | None = None,
    after: str | None = None,
) -> None:
    sql.execute(
        "INSERT INTO events (issue_id, actor_id, event, comment_id, before, after, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (issue_id, actor.id, event, comment_id, before, after, now),
    )


def event_with(sql: sqlite3.Connection, event_id: int) -> Event | None:
    row = sql.execute("SELECT * FROM events WHERE id = ?", (event_id,)).fetchone()
    return _event(row) if row else None


def events_of(sql: sqlite3.Connection, issue_id: int) -> list[Event]:
    """Oldest first, with comments as events."""
    rows = sql.execute("SELECT * FROM events WHERE issue_id = ? ORDER BY id", (issue_id,))
    return [_event(row) for row in rows]


def _event(row: sqlite3.Row) -> Event:
    return Event(*(row[name] for name in Event.__dataclass_fields__))

"""Comments of issues."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from agent.hub.events import record
from agent.hub.issues import Issue, touch
from agent.hub.paging import Page
from agent.hub.people import User
from agent.hub.repositories import Repository

COUNT, SELECT = "SELECT count(*) FROM comments", "SELECT * FROM comments"
LIMIT = " LIMIT :limit OFFSET :offset"
WHERE_ISSUE = " WHERE issue_id = :key AND (:since IS NULL OR updated_at >= :since)"
WHERE_REPOSITORY = (
    " WHERE issue_id IN (SELECT id FROM issues WHERE repository_id = :key)"
    " AND (:since IS NULL OR updated_at >= :since)"
)
ORDERS = {
    ("created", "asc"): " ORDER BY id ASC",
    ("created", "desc"): " ORDER BY id DESC",
    ("updated", "asc"): " ORDER BY updated_at ASC, id ASC",
    ("updated", "desc"): " ORDER BY updated_at DESC, id DESC",
}


@dataclass(frozen=True, slots=True)
class Comment:
    """`minimized` is the reason in lower case, None for a comment that is shown."""

    id: int
    issue_id: int
    author_id: int
    body: str
    minimized: str | None
    created_at: str
    updated_at: str


def create_comment(sql: sqlite3.Connection, issue: Issue, author: User, body: str, now: str) -> Comment:
    row = sql.execute(
        "INSERT INTO comments (issue_id, author_id, body, created_at, updated_at) VALUES (?, ?, ?, ?, ?)"
        " RETURNING *",
        (issue.id, author.id, body, now, now),
    ).fetchone()
    record(sql, issue.id, author, "commented", now, comment_id=row["id"])
    touch(sql, issue.id, now)
    return _comment(row)


def comment_with(sql: sqlite3.Connection, comment_id: int) -> Comment | None:
    row = sql.execute("SELECT * FROM comments WHERE id = ?", (comment_id,)).fetchone()
    return _comment(row) if row else None


def comments_of(
    sql: sqlite3.Connection, issue: Issue, since: str | None, page: Page
) -> tuple[list[Comment], int]:
    """Oldest first."""
    return _listed(sql, WHERE_ISSUE, ORDERS["created", "asc"], issue.id, since, page)


def comments_in(
    sql: sqlite3.Connection, repository: Repository, since: str | None, order: tuple[str, str], page: Page
) -> tuple[list[Comment], int]:
    return _listed(sql, WHERE_REPOSITORY, ORDERS[order], repository.id, since, page)


def edit_comment(sql: sqlite3.Connection, comment: Comment, body: str, now: str) -> None:
    sql.execute("UPDATE comments SET body = ?, updated_at = ? WHERE id = ?", (body, now, comment.id))
    touch(sql, comment.issue_id, now)


def delete_comment(sql: sqlite3.Connection, comment: Comment, now: str) -> None:
    sql.execute("DELETE FROM comments WHERE id = ?", (comment.id,))
    touch(sql, comment.issue_id, now)


def minimize_comment(sql: sqlite3.Connection, comment: Comment, reason: str) -> None:
    sql.execute("UPDATE comments SET minimized = ? WHERE id = ?", (reason, comment.id))


def _listed(
    sql: sqlite3.Connection, where: str, order: str, key: int, since: str | None, page: Page
) -> tuple[list[Comment], int]:
    values = {"key": key, "since": since, "limit": page.size, "offset": page.offset}
    total = sql.execute(COUNT + where, values).fetchone()[0]
    query = SELECT + where + order + LIMIT
    return [_comment(row) for row in sql.execute(query, values)], int(total)


def _comment(row: sqlite3.Row) -> Comment:
    return Comment(*(row[name] for name in Comment.__dataclass_fields__))

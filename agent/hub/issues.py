"""Issues: rows, filters, and what became of numbers that are gone.

Every change moves `updated_at`, so that a poll with `since` sees it; comments and labels do too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from agent.hub.events import record
from agent.hub.labels import DEFAULT_COLOR, create_label, label_named, labels_on, put_on, take_off
from agent.hub.paging import Page
from agent.hub.people import User
from agent.hub.repositories import Repository, take_number

SELECT = (
    "SELECT issues.*, (SELECT count(*) FROM comments WHERE issue_id = issues.id) AS comments,"
    " EXISTS (SELECT 1 FROM locks WHERE issue_id = issues.id) AS is_locked FROM issues"
)
COUNT = "SELECT count(*) FROM issues"
WHERE = """
 WHERE repository_id = :repository
   AND (:state = 'all' OR state = :state)
   AND (:since IS NULL OR updated_at >= :since)
   AND (:creator IS NULL OR author_id = (SELECT id FROM users WHERE login = :creator))
   AND json_array_length(:labels) = (
     SELECT count(*) FROM issue_labels JOIN labels ON labels.id = label_id
      WHERE issue_id = issues.id
        AND labels.name COLLATE NOCASE IN (SELECT value FROM json_each(:labels)))
"""
ORDERS = {
    ("created", "desc"): " ORDER BY issues.id DESC",
    ("created", "asc"): " ORDER BY issues.id ASC",
    ("updated", "desc"): " ORDER BY updated_at DESC, issues.id DESC",
    ("updated", "asc"): " ORDER BY updated_at ASC, issues.id ASC",
    ("comments", "desc"): " ORDER BY comments DESC, issues.id DESC",
    ("comments", "asc"): " ORDER BY comments ASC, issues.id ASC",
}


@dataclass(frozen=True, slots=True)
class Issue:
    id: int
    repository_id: int
    number: int
    title: str
    body: str | None
    author_id: int
    state: str
    state_reason: str | None
    created_at: str
    updated_at: str
    closed_at: str | None
    closed_by: int | None
    comments: int
    is_locked: int


@dataclass(frozen=True, slots=True)
class Gone:
    """A number that was an issue here: deleted, or moved to another repository."""

    moved_to: Issue | None


@dataclass(frozen=True, slots=True)
class Filter:
    """`since` is a stamp; an issue carries all of `labels`."""

    state: str = "open"
    labels: Sequence[str] = ()
    since: str | None = None
    creator: str | None = None
    sort: str = "created"
    direction: str = "desc"


def create_issue(
    sql: sqlite3.Connection, repository: Repository, author: User, title: str, body: str | None, now: str
) -> Issue:
    number = take_number(sql, repository)
    row = sql.execute(
        "INSERT INTO issues (repository_id, number, title, body, author_id, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (repository.id, number, title, body, author.id, now, now),
    ).fetchone()
    return issue_with(sql, row["id"])


def issue_with(sql: sqlite3.Connection, issue_id: int) -> Issue:
    return _issue(sql.execute(SELECT + " WHERE issues.id = ?", (issue_id,)).fetchone())


def issue_numbered(sql: sqlite3.Connection, repository: Repository, number: int) -> Issue | Gone | None:
    key = (repository.id, number)
    row = sql.execute(SELECT + " WHERE repository_id = ? AND number = ?", key).fetchone()
    if row:
        return _issue(row)
    gone = sql.execute("SELECT * FROM gone WHERE repository_id = ? AND number = ?", key).fetchone()
    if gone is None:
        return None
    return Gone(issue_with(sql, gone["moved_to"]) if gone["moved_to"] else None)


def list_issues(
    sql: sqlite3.Connection, repository: Repository, wanted: Filter, page: Page
) -> tuple[list[Issue], int]:
    """The issues of a page, and how many there are on all pages."""
    values = {
        "repository": repository.id,
        "state": wanted.state,
        "since": wanted.since,
        "creator": wanted.creator,
        "labels": json.dumps(sorted({name.lower() for name in wanted.labels})),
        "limit": page.size,
        "offset": page.offset,
    }
    total = sql.execute(COUNT + WHERE, values).fetchone()[0]
    order = ORDERS[wanted.sort, wanted.direction]
    rows = sql.execute(SELECT + WHERE + order + " LIMIT :limit OFFSET :offset", values).fetchall()
    return [_issue(row) for row in rows], int(total)


def touch(sql: sqlite3.Connection, issue_id: int, now: str) -> None:
    sql.execute("UPDATE issues SET updated_at = ? WHERE id = ?", (now, issue_id))


def rename(sql: sqlite3.Connection, issue: Issue, actor: User, title: str, now: str) -> None:
    if title != issue.title:
        sql.execute("UPDATE issues SET title = ? WHERE id = ?", (title, issue.id))
        record(sql, issue.id, actor, "renamed", now, before=issue.title, after=title)
        touch(sql, issue.id, now)


def rewrite(sql: sqlite3.Connection, issue: Issue, body: str | None, now: str) -> None:
    if body != issue.body:
        sql.execute("UPDATE issues SET body = ? WHERE id = ?", (body, issue.id))
        touch(sql, issue.id, now)


def close(sql: sqlite3.Connection, issue: Issue, actor: User, reason: str, now: str) -> None:
    if issue.state == "closed" and issue.state_reason == reason:
        return
    sql.execute(
        "UPDATE issues SET state = 'closed', state_reason = ?, closed_at = ?, closed_by = ? WHERE id = ?",
        (reason, now, actor.id, issue.id),
    )
    record(sql, issue.id, actor, "closed", now, after=reason)
    touch(sql, issue.id, now)


def reopen(sql: sqlite3.Connection, issue: Issue, actor: User, now: str) -> None:
    if issue.state == "open":
        return
    sql.execute(
        "UPDATE issues SET state = 'open', state_reason = 'reopened', closed_at = NULL, closed_by = NULL"
        " WHERE id = ?",
        (issue.id,),
    )
    record(sql, issue.id, actor, "reopened", now)
    touch(sql, issue.id, now)


def add_labels(
    sql: sqlite3.Connection,
    repository: Repository,
    issue_id: int,
    actor: User,
    names: Sequence[str],
    now: str,
) -> None:
    """Labels that the repository does not have yet are made, as GitHub does."""
    labels = [
        label_named(sql, repository, name) or create_label(sql, repository, name, DEFAULT_COLOR, None)
        for name in names
    ]
    for label in put_on(sql, issue_id, labels):
        record(sql, issue_id, actor, "labeled", now, before=label.color, after=label.name)
        touch(sql, issue_id, now)


def remove_labels(
    sql: sqlite3.Connection, issue_id: int, actor: User, names: Sequence[str], now: str
) -> None:
    wanted = {name.lower() for name in names}
    for label in labels_on(sql, issue_id):
        if label.name.lower() in wanted:
            take_off(sql, issue_id, label)
            record(sql, issue_id, actor, "unlabeled", now, before=label.color, after=label.name)
            touch(sql, issue_id, now)


def lock(sql: sqlite3.Connection, issue: Issue) -> None:
    """Only who may write comments and reacts from now on."""
    sql.execute("INSERT OR IGNORE INTO locks VALUES (?)", (issue.id,))


def unlock(sql: sqlite3.Connection, issue: Issue) -> None:
    sql.execute("DELETE FROM locks WHERE issue_id = ?", (issue.id,))


def delete_issue(sql: sqlite3.Connection, issue: Issue) -> None:
    sql.execute("DELETE FROM issues WHERE id = ?", (issue.id,))
    sql.execute("INSERT INTO gone VALUES (?, ?, NULL)", (issue.repository_id, issue.number))


def transfer_issue(sql: sqlite3.Connection, issue: Issue, target: Repository, now: str) -> Issue:
    """The issue with its comments under a new number; only labels that the target has come along."""
    kept = [label.name for label in labels_on(sql, issue.id) if label_named(sql, target, label.name)]
    sql.execute("DELETE FROM issue_labels WHERE issue_id = ?", (issue.id,))
    sql.execute(
        "UPDATE issues SET repository_id = ?, number = ?, updated_at = ? WHERE id = ?",
        (target.id, take_number(sql, target), now, issue.id),
    )
    put_on(sql, issue.id, [label for name in kept if (label := label_named(sql, target, name))])
    sql.execute("INSERT INTO gone VALUES (?, ?, ?)", (issue.repository_id, issue.number, issue.id))
    return issue_with(sql, issue.id)


def _issue(row: sqlite3.Row) -> Issue:
    return Issue(*(row[name] for name in Issue.__dataclass_fields__))

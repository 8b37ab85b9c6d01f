"""Labels of a repository, and which issues carry them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from agent.hub.repositories import Repository

DEFAULT_COLOR = "ededed"
NAME_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Label:
    """`color` is six hexadecimal digits."""

    id: int
    name: str
    color: str
    description: str | None


def create_label(
    sql: sqlite3.Connection, repository: Repository, name: str, color: str, description: str | None
) -> Label:
    row = sql.execute(
        "INSERT INTO labels (repository_id, name, color, description) VALUES (?, ?, ?, ?) RETURNING *",
        (repository.id, name, color, description),
    ).fetchone()
    return _label(row)


def edit_label(sql: sqlite3.Connection, label: Label) -> None:
    sql.execute(
        "UPDATE labels SET name = ?, color = ?, description = ? WHERE id = ?",
        (label.name, label.color, label.description, label.id),
    )


def delete_label(sql: sqlite3.Connection, label: Label) -> None:
    sql.execute("DELETE FROM labels WHERE id = ?", (label.id,))


def label_named(sql: sqlite3.Connection, repository: Repository, name: str) -> Label | None:
    row = sql.execute(
        "SELECT * FROM labels WHERE repository_id = ? AND name = ?", (repository.id, name)
    ).fetchone()
    return _label(row) if row else None


def labels_of(sql: sqlite3.Connection, repository: Repository) -> list[Label]:
    rows = sql.execute("SELECT * FROM labels WHERE repository_id = ? ORDER BY name", (repository.id,))
    return [_label(row) for row in rows]


def labels_on(sql: sqlite3.Connection, issue_id: int) -> list[Label]:
    rows = sql.execute(
        "SELECT labels.* FROM issue_labels JOIN labels ON labels.id = label_id"
        " WHERE issue_id = ? ORDER BY id",
        (issue_id,),
    )
    return [_label(row) for row in rows]


def put_on(sql: sqlite3.Connection, issue_id: int, labels: Sequence[Label]) -> list[Label]:
    """Returns those that were not on the issue before."""
    before = {label.id for label in labels_on(sql, issue_id)}
    new = [label for label in dict.fromkeys(labels) if label.id not in before]
    for label in new:
        sql.execute("INSERT INTO issue_labels (issue_id, label_id) VALUES (?, ?)", (issue_id, label.id))
    return new


def take_off(sql: sqlite3.Connection, issue_id: int, label: Label) -> None:
    sql.execute("DELETE FROM issue_labels WHERE issue_id = ? AND label_id = ?", (issue_id, label.id))


def _label(row: sqlite3.Row) -> Label:
    return Label(row["id"], row["name"], row["color"], row["description"])

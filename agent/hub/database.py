"""One SQLite file: many readers, one writer, nothing acknowledged before it is on the disk.

A request reads or writes inside exactly one transaction. WAL with `synchronous = FULL` makes a commit
survive `kill -9` and a lost power supply; a transaction that did not commit leaves nothing. Writers of this
process queue on a lock, writers of another process on SQLite's own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.hub.schema import APPLICATION_ID, SCRIPT, VERSION

BUSY_S = 20.0


class DatabaseError(Exception):
    """A file that cannot be served; the text is one line that says why and what to do."""


class Database:
    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises DatabaseError."""
        self.path = path
        self._writer_lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        try:
            self._writer = _connect(path)
        except sqlite3.Error as error:
            raise DatabaseError(f"cannot open {path}: {error}") from None
        try:
            _prepare(self._writer, path)
        except sqlite3.Error as error:
            self._writer.close()
            raise DatabaseError(f"{path} is not a tracker's file: {error}") from None
        except DatabaseError:
            self._writer.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A snapshot: what is read in here belongs to one moment."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _connect(self.path)
            connection.execute("PRAGMA query_only = ON")
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.rollback()
            self._idle.append(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Everything in here happens, or nothing does; it is on the disk when this returns."""
        with self._writer_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            finally:
                if self._writer.in_transaction:
                    self._writer.rollback()

    def close(self) -> None:
        with self._writer_lock:
            while self._idle:
                self._idle.pop().close()
            self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    # A connection is used by one thread at a time, but not always by the same one.
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        for setting in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = _pragma(connection, "user_version")
    is_ours = _pragma(connection, "application_id") == APPLICATION_ID
    if is_ours and found > VERSION:
        raise DatabaseError(f"{path} has schema {found}, this program knows {VERSION}: use a newer paceline")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and not is_ours:
        raise DatabaseError(f"{path} is an SQLite file of something else: give a new file")
    connection.execute("PRAGMA journal_mode = WAL")
    if found < VERSION:
        stamps = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
        connection.executescript(SCRIPT + stamps)


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

"""The tables, as one script that makes an empty file into schema 2, and one of schema 1 too.

Times are text in whole seconds as GitHub prints them, so that they sort as text. Ids are never used twice
(AUTOINCREMENT), also not after a deletion. An issue number that is gone stays in `gone` with where it went.
"""

from __future__ import annotations

VERSION = 2
APPLICATION_ID = 0x50414345  # "PACE": tells our file from any other SQLite file

SCRIPT = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  login TEXT NOT NULL UNIQUE COLLATE NOCASE,
  kind TEXT NOT NULL CHECK (kind IN ('User', 'Bot', 'Organization')),
  name TEXT,
  created_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest TEXT NOT NULL UNIQUE,
  user_id INTEGER NOT NULL REFERENCES users (id),
  scopes TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS repositories (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_id INTEGER NOT NULL REFERENCES users (id),
  name TEXT NOT NULL COLLATE NOCASE,
  path TEXT NOT NULL,
  is_private INTEGER NOT NULL,
  last_number INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  UNIQUE (owner_id, name)
) STRICT;
CREATE TABLE IF NOT EXISTS roles (
  repository_id INTEGER NOT NULL REFERENCES repositories (id),
  user_id INTEGER NOT NULL REFERENCES users (id),
  role INTEGER NOT NULL,
  PRIMARY KEY (repository_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS issues (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  repository_id INTEGER NOT NULL REFERENCES repositories (id),
  number INTEGER NOT NULL,
  title TEXT NOT NULL,
  body TEXT,
  author_id INTEGER NOT NULL REFERENCES users (id),
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
  state_reason TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  closed_at TEXT,
  closed_by INTEGER REFERENCES users (id),
  UNIQUE (repository_id, number)
) STRICT;
CREATE INDEX IF NOT EXISTS issues_by_state ON issues (repository_id, state, created_at);
CREATE TABLE IF NOT EXISTS gone (
  repository_id INTEGER NOT NULL REFERENCES repositories (id),
  number INTEGER NOT NULL,
  moved_to INTEGER REFERENCES issues (id) ON DELETE SET NULL,
  PRIMARY KEY (repository_id, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS comments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  issue_id INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
  author_id INTEGER NOT NULL REFERENCES users (id),
  body TEXT NOT NULL,
  minimized TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS comments_by_issue ON comments (issue_id, id);
CREATE TABLE IF NOT EXISTS labels (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  repository_id INTEGER NOT NULL REFERENCES repositories (id),
  name TEXT NOT NULL COLLATE NOCASE,
  color TEXT NOT NULL,
  description TEXT,
  UNIQUE (repository_id, name)
) STRICT;
CREATE TABLE IF NOT EXISTS issue_labels (
  issue_id INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
  label_id INTEGER NOT NULL REFERENCES labels (id) ON DELETE CASCADE,
  PRIMARY KEY (issue_id, label_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS issue_labels_by_label ON issue_labels (label_id, issue_id);
CREATE TABLE IF NOT EXISTS locks (
  issue_id INTEGER PRIMARY KEY REFERENCES issues (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reactions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  issue_id INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
  comment_id INTEGER REFERENCES comments (id) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users (id),
  content TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS reactions_once
  ON reactions (issue_id, ifnull(comment_id, 0), user_id, content);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  issue_id INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
  actor_id INTEGER NOT NULL REFERENCES users (id),
  event TEXT NOT NULL,
  comment_id INTEGER REFERENCES comments (id) ON DELETE CASCADE,
  before TEXT,
  after TEXT,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_issue ON events (issue_id, id);
CREATE INDEX IF NOT EXISTS events_by_comment ON events (comment_id);
CREATE INDEX IF NOT EXISTS reactions_by_comment ON reactions (comment_id);
"""

"""Errors that somebody can mend. Their text is one line: what failed, on which value, what to do next."""

from __future__ import annotations


class TaskError(Exception):
    """Whoever asked for the measurement can mend it."""

"""A GitHub App as the agent's account: the token of its installation, made anew before it ends.

The app's private key signs a word that lasts minutes; with it the installation in the repository is found and
a token of an hour asked for, for this repository only. Neither key nor token is in any `repr`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from agent.tracker import TrackerError

MARGIN = timedelta(minutes=5)
"""Before the end of a token, so that none ends while a request is under way, or by a clock that is wrong."""
KEY_LIMIT_B = 64 << 10


@dataclass(frozen=True, slots=True)
class App:
    """`id` is the app's number or client id; `key` its private key as GitHub gives it out (PEM)."""

    id: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pass:
    """A token, and when it ends."""

    token: str = field(repr=False)
    until: datetime

    def is_good(self, now: datetime) -> bool:
        return now < self.until - MARGIN


class Installation:
    """The app in one repository. `ask` gets a new pass with a freshly signed word."""

    def __init__(self, ask: Callable[[], Pass]) -> None:
        self._ask = ask
        self._pass: Pass | None = None

    def token(self, now: datetime) -> str:
        """Raises TrackerError."""
        if self._pass is None or not self._pass.is_good(now):
            self._pass = self._ask()
        return self._pass.token

    def forget(self) -> None:
        """The token was refused: the next request asks for another."""
        self._pass = None


def read_app_key(path: Path) -> str:
    """Raises TrackerError for a file that is missing, or that others may read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TrackerError(f"cannot read the app's private key at {path}: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise TrackerError(f"the app's private key at {path} is not a file")
        if found.st_mode & 0o077:
            raise TrackerError(f"others may read the app's private key at {path}: chmod 600 {path}")
        return os.read(descriptor, KEY_LIMIT_B).decode("ascii", errors="replace")
    finally:
        os.close(descriptor)

"""The port to a machine: run an argument list there, put a file, get a file.

Owns the words every adapter answers in. A status of None is *unknown*: nobody may conclude from it that a
command failed or did not run. Output is bounded; what was cut off is said. No adapter takes a command as a
string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

OUTPUT_LIMIT_B = 4 << 20


class PodError(Exception):
    """Machine or network: costs an attempt, and is never shown as a result of the change."""


class Refused(PodError):
    """The machine was reached, and its supervisor says why it cannot do that; or it has no Python for it."""


class NoSuchFile(PodError):
    """The machine was reached, and there is no such file."""


@dataclass(frozen=True, slots=True)
class Completed:
    """`status` is the exit status (128 + n for signal n), 127 for a program that is not there, or None:
    unknown."""

    status: int | None
    out: bytes
    err: bytes
    is_truncated: bool = False

    @property
    def last_words(self) -> str:
        """The last line that it said on standard error, "" where it said none."""
        lines = self.err.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


class Shell(Protocol):
    @property
    def name(self) -> str:
        """The pod, as people call it."""
        ...

    @property
    def python(self) -> str:
        """The interpreter there (3.10 or later) that runs our zipapps."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float,
        limit_b: int = OUTPUT_LIMIT_B,
    ) -> Completed:
        """Runs a command; a timeout ends it where it can and answers None. `limit_b` bounds out and err each.

        Raises PodError when the machine is not reached: then the command did not run.
        """
        ...

    def put(self, path: PurePath, data: bytes, mode: int = 0o644, *, timeout_s: float = 120.0) -> None:
        """Writes a file whole or not at all. Raises PodError."""
        ...

    def get(self, path: PurePath, limit_b: int, *, timeout_s: float = 120.0) -> bytes:
        """Raises NoSuchFile, and PodError, also for a file longer than `limit_b`: never a part of one."""
        ...

    def close(self) -> None:
        """Ends the connection, if there is one; the next command makes another."""
        ...

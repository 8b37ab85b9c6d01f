"""A subject's output, bounded: the head as it comes, the tail from a ring in memory, a line between them.

A subject that prints a gigabyte costs `limit_b` on disk and half of it in memory, and is never held up. A
full disk breaks nothing: output is dropped, counted and the error kept, and the tail is tried once more at
the end, when the subject no longer holds the disk. No secret reaches the file (redact.py), also where one is
cut by an end of what is kept; what is dropped is not searched, so that printing much costs no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .redact import PEM_LIMIT_B, Redactor

PIECE_B = 1 << 16
"""Of the head at once: what of it turns out to be too much is kept for the tail."""
RUN_UP_B = PEM_LIMIT_B
"""In front of the tail, never written: a secret that begins there would be told by its end."""


class Output:
    def __init__(self, path: Path, limit_b: int, secrets: Iterable[str] = ()) -> None:
        self.written_b = 0
        self.dropped_b = 0
        self.error: str | None = None
        self._secrets = tuple(secrets)
        self._redactor = Redactor(self._secrets)
        self._head_left_b = limit_b // 2
        self._over = b""  # clean, and more than the head has room for
        self._tail_b = limit_b - limit_b // 2
        self._ring = bytearray()  # as it came
        self._ring_dropped_b = 0
        self._descriptor: int | None = None
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            self._fail(error)

    def take(self, chunk: bytes) -> None:
        at = 0
        while self._head_left_b > 0 and at < len(chunk):
            self._take_head(chunk[at : at + PIECE_B])
            at += PIECE_B
        self._ring += memoryview(chunk)[at:]
        excess_b = len(self._ring) - self._tail_b - RUN_UP_B
        if excess_b > 0:
            del self._ring[:excess_b]
            self._ring_dropped_b += excess_b

    def close(self) -> None:
        """Writes the tail. `dropped_b` then counts all that is not in the file."""
        tail, self.dropped_b = self._clean_tail()
        self._ring.clear()
        excess_b = len(tail) - self._tail_b - self._head_left_b
        if excess_b > 0:
            tail = tail[excess_b:]
            self.dropped_b += excess_b
        if self.dropped_b:
            note = f"\n[paceline: {self.dropped_b} bytes left out here]\n".encode()
            self._write(note)
        self.dropped_b += len(tail) - self._write(tail)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take_head(self, piece: bytes) -> None:
        clean = self._redactor.feed(piece)
        head = clean[: self._head_left_b]
        written_b = self._write(head)
        self._over = clean[written_b:]
        is_full = written_b < len(head) or len(head) < len(clean)
        self._head_left_b = 0 if is_full else self._head_left_b - written_b

    def _clean_tail(self) -> tuple[bytes, int]:
        """What stands behind the head without its secrets, and how much between the two is lost."""
        ring = bytes(self._ring)
        if not self._ring_dropped_b:
            return self._over + self._redactor.feed(ring) + self._redactor.end(), 0
        lost_b = len(self._over) + self._redactor.held_b + self._ring_dropped_b + RUN_UP_B
        redactor = Redactor(self._secrets)
        redactor.feed(ring[:RUN_UP_B])
        lost_b -= redactor.held_b
        return redactor.feed(ring[RUN_UP_B:]) + redactor.end(), lost_b

    def _write(self, data: bytes) -> int:
        """How many bytes reached the file: fewer than given on a full disk."""
        if self._descriptor is None:
            return 0
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._fail(error)
        written_b = len(data) - len(rest)
        self.written_b += written_b
        return written_b

    def _fail(self, error: OSError) -> None:
        self.error = f"the log could not be written: {error.strerror}"

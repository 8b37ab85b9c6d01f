"""A subject's output, bounded: the head as it comes, the tail from a ring in memory, a line between them.

A subject that prints a gigabyte costs `limit_b` on disk and half of it in memory, and is never held up. A
full disk breaks nothing: output is dropped, counted and the error kept, and the tail is tried once more at
the end, when the subject no longer holds the disk.
"""

from __future__ import annotations

import os
from pathlib import Path


class Output:
    def __init__(self, path: Path, limit_b: int) -> None:
        self.written_b = 0
        self.dropped_b = 0
        self.error: str | None = None
        self._head_left_b = limit_b // 2
        self._ring_b = limit_b - limit_b // 2
        self._ring = bytearray()
        self._descriptor: int | None = None
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            self._fail(error)

    def take(self, chunk: bytes) -> None:
        if self._head_left_b > 0:
            head = chunk[: self._head_left_b]
            written_b = self._write(head)
            self._head_left_b = self._head_left_b - written_b if written_b == len(head) else 0
            chunk = chunk[written_b:]
        self._ring += chunk
        excess_b = len(self._ring) - self._ring_b
        if excess_b > 0:
            del self._ring[:excess_b]
            self.dropped_b += excess_b

    def close(self) -> None:
        """Writes the tail. `dropped_b` then counts all that is not in the file."""
        if self.dropped_b:
            note = f"\n[paceline: {self.dropped_b} bytes left out here]\n".encode()
            self._write(note)
        tail = bytes(self._ring)
        self.dropped_b += len(tail) - self._write(tail)
        self._ring.clear()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

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

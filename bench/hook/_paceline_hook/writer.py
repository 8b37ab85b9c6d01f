"""Writes events: one JSON object a line, each with a digest chained to the line before.

The chain starts from a key of this run, so that a line that the hook did not write, or one that was changed
later, shows. A full disk or a closed file ends the writing, never the subject. A forked child writes nothing.
"""

import hashlib
import json
import os
import time

SCHEMA = 1


def chained(previous: str, body: str) -> str:
    """The digest (16 hex digits) of a line, given that of the line before; `bench/events.py` has its twin."""
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()[:16]


class Writer:
    def __init__(self, folder: str, key: str) -> None:
        # The clock too: a launcher that replaces itself (exec) leaves its pid to the next interpreter.
        self.name = f"{os.getpid()}-{time.monotonic_ns()}"
        self._last = key
        self._fd = -1
        self._file = (0, 0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            self._fd = os.open(os.path.join(folder, f"{self.name}.jsonl"), flags, 0o644)
            self._file = _identity(self._fd)
        except OSError:
            self._fd = -1
        os.register_at_fork(after_in_child=self.close)

    def close(self) -> None:
        if self._is_open():
            os.close(self._fd)
        self._fd = -1

    def _is_open(self) -> bool:
        """Whether the descriptor still is our file: a subject that closes all of them may have it anew."""
        try:
            return self._fd >= 0 and _identity(self._fd) == self._file
        except OSError:
            return False

    def write(self, kind: str, **fields: object) -> None:
        if not self._is_open():
            self._fd = -1
            return
        body = json.dumps({"kind": kind, **fields}, default=str)
        digest = chained(self._last, body)
        line = f'{body[:-1]}, "chain": "{digest}"}}\n'.encode()
        try:
            if os.write(self._fd, line) != len(line):
                self.close()
        except OSError:
            self.close()
        self._last = digest


def _identity(descriptor: int) -> tuple[int, int]:
    stat = os.fstat(descriptor)
    return stat.st_dev, stat.st_ino

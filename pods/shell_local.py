"""This machine behind the shell port.

Every command is a process group of its own, so that a timeout ends what it started too, and Ctrl-C in our
terminal does not reach it. It returns when the command has ended, also when something it left behind still
holds its pipes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path, PurePath

from pods.shell import OUTPUT_LIMIT_B, Completed, NoSuchFile, PodError
from pods.supervisor import record

CHUNK_B = 1 << 16
POLL_S = 0.02


class LocalShell:
    def __init__(self, name: str = "local", python: str = sys.executable) -> None:
        self.name = name
        self.python = python

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float,
        limit_b: int = OUTPUT_LIMIT_B,
    ) -> Completed:
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            missing = 127 if isinstance(error, FileNotFoundError) else 126
            return Completed(missing, b"", f"{argv[0]}: {error.strerror}".encode())
        with child:
            talk = _Talk(child, stdin, limit_b)
            try:
                status = talk.until_end(time.monotonic() + timeout_s)
            finally:
                if child.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
            return Completed(status, bytes(talk.out), bytes(talk.err), talk.is_truncated)

    def put(self, path: PurePath, data: bytes, mode: int = 0o644, *, timeout_s: float = 120.0) -> None:  # noqa: ARG002 - a local disk has no timeout
        try:
            record.write_bytes(Path(path), data, mode=mode)
        except OSError as error:
            raise PodError(f"{path}: {error.strerror}") from error

    def get(self, path: PurePath, limit_b: int, *, timeout_s: float = 120.0) -> bytes:  # noqa: ARG002 - the same
        try:
            with Path(path).open("rb") as file:
                data = file.read(limit_b + 1)
        except FileNotFoundError as error:
            raise NoSuchFile(f"{path}: {error.strerror}") from error
        except OSError as error:
            raise PodError(f"{path}: {error.strerror}") from error
        if len(data) > limit_b:
            raise PodError(f"{path}: longer than {limit_b} bytes")
        return data

    def close(self) -> None:
        """There is none to end."""


class _Talk:
    """Feeds a child and reads its outputs, keeping the first `limit_b` bytes of each."""

    def __init__(self, child: subprocess.Popen[bytes], stdin: bytes, limit_b: int) -> None:
        assert child.stdin and child.stdout and child.stderr
        self.out = bytearray()
        self.err = bytearray()
        self.is_truncated = False
        self._child = child
        self._stdin = child.stdin
        self._rest = memoryview(stdin)
        self._limit_b = limit_b
        self._selector = selectors.DefaultSelector()
        for pipe, event, kept in (
            (child.stdin, selectors.EVENT_WRITE, None),
            (child.stdout, selectors.EVENT_READ, self.out),
            (child.stderr, selectors.EVENT_READ, self.err),
        ):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, event, kept)

    def until_end(self, deadline: float) -> int | None:
        """The exit status, or None at the deadline (monotonic seconds)."""
        with self._selector:
            while (status := self._child.poll()) is None:
                if time.monotonic() >= deadline:
                    return None
                self._turn(POLL_S)
            while self._turn(0.0):
                if time.monotonic() >= deadline:
                    break
        return status if status >= 0 else 128 - status

    def _turn(self, wait_s: float) -> bool:
        """Moves what can be moved; False when nothing could."""
        if not self._selector.get_map():
            time.sleep(wait_s)
            return False
        ready = self._selector.select(wait_s)
        has_moved = False
        for key, _ in ready:
            has_moved |= self._move(key.fd, key.data)
        return has_moved

    def _move(self, descriptor: int, kept: bytearray | None) -> bool:
        if kept is None:
            self._feed(descriptor)
            return False
        chunk = os.read(descriptor, CHUNK_B)
        if not chunk:
            self._selector.unregister(descriptor)
            return False
        room_b = self._limit_b - len(kept)
        kept += chunk[:room_b]
        self.is_truncated |= len(chunk) > room_b
        return True

    def _feed(self, descriptor: int) -> None:
        try:
            self._rest = self._rest[os.write(descriptor, self._rest[:CHUNK_B]) :]
        except BrokenPipeError:
            self._rest = self._rest[:0]
        if not self._rest:
            self._selector.unregister(descriptor)
            self._stdin.close()

"""Feeds a command over an SSH channel and reads what it prints, until it has ended or a deadline.

An exit status of -1 (paramiko's word for none) or 255 is unknown. What a command leaves behind may hold its
outputs open: they are read for a moment after its end, and no longer. What the login shell prints before the
command begins is none of its output; where it never begins the status is 126, as for what cannot be run.
"""

from __future__ import annotations

import contextlib
import select
import time

import paramiko

from pods.quote import BEGINS

CHUNK_B = 1 << 16
UNKNOWN = (-1, 255)
DRAIN_S = 0.5
"""How long output is still read when the command has ended and something it left holds its pipes."""
CANNOT_RUN = 126
SAID_B = 200
"""How much of what a login shell prints of its own is kept, to be told."""
TROUBLE = (paramiko.SSHException, OSError, EOFError)


class Talk:
    """Feeds a command and reads its outputs, keeping the first `limit_b` bytes of each."""

    def __init__(self, channel: paramiko.Channel, stdin: bytes, limit_b: int) -> None:
        self.out = bytearray()
        self.err = bytearray()
        self.is_truncated = False
        self._channel = channel
        self._rest = memoryview(stdin)
        self._is_fed = False
        self._limit_b = limit_b
        self._greeting = bytearray()
        self._has_begun = False

    def until_end(self, deadline: float) -> int | None:
        """The exit status, None where it is unknown. Raises SSHException where the link is lost."""
        channel = self._channel
        channel.setblocking(False)
        quiet_since: float | None = None
        while not (channel.exit_status_ready() and self._has_all(quiet_since)):
            if time.monotonic() >= deadline:
                return None
            has_moved = self._feed() | self._read()
            if channel.exit_status_ready():
                quiet_since = None if has_moved else quiet_since or time.monotonic()
            if not has_moved:
                self._wait(min(deadline, time.monotonic() + 0.05))
        self._read()
        status = channel.recv_exit_status()
        if status in UNKNOWN and not self._transport_lives():
            raise paramiko.SSHException("the connection ended before the command")
        if status in UNKNOWN:
            return None
        return status if self._has_begun else self._cannot_run()

    def _cannot_run(self) -> int:
        said = bytes(self._greeting[:SAID_B]).decode(errors="replace").strip()
        told = f"the login shell did not run the command, it said {said!r}: it has to be a POSIX one"
        self.err.extend(f"\n{told}, whose start-up files neither exit nor start something else\n".encode())
        return CANNOT_RUN

    def _has_all(self, quiet_since: float | None) -> bool:
        if self._channel.eof_received or self._channel.closed:
            return not (self._channel.recv_ready() or self._channel.recv_stderr_ready())
        return quiet_since is not None and time.monotonic() - quiet_since > DRAIN_S

    def _transport_lives(self) -> bool:
        transport = self._channel.get_transport()
        return transport is not None and transport.is_active()

    def _wait(self, until: float) -> None:
        """For output, for room to write, or for the end; at the end of output only the status is to come."""
        wait_s = max(0.0, until - time.monotonic())
        if self._channel.eof_received or self._channel.closed:
            self._channel.status_event.wait(wait_s)
        elif self._is_fed:
            select.select([self._channel], [], [], wait_s)
        else:
            select.select([self._channel], [], [], min(wait_s, 0.005))

    def _feed(self) -> bool:
        if self._is_fed:
            return False
        try:
            while self._rest and (sent := self._channel.send(bytes(self._rest[:CHUNK_B]))):
                self._rest = self._rest[sent:]
        except TimeoutError:  # the window is full
            return False
        except OSError:  # it reads no more
            self._rest = self._rest[:0]
        if not self._rest:
            self._is_fed = True
            with contextlib.suppress(*TROUBLE):
                self._channel.shutdown_write()
        return True

    def _read(self) -> bool:
        has_moved = False
        while self._channel.recv_ready():
            self._keep(self.out, self._own(self._channel.recv(CHUNK_B)))
            has_moved = True
        while self._channel.recv_stderr_ready():
            self._keep(self.err, self._channel.recv_stderr(CHUNK_B))
            has_moved = True
        return has_moved

    def _own(self, chunk: bytes) -> bytes:
        """What of it the command itself said."""
        if self._has_begun:
            return chunk
        self._greeting.extend(chunk)
        _, begins, own = self._greeting.partition(BEGINS)
        self._has_begun = bool(begins)
        if not self._has_begun:
            del self._greeting[SAID_B : -len(BEGINS)]
        return bytes(own)

    def _keep(self, kept: bytearray, chunk: bytes) -> None:
        room_b = self._limit_b - len(kept)
        kept.extend(chunk[:room_b])
        self.is_truncated |= len(chunk) > room_b

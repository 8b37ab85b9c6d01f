"""A pod behind the shell port: one SSH connection, kept, and made again after a fault.

A command gets `timeout` around it at the other end, since without a terminal it lives on when its client
goes. Files go through a command's standard streams: not every pod has SFTP.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

import paramiko

from pods.host_keys import HostKey
from pods.quote import command_line
from pods.route import Route
from pods.shell import OUTPUT_LIMIT_B, Completed, NoSuchFile, PodError
from pods.ssh.link import LIMITS, Limits, Link, connect, told
from pods.ssh.talk import TROUBLE, Talk

Pins = Callable[[], Mapping[str, HostKey]]
"""Asked at each connection: somebody may have come to trust a key since. May raise PodError."""
REMOTE_GRACE_S = 5
"""How much longer a command may live at the other end than its caller waits."""
NO_FILE, TOO_LONG = 3, 4
DEAR_S, PAUSE_RATIO, LONGEST_PAUSE_S = 1.0, 4.0, 60.0
"""A try that took a second is not made again for four times as long: time-outs are dear, a refusal is not."""

_PUT = """
import os, sys, uuid
path, mode = sys.argv[1], int(sys.argv[2])
aside = os.path.join(os.path.dirname(path), "." + uuid.uuid4().hex + ".tmp")
data = sys.stdin.buffer.read()
if len(data) != int(sys.argv[3]):
    sys.exit("the link was lost on the way")
try:
    with open(aside, "xb") as file:
        file.write(data)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
except OSError as error:
    if os.path.exists(aside):
        os.unlink(aside)
    sys.exit(f"{path}: {error.strerror}")
"""
_GET = f"""
import sys
try:
    with open(sys.argv[1], "rb") as file:
        data = file.read(int(sys.argv[2]) + 1)
except FileNotFoundError:
    sys.exit({NO_FILE})
except OSError as error:
    sys.exit(f"{{sys.argv[1]}}: {{error.strerror}}")
if len(data) > int(sys.argv[2]):
    sys.exit({TOO_LONG})
sys.stdout.buffer.write(data)
"""


class SshShell:
    """Commands may come from several threads. `connects` counts the connections that were made."""

    def __init__(self, name: str, python: str, route: Route, pins: Pins, limits: Limits = LIMITS) -> None:
        self.name = name
        self.python = python
        self.connects = 0
        self._route = route
        self._pins = pins
        self._limits = limits
        self._link: Link | None = None
        self._lost: tuple[float, str] | None = None  # until when nothing is tried, and why
        self._lock = threading.Lock()

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float,
        limit_b: int = OUTPUT_LIMIT_B,
    ) -> Completed:
        deadline = time.monotonic() + timeout_s
        line = command_line(
            ["timeout", "-k", str(REMOTE_GRACE_S), str(int(timeout_s) + REMOTE_GRACE_S), *argv]
        )
        link, channel = self._channel()
        with contextlib.closing(channel):
            talk = Talk(channel, stdin, limit_b)
            try:
                with link.closed_at(min(deadline, time.monotonic() + self._limits.channel_s)):
                    channel.exec_command(line)
                status = talk.until_end(deadline)
            except TROUBLE as error:
                link.close()
                return Completed(None, bytes(talk.out), f"the link was lost: {told(error)}".encode())
            link.heard_at = time.monotonic()
            return Completed(status, bytes(talk.out), bytes(talk.err), talk.is_truncated)

    def put(self, path: PurePath, data: bytes, mode: int = 0o644, *, timeout_s: float = 120.0) -> None:
        argv = [self.python, "-I", "-S", "-c", _PUT, str(path), str(mode), str(len(data))]
        done = self.run(argv, stdin=data, timeout_s=timeout_s)
        if done.status != 0:
            raise PodError(f"{path}: {_last_line(done)}")

    def get(self, path: PurePath, limit_b: int, *, timeout_s: float = 120.0) -> bytes:
        argv = [self.python, "-I", "-S", "-c", _GET, str(path), str(limit_b)]
        done = self.run(argv, timeout_s=timeout_s, limit_b=limit_b)
        if done.status == NO_FILE:
            raise NoSuchFile(f"{path}: no such file")
        if done.status == TOO_LONG or done.is_truncated:
            raise PodError(f"{path}: longer than {limit_b} bytes")
        if done.status != 0:
            raise PodError(f"{path}: {_last_line(done)}")
        return done.out

    def close(self) -> None:
        """Waits for nobody: a connection that another thread is making ends with this process."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _channel(self) -> tuple[Link, paramiko.Channel]:
        """A channel on the connection there is, or on a new one where that one is gone."""
        with self._lock:
            if self._link is not None and self._link.is_alive:
                with contextlib.suppress(*TROUBLE):
                    return self._link, self._link.open(self._limits.channel_s)
                self._link.close()
            self._link = self._connected()
            self.connects += 1
            try:
                return self._link, self._link.open(self._limits.channel_s)
            except TROUBLE as error:
                self._link.close()
                raise PodError(f"no channel: {told(error)}") from error

    def _connected(self) -> Link:
        began = time.monotonic()
        if self._lost is not None and began < self._lost[0]:
            raise PodError(self._lost[1])
        self._lost = None
        try:
            return connect(self.name, self._route, self._pins(), self._limits)
        except PodError as error:
            ended = time.monotonic()
            if ended - began >= DEAR_S:
                self._lost = (ended + min(PAUSE_RATIO * (ended - began), LONGEST_PAUSE_S), str(error))
            raise


def _last_line(done: Completed) -> str:
    if done.status is None:
        return "no answer; whether it was written or read is unknown"
    return done.last_words or f"exit status {done.status}"

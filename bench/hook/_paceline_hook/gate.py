"""Waits for the token of a lockstep replicate: between two gates only one arm's processes run.

Speaks JSON lines with the worker through the Unix socket that the settings name: this side says where it is
and how many steps it has made, the answer says for how many more it may go on. While it waits the worker
stops the whole tree, so there is no limit here: a worker that dies closes the socket, and the owner ends
what runs too long. The time at a gate belongs to no phase. The socket is taken before the subject can replace
it, and left alone once the subject has closed it: its descriptor may be something of the subject's by then.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from typing import Any

from _paceline_hook.timeline import Timeline, now

_Socket, _AF_UNIX, _SOCK_STREAM = socket.socket, socket.AF_UNIX, socket.SOCK_STREAM


class Gate:
    """`write` writes an event; `device` gives what the worker needs to know of memory, as plain data."""

    def __init__(self, settings: dict[str, Any], timeline: Timeline, write: Callable[..., None]) -> None:
        self._settings = settings
        self._timeline = timeline
        self._write = write
        self._connection: socket.socket | None = None
        self._identity = (0, 0)
        self._window = 0
        self._until = -1

    def is_due(self, steps: int) -> bool:
        return self._connection is not None and 0 <= self._until <= steps

    def enter(self, steps: int, device: dict[str, Any]) -> None:
        """The training loop is about to begin; does nothing where this is no lockstep replicate."""
        path = self._settings.get("gate")
        if path and self._connection is None:
            connection = _Socket(_AF_UNIX, _SOCK_STREAM)
            connection.settimeout(None)  # whatever default the subject has set
            try:
                connection.connect(path)
            except OSError:
                connection.close()
                return
            self._connection = connection
            self._identity = _identity(connection.fileno())
            os.register_at_fork(after_in_child=self._close)
        self.wait("enter", steps, device)

    def wait(self, place: str, steps: int, device: dict[str, Any]) -> None:
        """Say where we are (`enter`, `steps`, `end`), wait for the token."""
        if self._connection is None:
            return
        if not self._is_open():
            self._close()
            return
        began = now()
        said = {"key": self._settings["key"], "place": place, "steps": steps, **device}
        try:
            self._connection.sendall(json.dumps(said).encode() + b"\n")
            answer = json.loads(self._line())
        except (OSError, ValueError):  # the worker is gone: nobody measures any more
            self._close()
            answer = {}
        more = answer.get("steps")
        self._until = steps + more if more else -1
        ended = now()
        self._timeline.skip(began, ended)
        self._write("gate", window=self._window, place=place, begin=began, end=ended)
        self._window += 1

    def _is_open(self) -> bool:
        try:
            return self._connection is not None and _identity(self._connection.fileno()) == self._identity
        except OSError:
            return False

    def _close(self) -> None:
        connection, is_open = self._connection, self._is_open()
        self._connection = None
        if connection is not None and is_open:
            connection.close()
        elif connection is not None:
            connection.detach()

    def _line(self) -> bytes:
        assert self._connection is not None
        line = b""
        while not line.endswith(b"\n"):
            chunk = self._connection.recv(4096)
            if not chunk:
                raise OSError("the worker closed the gate")
            line += chunk
        return line


def _identity(descriptor: int) -> tuple[int, int]:
    stat = os.fstat(descriptor)
    return stat.st_dev, stat.st_ino

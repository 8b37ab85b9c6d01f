"""The worker's side of the gates of a lockstep round: a Unix socket and JSON lines.

The hook says `{"key", "place", "steps", ...}`, the worker answers `{"steps": N}` (null: to the end). The
subject could write to the socket as well: what it says is bounded in length, time and value, and whoever does
not know the run's key is sent away.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Mapping
from typing import Any

LINE_LIMIT_B = 4096
LINE_S = 5.0
"""A line is sent whole: one that does not come to its end in this time is nobody's."""
PLACES = ("enter", "steps", "end")
LARGEST = 1 << 53


class Door:
    """Where the hook of a run knocks. Selectable."""

    def __init__(self) -> None:
        # In the abstract namespace: short, and nothing is left behind when this process is killed.
        self.address = f"\0paceline-{secrets.token_hex(8)}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.address)
        self._listener.listen()

    def fileno(self) -> int:
        return self._listener.fileno()

    def close(self) -> None:
        self._listener.close()

    def met(self, key: str) -> tuple[socket.socket, dict[str, Any]] | None:
        """The connection of the hook that knows `key`, and what it said; None for anybody else."""
        connection, _ = self._listener.accept()
        said = read_line(connection)
        if said.get("key") == key:
            return connection, said
        connection.close()
        return None


def read_line(connection: socket.socket) -> dict[str, Any]:
    """One line of a hook; {} where the connection is closed, or what came is no such line."""
    line, until = b"", time.monotonic() + LINE_S
    try:
        while not line.endswith(b"\n") and len(line) < LINE_LIMIT_B:
            connection.settimeout(max(until - time.monotonic(), 0.001))
            chunk = connection.recv(LINE_LIMIT_B)
            if not chunk:
                return {}
            line += chunk
        said = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return {}
    return said if _is_of_a_hook(said) else {}


def _is_of_a_hook(said: object) -> bool:
    if not isinstance(said, dict) or said.get("place") not in PLACES:
        return False
    numbers = (said.get("steps"), said.get("reserved", 0), said.get("device", 0))
    return all(type(number) is int and 0 <= number < LARGEST for number in numbers)


def send_line(connection: socket.socket, said: Mapping[str, Any]) -> None:
    """A hook that has gone meanwhile is met by the next read."""
    try:
        connection.sendall(json.dumps(said).encode() + b"\n")
    except OSError:
        return

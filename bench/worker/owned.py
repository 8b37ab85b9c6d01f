"""Starts one process tree under an owner and waits for it; the owner is a command that the worker is given.

The owner keeps the time (begin just before the subject is started, end when it is reaped), bounds its output
and its life, and ends whatever it leaves behind; it answers with one JSON line on its own standard output,
which the subject never holds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG_LIMIT_B = 8 << 20
OWNER_SLACK_S = 60.0
"""How much longer than limit and grace the worker waits for an owner's answer before it kills the owner."""


@dataclass(frozen=True)
class Owned:
    """How one process tree ended, by its owner; None where the owner itself was lost."""

    record: Mapping[str, Any] | None
    error: str = ""


class Ownership:
    """Starts trees one after the other; `cancel` ends the one that runs now and refuses the next."""

    def __init__(self, owner: Sequence[str], started: str | None, grace_s: float) -> None:
        self._owner = list(owner)
        self._started = started
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        log: Path,
        limit_s: float,
        tick: Callable[[], None],
    ) -> Owned:
        """Run a command to its end; `tick` is called about once a second while it lives."""
        options = ["--log", str(log), "--log-limit-b", str(LOG_LIMIT_B), "--limit-s", str(limit_s)]
        options += ["--grace-s", str(self._grace_s), "--cwd", str(cwd), "--parent", str(os.getpid())]
        options += ["--started", self._started] if self._started else []
        process = subprocess.Popen(
            [*self._owner, *options, "--", *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._process = process
        if self.is_cancelled:  # asked for between the last look and the start
            process.send_signal(signal.SIGTERM)
        try:
            out, err = self._waited(process, limit_s, tick)
        finally:
            self._process = None
        try:
            return Owned(json.loads(out))
        except ValueError:
            lines = err.decode(errors="replace").strip().splitlines()
            return Owned(
                None, f"the owner ended with {process.returncode}: {lines[-1] if lines else 'no word'}"
            )

    def _waited(
        self, process: subprocess.Popen[bytes], limit_s: float, tick: Callable[[], None]
    ) -> tuple[bytes, bytes]:
        seconds_left = limit_s + 2 * self._grace_s + OWNER_SLACK_S
        while True:
            try:
                return process.communicate(timeout=1.0)
            except subprocess.TimeoutExpired:
                seconds_left -= 1.0
                tick()
            if seconds_left < 0:
                process.kill()

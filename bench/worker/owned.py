"""Starts process trees under owners and waits for them; the owner is a command that the worker is given.

The owner keeps the time (begin just before the subject is started, end when it is reaped), bounds its output
and its life, and ends whatever it leaves behind; it answers with one JSON line on its own standard output,
which the subject never holds. With orders it also stops and continues the tree, and says when that is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG_LIMIT_B = 8 << 20
OWNER_SLACK_S = 60.0
"""How much longer than limit and grace the worker waits for an owner's answer before it kills the owner."""
ANSWER_LIMIT_S = 10.0
"""How long an order may take: stopping a tree takes milliseconds."""
TICK_S = 1.0


@dataclass(frozen=True)
class Start:
    """What is started: an argument list, where, with which environment; `limit_s` bounds its life."""

    command: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    log: Path
    limit_s: float


@dataclass(frozen=True)
class Owned:
    """How one process tree ended, by its owner; None where the owner itself was lost."""

    record: Mapping[str, Any] | None
    error: str = ""


class Tree:
    """An owner with its tree. Readable (`fileno`) when there is something for `read`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process = process
        self._lines: list[bytes] = []
        self._rest = b""
        self.has_ended = False
        os.set_blocking(process.stdout.fileno(), False)

    def fileno(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def read(self) -> None:
        """Take in what the owner has said; `has_ended` once it will say nothing more."""
        try:
            data = os.read(self.fileno(), 1 << 16)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines += lines
        self.has_ended = not data

    def order(self, word: str) -> bool:
        """Have an order carried out; whether it was, not by an owner that has ended. One that does not answer
        is killed: nobody could tell whether its tree runs."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(word.encode() + b"\n")
            self._process.stdin.flush()
            heard, until = len(self._lines), time.monotonic() + ANSWER_LIMIT_S
            while len(self._lines) == heard and not self.has_ended and time.monotonic() < until:
                if select.select([self], [], [], until - time.monotonic())[0]:
                    self.read()
            if len(self._lines) > heard:
                return True
            self.kill()
        return False

    def ask_to_end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """An owner that does not answer; whatever is below it dies with it, or is found by its own owner."""
        self._process.kill()

    def owned(self) -> Owned:
        """What the owner reported; waits for its end, which its closed output has announced."""
        assert self._process.stderr is not None
        err = self._process.stderr.read().decode(errors="replace")
        status = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            record = json.loads(self._lines[-1])
        except (ValueError, IndexError):
            record = {}
        if "not_started" in record:  # a report, and not the answer to an order
            return Owned(record)
        lines = err.strip().splitlines()
        return Owned(None, f"the owner ended with {status}: {lines[-1] if lines else 'no word'}")


class Ownership:
    """Starts trees; `cancel` ends all that run now and refuses the next."""

    def __init__(self, owner: Sequence[str], started: str | None, grace_s: float) -> None:
        self._owner = list(owner)
        self._started = started
        self._grace_s = grace_s
        self._trees: list[Tree] = []
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True
        for tree in self._trees:
            tree.ask_to_end()

    def start(self, start: Start, *, has_orders: bool = False) -> Tree:
        """`forget` it when it has ended."""
        options = ["--log", str(start.log), "--log-limit-b", str(LOG_LIMIT_B)]
        options += ["--limit-s", str(start.limit_s), "--grace-s", str(self._grace_s)]
        options += ["--cwd", str(start.cwd), "--parent", str(os.getpid())]
        options += ["--started", self._started] if self._started else []
        options += ["--orders"] if has_orders else []
        tree = Tree(
            subprocess.Popen(
                [*self._owner, *options, "--", *start.command],
                env=dict(start.environment),
                stdin=subprocess.PIPE if has_orders else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        self._trees.append(tree)
        if self.is_cancelled:  # asked for between the last look and the start
            tree.ask_to_end()
        return tree

    def forget(self, tree: Tree) -> Owned:
        """The report of a tree that has ended."""
        self._trees.remove(tree)
        return tree.owned()

    def run(self, start: Start, tick: Callable[[], None]) -> Owned:
        """Run a command to its end; `tick` is called about once a second while it lives."""
        tree = self.start(start)
        until = time.monotonic() + self.patience_s(start.limit_s)
        while not tree.has_ended:
            if select.select([tree], [], [], TICK_S)[0]:
                tree.read()
            else:
                tick()
            if time.monotonic() > until:
                tree.kill()
        return self.forget(tree)

    def patience_s(self, limit_s: float) -> float:
        """How long to wait for an owner that was given a limit."""
        return limit_s + 2 * self._grace_s + OWNER_SLACK_S

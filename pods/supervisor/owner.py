"""The owner of one process tree: starts it, reads its output, times it, and outlives every process of it.

It is never stopped and never the subject: a subreaper, so that what calls setsid, nohup or forks twice stays
below it; it ends with its parent (PDEATHSIG), and its main child with it. When the main child has ended, or
the limit is reached, or it is told to end, all that is left below is ended and reaped; `wait` answering "no
children" is the kernel's word for it. The report is plain data; `begin` and `end` are monotonic seconds
taken just around spawn and reap.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import process, started, tree
from .orders import INPUT, Orders
from .output import Output
from .process import Ending, Process
from .redact import secrets_of
from .signals import Signals

CHUNK_B = 1 << 20
CHUNKS_A_TURN = 64
ENDING_POLL_S = 0.02
ORPHAN_POLL_S = 1.0
ORPHAN_WALK_S = 5.0
"""The same where the kernel keeps no list of children and all of /proc is walked: a millisecond or more."""
IDLE_POLL_S = 60.0
"""Only a safety net: every event that matters wakes the owner."""
DRAIN_S = 1.0
"""How long output is still read once the tree is gone; only a process outside it can write then."""
F_SETPIPE_SZ = 1031


@dataclass(frozen=True)
class Order:
    """What to own. On a cancel or at the limit the main child alone gets TERM and `gentle_s` seconds, then
    all get TERM, CONT, `grace_s` seconds and KILL. `parent` is the process whose death ends everything.
    `ends_orphans`: what is handed to this owner while its main child lives has lost an owner of its own
    further down, and is ended at once, so that it does not run beside the next measurement."""

    argv: tuple[str, ...]
    log: Path
    log_limit_b: int
    limit_s: float | None
    parent: int
    grace_s: float = 10.0
    gentle_s: float = 0.0
    cwd: Path | None = None
    started: Path | None = None
    env: Mapping[str, str] | None = None
    ends_orphans: bool = False
    has_orders: bool = False  # on standard input, see orders.py


def own(order: Order) -> dict[str, Any]:
    """Runs the tree to its end and reports. Must be the only thing this process does: it reaps any child."""
    signals = Signals()
    process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
    process.prctl(process.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != order.parent:  # it died before prctl
        signals.is_cancelled = True
    return _Owner(order, signals).work()


class _Owner:
    def __init__(self, order: Order, signals: Signals) -> None:
        self.order = order
        self.signals = signals
        secrets = secrets_of(os.environ if order.env is None else order.env)
        self.output = Output(order.log, order.log_limit_b, secrets)  # compiled here: no time of the subject
        self.poller = select.poll()
        self.poller.register(signals.descriptor, select.POLLIN)
        self.orders = Orders(self._stop, self._time_out) if order.has_orders else None
        if self.orders is not None:
            self.poller.register(INPUT, select.POLLIN)
        self.pipe: int | None = None
        self.main: Process | None = None
        self.record_path: Path | None = None
        self.record_error: str | None = None
        self.not_started: str | None = None
        self.usage_before = resource.getrusage(
            resource.RUSAGE_CHILDREN
        )  # outlives an exec: a wrapper's children
        self.begin = self.end = time.monotonic()
        self.wait_status: int | None = None
        self.max_rss_b = 0
        self.has_no_children = False
        self.ending: Ending | None = None
        self.orphans: Ending | None = None
        self.orphan_poll_s = ORPHAN_POLL_S if process.has_list_of_children() else ORPHAN_WALK_S
        self.orphans_at = 0.0
        self.outlived: set[Process] = set()
        self.is_timed_out = False
        self.is_cancelled = False

    def work(self) -> dict[str, Any]:
        if self.signals.is_cancelled:
            self.is_cancelled = True
            self.not_started = "told to end before the start"
        else:
            self._spawn()
        while not self.has_no_children and not self._is_stuck():
            self._turn()
        self._drain()
        self.output.close()
        if self.record_path is not None and self.has_no_children:
            with contextlib.suppress(OSError):
                self.record_path.unlink()
        return self._report()

    def _spawn(self) -> None:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(write_end, F_SETPIPE_SZ, CHUNK_B)  # a chatty subject waits for us less often
        os.set_blocking(read_end, False)
        owner = os.getpid()

        def die_with_owner() -> None:
            process.prctl(process.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != owner:
                os._exit(127)

        self.begin = time.monotonic()
        try:
            child = subprocess.Popen(
                self.order.argv,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                cwd=self.order.cwd,
                env=self.order.env,
                start_new_session=True,
                preexec_fn=die_with_owner,  # noqa: PLW1509 - this process has one thread
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.end = time.monotonic()
            cwd = self.order.cwd
            what = self.order.argv[0] if cwd is None or cwd.is_dir() else f"folder {cwd}"
            self.not_started = f"{what}: {getattr(error, 'strerror', None) or error}"
            os.close(read_end)
            return
        finally:
            os.close(write_end)
        child.returncode = 0  # reaped below by wait4; keeps Popen from reaping or complaining
        stat = process.stat_of(child.pid)
        assert stat is not None, "a child stays until it is reaped"
        self.main = stat.process
        self.pipe = read_end
        self.poller.register(read_end, select.POLLIN)
        self._note_start(self.main)

    def _note_start(self, main: Process) -> None:
        if self.order.started is None:
            return
        try:
            self.record_path = started.note(self.order.started, process.myself(), main)
        except OSError as error:
            self.record_error = f"the start could not be recorded: {error.strerror}"

    def _turn(self) -> None:
        events = self.poller.poll(self._wait_s(time.monotonic()) * 1000)
        self.signals.drain()
        if self.signals.is_child_waiting or self.ending is not None or self.main is None:
            self._reap()
        ready = {descriptor for descriptor, _ in events}
        if self.pipe in ready:
            self._pump()
        if self.orders is not None and INPUT in ready and not self.orders.read():
            self.poller.unregister(INPUT)
            self.orders = None
        if not self.has_no_children:
            self._decide(time.monotonic())

    def _wait_s(self, now: float) -> float:
        if self.ending is not None or self.orphans is not None:
            return ENDING_POLL_S
        if self.main is None or self.signals.is_child_waiting or self.signals.is_cancelled:
            return 0.0
        idle_s = max(0.0, self.orphans_at - now) if self.order.ends_orphans else IDLE_POLL_S
        if self.order.limit_s is None:
            return idle_s
        return min(idle_s, max(0.0, self.begin + self.order.limit_s - now) + 0.001)

    def _reap(self) -> None:
        self.signals.is_child_waiting = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.has_no_children = True
                return
            if pid == 0:
                return
            if self.main is not None and pid == self.main.pid and self.wait_status is None:
                self.end = time.monotonic()
                self.wait_status = status
                self.max_rss_b = usage.ru_maxrss * 1024

    def _pump(self) -> None:
        """Reads what there is, but not for ever: a subject that only prints must not escape its limit."""
        if self.pipe is None:
            return
        for _ in range(CHUNKS_A_TURN):
            try:
                chunk = os.read(self.pipe, CHUNK_B)
            except BlockingIOError:
                return
            if not chunk:
                self.poller.unregister(self.pipe)
                os.close(self.pipe)
                self.pipe = None
                return
            self.output.take(chunk)

    def _decide(self, now: float) -> None:
        if self.ending is not None:
            self.ending.step(now)
            if self.wait_status is not None:
                self.outlived |= self.ending.left
            return
        limit_s = self.order.limit_s
        if self.wait_status is not None:
            self._end_all(now)
        elif self.signals.is_cancelled:
            self.is_cancelled = True
            self._end_all(now)
        elif limit_s is not None and now >= self.begin + limit_s:
            self._time_out()
        elif self.order.ends_orphans:
            self._end_orphans(now)

    def _stop(self) -> int:
        """Not a main process that was told to end: it would take its whole grace. What it left may stand."""
        is_told = self.ending is not None and self.wait_status is None
        return 0 if is_told else tree.stop()

    def _time_out(self) -> None:
        if self.ending is None and self.wait_status is None:
            self.is_timed_out = True
            self._end_all(time.monotonic())

    def _end_all(self, now: float) -> None:
        me = os.getpid()
        is_early = self.wait_status is None
        self.ending = Ending(
            lambda: process.living_below([me]),
            now=now,
            grace_s=self.order.grace_s,
            first=self.main if is_early else None,
            first_s=self.order.gentle_s if is_early else 0.0,
        )

    def _end_orphans(self, now: float) -> None:
        if self.orphans is None:
            if now < self.orphans_at:
                return
            self.orphans_at = now + self.orphan_poll_s
            if not self._orphan_tops():
                return
            self.orphans = Ending(self._orphaned, now=now, grace_s=self.order.grace_s)
        self.orphans.step(now)
        self.outlived |= self.orphans.seen
        if not self.orphans.left:
            self.orphans = None

    def _orphan_tops(self) -> set[Process]:
        return process.children() - {self.main}

    def _orphaned(self) -> set[Process]:
        tops = self._orphan_tops()
        return tops | process.living_below([top.pid for top in tops])

    def _is_stuck(self) -> bool:
        return self.ending is not None and self.ending.is_stuck(time.monotonic())

    def _drain(self) -> None:
        until = time.monotonic() + DRAIN_S
        while self.pipe is not None and time.monotonic() < until:
            if not select.select([self.pipe], [], [], 0)[0]:
                return
            self._pump()

    def _report(self) -> dict[str, Any]:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = None if self.wait_status is None else os.waitstatus_to_exitcode(self.wait_status)
        left = [] if self.has_no_children or self.ending is None else sorted(p.pid for p in self.ending.left)
        return {
            "begin": self.begin,
            "end": self.end if self.wait_status is not None or self.not_started else time.monotonic(),
            "pid": self.main.pid if self.main else None,
            "status": status if status is not None and status >= 0 else None,
            "signal": -status if status is not None and status < 0 else None,
            "timed_out": self.is_timed_out,
            "cancelled": self.is_cancelled,
            "survivors": len(self.outlived),
            "left": left,
            "max_rss_b": self.max_rss_b,
            "user_s": usage.ru_utime - self.usage_before.ru_utime,
            "system_s": usage.ru_stime - self.usage_before.ru_stime,
            "log_b": self.output.written_b,
            "log_dropped_b": self.output.dropped_b,
            "log_error": self.output.error,
            "record_error": self.record_error,
            "not_started": self.not_started,
        }

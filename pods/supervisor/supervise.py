"""Works one job folder off: claims it, owns its worker, beats, obeys, and leaves an exit record.

A job is begun once. The worker's owner is a fork of this process, so that whichever of the two is killed,
the other ends what is left. The exit record is written when every process is gone, then the lease is given
back. A supervisor that finds a dead one's claim ends its survivors and writes its exit record; it takes over
nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
import traceback
from pathlib import Path
from typing import Any

from . import exits, gpu, lease, process, record, started
from .owner import Order, own
from .paths import JobPaths, MachinePaths
from .process import Ending, Process
from .signals import Signals

SCHEMA = 1
BEAT_S = 2.0
LOG_LIMIT_B = 8 << 20
OVERDUE_S = 60.0
"""The owner is ended itself when it is that late with ending its tree."""


class Refused(Exception):
    """This job is not begun (again): it says why."""


def run(job: Path, *, is_cancelled: bool = False) -> dict[str, Any]:
    """Supervises the job to its end; its exit record. Cancelled: a job that nobody has claimed ends
    unstarted.

    Raises Refused, BrokenRecord, OSError.
    """
    paths = JobPaths(job)
    if paths.exit.exists():
        raise Refused("this job has ended already")
    signals = Signals()  # before the claim: a claim must not die of a TERM without its exit record
    signals.is_cancelled |= is_cancelled
    paths.started.mkdir(exist_ok=True)
    began = {"wall": exits.now(), "monotonic_s": time.monotonic()}
    claim = {"schema": SCHEMA, "supervisor": process.myself().to_dict(), "began": began}
    if record.claim(paths.claim, started.CLAIM, claim):
        return _Supervisor(paths, began, signals).work()
    if started.supervisor_of(paths) is not None:
        raise Refused("this job has a supervisor that lives")
    return exits.bury(paths)


class _Supervisor:
    def __init__(self, paths: JobPaths[Path], began: dict[str, Any], signals: Signals) -> None:
        self.paths = paths
        self.began = began
        self.body: dict[str, Any] = {}
        self.signals = signals
        self.owner: Process | None = None
        self.pipe = -1
        self.report = b""
        self.cancelled_at: float | None = None
        self.beats = 0
        self.beat_at = 0.0
        self.survivors: set[Process] = set()
        self.left: list[int] = []
        self.is_owner_gone = False

    def work(self) -> dict[str, Any]:
        process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        try:
            outcome = self._try()
        except Exception:  # our bug: it is told where it is looked for, and leaves no process
            outcome = {"outcome": "crashed", "detail": f"the supervisor failed:\n{traceback.format_exc()}"}
        self._end_all()
        self.body = self.body or exits.body_of(self.paths)
        body = exits.exit_record(self.body, self.began, **outcome)
        body["survivors"] += len(self.survivors)
        body["left"] = self.left
        gpu.settle(self.paths, self.body, self.left)
        exits.write(self.paths, body)
        exits.release(self.paths, self.body)
        return body

    def _try(self) -> dict[str, Any]:
        started.end_living(self.paths, exits.GRACE_S)
        try:
            self.body = record.read(self.paths.job) or {}
            order = self._order()
        except (record.BrokenRecord, KeyError, TypeError, ValueError) as error:
            return {"outcome": "not started", "detail": f"job.json: {error!r}"}
        if self.paths.stop.exists() or self.signals.is_cancelled:
            return {"outcome": "cancelled", "detail": "cancelled before the start"}
        if self.body.get("machine") is not None and self._adopt() is None:
            return {"outcome": "not started", "detail": f"slot {self.body['slot']} is not leased to this job"}
        exits.reserve(self.paths)
        gpu.note(self.paths, self.body["slot"])
        self._beat(time.monotonic())
        self._fork(order)
        while not self.is_owner_gone:
            self._turn(order)
        return self._outcome()

    def _order(self) -> Order:
        body = self.body
        if body["schema"] != SCHEMA:
            raise ValueError(f"schema {body['schema']!r}, this reads {SCHEMA}")
        env = {**os.environ, **body["env"], started.MARK: str(self.paths.root)}
        argv = tuple(body["command"])
        if not argv or not all(isinstance(part, str) for part in (*argv, *env.values())):
            raise TypeError("command and env are of strings")
        return Order(
            argv=argv,
            log=self.paths.log,
            log_limit_b=LOG_LIMIT_B,
            limit_s=float(body["limit_s"]) - (time.monotonic() - self.began["monotonic_s"]),
            parent=os.getpid(),
            grace_s=exits.grace_s(body),
            gentle_s=float(body["grace_s"]),
            cwd=self.paths.root,
            started=self.paths.started,
            env=env,
            ends_orphans=True,
        )

    def _adopt(self) -> str | None:
        return lease.adopt(MachinePaths(Path(self.body["machine"])), self.body["slot"], self.paths.root)

    def _fork(self, order: Order) -> None:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = os.fork()  # one thread; no second start of Python, no path to find ourselves by
        if pid == 0:
            _be_owner(order, write_end)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(write_end)
        os.set_blocking(read_end, False)
        self.pipe = read_end
        stat = process.stat_of(pid)
        assert stat is not None, "a child stays until it is reaped"
        self.owner = stat.process

    def _turn(self, order: Order) -> None:
        wait_s = max(0.0, self.beat_at + BEAT_S - time.monotonic())
        select.select([self.signals.descriptor], [], [], wait_s)
        self.signals.drain()
        now = time.monotonic()
        self._reap()
        self._obey(now, order)
        if now >= self.beat_at + BEAT_S:
            self._beat(now)

    def _reap(self) -> None:
        """Reaps all that ended; the owner's report is read when it is gone: it is one short line."""
        while (pid := _wait_any()) > 0:
            if self.owner is not None and pid == self.owner.pid:
                self.is_owner_gone = True
                with contextlib.suppress(BlockingIOError):
                    self.report = os.read(self.pipe, 1 << 16)

    def _obey(self, now: float, order: Order) -> None:
        assert self.owner is not None
        if self.cancelled_at is None and (self.signals.is_cancelled or self.paths.stop.exists()):
            self.cancelled_at = now
            process.send(self.owner, signal.SIGTERM)
        due_at = self.cancelled_at
        if due_at is None and order.limit_s is not None:
            due_at = self.began["monotonic_s"] + float(self.body["limit_s"])
        if due_at is not None and now > due_at + order.gentle_s + order.grace_s + OVERDUE_S:
            process.send(self.owner, signal.SIGKILL)

    def _beat(self, now: float) -> None:
        self.beat_at = now
        self.beats += 1
        beat = {
            "schema": SCHEMA,
            **process.myself().to_dict(),
            "monotonic_s": now,
            "wall": exits.now(),
            "count": self.beats,
        }
        with contextlib.suppress(OSError):  # a full disk: the old beat grows stale, the job goes on
            record.write(self.paths.heartbeat, beat, is_durable=False)

    def _end_all(self) -> None:
        me = os.getpid()
        ending = Ending(
            lambda: process.living_below([me]), now=time.monotonic(), grace_s=exits.grace_s(self.body)
        )
        while _wait_any() != _NO_CHILDREN:
            ending.step(time.monotonic())
            if ending.left and ending.is_stuck(time.monotonic()):
                break
            select.select([self.signals.descriptor], [], [], 0.02)
            self.signals.drain()
            self._beat_if_due()
        self.survivors |= ending.seen
        self.left = sorted(one.pid for one in ending.left if process.process_of(one.pid) == one)

    def _beat_if_due(self) -> None:
        now = time.monotonic()
        if now >= self.beat_at + BEAT_S:
            self._beat(now)

    def _outcome(self) -> dict[str, Any]:
        try:
            report = json.loads(self.report)
        except ValueError:
            return {"outcome": "crashed", "detail": "the owner of the worker was killed"}
        if "error" in report:
            return {"outcome": "crashed", "detail": f"the owner of the worker failed:\n{report['error']}"}
        shared = {"owner": report, "detail": report["not_started"]}
        if report["cancelled"]:
            return {"outcome": "cancelled", **shared}
        if report["not_started"] is not None:
            return {"outcome": "not started", **shared}
        if report["timed_out"]:
            return {"outcome": "timed out", **shared}
        return {"outcome": "finished" if report["status"] == 0 else "crashed", **shared}


def _be_owner(order: Order, write_end: int) -> None:
    """The forked child: never returns."""
    try:
        os.setsid()
        try:
            report = own(order)
        except Exception:
            report = {"error": traceback.format_exc()}
        os.write(write_end, json.dumps(report).encode())
    finally:
        os._exit(0)


_NO_CHILDREN = -1


def _wait_any() -> int:
    """Reaps one child: its id, 0 where none has ended, or `_NO_CHILDREN`."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return _NO_CHILDREN

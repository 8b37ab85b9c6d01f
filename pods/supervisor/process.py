"""Processes by id *and* start time, read from /proc; and how a set of them is ended.

An id alone may name somebody else a moment later, so a signal is sent through a pidfd whose start time was
checked. `Ending` is TERM, CONT, grace, KILL as a state that is stepped, never slept: its caller goes on
draining pipes and reaping meanwhile. A zombie without live threads is gone, also where nobody reaps it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STUCK_S = 30.0
"""A process that outlives KILL by this long hangs in the kernel; it is reported, not waited for."""

_STANDING: tuple[list[bytes], ...] = ([b"T"], [b"t"], [b"Z"], [b"X"], [])
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Process:
    pid: int
    starttime: int
    """Clock ticks after boot: field 22 of /proc/PID/stat."""

    def to_dict(self) -> dict[str, Any]:
        return {"pid": self.pid, "starttime": self.starttime, "boot": boot_id()}


@dataclass(frozen=True)
class Stat:
    process: Process
    parent: int
    is_gone: bool


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def stat_of(pid: int) -> Stat | None:
    fields = _fields_of(str(pid))
    if not fields:
        return None
    is_gone = fields[0] in (b"Z", b"X") and int(fields[17]) <= 1  # the leader of live threads may be a zombie
    return Stat(Process(pid, int(fields[19])), int(fields[1]), is_gone)


def _fields_of(place: str) -> list[bytes]:
    """The fields of a process or thread in /proc from the third on, its state; [] where it is gone.

    Without `Path`: walks of /proc are what stopping a tree costs, and this halves them.
    """
    try:
        descriptor = os.open(f"/proc/{place}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        raw = os.read(descriptor, 4096)
    except OSError:  # it ended meanwhile
        return []
    finally:
        os.close(descriptor)
    return raw[raw.rindex(b")") + 2 :].split()


def process_of(pid: int) -> Process | None:
    """None where no such process lives."""
    stat = stat_of(pid)
    return None if stat is None or stat.is_gone else stat.process


def myself() -> Process:
    me = process_of(os.getpid())
    assert me is not None
    return me


def age_s(process: Process) -> float:
    """How long ago it was started."""
    up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return max(0.0, up_s - process.starttime / os.sysconf("SC_CLK_TCK"))


def from_dict(record: Any) -> Process | None:
    """The living process that a record names; None where it has ended, or the machine was restarted since.

    The record of a process is {"pid", "starttime", "boot"}; anything else names nobody.
    """
    if not isinstance(record, dict) or record.get("boot") != boot_id():
        return None
    pid = record.get("pid")
    living = process_of(pid) if isinstance(pid, int) else None
    return living if living is not None and living.starttime == record.get("starttime") else None


def every_pid() -> Iterator[int]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                yield int(entry.name)


def has_list_of_children() -> bool:
    """Whether the kernel was built with one (CONFIG_PROC_CHILDREN)."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()


def children() -> set[Process]:
    """Living children of this process: the kernel's own list where it keeps one, else one walk of /proc."""
    me = os.getpid()
    try:
        listed = Path(f"/proc/{me}/task/{me}/children").read_text(encoding="ascii")
    except OSError:
        stats = map(stat_of, every_pid())
        return {one.process for one in stats if one is not None and one.parent == me and not one.is_gone}
    return {one for one in map(process_of, map(int, listed.split())) if one is not None}


def stands_still(process: Process) -> bool:
    """Whether none of its threads runs: each is stopped by a signal, traced, or has ended."""
    stat = stat_of(process.pid)
    if stat is None or stat.process != process or stat.is_gone:
        return True
    try:
        with os.scandir(f"/proc/{process.pid}/task") as threads:
            return all(_fields_of(f"{process.pid}/task/{one.name}")[:1] in _STANDING for one in threads)
    except OSError:
        return True


def living_below(roots: Iterable[int]) -> set[Process]:
    """All living descendants of the given process ids, without those themselves."""
    return set(lineage(roots))


def lineage(roots: Iterable[int]) -> list[Process]:
    """All living descendants, every one behind its parent. One walk of /proc: what is forked meanwhile is
    seen by the next walk."""
    children: dict[int, list[Stat]] = {}
    for pid in every_pid():
        stat = stat_of(pid)
        if stat is not None:
            children.setdefault(stat.parent, []).append(stat)
    found: list[Process] = []
    waiting = deque(roots)
    while waiting:
        for stat in children.pop(waiting.popleft(), ()):
            waiting.append(stat.process.pid)
            if not stat.is_gone:
                found.append(stat.process)
    return found


def send(process: Process, number: int) -> None:
    """Signals that very process; nothing happens where it has ended or belongs to somebody else."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (OSError, AttributeError):  # ended, a kernel before 5.3, or a Python built for one
        _send_by_pid(process, number)
        return
    try:
        if process_of(process.pid) == process:
            signal.pidfd_send_signal(descriptor, number)
    except (OSError, AttributeError):
        _send_by_pid(process, number)
    finally:
        os.close(descriptor)


def _send_by_pid(process: Process, number: int) -> None:
    if process_of(process.pid) != process:
        return
    try:
        os.kill(process.pid, number)
    except OSError:
        return


class Ending:
    """Ends what `find` finds: TERM and CONT to each once, after `grace_s` KILL until nothing is left.

    With `first` that one process alone gets TERM and `first_s` seconds to end its own affairs before the
    rest.
    """

    def __init__(
        self,
        find: Callable[[], set[Process]],
        *,
        now: float,
        grace_s: float,
        first: Process | None = None,
        first_s: float = 0.0,
    ) -> None:
        self.seen: set[Process] = set()
        self.left: set[Process] = set()
        self._find = find
        self._first = first if first_s > 0 else None
        self._first_until = now + first_s
        self._kill_at = now + (first_s if self._first else 0.0) + grace_s
        self._grace_s = grace_s
        self._termed: set[Process] = set()

    def step(self, now: float) -> None:
        """Looks and signals once; `left` is what was seen alive this time."""
        self.left = self._find()
        self.seen |= self.left
        if self._first is not None:
            if self._first in self.left and now < self._first_until:
                self._term(self._first)
                return
            self._first = None
            self._kill_at = now + self._grace_s
        for process in self.left:
            if now >= self._kill_at:
                send(process, signal.SIGKILL)
            else:
                self._term(process)

    def is_stuck(self, now: float) -> bool:
        return now > self._kill_at + STUCK_S and self._first is None

    def _term(self, process: Process) -> None:
        if process not in self._termed:
            self._termed.add(process)
            send(process, signal.SIGTERM)
            send(process, signal.SIGCONT)

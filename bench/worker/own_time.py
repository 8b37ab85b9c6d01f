"""CPU time of a tree of processes and what its threads waited for a CPU: whose the machine's time was.

Read from /proc, for the process that this runs in and all below it. Reading of those that are known is cheap,
finding new ones is not: `OwnTime` says when that is done. Linux only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
WALK_SHARE = 0.0003
"""Of a CPU that may be spent on walking through /proc: a walk that took 2 ms is repeated after 7 s."""
FRESH_S = 1.0
"""For so long after a run began each look is a walk."""
READ_B = 1 << 14  # two thousand children of one thread


class OwnTime:
    """CPU seconds of this process, of all processes below it, and of those of them that have ended.

    What has ended and was waited for stands in the figure of who waited, so the sum only grows. A process
    that is not known yet is missing, and what it uses would count as somebody else's: of a loader's workers,
    exactly where they slow their arm down. So at a mark all are known. In between one is missing until the
    next walk of /proc; walks are as frequent as they are cheap.
    """

    def __init__(self, *, can_follow: bool | None = None) -> None:
        """`can_follow`: the kernel tells the children of a thread; None: ask it."""
        self._fresh_until = 0.0
        self._known: dict[int, bytes] = {}
        self._walk_at = 0.0
        self._can_follow = _tells_children() if can_follow is None else can_follow
        self._forks = ""
        self._waits_s: dict[str, float] = {}
        self._waited_s = 0.0

    def fresh(self, now: float) -> None:
        """A run begins: its processes are new."""
        self._fresh_until = now + FRESH_S

    def look(self, now: float, forks: str | None = None) -> tuple[float, int]:
        """(CPU seconds, by how much the nicest process below this one is nicer than this one).

        `forks` is the machine's count of them at a mark, None in between: where it has not moved since the
        last mark nobody is new. "" is a count that is not known.
        """
        has_new = forks is not None and (not forks or forks != self._forks)
        if now < self._fresh_until or now >= self._walk_at or (has_new and not self._can_follow):
            self._walk(now)
        elif has_new:
            self._follow()
        if forks is not None:
            self._forks = forks
        times = os.times()
        total_s = times.user + times.system + times.children_user + times.children_system
        mine = os.nice(0)
        nicer = 0
        for pid, started in list(self._known.items()):
            stat = _stat_of(pid)
            if stat is None or stat[19] != started:  # ended; its number may be another's by now
                del self._known[pid]
                continue
            total_s += sum(map(int, stat[11:15])) * TICK_S
            nicer = max(nicer, int(stat[16]) - mine)
        return total_s, nicer

    def waited_s(self) -> float:
        """Seconds for which threads of the known processes waited for a CPU, summed over looks.

        What a thread waited after the last look before its end is lost.
        """
        waits_s = {path: wait_s for pid in self._known for path, wait_s in _waits_of(pid)}
        self._waited_s += sum(wait_s - self._waits_s.get(path, 0.0) for path, wait_s in waits_s.items())
        self._waits_s = waits_s
        return self._waited_s

    def _follow(self) -> None:
        """Take in what was born below the known processes since the last look."""
        waiting = [os.getpid(), *self._known]
        while waiting:
            for pid in _children_of(waiting.pop()):
                stat = None if pid in self._known else _stat_of(pid)
                if stat is not None:
                    self._known[pid] = stat[19]
                    waiting.append(pid)

    def _walk(self, now: float) -> None:
        began = time.thread_time()
        children: dict[int, list[tuple[int, bytes]]] = {}
        for pid in _every_pid():
            stat = _stat_of(pid)
            if stat is not None:
                children.setdefault(int(stat[1]), []).append((pid, stat[19]))
        self._known = {}
        waiting = [os.getpid()]
        while waiting:
            below = children.pop(waiting.pop(), [])
            self._known.update(below)
            waiting += [pid for pid, _ in below]
        self._walk_at = now + (time.thread_time() - began) / WALK_SHARE


def _tells_children() -> bool:
    """Kernels built with CONFIG_PROC_CHILDREN do, those of all distributions among them."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _children_of(pid: int) -> list[int]:
    """Of all its threads; none where it has ended."""
    return [
        int(child)
        for thread in _threads_of(pid)
        for child in _read(f"/proc/{pid}/task/{thread}/children").split()
    ]


def _waits_of(pid: int) -> Iterator[tuple[str, float]]:
    """(its number, seconds) of each thread of a process; nothing where the kernel does not count."""
    for thread in _threads_of(pid):
        fields = _read(f"/proc/{pid}/task/{thread}/schedstat").split()
        if len(fields) == 3:
            yield thread, int(fields[1]) * 1e-9


def _threads_of(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names alone, and many of them
    except OSError:
        return []


def _every_pid() -> Iterator[int]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                yield int(entry.name)


def _stat_of(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat after the name, the state being the first; None where it has ended."""
    raw = _read(f"/proc/{pid}/stat")
    return raw[raw.rfind(b")") + 2 :].split() if raw else None


def _read(path: str) -> bytes:
    """A file of /proc, b"" where its process has ended. `Path` is slow, and this is done for each thread."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, READ_B)
    except OSError:
        return b""
    finally:
        os.close(descriptor)

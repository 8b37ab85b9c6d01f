"""Stops and continues the whole tree below this process, so that it does not run beside one that is measured.

Stopping goes parent first. Then it is looked again, newest process first, until nothing new appears and the
kernel says that every thread stands still, or until `STOP_LIMIT_S` has passed (a process that is inside a
disk read stops when it comes out). What has ended counts as new too: a process that forks and ends at once is
never seen alive by a look that takes longer than its life, but as long as nobody here reaps it stays, and
tells that its line goes on. Continuing goes children first.
"""

from __future__ import annotations

import os
import signal
import time

from . import process
from .process import Process

STOP_LIMIT_S = 2.0
LOOK_AGAIN_S = 0.0005


def stop() -> int:
    """Stop every living descendant of this process; how many stand still."""
    stopped = process.lineage([os.getpid()])
    for found in stopped:
        process.send(found, signal.SIGSTOP)
    seen = set(stopped)
    until = time.monotonic() + STOP_LIMIT_S
    while not _stands_still(seen) and time.monotonic() < until:
        time.sleep(LOOK_AGAIN_S)
    return sum(process.process_of(one.pid) == one for one in seen)


def go_on() -> int:
    """Continue every living descendant of this process; how many there are."""
    found = process.lineage([os.getpid()])
    for one in reversed(found):
        process.send(one, signal.SIGCONT)
    return len(found)


def _stands_still(seen: set[Process]) -> bool:
    """Whether all that is below was seen before, and stands still. What is new is stopped at once."""
    stands_still, parents = True, {os.getpid(), *(one.pid for one in seen)}
    for pid in sorted(process.every_pid(), reverse=True):
        stat = process.stat_of(pid)
        if stat is None:
            continue
        if stat.process in seen:
            stands_still = stands_still and (stat.is_gone or process.stands_still(pid))
        elif stat.parent in parents and _is_ours(stat.parent, seen):
            process.send(stat.process, signal.SIGSTOP)
            seen.add(stat.process)
            parents.add(pid)
            stands_still = False
    return stands_still


def _is_ours(pid: int, seen: set[Process]) -> bool:
    """Whether the id of a parent still is that of the process that was seen, and not a stranger's."""
    if pid == os.getpid():
        return True
    stat = process.stat_of(pid)
    return stat is not None and stat.process in seen

"""Stops and continues the whole tree below this process, so that it does not run beside one that is measured.

Stopping begins with whole process groups, which the kernel signals at once: a line of processes that each
fork and end cannot outrun that. Then it goes parent first. Once the kernel says that every thread of all that
was found stands still, it is looked again, newest process first, until nothing new appears, or until
`STOP_LIMIT_S` has passed (a process that is inside a disk read stops when it comes out). What has ended
counts as new too: a process that forks and ends at once is hardly ever seen alive, but its parent stands
still, or is this process, so nobody reaps it, and it tells that its line goes on. Where all that is known
stands still and nothing is new, nothing else is there. Continuing goes children first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from . import process
from .process import Process

STOP_LIMIT_S = 2.0
LOOK_AGAIN_S = 0.0005


def stop() -> int:
    """Stop every living descendant of this process; how many stand still."""
    found = process.lineage([os.getpid()])
    _stop_groups(found)
    for one in found:
        process.send(one, signal.SIGSTOP)
    seen, until = set(found), time.monotonic() + STOP_LIMIT_S
    has_new = True
    while has_new and time.monotonic() < until:
        while not all(process.stands_still(one) for one in seen) and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
        has_new = _stop_new(seen)
    return sum(process.process_of(one.pid) == one for one in seen)


def go_on() -> int:
    """Continue every living descendant of this process; how many there are."""
    found = process.lineage([os.getpid()])
    for one in reversed(found):
        process.send(one, signal.SIGCONT)
    return len(found)


def _stop_groups(found: list[Process]) -> None:
    """A subject is started in a session of its own, so a group that one of it is in holds nobody else."""
    groups = set()
    for one in found:
        with contextlib.suppress(OSError):
            groups.add(os.getpgid(one.pid))
    for group in groups - {os.getpgrp()}:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGSTOP)


def _stop_new(seen: set[Process]) -> bool:
    """Stop what was not seen before, the moment that it is; whether there was any."""
    has_new, parents = False, {os.getpid(), *(one.pid for one in seen)}
    for pid in sorted(process.every_pid(), reverse=True):
        stat = process.stat_of(pid)
        if stat is None or stat.process in seen:
            continue
        if stat.parent in parents and _is_ours(stat.parent, seen):
            process.send(stat.process, signal.SIGSTOP)
            seen.add(stat.process)
            parents.add(pid)
            has_new = True
    return has_new


def _is_ours(pid: int, seen: set[Process]) -> bool:
    """Whether the id of a parent still is that of the process that was seen, and not a stranger's."""
    if pid == os.getpid():
        return True
    stat = process.stat_of(pid)
    return stat is not None and stat.process in seen

"""Stops and continues the whole tree below this process, so that it does not run beside one that is measured.

Stopping goes parent first and again until nothing new appears, so that what is forked meanwhile is stopped
too; it returns when the kernel says that all of them stand still, or after `STOP_LIMIT_S` (a process that is
inside a disk read stops when it comes out). Continuing goes children first.
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
    """Stop every living descendant of this process; how many there are."""
    stopped: set[Process] = set()
    while new := [found for found in process.lineage([os.getpid()]) if found not in stopped]:
        for found in new:
            process.send(found, signal.SIGSTOP)
        stopped.update(new)
    until = time.monotonic() + STOP_LIMIT_S
    while any(map(process.is_running, stopped)) and time.monotonic() < until:
        time.sleep(LOOK_AGAIN_S)
    return len(stopped)


def go_on() -> int:
    """Continue every living descendant of this process; how many there are."""
    found = process.lineage([os.getpid()])
    for one in reversed(found):
        process.send(one, signal.SIGCONT)
    return len(found)

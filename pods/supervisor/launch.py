"""Starts the supervisor of a job so that it outlives everything: its caller, its terminal, its connection.

A repeat starts nothing: whoever has the claim is the supervisor, and the answer names it. Standard input and
outputs of the supervisor are /dev/null; what it has to say stands in the job folder.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from . import started
from .paths import JobPaths

WAIT_S = 30.0
POLL_S = 0.01


def spawn(job: Path) -> dict[str, Any]:
    """{"pid", "starttime"} of the supervisor that lives, or both null with "why". Raises BrokenRecord,
    OSError."""
    paths = JobPaths(job)
    if not paths.job.exists():
        return _nobody("there is no such job")
    if started.claimed(paths) is None and not paths.exit.exists():
        _detach([sys.executable, "-I", "-S", str(paths.supervisor), "run", str(job)])
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        supervisor = started.supervisor_of(paths)
        if supervisor is not None:
            return {"pid": supervisor.pid, "starttime": supervisor.starttime, "why": None}
        if paths.exit.exists():
            return _nobody("this job has ended")
        if started.claimed(paths) is not None and started.supervisor_of(paths) is None:
            return _nobody("its supervisor is dead")
        time.sleep(POLL_S)
    return _nobody(f"the supervisor did not come up within {WAIT_S:.0f} s")


def _nobody(why: str) -> dict[str, Any]:
    return {"pid": None, "starttime": None, "why": why}


def _detach(argv: list[str]) -> None:
    """Forks twice with a session of its own in between, so that it belongs to init and to no terminal."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
        os.chdir("/")
        os.execv(argv[0], argv)  # noqa: S606 - ourselves, by argument list
    finally:
        os._exit(127)

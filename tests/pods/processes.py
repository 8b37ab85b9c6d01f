"""Waiting for real processes, and the subjects that misbehave."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pods.supervisor import process

DEADLINE_S = 40.0
HOSTILE_NAMES = (
    "plain",
    "two words",
    "quo'te\"s",
    "new\nline",
    "; echo pwned",
    "$(touch pwned)",
    "-rf",
    "naïve",
)

STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if os.fork():
    os.wait()
    os._exit(0)
os.setsid()
pid = os.fork() if sys.argv[2] == "adopted" else os.getpid()
if pid:
    with open(sys.argv[1] + ".tmp", "w") as file:
        file.write(str(pid))
    os.rename(sys.argv[1] + ".tmp", sys.argv[1])
    if sys.argv[2] == "adopted":
        os._exit(0)
time.sleep(1000)
"""


def stubborn(pid_file: Path) -> str:
    """A shell command that leaves a process behind: it ignores TERM, is in a session of its own, and its
    parent is gone when the command ends. Its id is in `pid_file` by then."""
    return f"{shlex.quote(sys.executable)} -S -c '{STUBBORN}' {pid_file} adopted"


def stubborn_child(pid_file: Path) -> str:
    """The same, except that its parent lives on in the background."""
    wait = f"while [ ! -e {pid_file} ]; do sleep 0.01; done"
    return f"{shlex.quote(sys.executable)} -S -c '{STUBBORN}' {pid_file} child & {wait}"


def eventually(claim: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    until = time.monotonic() + deadline_s
    while not claim():
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    return process.process_of(pid) is not None


def pid_in(path: Path) -> int:
    """Waits for the file: it is renamed into place."""
    eventually(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100

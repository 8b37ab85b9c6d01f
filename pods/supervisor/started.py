"""Who was started under a job folder and still lives: the records in `started/`, and the job's mark.

An owner notes itself and its main child while it owns them. A killed owner leaves its note behind; by
process id, start time and boot id its survivors are found and ended. What was also given to init (setsid,
forked twice) is found by the mark that the supervisor put into the environment of all it started.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from . import process, record
from .paths import JobPaths
from .process import Ending, Process

MARK = "_paceline_job"
"""Environment variable whose value is the job folder."""
SCHEMA = 1
CLAIM = "record.json"


def note(folder: Path, owner: Process, child: Process) -> Path:
    """Raises OSError."""
    path = folder / f"{child.pid}-{child.starttime}.json"
    body = {"schema": SCHEMA, "owner": owner.to_dict(), "child": child.to_dict(), "boot": process.boot_id()}
    record.write(path, body)
    return path


def claimed(paths: JobPaths[Path]) -> dict[str, Any] | None:
    """The record of the one supervisor of this job. Raises BrokenRecord."""
    return record.read(paths.claim / CLAIM)


def supervisor_of(paths: JobPaths[Path]) -> Process | None:
    """The supervisor, if it lives. Raises BrokenRecord."""
    claim = claimed(paths)
    return process.from_dict(claim.get("supervisor")) if claim else None


def living(paths: JobPaths[Path]) -> set[Process]:
    """All living processes of a job, without this process and those above it."""
    roots = _recorded(paths) | _marked(paths.root)
    below = process.living_below([root.pid for root in roots])
    spared = _line_above(os.getpid())
    return {one for one in roots | below if one.pid not in spared}


def end_living(paths: JobPaths[Path], grace_s: float) -> tuple[int, list[int]]:
    """Ends them; how many there were, and the ids of those that would not end."""
    ending = Ending(lambda: living(paths), now=time.monotonic(), grace_s=grace_s)
    quiet_looks = 0
    while quiet_looks < 2:  # a process forked while /proc was being walked is seen by the next look
        now = time.monotonic()
        ending.step(now)
        if ending.left and ending.is_stuck(now):
            break
        quiet_looks = 0 if ending.left else quiet_looks + 1
        time.sleep(0.02)
    return len(ending.seen), sorted(one.pid for one in ending.left)


def _recorded(paths: JobPaths[Path]) -> set[Process]:
    records: list[Any] = []
    with contextlib.suppress(record.BrokenRecord):
        records.append((claimed(paths) or {}).get("supervisor"))
    for path in paths.started.glob("*-*.json"):
        with contextlib.suppress(record.BrokenRecord):
            body = record.read(path) or {}
            records += [body.get("owner"), body.get("child")]
    return {one for one in map(process.from_dict, records) if one is not None}


def _marked(root: Path) -> set[Process]:
    mark = f"{MARK}={root}".encode("utf-8", "surrogateescape")
    found = set()
    for pid in process.every_pid():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if mark in environment.split(b"\0"):
            one = process.process_of(pid)
            if one is not None:
                found.add(one)
    return found


def _line_above(pid: int) -> set[int]:
    line: set[int] = set()
    while pid > 0 and pid not in line:
        line.add(pid)
        stat = process.stat_of(pid)
        pid = stat.parent if stat else 0
    return line

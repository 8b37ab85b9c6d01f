"""What there is to know about a job, in one look; and how a job is cancelled.

A look changes nothing. It reads whether the supervisor lives before it reads the exit record, so that a job
which ends in between is never taken for a lost one. Cancelling leaves an exit record in every case: from the
living supervisor, for a dead one, and for a job that was never launched, which then can never be.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from . import exits, lease, process, record, started, supervise
from .paths import JobPaths, MachinePaths

SCHEMA = 1
PROGRESS_LIMIT_B = 64 << 10
POLL_S = 0.05
LATE_S = 30.0
"""How long after its own grace a supervisor may take to leave its exit record."""


def state(job: Path) -> dict[str, Any]:
    paths = JobPaths(job)
    broken: list[str] = []
    claim = _read(paths.claim / started.CLAIM, broken)
    supervisor = process.from_dict((claim or {}).get("supervisor"))
    heartbeat = _read(paths.heartbeat, broken)
    body = _read(paths.job, broken)
    return {
        "schema": SCHEMA,
        "exists": body is not None or _is_there(paths.root, broken),
        "is_prepared": body is not None,
        "is_launched": claim is not None,
        "is_alive": supervisor is not None,
        "is_restarted": claim is not None
        and (claim.get("supervisor") or {}).get("boot") != process.boot_id(),
        "supervisor": (claim or {}).get("supervisor"),
        "exit": _read(paths.exit, broken),
        "heartbeat": None if heartbeat is None else {**heartbeat, "age_s": _age_s(heartbeat)},
        "is_stopping": _is_there(paths.stop, broken),
        "progress": _progress(paths),
        "quiet_s": _quiet_s(paths),
        "holder": _holder(body or {}, broken),
        "wall": exits.now(),
        "broken": broken,
    }


def cancel(job: Path, wait_s: float | None) -> dict[str, Any]:
    """{"ended", "left"}: ended means an exit record and no process. Raises BrokenRecord, OSError."""
    paths = JobPaths(job)
    body = exits.body_of(paths)
    if wait_s is None:
        wait_s = float(body.get("grace_s") or 0.0) + exits.grace_s(body) + LATE_S
    if not paths.exit.exists():
        with contextlib.suppress(OSError):  # a full disk: the signal is enough
            record.write(paths.stop, {"schema": SCHEMA, "wall": exits.now()})
    until = time.monotonic() + wait_s
    while not paths.exit.exists() and time.monotonic() < until:
        supervisor = started.supervisor_of(paths)
        if supervisor is not None:
            process.send(supervisor, signal.SIGTERM)
            time.sleep(POLL_S)
            continue
        with contextlib.suppress(supervise.Refused):
            supervise.run(job, is_cancelled=True)  # never launched, or dead: it starts nothing
    _, left = started.end_living(paths, exits.grace_s(body))
    if not paths.exit.exists() and started.supervisor_of(paths) is None:
        exits.bury(paths)
    return {"ended": paths.exit.exists() and not left, "left": left}


def _read(path: Path, broken: list[str]) -> dict[str, Any] | None:
    try:
        return record.read(path)
    except record.BrokenRecord as error:
        broken.append(str(error))
        return None


def _is_there(path: Path, broken: list[str]) -> bool:
    try:
        return record.is_there(path)
    except OSError as error:
        broken.append(f"{path.name}: {error.strerror}")
        return True


def _age_s(heartbeat: dict[str, Any]) -> float | None:
    """Seconds since the beat by this machine's monotonic clock; None where it was restarted since."""
    beat_s = heartbeat.get("monotonic_s")
    if heartbeat.get("boot") != process.boot_id() or not isinstance(beat_s, (int, float)):
        return None
    return time.monotonic() - beat_s


def _quiet_s(paths: JobPaths[Path]) -> float | None:
    """Since the worker or a run last wrote anything; None where neither has yet. A heartbeat is no sign: the
    supervisor is well while what it owns hangs."""
    written = [at for path in (paths.progress, paths.log) if (at := _written_at(path)) is not None]
    for folder, _, names in os.walk(paths.runs):
        written += [at for name in names if (at := _written_at(Path(folder, name))) is not None]
    return max(0.0, time.time() - max(written)) if written else None


def _written_at(path: Path) -> float | None:
    try:
        return path.lstat().st_mtime
    except OSError:
        return None


def _progress(paths: JobPaths[Path]) -> str | None:
    try:
        with paths.progress.open("rb") as file:
            return file.read(PROGRESS_LIMIT_B).decode("utf-8", "replace")
    except OSError:
        return None


def _holder(body: dict[str, Any], broken: list[str]) -> dict[str, Any] | None:
    if body.get("machine") is None:
        return None
    try:
        return _read(MachinePaths(Path(body["machine"])).lease(body["slot"]) / lease.HOLDER, broken)
    except (KeyError, TypeError, ValueError) as error:
        broken.append(f"job.json: {error!r}")
        return None

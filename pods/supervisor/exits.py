"""The exit record of a job: the only thing that says how it ended.

Owns its form (schema 1) and its writing, also on a full disk and for a supervisor that was killed. It is
written when no process of the job is left, and the lease is given back after it, never before.
"""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import gpu, lease, process, record, started
from .paths import JobPaths, MachinePaths

SCHEMA = 1
RETRIES = 60
RESERVE_B = 64 << 10
GRACE_S = 10.0
"""Between TERM and KILL for all that the worker did not end itself; less where the job's `grace_s` is
less."""


def bury(paths: JobPaths[Path]) -> dict[str, Any]:
    """Ends what a dead supervisor left behind and writes the exit record that it could not."""
    claim = started.claimed(paths) or {}
    body = body_of(paths)
    ended, left = started.end_living(paths, grace_s(body))
    if paths.exit.exists():  # another one buried it meanwhile
        return record.read(paths.exit) or {}
    supervisor = claim.get("supervisor") or {}
    was_restarted = supervisor.get("boot") != process.boot_id()
    detail = "the machine was restarted" if was_restarted else "the supervisor was killed"
    final = exit_record(body, claim.get("began") or {}, outcome="crashed", detail=detail)
    final |= {"survivors": ended, "left": left}
    gpu.settle(paths, body, left)
    write(paths, final)
    release(paths, body)
    return final


def exit_record(
    body: dict[str, Any], began: dict[str, Any], *, outcome: str, detail: str | None, owner: Any = None
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": body.get("name"),
        "plan": body.get("plan"),
        "outcome": outcome,
        "detail": detail,
        "status": owner["status"] if owner else None,
        "signal": owner["signal"] if owner else None,
        "begin": began.get("wall"),
        "end": now(),
        "begin_monotonic_s": began.get("monotonic_s"),
        "end_monotonic_s": time.monotonic(),
        "boot": process.boot_id(),
        "survivors": owner["survivors"] if owner else 0,
        "left": [],
        "owner": owner,
    }


def body_of(paths: JobPaths[Path]) -> dict[str, Any]:
    with contextlib.suppress(record.BrokenRecord):
        return record.read(paths.job) or {}
    return {}


def grace_s(body: dict[str, Any]) -> float:
    own_s = body.get("grace_s")
    return min(GRACE_S, max(0.0, own_s)) if isinstance(own_s, (int, float)) else GRACE_S


def reserve(paths: JobPaths[Path]) -> None:
    """Sets disk space aside at the start, so that a subject that fills the disk leaves room for its
    record."""
    with contextlib.suppress(OSError):
        _reserved(paths).write_bytes(bytes(RESERVE_B))


def write(paths: JobPaths[Path], final: dict[str, Any]) -> None:
    """The one record that must come to be: on a full disk it is tried for a minute."""
    with contextlib.suppress(OSError):
        _reserved(paths).unlink()
    for _ in range(RETRIES):
        try:
            record.write(paths.exit, final)
        except OSError:  # noqa: PERF203 - a retry is a try in a loop
            time.sleep(1.0)
        else:
            return


def release(paths: JobPaths[Path], body: dict[str, Any]) -> None:
    if body.get("machine") is None or not isinstance(body.get("slot"), str):
        return
    machine = MachinePaths(Path(body["machine"]))
    with contextlib.suppress(OSError, ValueError):
        token = lease.token_of(machine, body["slot"], paths.root)
        if token is not None:
            lease.release(machine, body["slot"], token)


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _reserved(paths: JobPaths[Path]) -> Path:
    return paths.started / "reserve"

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

from . import lease, process, record, started
from .paths import JobPaths, MachinePaths

SCHEMA = 1
RETRIES = 60
BURIAL_GRACE_S = 10.0


def bury(paths: JobPaths[Path]) -> dict[str, Any]:
    """Ends what a dead supervisor left behind and writes the exit record that it could not."""
    claim = started.claimed(paths) or {}
    ended, left = started.end_living(paths, BURIAL_GRACE_S)
    if paths.exit.exists():  # another one buried it meanwhile
        return record.read(paths.exit) or {}
    supervisor = claim.get("supervisor") or {}
    was_restarted = supervisor.get("boot") != process.boot_id()
    detail = "the machine was restarted" if was_restarted else "the supervisor was killed"
    body = body_of(paths)
    final = exit_record(body, claim.get("began") or {}, outcome="crashed", detail=detail)
    final |= {"survivors": ended, "left": left}
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


def write(paths: JobPaths[Path], final: dict[str, Any]) -> None:
    """The one record that must come to be: on a full disk it is tried for a minute."""
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

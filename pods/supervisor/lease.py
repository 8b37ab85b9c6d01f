"""The right to use one slot: a folder in the machine-wide folder, there or not there.

The holder's record comes into being together with its folder, by one rename, so that exactly one of many
takers wins and a crash never leaves a lease without a holder. Everything that changes a lease happens under
one lock file, which the kernel drops with its process. A lease whose record cannot be read is held: unknown
is busy. It is reclaimed only when its job has an exit record, or when its supervisor is dead, its time to
start is over and no process of the job lives; never that of another user, since only they and root can see
whether a process of theirs belongs to the job.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import process, quarantine, record, started
from .paths import JobPaths, MachinePaths

SCHEMA = 1
HOLDER = "holder.json"
START_WITHIN_S = 120.0
"""A job may be that slow from its lease to its supervisor; from then on, no supervisor means no holder."""


def take(machine: MachinePaths[Path], slot: str, job: Path, start_within_s: float) -> dict[str, Any]:
    """{"taken": true, "token"} or {"taken": false, "holder", "why"}. A repeat by the holder's own job gets
    its token again. Raises ValueError for a slot that cannot be one, OSError."""
    folder = machine.lease(slot)
    with _locked(machine):
        if JobPaths(job).exit.exists():
            return {"taken": False, "holder": None, "why": "this job has ended"}
        held, why = _look(folder, start_within_s)
        if held is not None and held.get("job") == str(job) and held.get("token"):
            return {"taken": True, "token": held["token"]}
        if why is not None:
            return {"taken": False, "holder": held, "why": why}
        if (against := quarantine.why(machine, slot)) is not None:
            return {"taken": False, "holder": None, "why": against}
        if held is not None:
            _remove(folder)
        token = uuid.uuid4().hex
        holder = {
            "schema": SCHEMA,
            "slot": slot,
            "job": str(job),
            "token": token,
            "taken_at": datetime.now(timezone.utc).isoformat(),
            "taken_monotonic_s": time.monotonic(),
            "boot": process.boot_id(),
            "supervisor": None,
        }
        if record.claim(folder, HOLDER, holder):
            return {"taken": True, "token": token}
    return {"taken": False, "holder": None, "why": "something that is not a lease stands in its place"}


def release(machine: MachinePaths[Path], slot: str, token: str) -> dict[str, Any]:
    """{"released", "why"}: a stale token releases nothing; what is gone already counts as released by
    nobody."""
    folder = machine.lease(slot)
    with _locked(machine):
        try:
            holder = record.read(folder / HOLDER)
        except record.BrokenRecord as error:
            return {"released": False, "why": str(error)}
        if holder is None:
            return {"released": False, "why": "not held"}
        if holder.get("token") != token:
            return {"released": False, "why": "held by somebody else"}
        _remove(folder)
    return {"released": True, "why": None}


def show(machine: MachinePaths[Path], slot: str | None, start_within_s: float) -> dict[str, Any]:
    """{"leases": [{"slot", "holder", "age_s", "held_because"}]}; `held_because` null: may be reclaimed.

    Raises OSError where the leases cannot be listed.
    """
    names = [machine.lease(slot).name] if slot else record.names_in(machine.leases)
    leases = []
    for folder in (machine.leases / name for name in names):
        holder, why = _look(folder, start_within_s)
        if holder is not None or why is not None:
            leases.append(
                {"slot": folder.name, "holder": holder, "age_s": age_s(holder), "held_because": why}
            )
    return {"leases": leases}


def adopt(machine: MachinePaths[Path], slot: str, job: Path) -> str | None:
    """The supervisor of `job` writes itself into the lease that was taken for it; the token, or None where
    the lease belongs to another job or to nobody."""
    folder = machine.lease(slot)
    with _locked(machine):
        try:
            holder = record.read(folder / HOLDER)
        except record.BrokenRecord:
            return None
        if holder is None or holder.get("job") != str(job):
            return None
        record.write(folder / HOLDER, {**holder, "supervisor": process.myself().to_dict()})
    return str(holder["token"])


def token_of(machine: MachinePaths[Path], slot: str, job: Path) -> str | None:
    """The token of the lease that `job` holds, None where it holds none."""
    with contextlib.suppress(record.BrokenRecord):
        holder = record.read(machine.lease(slot) / HOLDER)
        if holder is not None and holder.get("job") == str(job):
            return str(holder["token"])
    return None


def age_s(holder: dict[str, Any] | None) -> float | None:
    """Seconds since it was taken, by this machine's monotonic clock; None where it was restarted since."""
    if holder is None or holder.get("boot") != process.boot_id():
        return None
    taken_s = holder.get("taken_monotonic_s")
    return time.monotonic() - taken_s if isinstance(taken_s, (int, float)) else None


def _look(folder: Path, start_within_s: float) -> tuple[dict[str, Any] | None, str | None]:
    """The holder, and why the lease stands; (None, None) is free, (holder, None) may be reclaimed."""
    try:
        holder = record.read(folder / HOLDER)
    except record.BrokenRecord as error:
        return None, f"unreadable: {error}"
    if holder is None:
        return None, None
    return holder, _why_held(holder, start_within_s) or _whose(folder)


def _why_held(holder: dict[str, Any], start_within_s: float) -> str | None:
    job = JobPaths(Path(str(holder.get("job"))))
    try:
        if record.is_there(job.exit):
            return None
    except OSError as error:
        return f"its job folder cannot be read: {error.strerror}"
    try:
        is_supervised = process.from_dict(holder.get("supervisor")) or started.supervisor_of(job)
    except record.BrokenRecord as error:
        return f"unreadable: {error}"
    if is_supervised:
        return "its supervisor lives"
    age = age_s(holder)
    if age is not None and age < start_within_s and holder.get("supervisor") is None:
        return f"taken {age:.0f} s ago, may start within {start_within_s:.0f} s"
    if started.living(job):
        return "processes of its job still live"
    return None


def _whose(folder: Path) -> str | None:
    """Who has to give a lease back that nothing else holds: None where we may."""
    try:
        owner = folder.stat().st_uid
    except OSError:  # given back meanwhile
        return None
    if os.geteuid() in (0, owner):
        return None
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    who = f"user {name}'s, whose processes we cannot see"
    return f"{who}: {name} or root may give it back by paceline pods leases --release"


def _remove(folder: Path) -> None:
    aside = folder.with_name(f".{uuid.uuid4().hex}.gone")
    folder.rename(aside)
    record.sync_folder(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _locked(machine: MachinePaths[Path]) -> Iterator[None]:
    for folder in (machine.root, machine.leases):
        record.share(folder)
    descriptor = os.open(machine.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with contextlib.suppress(PermissionError):  # another user's, who has shared it
        os.fchmod(descriptor, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for litter in machine.leases.glob(".*"):  # of takers that were killed: nobody else is in here
            shutil.rmtree(litter, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)

"""Every outer file name of a job folder and of a machine-wide folder, and the name of a job.

Owns names only: nothing here touches a disk. What lies under `runs/` belongs to `bench`. Used on both sides:
by the agent with a `PurePosixPath` of another machine, by the supervisor with a `Path` of its own.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

P = TypeVar("P", PurePosixPath, Path)
"""A path of another machine (names only), or one of this machine."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_SLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class JobPaths(Generic[P]):
    """A job is its folder `root`; this owns the names in it."""

    def __init__(self, root: P) -> None:
        self.root: P = root
        self.plan: P = root / "plan.json"
        self.job: P = root / "job.json"
        self.supervisor: P = root / "supervisor.pyz"
        self.worker: P = root / "worker.pyz"
        self.started: P = root / "started"
        """Records of every process that an owner started, while it owns it."""
        self.claim: P = root / "started" / "supervisor"
        """The folder that only one supervisor can make; stays, so that a job is never begun twice."""
        self.heartbeat: P = root / "heartbeat"
        self.stop: P = root / "stop"
        self.enough: P = root / "enough"
        """Written by the agent: what was measured decides, no further round is begun."""
        self.exit: P = root / "exit.json"
        self.log: P = root / "log"
        self.progress: P = root / "progress.json"
        self.runs: P = root / "runs"


class MachinePaths(Generic[P]):
    """The one folder of a machine that holds who may use which slot, which are not to be used, and how noisy
    each is."""

    def __init__(self, root: P) -> None:
        self.root: P = root
        self.leases: P = root / "leases"
        self.lock: P = root / "lock"
        self.noise: P = root / "noise"
        self.quarantine: P = root / "quarantine"

    def lease(self, slot: str) -> P:
        """Raises ValueError for a slot whose name cannot be a file name."""
        if not _SLOT.fullmatch(slot):
            raise ValueError(f"slot {slot!r} is neither cpu nor a GPU's UUID")
        return self.leases / slot

    def quarantine_of(self, slot: str) -> P:
        """Raises ValueError for a slot whose name cannot be a file name."""
        return self.quarantine / self.lease(slot).name

    def noise_of(self, unit: str) -> P:
        """Raises ValueError for a unit whose name cannot be a file name."""
        if not _SLOT.fullmatch(unit):
            raise ValueError(f"unit {unit!r} is neither a GPU's UUID nor a machine's name")
        return self.noise / unit


def job_name(repo: str, issue: str | int, plan_hash: str, attempt: int) -> str:
    """`<repo>-<issue>-<12 hex digits of the plan's hash>-a<attempt>`, safe as a file name.

    Raises ValueError when the hash is shorter than 12 hex digits or the attempt is below 1.
    """
    if not re.fullmatch(r"[0-9a-f]{12,}", plan_hash):
        raise ValueError(f"plan hash {plan_hash!r} is not at least 12 lower-case hex digits")
    if attempt < 1:
        raise ValueError(f"attempt {attempt} is below 1")
    place = "-".join(_UNSAFE.sub("-", str(part)).strip("-.")[:80] or "x" for part in (repo, issue))
    return f"{place}-{plan_hash[:12]}-a{attempt}"

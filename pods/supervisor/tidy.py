"""What lies in a workspace, and how it is made smaller: job folders that have ended, environments.

Removes only what it is told by name, never a job without an exit record, and nothing outside the workspace.
What cannot be read (another user's) has not ended, and stays; so does what cannot be removed.
Who may go is the caller's to know: a job folder stays until its verdict stands.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import stat
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import record
from .paths import JobPaths

JOBS, ENVIRONMENTS = "jobs", "environments"
SCRATCH_S = 86_400.0
"""Folders that a killed unpacking or removal left aside are a day old before they go."""


def listed(workspace: Path) -> dict[str, Any]:
    """{"jobs": {name: {"has_ended", "size_b", "age_s"}}, "environments": {name: {"size_b", "age_s"}}}."""
    jobs = {
        path.name: {"has_ended": _has_ended(path), **_measured(path, path.stat().st_mtime)}
        for path in _in(workspace, JOBS)
    }
    kept = {path.name: _measured(path, _used_at(path)) for path in _in(workspace, ENVIRONMENTS)}
    return {"jobs": jobs, "environments": kept}


def remove(workspace: Path, jobs: Sequence[str], environments: Sequence[str]) -> dict[str, Any]:
    """{"removed": [name], "kept": {name: why}}; scratch of killed processes goes too."""
    removed: list[str] = []
    kept: dict[str, str] = {}
    for kind, names in ((JOBS, jobs), (ENVIRONMENTS, environments)):
        for name in names:
            path = workspace / kind / name
            if not name or Path(name).name != name or name.startswith("."):
                kept[name] = "not a name"
            elif not path.is_dir() or path.is_symlink():
                kept[name] = "not there"
            elif kind == JOBS and not _has_ended(path):
                kept[name] = "has not ended"
            elif kind == ENVIRONMENTS and (job := _used_by(workspace, path)):
                kept[name] = f"job {job} may use it"
            else:
                try:
                    _remove(path)
                except OSError as error:
                    kept[name] = error.strerror or str(error)
                else:
                    removed.append(name)
    for path in (workspace / JOBS).glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > SCRATCH_S:
                _remove(path)
    return {"removed": removed, "kept": kept}


def _used_by(workspace: Path, environment: Path) -> str:
    """A job that has not ended, and had begun when the environment was used last; "" where there is none."""
    used = _used_at(environment)
    return next((job.name for job in _in(workspace, JOBS) if not _has_ended(job) and _began(job) <= used), "")


def _began(job: Path) -> float:
    """Never, for a folder that is no job; at any time, for what cannot be read."""
    try:
        return JobPaths(job).job.stat().st_mtime
    except FileNotFoundError:
        return math.inf
    except OSError:
        return -math.inf


def _used_at(environment: Path) -> float:
    with contextlib.suppress(OSError):
        return (environment / "complete").stat().st_mtime
    return environment.stat().st_mtime


def _in(workspace: Path, kind: str) -> list[Path]:
    """Raises OSError where they cannot be listed."""
    folder = workspace / kind
    return [folder / name for name in record.names_in(folder) if (folder / name).is_dir()]


def _has_ended(job: Path) -> bool:
    try:
        return record.is_there(JobPaths(job).exit)
    except OSError:
        return False


def _measured(folder: Path, touched_at: float) -> dict[str, float]:
    size_b = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # of a job that runs, gone meanwhile
                size_b += Path(root, name).lstat().st_blocks * 512
    return {"size_b": size_b, "age_s": max(0.0, time.time() - touched_at)}


def _remove(path: Path) -> None:
    """Out of sight by one rename, then gone: a kill in between leaves scratch, never half a job."""
    aside = path.with_name(f".{uuid.uuid4().hex}.gone")
    path.rename(aside)
    record.sync_folder(path.parent)
    for root, folders, _ in os.walk(aside):
        for name in folders:
            inner = Path(root, name)
            if not inner.is_symlink():
                inner.chmod(stat.S_IRWXU)
    shutil.rmtree(aside, ignore_errors=True)

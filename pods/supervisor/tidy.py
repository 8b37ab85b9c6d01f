"""What lies in a workspace, and how it is made smaller: job folders that have ended, environments.

Removes only what it is told by name, never a job without an exit record, and nothing outside the workspace.
Who may go is the caller's to know: a job folder stays until its verdict stands.
"""

from __future__ import annotations

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
        path.name: {"has_ended": JobPaths(path).exit.exists(), **_measured(path)}
        for path in _in(workspace, JOBS)
    }
    kept = {path.name: _measured(path, path / "complete") for path in _in(workspace, ENVIRONMENTS)}
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
            elif kind == JOBS and not JobPaths(path).exit.exists():
                kept[name] = "has not ended"
            elif kind == ENVIRONMENTS and (job := _used_by(workspace, path)):
                kept[name] = f"job {job} may use it"
            else:
                _remove(path)
                removed.append(name)
    for path in (workspace / JOBS).glob(".*"):
        if time.time() - path.lstat().st_mtime > SCRATCH_S:
            _remove(path)
    return {"removed": removed, "kept": kept}


def _used_by(workspace: Path, environment: Path) -> str:
    """A job that has not ended, and had begun when the environment was used last; "" where there is none."""
    used = _used_at(environment)
    for job in _in(workspace, JOBS):
        paths = JobPaths(job)
        if not paths.exit.exists() and paths.job.exists() and paths.job.stat().st_mtime <= used:
            return job.name
    return ""


def _used_at(environment: Path) -> float:
    complete = environment / "complete"
    return (complete if complete.exists() else environment).stat().st_mtime


def _in(workspace: Path, kind: str) -> list[Path]:
    return sorted(path for path in (workspace / kind).glob("[!.]*") if path.is_dir())


def _measured(folder: Path, used: Path | None = None) -> dict[str, float]:
    size_b = 0
    for root, _, names in os.walk(folder):
        for name in names:
            found = Path(root, name).lstat()
            size_b += found.st_blocks * 512
    touched = used if used is not None and used.exists() else folder
    return {"size_b": size_b, "age_s": max(0.0, time.time() - touched.stat().st_mtime)}


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

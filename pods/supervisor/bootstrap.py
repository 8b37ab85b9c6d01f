"""Makes a machine ready to be launched on, and says what that changed; again, it changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from . import record
from .paths import MachinePaths

INSTALL_S = 600.0


def bootstrap(machine: MachinePaths[Path], workspace: Path) -> dict[str, Any]:
    """{"changed": [what], "lacks": [what]}: a lack could not be mended, and comes with what to do.

    Raises OSError.
    """
    changed: list[str] = []
    lacks: list[str] = []
    for folder in (machine.root, machine.leases, machine.noise, machine.quarantine):
        if not folder.exists():
            record.share(folder)
            changed.append(f"made {folder}")
    for folder in (workspace, workspace / "jobs"):
        if not folder.exists():
            folder.mkdir(parents=True)
            changed.append(f"made {folder}")
    if shutil.which("git") is None:
        (changed if _install("git") else lacks).append("git: apt-get install git")
    if not os.access(workspace, os.W_OK):
        lacks.append(f"{workspace} cannot be written to")
    return {"changed": changed, "lacks": lacks}


def _install(name: str) -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", name]):
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_S, env=quiet, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        if done.returncode != 0:
            return False
    return shutil.which(name) is not None

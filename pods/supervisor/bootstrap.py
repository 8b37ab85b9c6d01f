"""Makes a machine ready to be launched on, and says what that changed; again, it changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import record
from .paths import MachinePaths

INSTALL_S = 600.0


def bootstrap(machine: MachinePaths[Path], workspace: Path) -> dict[str, Any]:
    """{"changed": [what], "lacks": [what]}: a lack could not be mended, and comes with what to do."""
    changed: list[str] = []
    lacks: list[str] = []
    ours = (machine.root, machine.leases, machine.noise, machine.quarantine)
    _make("machine", ours, record.share, changed, lacks)
    own = (workspace, workspace / "jobs")
    _make("workspace", own, lambda folder: folder.mkdir(parents=True), changed, lacks)
    if shutil.which("git") is None:
        (changed if _install("git") else lacks).append("git: apt-get install git")
    if workspace.is_dir() and not os.access(workspace, os.W_OK):
        lacks.append(f"a folder that can be written to: {workspace} (workspace in pods.toml)")
    return {"changed": changed, "lacks": lacks}


def _make(
    key: str, folders: Sequence[Path], make: Callable[[Path], None], changed: list[str], lacks: list[str]
) -> None:
    try:
        for folder in folders:
            if not folder.is_dir():
                make(folder)
                changed.append(f"made {folder}")
    except OSError as error:
        lacks.append(f"the folder {folder} ({key} in pods.toml), it cannot be made: {error.strerror}")


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

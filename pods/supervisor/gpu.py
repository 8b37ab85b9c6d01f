"""Whether a GPU's memory came back when a job had ended; where it did not, the GPU goes into quarantine.

Unknown is not bad: where the driver says nothing, nothing is held against the GPU here; whoever looks for a
free one finds that it does not answer.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Any

from . import quarantine, record
from .paths import JobPaths, MachinePaths

CPU = "cpu"
ANSWER_S = 20.0
COMES_BACK_S = 15.0
POLL_S = 0.5
SLACK_MIB = 512
"""What contexts of the driver itself may hold more than before."""


def note(paths: JobPaths[Path], slot: str) -> None:
    """Keeps what is in use before the job starts."""
    if slot == CPU:
        return
    used_mib = _used_mib(slot)
    if used_mib is not None:
        with contextlib.suppress(OSError):
            record.write(_noted(paths), {"slot": slot, "used_mib": used_mib})


def settle(paths: JobPaths[Path], body: dict[str, Any], left: list[int]) -> None:
    """When no process of the job is left, or `left` would not end. Writes at most a quarantine."""
    slot = body.get("slot")
    if not isinstance(slot, str) or slot == CPU or body.get("machine") is None:
        return
    held = f"processes {left} of its last job would not end" if left else _held(paths, slot)
    if held is not None:
        with contextlib.suppress(OSError, ValueError):
            quarantine.put(MachinePaths(Path(body["machine"])), slot, held, paths.root)


def _held(paths: JobPaths[Path], slot: str) -> str | None:
    """Why the GPU is not as it was, after some patience; None where it is, or nobody can say."""
    try:
        before_mib = (record.read(_noted(paths)) or {}).get("used_mib")
    except record.BrokenRecord:
        return None
    until = time.monotonic() + COMES_BACK_S
    while isinstance(before_mib, int):
        used_mib = _used_mib(slot)
        if used_mib is None or used_mib <= before_mib + SLACK_MIB:
            return None
        if time.monotonic() >= until:
            return f"{used_mib} MiB in use after its last job, {before_mib} MiB before"
        time.sleep(POLL_S)
    return None


def _used_mib(slot: str) -> int | None:
    argv = ["nvidia-smi", f"--id={slot}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False
        )
        return int(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _noted(paths: JobPaths[Path]) -> Path:
    return paths.started / "gpu.json"

"""Slots that are not to be used until somebody has looked: a record each in the machine-wide folder.

A GPU comes here when a job has ended and its memory did not come back, or a process on it would not end. It
leaves by hand (`paceline pods leases NAME --lift SLOT`). A record that cannot be read still stands: unknown
is busy.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import record
from .paths import MachinePaths


def put(machine: MachinePaths[Path], slot: str, why: str, job: Path) -> None:
    """Raises ValueError for a slot that cannot be one, OSError."""
    path = machine.quarantine_of(slot)
    for folder in (machine.root, machine.quarantine):
        record.share(folder)
    wall = datetime.now(timezone.utc).isoformat()
    record.write(path, {"slot": slot, "why": why, "job": str(job), "wall": wall})


def lift(machine: MachinePaths[Path], slot: str) -> bool:
    """Whether it was in quarantine. Raises ValueError, OSError."""
    try:
        machine.quarantine_of(slot).unlink()
    except FileNotFoundError:
        return False
    return True


def why(machine: MachinePaths[Path], slot: str) -> str | None:
    """None where nothing is against the slot. Raises ValueError."""
    try:
        found = record.read(machine.quarantine_of(slot))
    except record.BrokenRecord as error:
        return f"quarantined, {error}"
    return None if found is None else f"quarantined: {found.get('why')}"


def show(machine: MachinePaths[Path]) -> dict[str, str]:
    """Slot: why. Raises OSError where they cannot be listed."""
    found: dict[str, Any] = {slot: why(machine, slot) for slot in record.names_in(machine.quarantine)}
    return {slot: reason for slot, reason in found.items() if reason is not None}

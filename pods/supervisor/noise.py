"""The noise that was measured on this machine: the records in its machine-wide folder, by unit.

Anybody may have put anything there: links and pipes are not followed, nothing endless is read, and a file
that is no record is passed over and named. What a record says is not known here.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from .paths import MachinePaths

RECORD_LIMIT_B = 1 << 20


def show(machine: MachinePaths[Path], unit: str | None) -> dict[str, Any]:
    """{"units": {unit: {"records": {file: record}, "broken": {file: why}}}}, of one unit or of all.

    Raises ValueError for a unit whose name cannot be one.
    """
    if unit is not None:
        return {"units": {unit: _unit(machine.noise_of(unit))}}
    names, why = _listed(machine.noise)
    units = {name: _unit(machine.noise / name) for name in names if not name.startswith(".")}
    return {"units": units, "broken": why}


def _unit(folder: Path) -> dict[str, Any]:
    names, why = _listed(folder)
    records: dict[str, Any] = {}
    broken: dict[str, str] = {} if why is None else {".": why}
    for name in names:
        if name.endswith(".json") and not name.startswith("."):
            try:
                records[name] = _read(folder / name)
            except (OSError, ValueError, RecursionError) as error:
                broken[name] = getattr(error, "strerror", None) or str(error)
    return {"records": records, "broken": broken}


def _listed(folder: Path) -> tuple[list[str], str | None]:
    try:
        return sorted(os.listdir(folder)), None  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return [], None
    except OSError as error:
        return [], error.strerror


def _read(path: Path) -> dict[str, Any]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a file")
        data = file.read(RECORD_LIMIT_B + 1)
    if len(data) > RECORD_LIMIT_B:
        raise ValueError(f"longer than {RECORD_LIMIT_B} bytes")
    record = json.loads(data)
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record

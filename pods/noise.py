"""The noise that was measured on a machine: small JSON records in its machine-wide folder, by unit.

Owns which unit noise belongs to (a GPU by its UUID, else the machine), and that a record is there whole or
not at all: one file each, never changed, so that any number of jobs may add at once. All users share the
folder; nobody can remove another's record. A file that is no record is passed over and named. What a record
says is not known here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pods import answers
from pods.archive import supervisor_archive
from pods.paths import MachinePaths
from pods.shell import NoSuchFile, PodError, Shell

TIMEOUT_S = 60.0
ANSWER_LIMIT_B = 64 << 20
MACHINE_ID = PurePosixPath("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class Stored:
    """Records by file name; `broken` are the files that are none, and why."""

    records: Mapping[str, Mapping[str, Any]]
    broken: Mapping[str, str]


def unit_of(shell: Shell, slot: str, host: Mapping[str, Any]) -> str:
    """What noise belongs to: the GPU's UUID; for the slot `cpu` this machine, with its CPU and cores.

    `host` are the facts of the machine. Its id is that of systemd, else the host's name. Raises PodError.
    """
    if slot != "cpu":
        return slot
    try:
        machine = shell.get(MACHINE_ID, 4096).decode(errors="replace")
    except NoSuchFile:
        machine = ""
    return unit_named(slot, machine, host)


def unit_named(slot: str, machine: str, host: Mapping[str, Any]) -> str:
    """The same where the machine's id is known; "" where it has none."""
    if slot != "cpu":
        return slot
    named = machine.strip() or str(host.get("hostname", ""))
    described = json.dumps([named, host.get("cpu_model"), host.get("cores")])
    return f"cpu-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def add(
    shell: Shell, machine: PurePosixPath | Path, unit: str, name: str, record: Mapping[str, Any]
) -> PurePosixPath | Path:
    """Puts a record in place and says where; the same record again changes nothing. Raises PodError.

    `name` leads the file's name, for people; the record's digest makes it one of its own.
    """
    paths: MachinePaths[Any] = MachinePaths(machine)
    folder = paths.noise_of(unit)
    made = shell.run(["mkdir", "-p", "-m", "1777", str(paths.noise), str(folder)], timeout_s=TIMEOUT_S)
    if made.status != 0:
        raise PodError(f"{folder}: {made.err.decode(errors='replace').strip() or 'no answer in time'}")
    data = json.dumps(record, sort_keys=True).encode() + b"\n"
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:100] or "noise"
    path: PurePosixPath | Path = folder / f"{plain}-{hashlib.sha256(data).hexdigest()[:12]}.json"
    shell.put(path, data)
    return path


def stored(shell: Shell, machine: PurePosixPath | Path, unit: str) -> Stored:
    """Everything that was added for a unit; nothing where there is no folder. Raises PodError."""
    argv = ["noise", "--machine", str(machine), "--unit", unit]
    return stored_in(answers.bring(shell, supervisor_archive(), argv, limit_b=ANSWER_LIMIT_B)["units"][unit])


def stored_in(answer: Mapping[str, Any]) -> Stored:
    """As the supervisor's `noise` and `probe` tell it of one unit."""
    return Stored(answer["records"], answer["broken"])

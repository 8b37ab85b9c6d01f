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

from pods.paths import MachinePaths
from pods.shell import NoSuchFile, PodError, Shell

TIMEOUT_S = 60.0
RECORD_LIMIT_B = 1 << 20
ANSWER_LIMIT_B = 64 << 20
MACHINE_ID = PurePosixPath("/etc/machine-id")

_READ = """
import json, os, stat, sys
folder, limit_b = sys.argv[1], int(sys.argv[2])
answer = {"records": {}, "broken": {}}
def read(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a file")
        data = file.read(limit_b + 1)
    if len(data) > limit_b:
        raise ValueError(f"longer than {limit_b} bytes")
    record = json.loads(data)
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record
try:
    names = sorted(os.listdir(folder))
except FileNotFoundError:
    names = []
except OSError as error:
    names, answer["broken"]["."] = [], error.strerror
for name in names:
    if name.endswith(".json") and not name.startswith("."):
        try:
            answer["records"][name] = read(os.path.join(folder, name))
        except (OSError, ValueError, RecursionError) as error:
            answer["broken"][name] = getattr(error, "strerror", None) or str(error)
print(json.dumps(answer))
"""
"""Anybody may have put anything there: links and pipes are not followed, nothing endless is read."""


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
        machine = shell.get(MACHINE_ID, 4096).decode(errors="replace").strip()
    except NoSuchFile:
        machine = str(host.get("hostname", ""))
    described = json.dumps([machine, host.get("cpu_model"), host.get("cores")])
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
    paths: MachinePaths[Any] = MachinePaths(machine)
    folder = paths.noise_of(unit)
    argv = [shell.python, "-I", "-S", "-c", _READ, str(folder), str(RECORD_LIMIT_B)]
    done = shell.run(argv, timeout_s=TIMEOUT_S, limit_b=ANSWER_LIMIT_B)
    if done.status != 0 or done.is_truncated:
        told = done.err.decode(errors="replace").strip().splitlines()
        raise PodError(f"{folder} cannot be read: {told[-1] if told else 'no whole answer'}")
    answer = json.loads(done.out)
    return Stored(answer["records"], answer["broken"])

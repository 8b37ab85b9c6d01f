"""Everything that there is to know about this machine, in one answer.

Programs that may hang (a driver) are asked side by side, each with a deadline of its own: what hangs costs
that and no more, is ended with all that it started, and answers null. What programs say is passed on as it
is; the caller reads it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import lease, noise, process, quarantine, record, state
from .paths import JobPaths, MachinePaths

SCHEMA = 1
OUTPUT_LIMIT_B = 1 << 20
MOST_JOBS = 500
POLL_S = 0.01
LEAST_SHARE = 0.5
"""Of the limit: programs get that, however late this interpreter came to ask them, and whatever it takes its
age for (start times are odd in some sandboxes)."""


def probe(
    machine: MachinePaths[Path], workspace: Path, asked: Mapping[str, Sequence[str]], limit_s: float
) -> dict[str, Any]:
    """`asked` are argument lists by name, to be answered within `limit_s` of this process' start."""
    until = time.monotonic() + max(limit_s - process.age_s(process.myself()), LEAST_SHARE * limit_s)
    questions = {name: _Question(argv) for name, argv in asked.items()}
    known = {
        "schema": SCHEMA,
        "python": list(sys.version_info[:3]),
        "machine_id": _machine_id(),
        "disk": _disk(workspace),
        "leases": lease.show(machine, None, lease.START_WITHIN_S)["leases"],
        "quarantine": quarantine.show(machine),
        "noise": noise.show(machine, None)["units"],
        "jobs": jobs(workspace),
    }
    while time.monotonic() < until and any(one.is_open for one in questions.values()):
        time.sleep(POLL_S)
    return {**known, "answers": {name: one.answer() for name, one in questions.items()}}


def under_way(machine: MachinePaths[Path], workspace: Path) -> dict[str, Any]:
    """{"jobs", "held": [slot]}: what needs no driver to be asked."""
    leases = lease.show(machine, None, lease.START_WITHIN_S)["leases"]
    held = {one["slot"] for one in leases if one["held_because"] is not None}
    return {"jobs": jobs(workspace), "held": sorted(held | set(quarantine.show(machine)))}


class _Question:
    def __init__(self, argv: Sequence[str]) -> None:
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `answer`
        self._err = tempfile.TemporaryFile()  # noqa: SIM115 - the same
        self._child: subprocess.Popen[bytes] | None = None
        self._why = ""
        try:
            self._child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
                start_new_session=True,
            )
        except OSError as error:
            self._status = 127 if isinstance(error, FileNotFoundError) else 126
            self._why = f"{argv[0]}: {error.strerror}"

    @property
    def is_open(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def answer(self) -> dict[str, Any]:
        """{"status", "out", "err", "is_truncated"}; a status of null is no answer in time."""
        status: int | None
        if self._child is None:
            status = self._status
        elif self.is_open:
            status = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
                self._child.wait(0.1)
        else:
            code = self._child.returncode
            status = code if code >= 0 else 128 - code
        out, is_long = _kept(self._out)
        err, _ = _kept(self._err)
        return {"status": status, "out": out, "err": self._why or err, "is_truncated": is_long}


def _kept(file: Any) -> tuple[str, bool]:
    with file:
        file.seek(0)
        data = file.read(OUTPUT_LIMIT_B + 1)
    return data[:OUTPUT_LIMIT_B].decode("utf-8", "replace"), len(data) > OUTPUT_LIMIT_B


def _age_s(path: Path) -> float | None:
    """Since it was written; None where it is not there."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None


def _machine_id() -> str:
    """systemd's, "" where there is none."""
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _disk(workspace: Path) -> dict[str, Any] | None:
    """Of the file system that the workspace is on, or will be."""
    for folder in (workspace, *workspace.parents):
        with contextlib.suppress(OSError):
            found = os.statvfs(folder)
            return {
                "free_b": found.f_bavail * found.f_frsize,
                "total_b": found.f_blocks * found.f_frsize,
                "free_inodes": found.f_favail,
                "total_inodes": found.f_files,  # 0: this file system does not count them
                # Below a file nothing can be made, nor where there are no blocks to have (/proc).
                "is_writable": folder.is_dir() and found.f_blocks > 0 and os.access(folder, os.W_OK),
            }
    return None


def jobs(workspace: Path) -> dict[str, Any]:
    """Job folders by name, the newest `MOST_JOBS`: the whole state of those that have not ended.

    Raises OSError where they cannot be listed: unknown is not absent.
    """
    found: list[tuple[float, Path]] = []
    for name in record.names_in(workspace / "jobs"):
        path = workspace / "jobs" / name
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path))
    newest = sorted(found, reverse=True)[:MOST_JOBS]
    told = {}
    for _, path in newest:
        ended_s = _age_s(JobPaths(path).exit)
        told[path.name] = (
            {"has_ended": False, **state.state(path)}
            if ended_s is None
            else {"has_ended": True, "ended_s": ended_s}
        )
    return told

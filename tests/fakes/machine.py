"""A machine in memory, for tests of the agent: what its supervisor would answer, and every question it got.

`jobs` holds what is known of a job by its folder's name; one that is not in it is absent. Nothing is started:
a launch makes a job run, a cancel ends it unless it is in `stubborn`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pods.shell import Completed, NoSuchFile, PodError

QUESTIONS = ("state", "spawn", "cancel", "take", "noise", "jobs", "probe")
HOST = "\n".join(
    [
        "/proc/sys/kernel/hostname:pod",
        "/proc/sys/kernel/osrelease:6",
        "/proc/sys/kernel/random/boot_id:b",
        "/proc/loadavg:0.5 0 0 1/1 1",
        "/proc/self/status:Cpus_allowed_list:\t0-7",
        "/proc/meminfo:MemTotal: 16777216 kB",
        "/proc/cpuinfo:model name\t: EPYC",
    ]
)


class FakeMachine:
    """See `pods.shell.Shell`."""

    python = "python3"

    def __init__(self, name: str = "pod-1") -> None:
        self.name = name
        self.jobs: dict[str, dict[str, Any]] = {}
        self.stubborn: set[str] = set()
        self.questions: list[str] = []
        self.is_free = True
        self.is_reached = True

    def runs(self, job: str, **progress: Any) -> None:
        self.jobs[job] = _state(progress=json.dumps(progress))

    def has_ended(self, job: str, outcome: str = "finished", days_ago: float = 0.0) -> None:
        at = datetime(2026, 11, 20, 12, tzinfo=UTC).isoformat()
        ended = {"schema": 1, "outcome": outcome, "status": 0, "signal": None, "begin": at, "end": at}
        self.jobs[job] = _state(exit={**ended, "survivors": 0, "left": [], "detail": None})
        self.jobs[job]["ended_s"] = 86_400.0 * days_ago

    # The port.

    def run(self, argv, **options) -> Completed:
        if not self.is_reached:
            raise PodError(f"{self.name} is not reached: no route to host")
        question = next((word for word in argv if word in QUESTIONS), "unpack")
        self.questions.append(question)
        return Completed(0, json.dumps(self._answer(question, argv)).encode(), b"")

    def get(self, path, limit_b, **options) -> bytes:
        if not self.is_reached:
            raise PodError(f"{self.name} is not reached: no route to host")
        try:
            return Path(path).read_bytes()
        except OSError:
            raise NoSuchFile(str(path)) from None

    def put(self, path, data, mode=0o644, **options) -> None:
        Path(path).write_bytes(data)

    def close(self) -> None:
        pass

    def _answer(self, question: str, argv) -> dict[str, Any]:
        job = Path(argv[-1]).name
        match question:
            case "state":
                return self.jobs.get(job, {"exists": False})
            case "unpack":
                self.jobs[job] = _state(is_launched=False)
                return {"prepared": True, "is_same": True}
            case "take":
                return {"taken": True, "token": "t", "holder": None, "why": ""}
            case "spawn":
                self.runs(job)
                return {"pid": 7, "starttime": 7, "why": ""}
            case "cancel" if job in self.stubborn:
                return {"ended": False, "left": [4711]}
            case "cancel":
                self.has_ended(job, "cancelled")
                return {"ended": True, "left": []}
            case "noise":
                return {"units": {argv[-1]: {"records": {}, "broken": {}}}}
            case "jobs":
                return {"jobs": self._told(), "held": [] if self.is_free else ["cpu"]}
            case _:
                return self._probed()

    def _told(self) -> dict[str, Any]:
        return {name: {"has_ended": state["exit"] is not None, **state} for name, state in self.jobs.items()}

    def _probed(self) -> dict[str, Any]:
        nothing = {name: _said("", 127) for name in ("gpus", "apps", "power", "git", "uv")}
        held = [] if self.is_free else [{"slot": "cpu", "held_because": "its job runs", "holder": {}}]
        room = {"free_b": 1 << 40, "total_b": 1 << 41, "free_inodes": 0, "total_inodes": 0}
        return {
            "schema": 1,
            "python": [3, 11, 0],
            "machine_id": "m",
            "disk": {**room, "is_writable": True},
            "leases": held,
            "quarantine": {},
            "noise": {},
            "jobs": self._told(),
            "answers": {**nothing, "host": _said(HOST)},
        }


def _said(out: str, status: int = 0) -> dict[str, Any]:
    return {"status": status, "out": out, "err": "", "is_truncated": False}


def _state(**changes: Any) -> dict[str, Any]:
    state = {
        "exists": True,
        "exit": None,
        "progress": None,
        "broken": [],
        "is_prepared": True,
        "is_launched": True,
        "is_alive": True,
        "is_restarted": False,
        "supervisor": {"pid": 7},
        "heartbeat": {"age_s": 1.0},
        "is_stopping": False,
    }
    return {**state, **changes}

"""A pod in memory that keeps what its supervisor promises, and counts what it is made to start.

On top of FakeMachine: a job folder is made once and lies on the disk, a lease has one holder until its job
has ended, a job is started once however often it is asked for, and it ends by itself at its limit.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.plan import Plan
from pods.shell import Completed
from tests.agent.made_job import write_job
from tests.fakes.machine import FakeMachine


class FakePod(FakeMachine):
    """`starts` are the job folders whose supervisor was started, in order; what vanished is told no more."""

    def __init__(self, folder: Path, clock: Callable[[], datetime], name: str = "pod-1") -> None:
        super().__init__(name)
        self.folder = folder  # of the jobs
        self.starts: list[str] = []
        self.holder = ""
        self.on_start: Callable[[str, Plan], object] = lambda _job, _plan: None
        self._clock = clock
        self._ends: dict[str, datetime] = {}
        self._bundle = b""

    def living(self) -> list[str]:
        """Those with a process."""
        return [name for name, state in self.jobs.items() if state["is_launched"] and state["exit"] is None]

    def plan_of(self, job: str) -> Plan:
        return Plan.from_dict(json.loads((self.folder / job / "plan.json").read_text()))

    def finishes(self, job: str) -> None:
        """With all its runs made, and figures that were made up for them."""
        write_job(self.folder / job, self.plan_of(job))
        self.has_ended(job)

    def has_ended(self, job: str, outcome: str = "finished", days_ago: float = 0.0) -> None:
        super().has_ended(job, outcome, days_ago)
        self.holder = "" if self.holder == job else self.holder

    def vanishes(self, job: str) -> None:
        """The pod was replaced, or somebody deleted the folder, and its processes went with it."""
        del self.jobs[job]
        shutil.rmtree(self.folder / job)
        self.starts = [one for one in self.starts if one != job]
        self.holder = "" if self.holder == job else self.holder

    def run(self, argv, **options):
        if argv[0] == "tail":
            return Completed(1, b"", b"no such file") if self.is_reached else super().run(argv, **options)
        self._bundle = options.get("stdin") or b""
        for job in self.living():
            if self._clock() > self._ends[job]:
                self.has_ended(job, "timed out")
        return super().run(argv, **options)

    def _answer(self, question: str, argv) -> dict[str, Any]:
        job = Path(argv[-1]).name
        known = self.jobs.get(job)
        match question:
            case "unpack" if known is not None:
                return {"prepared": False, "is_same": True}
            case "unpack":
                self._unpacked(self.folder / job)
            case "take" if known is None or known["exit"] is not None:
                return {"taken": False, "token": None, "holder": None, "why": "this job has ended"}
            case "take" if self.holder not in ("", job):
                held = {"job": str(self.folder / self.holder)}
                return {"taken": False, "token": None, "holder": held, "why": "its job runs"}
            case "take":
                self.holder = job
            case "spawn" if known is None or known["exit"] is not None or self.holder != job:
                return {"pid": None, "starttime": None, "why": "it has ended, or has no lease"}
            case "spawn" if known["is_launched"]:
                return {"pid": 7, "starttime": 7, "why": None}
            case "spawn":
                answer = super()._answer(question, argv)
                self._started(job)
                return answer
            case "cancel" if known is not None and known["exit"] is not None:
                return {"ended": True, "left": []}
            case _:
                pass
        self.is_free = not self.holder
        return super()._answer(question, argv)

    def _probed(self) -> dict[str, Any]:
        answer = super()._probed()
        for lease in answer["leases"]:
            lease["holder"] = {"job": str(self.folder / self.holder)}
        return answer

    def _unpacked(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        with zipfile.ZipFile(io.BytesIO(self._bundle)) as bundle:
            for name in ("plan.json", "job.json", "host.json"):
                (folder / name).write_bytes(bundle.read(name))

    def _started(self, job: str) -> None:
        self.starts.append(job)
        limit_s = json.loads((self.folder / job / "job.json").read_text())["limit_s"]
        self._ends[job] = self._clock() + timedelta(seconds=limit_s)
        self.on_start(job, self.plan_of(job))

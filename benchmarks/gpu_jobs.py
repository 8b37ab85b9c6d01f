"""Runs a job of `gpu_ab.py` through the command line, within what is left of the budget; keeps its runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.result import HOST, REPORT, RESULT

from gpu_parts import DEFAULT, Job

ROOT = Path(__file__).resolve().parent.parent
END_S = 20.0
"""Kept back for ending a job that the budget cuts."""
STOP_LIMIT_S = 60.0
LONGEST_LOG_B = 64 << 10
KEPT = ("plan.json", "job.json", HOST, "floors.json", "forecast.json", "exit.json", RESULT, REPORT)
"""What `paceline verify` reads of a job folder, beside `runs/`."""


class Budget:
    """Seconds from the making of this object on; none are left once it is cut, by its end or by somebody."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_cut = self.is_interrupted = False
        self._begun = time.monotonic()

    @property
    def took_s(self) -> float:
        return time.monotonic() - self._begun

    @property
    def left_s(self) -> float:
        return 0.0 if self.is_cut else max(self.seconds - END_S - self.took_s, 0.0)


def measured(
    work: Path, commits: Mapping[str, str], job: Job, target: Path, budget: Budget
) -> dict[str, Any]:
    """Measure a job of the repository in `work`, keep its raw runs in `target`; its line in the summary."""
    first, *others = job.parts
    command = [sys.executable, "-m", "agent", "bench", job.recipe, "--repo", str(work / "subject")]
    command += ["--baseline", commits[DEFAULT], "--optimized", commits[first.change]]
    command += [word for part in others for word in ("--arm", f"{part.arm}={commits[part.change]}")]
    command += ["--replicates", str(job.replicates), "--engine", job.engine]
    print(" ".join(command[2:]), file=sys.stderr, flush=True)
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=work, env=environment_of_runs(), stdout=subprocess.DEVNULL)
    status = ended(process, budget)
    seconds = time.monotonic() - began
    left_out = kept(work / ".paceline" / "jobs", target)
    return {
        "folder": target.name,
        "recipe": job.recipe,
        "engine": job.engine,
        "replicates": job.replicates,
        "arms": {first.key: "optimized", **{part.key: part.arm for part in others}},
        "seconds": seconds,
        "status": status,
        "runs": len(list(target.glob("runs/*/*/*/exit.json"))),
        "left_out": left_out,
    }


def ended(process: subprocess.Popen[bytes], budget: Budget) -> int:
    """Its exit status. At the end of the budget, or where somebody interrupts, the job is cancelled: what it
    has measured stays, and the budget is cut."""
    try:
        return process.wait(timeout=budget.left_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as why:
        budget.is_cut, budget.is_interrupted = True, isinstance(why, KeyboardInterrupt)
        process.send_signal(signal.SIGINT)
        return process.wait(timeout=STOP_LIMIT_S)


def kept(jobs: Path, target: Path) -> list[str]:
    """Moves what the figures of the one job in `jobs` come from to `target`, and deletes the rest; the names
    of logs that are too long to be kept. Nothing is kept of a job without a result."""
    left_out = []
    for job in list(jobs.iterdir()) if jobs.exists() else ():
        if (job / RESULT).exists():
            for path in sorted(job.glob("runs/*/*/*/log")):
                if path.stat().st_size > LONGEST_LOG_B:
                    left_out.append(str(path.relative_to(job)))
                    path.unlink()
            shutil.copytree(job / "runs", target / "runs")
            for name in KEPT:
                if (job / name).exists():
                    shutil.copy2(job / name, target / name)
        shutil.rmtree(job)
    return left_out


def environment_of_runs() -> dict[str, str]:
    """No run may ask the network for anything; Paceline is found where it is not installed."""
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }

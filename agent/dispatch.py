"""The one translator from a plan to a job: which files go into the folder, what its supervisor is told.

Packs the worker and the hook, whose digest is the harness's: one digest measures every arm. Writes nothing;
`pods.job.prepare` does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import bench
from bench.plan import Plan
from bench.worker.settings import Settings
from pods.answers import Paths
from pods.archive import pack, supervisor_archive
from pods.job import JobSpec

GRACE_S = 30.0
SUBJECT_GRACE_S = 10.0
PREPARE_LIMIT_S = 7200.0
"""For fetching and building environments, on top of the runs' own limits."""
BETWEEN_RUNS_S = 30.0
GPU_WINDOWS: Mapping[str, Any] = {"window_steps": 3, "window_s": 2.0}
"""Longer than on a CPU: a gate drains the queue that runs ahead of a GPU, which costs time, not steps."""
MEASURES = ("__init__.py", "plan.py", "worker/*.py", "hook/*.py", "hook/_paceline_hook/*.py")
READS = (
    *("spoiled.py", "record.py", "run.py", "events.py", "outcome.py", "windows.py", "columns.py"),
    *("host_trace.py", "gpu_trace.py", "validity.py", "conditions.py", "consistency.py", "units.py"),
)
"""What the worker tells by whether the machine spoiled a run: standard library only, as all that travels."""
WORKER_MAIN = b"""
import pathlib, sys
from bench.worker.__main__ import main
sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job runs: its folder, its slot, the folders of machine and workspace, the interpreter.

    Paths are those of the machine that it runs on."""

    paths: Paths
    slot: str
    machine: PurePosixPath | Path
    workspace: PurePosixPath | Path
    python: str


@cache
def worker_archive() -> bytes:
    """`worker.pyz`: the worker, the plan's form, what reads a record; the hook as files to be unpacked."""
    return pack({"__main__.py": WORKER_MAIN, **_files(*MEASURES, *READS)})


@cache
def harness_digest() -> str:
    """SHA-256 (16 hex digits) of everything that measures: worker, hook and supervisor."""
    return hashlib.sha256(pack(_files(*MEASURES)) + supervisor_archive()).hexdigest()[:16]


def _files(*names: str) -> dict[str, bytes]:
    root = Path(bench.__file__).parent
    paths = [path for name in names for path in root.glob(name)]
    return {f"bench/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}


def spec_of(plan: Plan, name: str, place: Place) -> JobSpec:
    return JobSpec(
        paths=place.paths,
        name=name,
        plan=plan.hash,
        slot=place.slot,
        limit_s=hard_limit_s(plan),
        command=(place.python, str(place.paths.worker), str(place.paths.root)),
        machine=place.machine,
        grace_s=GRACE_S,
    )


def hard_limit_s(plan: Plan) -> float:
    """The hard end of a job: every run at its own limit, and time to prepare."""
    runs = [recipe.limit_s + BETWEEN_RUNS_S for _, recipe, arms in plan.rounds() for _ in arms]
    return PREPARE_LIMIT_S + sum(runs)


def files_of(plan: Plan, source: str, eval_rows: Mapping[str, bytes], place: Place) -> dict[str, bytes]:
    """The files of the job folder beside those that `pods` owns."""
    inputs = place.paths.root / "inputs"
    settings = Settings(
        source=source,
        workspace=str(place.workspace),
        python=place.python,
        owner=(place.python, "-I", "-S", str(place.paths.supervisor), "own"),
        inputs=str(inputs),
        harness=harness_digest(),
        gpu=None if place.slot == "cpu" else place.slot,
        started=str(place.paths.started),
        grace_s=SUBJECT_GRACE_S,
        **({} if place.slot == "cpu" else GPU_WINDOWS),
    )
    plan_text = json.dumps(plan.to_dict(), indent=1, sort_keys=True) + "\n"
    return {
        place.paths.plan.name: plan_text.encode(),
        place.paths.worker.name: worker_archive(),
        "worker.json": settings.to_json().encode(),
        **{f"inputs/{recipe}.eval.jsonl": rows for recipe, rows in eval_rows.items()},
    }

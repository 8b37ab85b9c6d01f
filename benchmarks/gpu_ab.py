"""Changes to the training of a 7B model, and their absence, measured through the command line: docs/gpu.md.

    python benchmarks/gpu_ab.py                    # on a GPU of 140 GB, under 9 minutes
    python benchmarks/gpu_ab.py --parts 3,4        # the same, of those two parts alone
    python benchmarks/gpu_ab.py --parts dpo/lockstep/default --run-s 40    # one, where SFT runs take 40 s
    python benchmarks/gpu_ab.py --shape tiny       # on a CPU, under 3 minutes: shows that all of it works
    python benchmarks/gpu_ab.py --table FOLDER     # summary.json and table anew, from the raw runs in FOLDER

The parts in the order of their importance, with three replicates of each, if an SFT run takes 20 s (imports
6, model 3, 65 steps of 0.15 s, its end 1) and a DPO run 23 s. Parts of a recipe and engine share a baseline:

    | part                                  | runs | seconds | in all |
    |:--------------------------------------|-----:|--------:|-------:|
    | imports, one trial run                |      |      45 |     45 |
    | 1 SFT in lockstep: keep activations   |    6 |     120 |    165 |
    | 1 SFT in ABBA: keep activations       |    6 |     120 |    285 |
    | 2 SFT in lockstep: A/A                |    3 |      60 |    345 |
    | 2 DPO in lockstep: A/A                |    6 |     138 |    483 |
    | kept back for ending the last job     |      |      20 |    503 |
    | 3 SFT in lockstep: packing            |    3 |      60 |    563 |
    | 4 DPO in lockstep: reference first    |    3 |      69 |    632 |

So parts 3 and 4 fit into 540 s where a run takes 15 s, and otherwise need a call of their own. The trial says
how long a run takes, and each job says it again; `gpu_parts.py` makes as many replicates as fit, and leaves
the least important parts out where not even three of each do. A job's raw runs are kept as soon as it ends,
so that a cut at the limit loses only the rest.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.here import look_around
from agent.result import result_of
from bench.compare import FEWEST_PAIRS
from bench.worker.files import write_json
from pods.shell_local import LocalShell

from gpu_jobs import Budget, environment_of_runs, measured
from gpu_parts import PARTS, Part, next_job
from gpu_repository import make_repository
from gpu_table import agreement_of, replayed, table

HERE = Path(__file__).resolve().parent
SCHEMA = 1
SUMMARY = "summary.json"
MOST_REPLICATES = 6
DPO_TO_SFT = 1.3
"""How much longer a DPO run takes, a guess until one has been made: each step has a second forward pass."""
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


@dataclass(frozen=True, slots=True)
class Shape:
    """`rows` that each recipe trains on, 4 rows (SFT) or 2 pairs (DPO) a step.

    A window lasts 2 s on a GPU, so 36 steps of 0.4 s are more than the five windows that lockstep needs.
    """

    rows: Mapping[str, int]
    budget_s: float
    needs_gpu: bool


SHAPES = {
    "7b": Shape({"sft": 144, "dpo": 48}, 540.0, needs_gpu=True),
    "tiny": Shape({"sft": 64, "dpo": 16}, 170.0, needs_gpu=False),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--out", type=Path, help="else benchmarks/results/<date>-<device>")
    parser.add_argument("--budget-s", type=float, help="else 540, for the tiny shape 170")
    parser.add_argument("--replicates", type=int, default=MOST_REPLICATES, help="at most so many of each arm")
    parser.add_argument(
        "--parts", type=parts_named, default=PARTS, help="numbers or keys of parts, as in 3,4"
    )
    parser.add_argument("--run-s", type=float, help="seconds of an SFT run; else one is made by hand first")
    parser.add_argument("--table", type=Path, metavar="FOLDER", help="measure nothing, sum FOLDER up anew")
    arguments = parser.parse_args()
    if arguments.table:
        summary = summary_of(arguments.table)
        write_json(arguments.table / SUMMARY, summary)
        print(table(summary))
        return
    shape = SHAPES[arguments.shape]
    budget = Budget(arguments.budget_s or shape.budget_s)
    here = look_around(LocalShell())
    if shape.needs_gpu and here.slot == "cpu":
        parser.error(f"--shape {arguments.shape} needs a GPU, and here is none; --shape tiny runs on a CPU")
    out = (arguments.out or default_out(here.host["device"])).resolve()
    if out.exists() and any(out.iterdir()):
        parser.error(f"{out} is not empty: its runs and these would be mixed")
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    summary = {
        "schema": SCHEMA,
        "date": today(),
        "device": here.host["device"],
        "shape": arguments.shape,
        "budget_s": budget.seconds,
        "jobs": [],
        "not_run": {},
    }
    with tempfile.TemporaryDirectory(prefix="paceline-gpu-") as work:
        collect(
            Path(work), out, summary, budget, arguments.parts, arguments.replicates, run_s=arguments.run_s
        )
    print(table(summary))
    print(f"\n{out}", file=sys.stderr)
    if budget.is_interrupted:
        sys.exit(130)


def parts_named(text: str) -> tuple[Part, ...]:
    """Raises ValueError."""
    names = set(text.split(","))
    if not names <= {name for part in PARTS for name in part.names}:
        raise ValueError(text)
    return tuple(part for part in PARTS if names & part.names)


def collect(
    work: Path,
    out: Path,
    summary: dict[str, Any],
    budget: Budget,
    parts: Sequence[Part],
    most: int,
    *,
    run_s: float | None,
) -> None:
    """Measure what fits, job by job; `summary`, and its copy in `out`, grow with each."""
    shape = SHAPES[summary["shape"]]
    commits = make_repository(work / "subject", summary["shape"], shape.rows)
    sft_s = run_s or seconds_of_a_run(work, summary["shape"], is_cold=shape.needs_gpu)
    run_s_of = {"sft": sft_s, "dpo": DPO_TO_SFT * sft_s}
    left, fewest = list(parts), min(FEWEST_PAIRS, most)
    while job := next_job(left, budget.left_s, run_s_of, most, fewest):
        left = [part for part in left if part not in job.parts]
        record = measured(work, commits, job, out / f"{len(summary['jobs']) + 1}-{job.name}", budget)
        if record["runs"]:
            run_s_of[job.recipe] = record["seconds"] / record["runs"]
            summary["jobs"].append(record)
        else:
            why = f"`paceline bench` left no run, its exit status was {record['status']}"
            summary["not_run"] |= {part.key: why for part in job.parts}
        write_summary(summary, out, budget)
    why = f"{fewest} replicates did not fit into the {budget.left_s:.0f} s that were left"
    if budget.is_interrupted:
        why = "the benchmark was interrupted"
    summary["not_run"] |= {part.key: why for part in left}
    summary["not_run"] |= {part.key: "it was not asked for" for part in PARTS if part not in parts}
    write_summary(summary, out, budget)


def seconds_of_a_run(work: Path, shape: str, *, is_cold: bool) -> float:
    """One SFT run by hand: how long a run takes, and whether it works at all; else its log, and the end."""
    environment = environment_of_runs()
    if is_cold:  # what a first import reads from the disk is no part of a run
        imports = [sys.executable, "-c", "from trl import DPOTrainer, SFTTrainer"]
        subprocess.run(imports, env=environment, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "train_sft.py", "--shape", shape, "--rows", str(SHAPES[shape].rows["sft"])]
    began = time.monotonic()
    trial = subprocess.run(
        [*command, "--out", str(work / "trial")],
        cwd=work / "subject",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    took_s = time.monotonic() - began
    if trial.returncode:
        sys.exit(f"{trial.stdout}\nthe trial run ended with {trial.returncode}")
    print(f"a run by hand takes {took_s:.1f} s", file=sys.stderr, flush=True)
    return took_s


def write_summary(summary: dict[str, Any], out: Path, budget: Budget) -> None:
    """Everything that follows from the jobs in `out`; `summary.json` there."""
    results = [result_of(out / job["folder"]) for job in summary["jobs"]]
    packages = [
        line for result in results for one in result.environments.values() for line in one["packages"]
    ]
    found = dict(line.split("==", 1) for line in packages)
    drivers = {run.gpu.driver for result in results for run in result.runs if run.gpu and run.gpu.driver}
    summary["versions"] = {"python": platform.python_version()}
    summary["versions"] |= {name: found[name] for name in PACKAGES if name in found}
    summary["driver"] = ", ".join(sorted(drivers))
    summary["took_s"] = budget.took_s
    summary["parts"] = replayed(out, summary["jobs"])
    summary["agreement"] = agreement_of(summary["parts"])
    write_json(out / SUMMARY, summary)


def summary_of(folder: Path) -> dict[str, Any]:
    """`summary.json` as it is, but every figure of its parts computed from the raw runs."""
    summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    summary["parts"] = replayed(folder, summary["jobs"])
    summary["agreement"] = agreement_of(summary["parts"])
    return summary


def default_out(device: str) -> Path:
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")[:40]
    return HERE / "results" / f"{today()}-{slug}"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    main()

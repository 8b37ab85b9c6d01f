"""Measures our own verdicts: how often nothing is called an effect, how often a planted one is found.

    python benchmarks/noise.py collect FOLDER [--rounds 10]     # runs in the background, saves as it goes
    python benchmarks/noise.py table FOLDER                     # resamples what is there, prints Markdown

A subject with four arms (A, A again, A + 2 %, A + 5 % slower by a busy wait in its commits) is measured in
rounds: lockstep, lockstep beside a hostile neighbour, ABBA, and `hyperfine` on the same subject, so that all
of them meet the same machine. FOLDER/pool.jsonl holds one line a run; `collect` goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.plan import Plan
from bench.record import read_runs
from bench.run import Run

HERE = Path(__file__).resolve().parent
STEPS = 60
ARMS = {"baseline": 0.0, "again": 0.0, "plus2": 0.02, "plus5": 0.05}
RECIPE = """[recipe.train]
run = ["{{python}}", "train.py", "--steps", "{{steps}}", "--seed", "{{seed}}", "--out", "{{out}}"]
limit_s = 600
[recipe.train.params]
steps = {steps}
"""


@dataclass(frozen=True)
class Setting:
    """One way to measure: its name in the pool, its engine, replicates in each round."""

    name: str
    engine: str
    replicates: int
    has_neighbour: bool = False


SETTINGS = (
    Setting("lockstep", "lockstep", 4),
    Setting("neighbour", "lockstep", 2, has_neighbour=True),
    Setting("abba", "abba", 2),
)
HYPERFINE_RUNS = 3
SAME = ("cpu", "cores", "python", "versions", "steps")
"""What runs of one pool have in common."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("collect", "table"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.what == "collect":
        collect(folder, arguments.rounds)
    else:
        from noise_table import table

        print(table(read_pool(folder)))


def collect(folder: Path, rounds: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path, here = folder / "machine.json", machine()
    there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else here
    if unlike := [name for name in SAME if there.get(name) != here[name]]:
        sys.exit(f"{folder} holds runs of another machine ({', '.join(unlike)}): name another folder")
    path.write_text(json.dumps(here, indent=1) + "\n", encoding="utf-8")
    work = folder / "work"
    commits = make_subject(work / "subject")
    done = {(line["round"], line["setting"]) for line in read_pool(folder)}
    for number in range(1, rounds + 1):
        for setting in SETTINGS:
            if (number, setting.name) not in done:
                append(folder, number, setting.name, measured(work, commits, setting, number))
        if (number, "hyperfine") not in done:
            append(folder, number, "hyperfine", by_hyperfine(work, commits))
        print(f"round {number} of {rounds} is in {folder / 'pool.jsonl'}", flush=True)
    shutil.rmtree(work)


def make_subject(folder: Path) -> dict[str, str]:
    """A repository with a commit for each length of the wait; arm -> commit."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "noise_subject", folder)
    (folder / "paceline.toml").write_text(RECIPE.format(steps=STEPS), encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commits = {}
    for share in dict.fromkeys(ARMS.values()):
        (folder / "slower.py").write_text(f"SLOWER = {share}\n", encoding="utf-8")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", f"slower by {share}")
        commits |= {arm: git(folder, "rev-parse", "HEAD") for arm, own in ARMS.items() if own == share}
    return commits


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=noise", "-c", "user.email=noise@localhost", "-C", str(folder)]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def measured(work: Path, commits: dict[str, str], setting: Setting, seed: int) -> Iterator[dict[str, Any]]:
    """The runs of one job, made by the command line as a user makes them."""
    arms = [f"{arm}={commits[arm]}" for arm in ("again", "plus2")]
    command = [sys.executable, "-m", "agent", "bench", "train", "--repo", str(work / "subject")]
    command += ["--baseline", commits["baseline"], "--optimized", commits["plus5"]]
    command += [word for arm in arms for word in ("--arm", arm)]
    command += ["--replicates", str(setting.replicates), "--engine", setting.engine]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PACELINE_MACHINE": str(work / "machine")}
    neighbour = None
    if setting.has_neighbour:
        neighbour = subprocess.Popen([sys.executable, str(HERE / "neighbour.py"), str(seed)])
    try:
        subprocess.run(command, cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)
    finally:
        if neighbour is not None:
            neighbour.terminate()
            neighbour.wait()
    [job] = (work / ".paceline" / "jobs").iterdir()
    plan = Plan.from_dict(json.loads((job / "plan.json").read_text(encoding="utf-8")))
    runs = read_runs(job / "runs", plan)
    shutil.rmtree(job)
    for run in runs:
        yield line_of(run)


def line_of(run: Run) -> dict[str, Any]:
    return {
        "arm": "plus5" if run.arm == "optimized" else run.arm,
        "replicate": run.replicate,
        "outcome": run.outcome,
        "engine": run.engine,
        "wall_s": run.wall_s,
        "phases_s": {name: round(seconds, 6) for name, seconds in run.phases_s.items()},
        "tokens": run.tokens,
        "train_tokens": run.train_tokens,
        "step_s": [round(seconds, 6) for seconds in run.step_s],
        "windows": [asdict(window) for window in run.windows],
    }


def by_hyperfine(work: Path, commits: dict[str, str]) -> Iterator[dict[str, Any]]:
    """What people would pick instead: whole processes, all of one arm, then all of the other."""
    subject, out = work / "subject", work / "hyperfine.json"
    for arm in ("baseline", "plus5"):
        git(subject, "checkout", "--quiet", commits[arm])
        command = shlex.join(
            [sys.executable, "train.py", "--steps", str(STEPS), "--seed", "1", "--out", str(work / "out")]
        )
        options = ["--shell=none", "--runs", str(HYPERFINE_RUNS), "--export-json", str(out), "--style=none"]
        subprocess.run(["hyperfine", *options, command], cwd=subject, check=True, stdout=subprocess.DEVNULL)
        [result] = json.loads(out.read_text(encoding="utf-8"))["results"]
        yield {"arm": arm, "times_s": result["times"]}
    git(subject, "checkout", "--quiet", "main")


def append(folder: Path, number: int, setting: str, lines: Iterator[dict[str, Any]]) -> None:
    """All lines of a setting at once: a round that broke off leaves none."""
    text = "".join(json.dumps({"round": number, "setting": setting, **line}) + "\n" for line in list(lines))
    with (folder / "pool.jsonl").open("a", encoding="utf-8") as file:
        file.write(text)


def read_pool(folder: Path) -> list[dict[str, Any]]:
    path = folder / "pool.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


def machine() -> dict[str, Any]:
    from importlib.metadata import version

    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "steps": STEPS,
    }


if __name__ == "__main__":
    main()

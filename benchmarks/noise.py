"""Measures our own verdicts: how often nothing is called an effect, how often a planted one is found.

    python benchmarks/noise.py collect FOLDER [--rounds 10]     # saves as it goes, goes on where it stopped
    python benchmarks/noise.py table FOLDER                     # resamples what is there, prints Markdown

A subject with four arms (A, A again, A + 2 %, A + 5 % slower by a busy wait in its commits) is measured in
rounds: lockstep, lockstep beside a hostile neighbour, ABBA; then without Paceline, `hyperfine` and one run
after the other. So all of them meet the same machine. The pool in FOLDER is `noise_pool.py`'s.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agent.dispatch import harness_digest
from bench.plan import Plan
from bench.record import read_runs
from bench.run import Run
from pods.job import is_free
from pods.shell_local import LocalShell

from noise_pool import (
    Sitting,
    UnlikeMachine,
    append,
    first_rounds,
    missing,
    read_lines,
    read_machine,
    sit_down,
)
from noise_table import table

HERE = Path(__file__).resolve().parent
STEPS = 60
ARMS = {"baseline": 0.0, "again": 0.0, "plus2": 0.02, "plus5": 0.05}
RECIPE = """[recipe.train]
run = ["{{python}}", "train.py", "--steps", "{{steps}}", "--seed", "{{seed}}", "--out", "{{out}}"]
limit_s = 600
[recipe.train.params]
steps = {steps}
"""
SLOT = "cpu"
CANCEL_S = 60.0
"""How long the command line may take to end its job where somebody interrupts."""


@dataclass(frozen=True)
class Setting:
    """One way to measure with Paceline: its name in the pool, its engine, replicates in each round."""

    name: str
    engine: str
    replicates: int
    has_neighbour: bool = False


SETTINGS = (
    Setting("lockstep", "lockstep", 4),
    Setting("neighbour", "lockstep", 2, has_neighbour=True),
    Setting("abba", "abba", 2),
)
HYPERFINE, SEQUENCE = "hyperfine", "sequence"
NAMES = (*(setting.name for setting in SETTINGS), HYPERFINE, SEQUENCE)
HYPERFINE_RUNS = 3
IN_SEQUENCE = ("baseline", "again", "plus5")


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
        print(table(read_lines(folder), read_machine(folder)))


def collect(folder: Path, rounds: int) -> None:
    if shutil.which("hyperfine") is None:
        sys.exit("noise: hyperfine is not on the PATH, and every round runs it: apt-get install hyperfine")
    work = folder / "work"
    if why := busy(work):
        sys.exit(f"noise: {why}")
    clear(work)
    lacking = missing(read_lines(folder), NAMES, rounds)
    if not lacking:
        print(f"all {rounds} rounds are in {folder}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    today = time.strftime("%Y-%m-%d")
    sitting = Sitting(today, platform.release(), harness_digest(), first_rounds(lacking))
    try:
        sit_down(folder, machine(), sitting)
    except UnlikeMachine as error:
        sys.exit(f"noise: {error}")
    commits = make_subject(work / "subject")
    for number, name in lacking:
        append(folder, number, name, lines_of(work, commits, name, number))
        print(f"round {number} of {rounds}: {name} is in {folder}", flush=True)
    clear(work)


def busy(work: Path) -> str:
    """Why nothing can be measured in `work` now, "" where it can: a job of an earlier call still runs."""
    machine_folder = work / "machine"
    if not machine_folder.exists() or is_free(LocalShell(), machine_folder, SLOT):
        return ""
    jobs = work / ".paceline" / "jobs"
    return (
        f"a job in {jobs} holds the slot: another call is measuring, or one was killed and left it behind;"
        f" wait for its end, or end the supervisor.pyz that runs it"
    )


def clear(work: Path) -> None:
    """Delete what a call made beside the pool, be it one that was interrupted."""
    shutil.rmtree(work, ignore_errors=True)


def lines_of(work: Path, commits: dict[str, str], name: str, number: int) -> Iterator[dict[str, Any]]:
    """What a setting gives in a round."""
    if name == HYPERFINE:
        return by_hyperfine(work, commits)
    if name == SEQUENCE:
        return in_sequence(work, commits)
    [setting] = [setting for setting in SETTINGS if setting.name == name]
    return measured(work, commits, setting, number)


def make_subject(folder: Path) -> dict[str, str]:
    """A repository with a commit for each length of the wait; arm -> commit."""
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
    with neighbour(seed) if setting.has_neighbour else contextlib.nullcontext():
        run_to_its_end(command, work)
    [job] = (work / ".paceline" / "jobs").iterdir()
    plan = Plan.from_dict(json.loads((job / "plan.json").read_text(encoding="utf-8")))
    runs = read_runs(job / "runs", plan)
    shutil.rmtree(job)
    for run in runs:
        yield line_of(run)


@contextlib.contextmanager
def neighbour(seed: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, str(HERE / "neighbour.py"), str(seed)])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def run_to_its_end(command: list[str], work: Path) -> None:
    """Where somebody interrupts, the command line is given the time to end its job.

    `subprocess.run` would kill it after 0.25 s; its job would go on, and hold the slot.
    """
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PACELINE_MACHINE": str(work / "machine")}
    process = subprocess.Popen(command, cwd=work, env=environment, stdout=subprocess.DEVNULL)
    try:
        status = process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=CANCEL_S)
        raise
    if status != 0:
        raise subprocess.CalledProcessError(status, command)


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
        options = ["--shell=none", "--runs", str(HYPERFINE_RUNS), "--export-json", str(out), "--style=none"]
        command = ["hyperfine", *options, shlex.join(by_hand(work))]
        subprocess.run(command, cwd=subject, check=True, stdout=subprocess.DEVNULL)
        [result] = json.loads(out.read_text(encoding="utf-8"))["results"]
        yield {"arm": arm, "times_s": result["times"]}


def in_sequence(work: Path, commits: dict[str, str]) -> Iterator[dict[str, Any]]:
    """What people do who look at one run before and one after: a process an arm, in turn."""
    subject = work / "subject"
    for arm in IN_SEQUENCE:
        git(subject, "checkout", "--quiet", commits[arm])
        began = time.monotonic()
        subprocess.run(by_hand(work), cwd=subject, check=True, capture_output=True)
        yield {"arm": arm, "wall_s": time.monotonic() - began}


def by_hand(work: Path) -> list[str]:
    options = ["--steps", str(STEPS), "--seed", "1", "--out", str(work / "out")]
    return [sys.executable, "train.py", *options]


def machine() -> dict[str, Any]:
    """What the runs of a pool have in common."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return {
        "cpu": next((line.partition(":")[2].strip() for line in lines if "model name" in line), ""),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "steps": STEPS,
    }


if __name__ == "__main__":
    main()

"""`paceline logs`: what the job of an issue prints, or one of its runs, from wherever it runs.

Reads the log in pieces from where it was read last, over the connection that is there; a link that is lost is
waited for. What a subject prints is shown without its control characters. An empty log is said to be one,
with the runs that have logs of their own.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from bench.plan import Plan
from pods.answers import Paths
from pods.job import Absent, Finished, Lost
from pods.shell import PodError

from agent.errors import TaskError
from agent.gather import Desk
from agent.ledger import Intent
from agent.talk import present
from agent.yard import Bench

PIECE_B = 1 << 20
LAST_B = 64 << 10
"""What is shown at first of a long log."""
LOOK_S = 1.0
TIMEOUT_S = 30.0
MOST_RUNS = 20
OVER = (Finished, Lost, Absent)
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")

Say = Callable[[str], None]


@dataclass
class _Reader:
    bench: Bench
    path: PurePath
    offset: int = -LAST_B

    def read(self) -> bytes:
        """What came since the last call. Raises PodError."""
        begin = f"+{self.offset + 1}" if self.offset >= 0 else f"{-self.offset}"
        done = self.bench.shell.run(
            ["tail", "-c", begin, str(self.path)], timeout_s=TIMEOUT_S, limit_b=PIECE_B
        )
        if done.status is None:
            raise PodError(f"the log of {self.path} did not arrive")
        if done.status != 0:
            return b""  # not there yet
        if self.offset < 0:
            size = self.bench.shell.run(["stat", "-c", "%s", str(self.path)], timeout_s=TIMEOUT_S)
            self.offset = int(size.out or b"0") if size.status == 0 else len(done.out)
        else:
            self.offset += len(done.out)
        return done.out


def show_logs(desk: Desk, number: int, run: str | None, *, follow: bool, say: Say, note: Say) -> None:
    """`note` takes what is no log.

    Raises TaskError where the issue has no job or its job no such run, PodError where its pod is not reached.
    """
    intent = last_intent(desk, number)
    bench = desk.yard.bench(intent.pod)
    paths = bench.paths(intent.job)
    reader = _Reader(bench, paths.log if run is None else run_log(paths.runs, run))
    observed = desk.yard.observe(intent.pod, intent.job)
    if isinstance(observed, Absent):
        raise TaskError(f"job {intent.job} is not on {intent.pod} any more")
    if run is not None and run not in (there := _runs(bench, paths)):
        if isinstance(observed, OVER) or not _is_planned(bench, paths, run):
            raise TaskError(f"job {intent.job} has no run {run}; {_told(there)}")
        note(f"{run} has not begun; {_told(there)}")
    elif text := reader.read():
        say(_shown(text))
    else:
        what = f"job {intent.job} itself" if run is None else run
        note(f"{what} has printed nothing; {_told(_runs(bench, paths))}")
    while follow and not isinstance(observed, OVER):
        time.sleep(LOOK_S)
        desk.yard.begin_tick()
        observed = desk.yard.observe(intent.pod, intent.job)
        try:
            if text := reader.read():
                say(_shown(text))
        except PodError as error:
            note(f"{error}; trying again")


def last_intent(desk: Desk, number: int) -> Intent:
    """Of the issue's newest attempt. Raises TaskError."""
    present(desk, number)
    intents = desk.ledger(number).every_intent()
    if not intents:
        raise TaskError(f"#{number} has no job: nothing was measured for it")
    return intents[-1]


def run_log(runs: PurePath, run: str) -> PurePath:
    """The log of `RECIPE/REPLICATE/ARM`. Raises TaskError."""
    parts = run.split("/")
    if len(parts) != 3 or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise TaskError(f"a run is named RECIPE/REPLICATE/ARM, as in sft/1/optimized; not {run!r}")
    return runs.joinpath(*parts, "log")


def _runs(bench: Bench, paths: Paths) -> list[str]:
    """The runs of a job that have begun, as `--run` takes them. Raises PodError."""
    depth = ["-mindepth", "3", "-maxdepth", "3", "-type", "d", "-print0"]
    done = bench.shell.run(["find", str(paths.runs), *depth], timeout_s=TIMEOUT_S)
    if done.status is None:
        raise PodError(f"the runs of {paths.root} could not be listed")
    found = [os.fsdecode(path).rsplit("/", 3)[1:] for path in done.out.split(b"\0") if path]
    by_number = sorted(found, key=lambda one: (one[0], int(one[1]) if one[1].isdigit() else 0, one[2]))
    return ["/".join(one) for one in by_number]


def _is_planned(bench: Bench, paths: Paths, run: str) -> bool:
    """Whether a run is one of the plan's, begun or not. Raises PodError."""
    plan = Plan.from_dict(json.loads(bench.shell.get(paths.plan, PIECE_B)))
    recipe, replicate, arm = run.split("/")
    rounds = ((str(number), one.name, arms) for number, one, arms in plan.rounds())
    return any(
        (number, name) == (replicate, recipe) and arm in {one.name for one in arms}
        for number, name, arms in rounds
    )


def _shown(text: bytes) -> str:
    return _CONTROL.sub(b"", text).decode(errors="replace").rstrip("\n")


def _told(there: Sequence[str]) -> str:
    if not there:
        return "no run has begun"
    lines = "".join(f"\n  --run {one}" for one in there[-MOST_RUNS:])
    return f"runs that have begun{' (the last)' if len(there) > MOST_RUNS else ''}:{lines}"

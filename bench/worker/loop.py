"""The run loop: round by round through the plan, every run that is not there yet.

A round is one replicate of one recipe; none is begun once the agent says that it is enough. In lockstep its
arms run against each other (`lockstep.py`), in ABBA one whole process after the other in the plan's order. A
round that is there is never repeated, so a worker that is started again carries on.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.plan import Arm, Plan, Recipe
from bench.worker.environments import Environment, check_packages, environment_for
from bench.worker.files import write_json
from bench.worker.lockstep import Lockstep, Unfit
from bench.worker.one_run import OneRun, RunPlace
from bench.worker.owned import Ownership
from bench.worker.progress import Progress
from bench.worker.settings import Settings
from bench.worker.source import Mirror, Worktree

ENGINE = "engine.json"
"""In the folder of a recipe's runs: that its arms do not fit beside each other, and why."""


class Cancelled(Exception):
    """The job was asked to end; what was measured stays."""


@dataclass
class Work:
    """Everything that is prepared once and used by every run. Each arm has a worktree of its own."""

    plan: Plan
    settings: Settings
    runs: Path
    enough: Path
    hook: Path
    ownership: Ownership
    progress: Progress
    worktrees: dict[str, Worktree] = field(default_factory=dict)
    environments: dict[tuple[str, str], Environment] = field(default_factory=dict)

    def place_of(self, run: OneRun) -> RunPlace:
        environment = self.environments[run.recipe.env, run.arm.commit]
        return RunPlace(self.settings, self.worktrees[run.arm.name], environment, self.hook)

    def run_of(self, replicate: int, recipe: Recipe, arm: Arm) -> OneRun:
        folder = self.runs / recipe.name / str(replicate) / arm.name
        return OneRun(folder, recipe, arm, replicate, self.plan.base_seed + replicate)


def run_plan(work: Work, trees: Path) -> None:
    """Raises SourceError, EnvironmentError_ (before any run) and Cancelled."""
    mirror = Mirror(Path(work.settings.workspace), work.settings.source)
    try:
        _prepare(work, mirror, trees)
        _warm_up(work)
        for replicate, recipe, arms in work.plan.rounds():
            if work.enough.exists():
                break
            _round(work, recipe, [work.run_of(replicate, recipe, arm) for arm in arms])
    finally:
        for worktree in work.worktrees.values():
            mirror.drop_worktree(worktree)


def _prepare(work: Work, mirror: Mirror, trees: Path) -> None:
    for arm in work.plan.arms:
        _stop_if_cancelled(work)
        work.progress.stage(f"fetching {arm.commit[:12]}")
        mirror.fetch(arm.commit)
        work.worktrees[arm.name] = mirror.lay_worktree(arm.commit, trees / arm.name)
    for recipe in work.plan.recipes:
        for arm in work.plan.arms_of(recipe):
            _stop_if_cancelled(work)
            if (recipe.env, arm.commit) not in work.environments:
                work.progress.stage(f"environment of {arm.commit[:12]} ({recipe.env})")
                work.environments[recipe.env, arm.commit] = environment_for(
                    recipe.env,
                    work.worktrees[arm.name].folder,
                    Path(work.settings.workspace),
                    work.settings.python,
                )
            check_packages(work.environments[recipe.env, arm.commit].python, recipe.need.packages)
    described = {environment.digest: environment.packages for environment in work.environments.values()}
    write_json(work.runs / "environments.json", described)
    baseline, *others = work.plan.arms
    write_json(
        work.runs / "history.json",
        {arm.name: mirror.history(baseline.commit, arm.commit) for arm in others},
    )


def _warm_up(work: Work) -> None:
    """One unmeasured run of each arm of a recipe that declares warm caches, as replicate 0."""
    for recipe in work.plan.recipes:
        if recipe.cache == "warm":
            _abba(work, [work.run_of(0, recipe, arm) for arm in work.plan.arms_of(recipe)])


def _round(work: Work, recipe: Recipe, runs: list[OneRun]) -> None:
    if _engine(work, recipe) == "abba" or len(runs) < 2:
        _abba(work, runs)
        return
    if all(run.is_done for run in runs):
        for run in runs:
            work.progress.skipped(recipe.name, run.arm.name)
        return
    _stop_if_cancelled(work)
    lockstep = Lockstep(work.settings, work.ownership, work.progress)
    try:
        lockstep.measure([(run, work.place_of(run)) for run in runs])
    except Unfit as why:
        write_json(work.runs / recipe.name / ENGINE, {"engine": "abba", "why": str(why)})
        _abba(work, [work.run_of(run.replicate, recipe, run.arm) for run in runs])
    else:
        for run, word, held_s in lockstep.ended:
            work.progress.run_ends(recipe.name, run.arm.name, word, held_s)
    _stop_if_cancelled(work)


def _engine(work: Work, recipe: Recipe) -> str:
    try:
        text = (work.runs / recipe.name / ENGINE).read_text(encoding="utf-8")
        return str(json.loads(text)["engine"])
    except (OSError, ValueError, KeyError):
        return "abba" if recipe.events == "own" else work.plan.engine


def _abba(work: Work, runs: list[OneRun]) -> None:
    for run in runs:
        _alone(work, run)


def _alone(work: Work, run: OneRun) -> None:
    recipe, arm, progress = run.recipe.name, run.arm.name, work.progress
    if run.is_done:
        progress.skipped(recipe, arm)
        return
    _stop_if_cancelled(work)
    progress.begins(recipe, run.replicate, arm)
    began = time.monotonic()
    place = work.place_of(run)
    owned = work.ownership.run(run.start(place), tick=lambda: progress.look_at(run.events))
    progress.run_ends(recipe, arm, run.end(place, owned), time.monotonic() - began)
    _stop_if_cancelled(work)


def _stop_if_cancelled(work: Work) -> None:
    if work.ownership.is_cancelled:
        raise Cancelled

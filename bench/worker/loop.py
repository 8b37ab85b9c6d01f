"""The run loop: round by round through the plan, every run that is not there yet.

A round is one replicate of one recipe; `_abba` runs its arms one after the other in the plan's order. An
engine that runs them against each other takes its place without touching the rest. A run whose folder holds
an exit record is never repeated, so a worker that is started again carries on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench.plan import Arm, Plan, Recipe
from bench.worker.environments import Environment, check_packages, environment_for
from bench.worker.files import write_json
from bench.worker.one_run import OneRun
from bench.worker.owned import Ownership
from bench.worker.progress import Progress
from bench.worker.settings import Settings
from bench.worker.source import Mirror, Worktree


class Cancelled(Exception):
    """The job was asked to end; what was measured stays."""


@dataclass
class Work:
    """Everything that is prepared once and used by every run."""

    plan: Plan
    settings: Settings
    runs: Path
    hook: Path
    ownership: Ownership
    progress: Progress
    worktrees: dict[str, Worktree] = field(default_factory=dict)
    environments: dict[tuple[str, str], Environment] = field(default_factory=dict)


def run_plan(work: Work, trees: Path) -> None:
    """Raises SourceError, EnvironmentError_ (before any run) and Cancelled."""
    mirror = Mirror(Path(work.settings.workspace), work.settings.source)
    try:
        _prepare(work, mirror, trees)
        _warm_up(work)
        for replicate, recipe, arms in work.plan.rounds():
            _abba(work, replicate, recipe, arms)
    finally:
        for worktree in work.worktrees.values():
            mirror.drop_worktree(worktree)


def _prepare(work: Work, mirror: Mirror, trees: Path) -> None:
    for commit in dict.fromkeys(arm.commit for arm in work.plan.arms):
        _stop_if_cancelled(work)
        work.progress.stage(f"fetching {commit[:12]}")
        mirror.fetch(commit)
        work.worktrees[commit] = mirror.lay_worktree(commit, trees / commit)
    for recipe in work.plan.recipes:
        for arm in work.plan.arms_of(recipe):
            _stop_if_cancelled(work)
            if (recipe.env, arm.commit) not in work.environments:
                work.progress.stage(f"environment of {arm.commit[:12]} ({recipe.env})")
                work.environments[recipe.env, arm.commit] = environment_for(
                    recipe.env,
                    work.worktrees[arm.commit].folder,
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
            for arm in work.plan.arms_of(recipe):
                _run(work, OneRun(work.runs / recipe.name / "0" / arm.name, recipe, arm, 0))


def _abba(work: Work, replicate: int, recipe: Recipe, arms: tuple[Arm, ...]) -> None:
    for arm in arms:
        _run(work, OneRun(work.runs / recipe.name / str(replicate) / arm.name, recipe, arm, replicate))


def _run(work: Work, run: OneRun) -> None:
    recipe, arm = run.recipe, run.arm
    if run.is_done:
        work.progress.skipped(recipe.name, arm.name)
        return
    _stop_if_cancelled(work)
    work.progress.run_begins(recipe.name, run.replicate, arm.name)
    ended = run.measure(
        work.settings,
        work.worktrees[arm.commit],
        work.environments[recipe.env, arm.commit],
        work.hook,
        work.plan.base_seed + run.replicate,
        work.ownership,
        work.progress,
    )
    work.progress.run_ends(recipe.name, arm.name, ended)
    _stop_if_cancelled(work)


def _stop_if_cancelled(work: Work) -> None:
    if work.ownership.is_cancelled:
        raise Cancelled

"""The run loop: round by round through the plan, every run that is not there yet.

A round is one replicate of one recipe; none is begun once the agent says that it is enough. In lockstep its
arms run against each other (`lockstep.py`), in ABBA one whole process after the other in the plan's order. A
round that is there is never repeated, so a worker that is started again carries on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.plan import BEFORE, Arm, Plan, Recipe
from bench.worker.environments import Environment, check_packages, environment_for
from bench.worker.files import write_json
from bench.worker.lockstep import Lockstep, Unfit
from bench.worker.one_run import OneRun, RunPlace
from bench.worker.owned import Ownership
from bench.worker.progress import Progress
from bench.worker.sampling import Sampling
from bench.worker.seals import Seals
from bench.worker.settings import Settings
from bench.worker.source import Mirror, RevertError, Worktree

NOT_MEASURED = "not_measured.json"
"""Under `runs/`: the arms that could not be made, each with one line why."""
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
    sampling: Sampling
    seals: Seals
    worktrees: dict[str, Worktree] = field(default_factory=dict)
    environments: dict[tuple[str, str], Environment] = field(default_factory=dict)

    def place_of(self, run: OneRun) -> RunPlace:
        tree = self.worktrees[run.arm.name]
        environment = self.environments[run.recipe.env, tree.tree]
        return RunPlace(self.settings, tree, environment, self.hook, self.sampling, self.seals)

    def made_arms(self, recipe: Recipe) -> list[Arm]:
        """The arms of a recipe that could be made: all but those whose commits do not revert."""
        return [arm for arm in self.plan.arms_of(recipe) if arm.name in self.worktrees]

    def is_done(self, run: OneRun) -> bool:
        """Whether it was made by a worker; a record that a subject planted is none."""
        return self.seals.holds(run.folder / "exit.json")

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
            made = [arm for arm in arms if arm.name in work.worktrees]
            for arm in [arm for arm in arms if arm not in made]:
                work.progress.skipped(recipe.name, arm.name)
            _round(work, recipe, [work.run_of(replicate, recipe, arm) for arm in made])
            if replicate == 1:
                _look_before(work, recipe)
    finally:
        work.sampling.close()
        for worktree in work.worktrees.values():
            mirror.drop_worktree(worktree)


def _prepare(work: Work, mirror: Mirror, trees: Path) -> None:
    not_measured = _lay_worktrees(work, mirror, trees)
    for recipe in work.plan.recipes:
        for arm in work.made_arms(recipe):
            _stop_if_cancelled(work)
            worktree = work.worktrees[arm.name]
            if (recipe.env, worktree.tree) not in work.environments:
                work.progress.stage(f"environment of {arm.commit[:12]} ({recipe.env})")
                work.environments[recipe.env, worktree.tree] = environment_for(
                    recipe.env, worktree.folder, Path(work.settings.workspace), work.settings.python
                )
            check_packages(work.environments[recipe.env, worktree.tree].python, recipe.need.packages)
    write_json(work.runs / NOT_MEASURED, not_measured)
    described = {environment.digest: environment.packages for environment in work.environments.values()}
    write_json(work.runs / "environments.json", described)
    baseline, *others = work.plan.arms
    write_json(
        work.runs / "history.json",
        {
            arm.name: mirror.history(baseline.commit, work.worktrees[arm.name].head)
            for arm in others
            if arm.name in work.worktrees
        },
    )
    work.seals.seal([work.runs / "environments.json", work.runs / "history.json"])


def _lay_worktrees(work: Work, mirror: Mirror, trees: Path) -> dict[str, str]:
    """One an arm; why there is none for those whose commits cannot be reverted. Raises SourceError."""
    not_measured = {}
    for arm in work.plan.arms:
        for commit in (arm.commit, *arm.reverts):
            _stop_if_cancelled(work)
            work.progress.stage(f"fetching {commit[:12]}")
            mirror.fetch(commit)
        try:
            work.worktrees[arm.name] = mirror.lay_worktree(arm.commit, trees / arm.name, arm.reverts)
        except RevertError as error:
            not_measured[arm.name] = str(error)
    return not_measured


def _warm_up(work: Work) -> None:
    """One unmeasured run of each arm of a recipe that declares warm caches, as replicate 0."""
    for recipe in work.plan.recipes:
        if recipe.cache == "warm":
            _abba(work, [work.run_of(0, recipe, arm) for arm in work.made_arms(recipe)])


def _round(work: Work, recipe: Recipe, runs: list[OneRun]) -> None:
    if _engine(work, recipe) == "abba" or len(runs) < 2:
        _abba(work, runs)
        return
    if all(work.is_done(run) for run in runs):
        for run in runs:
            work.progress.skipped(recipe.name, run.arm.name)
        return
    _stop_if_cancelled(work)
    lockstep = Lockstep(work.settings, work.ownership, work.progress)
    try:
        lockstep.measure([(run, work.place_of(run)) for run in runs])
    except Unfit as why:
        for run in runs:
            work.seals.open(run.folder)
        write_json(_fallback(work, recipe), {"engine": "abba", "why": str(why)})
        work.seals.seal([_fallback(work, recipe)])
        _abba(work, [work.run_of(run.replicate, recipe, run.arm) for run in runs])
    else:
        for run, word, held_s in lockstep.ended:
            work.progress.run_ends(recipe.name, run.arm.name, word, held_s)
    _stop_if_cancelled(work)


def _look_before(work: Work, recipe: Recipe) -> None:
    """Where the baseline's run does not know its held-out loss before training: one extra run that tells."""
    baseline = work.plan.arms[0]
    first = work.run_of(1, recipe, baseline)
    run = work.run_of(0, recipe, replace(baseline, name=BEFORE))
    if work.is_done(run) or not first.wants_loss_before:
        return
    _stop_if_cancelled(work)
    work.progress.stage(f"{recipe.name}: held-out loss before training")
    place = work.place_of(first)
    run.end(place, work.ownership.run(run.start(place), tick=lambda: None))


def _engine(work: Work, recipe: Recipe) -> str:
    """A fallback that a subject planted is none."""
    is_alone = recipe.events == "own" or work.seals.holds(_fallback(work, recipe))
    return "abba" if is_alone else work.plan.engine


def _fallback(work: Work, recipe: Recipe) -> Path:
    return work.runs / recipe.name / ENGINE


def _abba(work: Work, runs: list[OneRun]) -> None:
    for run in runs:
        _alone(work, run)


def _alone(work: Work, run: OneRun) -> None:
    recipe, arm, progress = run.recipe.name, run.arm.name, work.progress
    if work.is_done(run):
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

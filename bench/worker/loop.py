"""The run loop: round by round through the plan, every run that is not there yet.

A round is one replicate of one recipe; none is begun once the agent says that it is enough. In lockstep its
arms run against each other (`lockstep.py`), in ABBA one whole process after the other in the plan's order. A
round that is there is never repeated, so a worker that is started again carries on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.plan import BEFORE, Arm, Plan, Recipe
from bench.spoiled import is_round_spoiled, next_place
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
MPS_PIPES = "/tmp/nvidia-mps"  # noqa: S108 - where NVIDIA's daemon puts them unless told otherwise


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
    again_left: int  # runs that may still be made again: a neighbour that stays must not eat the job's time
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
        _keep_apart(work)
        _warm_up(work)
        for replicate, recipe, arms in work.plan.rounds():
            if work.enough.exists():
                break
            _skip_unmade(work, recipe, arms)
            made = [arm for arm in arms if arm.name in work.worktrees]
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
    work.seals.seal(work.runs / name for name in ("environments.json", "history.json", NOT_MEASURED))


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


def _skip_unmade(work: Work, recipe: Recipe, arms: Sequence[Arm]) -> None:
    for arm in arms:
        if arm.name not in work.worktrees:
            work.progress.skipped(recipe.name, arm.name)


def _keep_apart(work: Work) -> None:
    """Behind NVIDIA's Multi-Process Service one server holds the kernels of all its clients, so those of an
    arm that stands still may run on: no lockstep there."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or MPS_PIPES)
    # Path.exists raises where nobody may look.
    if work.settings.gpu is not None and os.path.exists(pipes / "control"):  # noqa: PTH110
        why = f"the Multi-Process Service runs ({pipes}): an arm that stands still may go on computing"
        for recipe in work.plan.recipes:
            _fall_back(work, recipe, why)


def _fall_back(work: Work, recipe: Recipe, why: str) -> None:
    """All rounds of the recipe in ABBA from here on."""
    _fallback(work, recipe).parent.mkdir(parents=True, exist_ok=True)
    write_json(_fallback(work, recipe), {"engine": "abba", "why": why})
    work.seals.seal([_fallback(work, recipe)])


def _warm_up(work: Work) -> None:
    """One unmeasured run of each arm of a recipe that declares warm caches, as replicate 0."""
    for recipe in work.plan.recipes:
        if recipe.cache == "warm":
            _skip_unmade(work, recipe, work.plan.arms_of(recipe))
            _abba(work, [work.run_of(0, recipe, arm) for arm in work.made_arms(recipe)])


def _round(work: Work, recipe: Recipe, runs: list[OneRun]) -> None:
    """In lockstep, where the machine spoiled a run, all of the round once more: they belong together."""
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
        _fall_back(work, recipe, str(why))
        _abba(work, [work.run_of(run.replicate, recipe, run.arm) for run in runs])
        return
    if _is_set_aside(work, runs):
        _round(work, recipe, [work.run_of(run.replicate, recipe, run.arm) for run in runs])
        return
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
    word = run.end(place, owned)
    seconds = time.monotonic() - began
    if _is_set_aside(work, [run]):
        _alone(work, work.run_of(run.replicate, run.recipe, run.arm))
        return
    progress.run_ends(recipe, arm, word, seconds)
    _stop_if_cancelled(work)


def _is_set_aside(work: Work, runs: list[OneRun]) -> bool:
    """Whether the machine spoiled a run that counts; then there is room for another try of all of them."""
    if work.ownership.is_cancelled or work.again_left < len(runs) or not runs[0].replicate:
        return False
    places = [next_place(run.folder) for run in runs]
    if None in places or not is_round_spoiled([run.folder for run in runs]):
        return False
    for run, place in zip(runs, places, strict=True):
        assert place is not None
        run.set_aside(place, work.seals)
    work.again_left -= len(runs)
    return True


def _stop_if_cancelled(work: Work) -> None:
    if work.ownership.is_cancelled:
        raise Cancelled

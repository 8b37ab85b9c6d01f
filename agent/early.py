"""Ends a job early: the runs that a plan with looks has so far decide everything.

Looks at the numbers of replicates that the plan names and at no others, and only when such a number has come.
Telling the worker is a file in the job folder, so it may be repeated and survives whoever wrote it; a job
that nobody tells goes on to the plan's cap.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.plan import Plan
from bench.spoiled import is_round_spoiled, next_place
from pods.paths import JobPaths


@dataclass
class Early:
    """`looked` remembers the look at which a job was judged last, so that no look is computed twice."""

    looked: dict[str, int] = field(default_factory=dict)

    def may_be_due(self, paths: JobPaths[Path], done: int) -> bool:
        """Whether so many ended runs may be a look that nobody has had yet; `paths` is a copy, perhaps of
        long ago or not there."""
        plan = _plan_of(paths)
        if plan is None:
            return True
        reached = max((look for look in plan.looks if done >= _runs_until(plan, look)), default=0)
        return reached not in (0, plan.replicates) and self.looked.get(str(paths.root)) != reached

    def is_due(self, paths: JobPaths[Path]) -> bool:
        """Whether the job should be told now that it is enough."""
        plan = _plan_of(paths)
        if plan is None or not plan.looks or paths.enough.exists():
            return False
        look = look_at(plan.looks, whole_replicates(plan, paths.runs))
        if look in (0, plan.replicates) or self.looked.get(str(paths.root)) == look:
            return False
        if _may_be_made_again(plan, paths.runs, look):
            return False
        try:
            is_enough = _is_enough(paths)
        except FileNotFoundError:  # a run was just set aside, and is made again
            return False
        self.looked[str(paths.root)] = look
        return is_enough


def _runs_until(plan: Plan, look: int) -> int:
    return sum(len(arms) for replicate, _, arms in plan.rounds() if replicate <= look)


def look_at(looks: Sequence[int], replicates: int) -> int:
    """The last look that has come, 0 where none has."""
    return max((look for look in looks if look <= replicates), default=0)


def whole_replicates(plan: Plan, runs: Path) -> int:
    """How many replicates from the first on have all their runs; arms that could not be made have none."""
    unmade = _unmade(runs)
    for replicate, recipe, arms in plan.rounds():
        folder = runs / recipe.name / str(replicate)
        if not all((folder / arm.name / "exit.json").exists() for arm in arms if arm.name not in unmade):
            return replicate - 1
    return plan.replicates


def _may_be_made_again(plan: Plan, runs: Path, replicate: int) -> bool:
    """Whether the worker may be about to put another try in the place of runs of this replicate."""
    for recipe in plan.recipes:
        folders = [runs / recipe.name / str(replicate) / arm.name for arm in plan.arms_of(recipe)]
        ended = [folder for folder in folders if (folder / "exit.json").exists()]
        if all(next_place(folder) for folder in ended) and is_round_spoiled(ended):
            return True
    return False


def _unmade(runs: Path) -> Container[str]:
    try:
        found = json.loads((runs / "not_measured.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return found if isinstance(found, dict) else ()


def _plan_of(paths: JobPaths[Path]) -> Plan | None:
    try:
        return Plan.from_dict(json.loads(paths.plan.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _is_enough(paths: JobPaths[Path]) -> bool:
    from agent.result import result_of

    return result_of(paths.root).judgement.is_enough

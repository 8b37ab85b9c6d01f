"""Looking before the end: when enough was measured, and how sure each look has to be.

Every look is another chance for noise to pass for an effect, so each of several is taken at a stricter level
than a single one. Over four looks at 3, 5, 8 and 12 replicates a level of 0.015 raises 4.8 % false alarms
where effects are normal and fewer where their tails are heavy (`tests/bench/test_sequential.py` draws them).
Pure: reads a plan, what has ended and a verdict; which runs are judged, and how, is `judge.py`'s matter.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from bench import compare, parity
from bench.compare import FEWEST_PAIRS
from bench.plan import Plan
from bench.run import Run
from bench.sample import SPENT, Pair, valid
from bench.verdict import ArmVerdict, Evidence, RecipeEvidence

LOOKS = (3, 5, 8, 12)
"""Replicates after which `auto` looks. The level below was simulated for these."""
FAILED_RULE = 1
"""The rule of the verdict that nothing measured later can lift: failed, not equivalent, regressed."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How sure an interval is: `ratio` of a comparison, `equivalence` of the held-out loss.

    Equivalence is two one-sided tests (Schuirmann, 1987), so its interval leaves twice their level out.
    """

    ratio: float
    equivalence: float


ONE_LOOK = Levels(ratio=compare.CONFIDENCE, equivalence=parity.CONFIDENCE)
EACH_LOOK = Levels(ratio=0.985, equivalence=0.97)  # 0.015 two-sided; two tests of 0.015 each


def levels_of(plan: Plan) -> Levels:
    return EACH_LOOK if plan.looks else ONE_LOOK


def looks_at_hand(plan: Plan, runs: Sequence[Run], unmade: Container[str] = ()) -> tuple[int, ...]:
    """The looks up to which every run of the plan has ended by itself, in whatever way.

    `unmade` are arms that could not be made: nothing is waited for there.
    """
    ended = {(run.replicate, run.recipe, run.arm) for run in runs if run.outcome != "cancelled"}
    open_replicates = (
        replicate
        for replicate, recipe, arms in plan.rounds()
        if any((replicate, recipe.name, arm.name) not in ended for arm in arms if arm.name not in unmade)
    )
    first_open = next(open_replicates, plan.replicates + 1)
    return tuple(look for look in plan.looks if look < first_open)


def is_settled(evidence: Evidence, verdict: ArmVerdict) -> bool:
    """Whether an arm is decided: it failed, or each of its criteria and its equivalence are decided.

    What can no longer be decided counts as decided: a figure that no run has, replicates that all fail in
    both arms, a recipe without held-out rows or seed. More of the same would cost time and tell nothing.
    """
    if verdict.rule == FAILED_RULE:
        return True
    if any(_may_still_pair(here) for here in evidence.recipes):
        return False
    if any(_may_still_be_equivalent(here) for here in evidence.recipes):
        return False
    return all(scored.score != "CANNOT TELL" for scored in evidence.decidable)


def _may_still_pair(here: RecipeEvidence) -> bool:
    """Too few valid pairs, and at least one replicate that did not fail by itself."""
    if len(valid(here.pairs)) >= FEWEST_PAIRS:
        return False
    return len(here.pairs) < FEWEST_PAIRS or not all(_failed_by_itself(pair) for pair in here.pairs)


def _failed_by_itself(pair: Pair) -> bool:
    """No pair came of it, and nothing from outside (foreign load, a cancel) is to blame."""
    spoiled = any(run is None or run.outcome in SPENT for run in (pair.baseline, pair.arm))
    return pair.runs is None and not spoiled


def _may_still_be_equivalent(here: RecipeEvidence) -> bool:
    """Undecided for now: a narrower interval, or another estimate of the spread over seeds, could decide."""
    found = here.parity
    if found.state != "undecided" or not here.recipe.is_seeded:
        return False
    if found.low is None or found.high is None or found.band is None:
        return False
    is_inside = 1 - found.band <= found.low and found.high <= 1 + found.band
    learns_little = found.learned is not None and found.learned <= (found.spread or 0.0)
    return learns_little or not is_inside

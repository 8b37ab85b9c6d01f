"""What a process costs once, what each epoch costs, and from how many epochs on an arm pays.

Per recipe and arm, over the valid pairs that trained. Once: everything outside the loop but our evaluation,
and what the first step takes beyond a steady one. An epoch: its share of the rest. So many epochs pay where
the interval of the difference of the totals lies wholly below zero, beyond the floor; asked of every number,
that is Fieller's interval (1954) of the number at which both arms cost the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.compare import CONFIDENCE, Comparison
from bench.phases import Change, change_of, share_of, trained
from bench.plan import Arm, Plan, Recipe
from bench.run import PHASES, Run
from bench.sample import Pair, pairs_of

MOST_EPOCHS = 100
"""What is not shown within so many is not said."""
ROWS = "rows"
"""The parameter that says how many rows an epoch has where a run is bounded by its steps."""


@dataclass(frozen=True, slots=True)
class EpochCost:
    """`once` and `epoch` in seconds of both arms. `epochs` is how many the baseline's runs trained for, of
    `rows` rows each. Where that is not known `is_epoch` is False, and a run stands for an epoch.

    `pays_from` is the first number of epochs whose mean total is below the baseline's; `lowest` the first
    whose total is not shown to be above it, `highest` the first whose total is shown to be below it. None for
    none up to `MOST_EPOCHS`. `pays` says it in words.
    """

    recipe: str
    arm: str
    n: int
    confidence: float
    is_epoch: bool
    epochs: float
    rows: float | None
    once: Change
    epoch: Change
    pays_from: int | None
    lowest: int | None
    highest: int | None
    pays: str


def epoch_costs(plan: Plan, runs: Sequence[Run], comparisons: Sequence[Comparison]) -> tuple[EpochCost, ...]:
    """Of every recipe and arm whose throughput was compared, on the runs that were."""
    arms = {arm.name: arm for arm in plan.arms}
    found = (
        epoch_cost(
            plan.recipe(job.recipe),
            arms[job.baseline],
            arms[job.arm],
            pairs_of(runs, job.recipe, job.baseline, job.arm),
            floor=job.floor,
            confidence=job.confidence,
        )
        for job in comparisons
        if job.metric == "job_tokens_per_s"
    )
    return tuple(cost for cost in found if cost is not None)


def epoch_cost(
    recipe: Recipe,
    baseline: Arm,
    arm: Arm,
    pairs: Sequence[Pair],
    *,
    floor: float | None,
    confidence: float = CONFIDENCE,
) -> EpochCost | None:
    """`floor` is the A/A floor of `job_tokens_per_s` (absolute log ratio).

    None where no pair trained, a run has no steady step, or an epoch is not as many rows in both arms.
    """
    both = trained(pairs)
    counted = [(_epochs(one, recipe, baseline), _epochs(other, recipe, arm)) for one, other in both]
    is_epoch = all(count is not None for counts in counted for count in counts)
    costs = [
        (_cost(one, before if is_epoch else 1.0), _cost(other, after if is_epoch else 1.0))
        for (one, other), (before, after) in zip(both, counted, strict=True)
    ]
    known = [(one, other) for one, other in costs if one and other and one.is_like(other)]
    if not known or len(known) < len(costs):
        return None

    def change(name: str, seconds: Callable[[_Cost], float]) -> Change:
        samples = [(seconds(one), seconds(other)) for one, other in known]
        floor_s = share_of(floor) * fmean(before for before, _ in samples)
        return change_of(name, samples, floor_s, confidence)

    def total(epochs: int) -> Change:
        return change(f"{epochs} epochs", lambda cost: cost.once_s + epochs * cost.epoch_s)

    totals = [total(epochs) for epochs in range(1, MOST_EPOCHS + 1)]
    first, epoch = known[0][0], change("an epoch", lambda cost: cost.epoch_s)
    return EpochCost(
        recipe=recipe.name,
        arm=arm.name,
        n=len(known),
        confidence=confidence,
        is_epoch=is_epoch,
        epochs=first.epochs,
        rows=first.rows,
        once=change("once", lambda cost: cost.once_s),
        epoch=epoch,
        pays_from=_first(totals, lambda total: total.change_s < 0),
        lowest=_first(totals, lambda total: not total.is_longer),
        highest=_first(totals, lambda total: total.is_shorter),
        pays=_words(totals, epoch, "epoch" if is_epoch else "such run"),
    )


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one run, in seconds; `rows` of an epoch."""

    once_s: float
    epoch_s: float
    epochs: float
    rows: float | None

    def is_like(self, other: _Cost) -> bool:
        """Whether an epoch of the other is as many rows."""
        if self.rows is None or other.rows is None:
            return self.rows == other.rows
        return math.isclose(self.rows, other.rows)


def _cost(run: Run, epochs: float | None) -> _Cost | None:
    """None for a run without a steady step."""
    if not epochs or run.steps is None or run.steps < 2:
        return None
    train_s = run.phases_s.get("train", 0.0)
    steps_s = train_s + min(run.phases_s.get("first", 0.0), train_s / (run.steps - 1))
    spent_s = sum(run.phases_s.get(phase, 0.0) for phase in PHASES if phase != "eval")
    rows = None if run.rows is None else run.rows / epochs
    return _Cost(spent_s - steps_s, steps_s / epochs, epochs, rows)


def _epochs(run: Run, recipe: Recipe, arm: Arm) -> float | None:
    """For how many epochs it trained, by what its trainer resolved to; None where that cannot be told."""
    used = {choice.name: choice.used for choice in run.choices}
    if _number(used.get("max_steps")) > 0:  # then the trainer does not heed the epochs
        rows = {**recipe.params, **arm.params}.get(ROWS)
        return run.rows / rows if run.rows and type(rows) is int and rows > 0 else None
    epochs = _number(used.get("num_train_epochs"))
    return epochs if epochs > 0 else None


def _number(text: str | None) -> float:
    """0 for what is no finite number."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _first(totals: Sequence[Change], holds: Callable[[Change], bool]) -> int | None:
    """The first number of epochs of which it holds."""
    return next((epochs for epochs, total in enumerate(totals, start=1) if holds(total)), None)


def _words(totals: Sequence[Change], epoch: Change, unit: str) -> str:
    """`from 2 epochs on [1, 4]`, `from the first`, `never: ...`; `~` where nothing is shown."""
    if epoch.low_s is None:
        return "~ (n = 1)"
    estimate = _first(totals, lambda total: total.change_s < 0)
    lowest = _first(totals, lambda total: not total.is_longer)
    highest = _first(totals, lambda total: total.is_shorter)
    if epoch.is_longer:
        if highest is None:
            return f"{'never' if estimate is None else '~ not shown'}: each {unit} is slower"
        shown, possible = (
            sum(total.is_shorter for total in totals),
            sum(not total.is_longer for total in totals),
        )
        last = sum(total.change_s < 0 for total in totals)
        return f"up to {last} {unit}s{_bounds(shown, possible)}: each {unit} is slower"
    if highest == 1:
        return "from the first"
    if highest is not None:
        return f"from {estimate} {unit}s on{_bounds(lowest, highest)}"
    if epoch.is_shorter:
        return f"~ not shown within {MOST_EPOCHS} {unit}s"
    return "~ no difference shown" if lowest == 1 else f"~ not shown: no {unit} is proven faster"


def _bounds(low: int | None, high: int) -> str:
    return "" if low == high else f" [{low}, {high}]"

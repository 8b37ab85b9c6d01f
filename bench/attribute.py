"""Attribution: what each change of a range contributes, measured in two ways, and what their meeting makes.

Owns the arms that a plan with `changes` needs, and what they give. Two ways, since neither alone is the
truth: the **ladder** adds the changes one by one (a rung over the one before it), **leave-one-out** reverts
each from the whole (the whole over the whole without it). Where changes act on their own both agree; what
is left of the total when all leave-one-outs are taken off is their interaction. Everything is paired by
replicate and in log ratios. Pure; refuses to infer: what has no valid pair is NotMeasured with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from bench.compare import SAME, Comparison, compare, t_interval
from bench.metrics import BY_NAME, Metric
from bench.parity import Parity, State
from bench.plan import BASELINE, Arm, Change, Plan, Recipe
from bench.run import Run
from bench.sample import Pair, outcomes_text, pairs_of, valid, value
from bench.sequential import levels_of
from bench.units import interval_text

WHOLE = "optimized"
"""The arm with all changes; the last rung of the ladder."""
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A figure that there is not, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one change does to the metric, as a ratio with the change / without it.

    `ladder` is its rung over the one before, `without` the whole over the whole without it. `trains` says
    whether its rung trains the same as the baseline does. `depends` says that the two intervals do not even
    overlap: what the change does depends on which of the others are there.
    """

    change: str
    commits: tuple[str, ...]
    ladder: Comparison | NotMeasured
    without: Comparison | NotMeasured
    trains: State
    depends: bool


@dataclass(frozen=True, slots=True)
class Residual:
    """The total over the product of all leave-one-outs: 1 where the changes act on their own.

    `floor` is the A/A floor as an absolute log ratio; `proven` means that the interval lies beyond it and
    beyond the metric's practical floor.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    n: int
    floor: float | None
    proven: bool

    @property
    def text(self) -> str:
        """`1.04 [1.02, 1.06]` where proven, `~ [0.98, 1.01]` where not."""
        text = interval_text(self.ratio, self.low, self.high)
        if self.proven:
            return text
        return f"~ {text[text.index('[') :]}" if "[" in text else f"~ (n = {self.n})"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Of one recipe and metric; `contributions` in the order of the ladder."""

    recipe: str
    metric: str
    contributions: tuple[Contribution, ...]
    total: Comparison | NotMeasured
    residual: Residual | NotMeasured


def attribution_arms(baseline: str, changes: Sequence[Change]) -> tuple[Arm, ...]:
    """The arms that tell the changes apart; `baseline` is the commit before the first of them.

    Without the last change the whole is the rung before it, so that arm serves both and is not made twice.
    """
    tip = changes[-1].commits[-1]
    rungs = [Arm(_rung_name(changes[: number + 1]), one.commits[-1]) for number, one in enumerate(changes)]
    without = [
        Arm(f"without-{change.name}", tip, reverts=tuple(reversed(change.commits))) for change in changes[:-1]
    ]
    return (Arm(BASELINE, baseline), Arm(WHOLE, tip), *rungs[:-1], *without)


def _rung_name(changes: Sequence[Change]) -> str:
    whole = "".join(f"+{change.name}" for change in changes)
    return whole if len(whole) <= LONGEST_NAME else f"upto-{changes[-1].name}"


def attributions(
    plan: Plan,
    runs: Sequence[Run],
    *,
    floors: Mapping[tuple[str, str], float] | None = None,
    not_measured: Mapping[str, str] | None = None,
    parities: Sequence[Parity] = (),
) -> tuple[Attribution, ...]:
    """One a recipe, on its primary metric; none for a plan without changes.

    `floors` are A/A floors by recipe and metric, `not_measured` the reasons of arms that could not be made,
    `parities` what the judgement of the same runs says of each arm against the baseline.
    """
    if not plan.changes:
        return ()
    why_not = not_measured or {}
    return tuple(
        _Measured(plan, recipe, tuple(runs), floors or {}, why_not, tuple(parities)).attribution()
        for recipe in plan.recipes
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """The runs of one recipe, and the comparisons that they allow."""

    plan: Plan
    recipe: Recipe
    runs: tuple[Run, ...]
    floors: Mapping[tuple[str, str], float]
    not_measured: Mapping[str, str]
    parities: tuple[Parity, ...]

    def attribution(self) -> Attribution:
        rungs, without = _roles(self.plan)
        total = self._comparison(BASELINE, WHOLE)
        left = [self._comparison(arm, WHOLE) for arm in without]
        return Attribution(
            recipe=self.recipe.name,
            metric=self._metric.name,
            contributions=tuple(
                self._contribution(change, before, rung, one)
                for change, (before, rung), one in zip(self.plan.changes, pairwise(rungs), left, strict=True)
            ),
            total=total,
            residual=self._residual(without, (total, *left)),
        )

    def _contribution(
        self, change: Change, before: str, rung: str, without: Comparison | NotMeasured
    ) -> Contribution:
        ladder = self._comparison(before, rung)
        trains = (one.state for one in self.parities if (one.recipe, one.arm) == (self.recipe.name, rung))
        return Contribution(
            change=change.name,
            commits=change.commits,
            ladder=ladder,
            without=without,
            trains=next(trains, "not measured"),
            depends=_are_apart(ladder, without),
        )

    @property
    def _metric(self) -> Metric:
        """The recipe's primary; for a subject without a trainer the whole process."""
        both = valid(self._pairs(BASELINE, WHOLE))
        has_no_trainer = bool(both) and all(one.outcome == "no trainer" for one, _ in both)
        return BY_NAME["end_to_end_s" if has_no_trainer else self.recipe.primary]

    @property
    def _floor(self) -> float | None:
        return self.floors.get((self.recipe.name, self._metric.name))

    def _pairs(self, before: str, after: str) -> tuple[Pair, ...]:
        return pairs_of(self.runs, self.recipe.name, before, after)

    def _comparison(self, before: str, after: str) -> Comparison | NotMeasured:
        why_not = [f"{arm}: {self.not_measured[arm]}" for arm in (before, after) if arm in self.not_measured]
        if why_not:
            return NotMeasured("; ".join(why_not))
        metric, pairs = self._metric, self._pairs(before, after)
        found = compare(
            self.recipe.name,
            metric,
            after,
            pairs,
            baseline=before,
            floor=self._floor,
            confidence=levels_of(self.plan).ratio,
        )
        if found.ratio is not None:
            return found
        if not valid(pairs):
            return NotMeasured(f"no valid pair ({outcomes_text(pairs)})")
        refused = (text for text in found.warnings if text.startswith("no ratio"))
        return NotMeasured(next(refused, f"no run has a {metric.name}"))

    def _residual(
        self, without: Sequence[str], parts: Sequence[Comparison | NotMeasured]
    ) -> Residual | NotMeasured:
        why_not = dict.fromkeys(part.why for part in parts if isinstance(part, NotMeasured))
        if why_not:
            return NotMeasured("; ".join(why_not))
        # log(total) - sum of log(whole / without one), replicate by replicate.
        totals = self._effects(BASELINE)
        parted = [self._effects(arm) for arm in without]
        effects = [
            total - sum(one[replicate] for one in parted)
            for replicate, total in totals.items()
            if all(replicate in one for one in parted)
        ]
        if not effects:
            return NotMeasured("there is no replicate in which every arm gave a figure")
        return _residual_of(effects, self._metric, self._floor, levels_of(self.plan).ratio)

    def _effects(self, arm: str) -> dict[int, float]:
        """log(whole / arm) by replicate, where both gave a figure."""
        metric = self._metric
        found = {}
        for pair in self._pairs(arm, WHOLE):
            if pair.runs is not None:
                one, whole = (value(metric, run) for run in pair.runs)
                if one is not None and whole is not None:
                    found[pair.replicate] = math.log(whole / one)
        return found


def _roles(plan: Plan) -> tuple[list[str], list[str]]:
    """Names of arms: the ladder from the baseline to the whole, and the whole without each change."""
    _, _, *others = attribution_arms(plan.arms[0].commit, plan.changes)
    between = [arm.name for arm in others if not arm.reverts]
    reverted = [arm.name for arm in others if arm.reverts]
    rungs = [BASELINE, *between, WHOLE]
    return rungs, [*reverted, rungs[-2]]


def _are_apart(one: Comparison | NotMeasured, other: Comparison | NotMeasured) -> bool:
    """Whether both have an interval and these do not overlap."""
    if isinstance(one, NotMeasured) or isinstance(other, NotMeasured):
        return False
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low > other.high * (1 + SAME) or other.low > one.high * (1 + SAME)


def _residual_of(
    effects: Sequence[float], metric: Metric, floor: float | None, confidence: float
) -> Residual:
    interval = t_interval(effects, confidence)
    return Residual(
        ratio=math.exp(fmean(effects)),
        low=None if interval is None else math.exp(interval.low),
        high=None if interval is None else math.exp(interval.high),
        confidence=confidence,
        n=len(effects),
        floor=floor,
        proven=interval is not None and interval.is_beyond(metric.threshold(floor)),
    )

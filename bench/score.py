"""Scores of criteria and claims: MET, NOT MET, REGRESSED, CANNOT TELL or NOT MEASURED, first that holds.

Reads intervals only, never p. Owns the syntax of a criterion, `recipe[/arm]:metric>=target`, and refuses one
that asks a metric to get worse, so that a loss of +73.7 % can never be called met. Without a declared
criterion the primary metric of a recipe is scored: better, worse, or no difference shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from bench.compare import Comparison
from bench.metrics import BY_NAME, UnknownMetric, metric, near_miss
from bench.plan import BASELINE, Criterion, Plan
from bench.power import detectable, more_replicates, more_text
from bench.units import bound_text, interval_text

Score = Literal["MET", "NOT MET", "REGRESSED", "CANNOT TELL", "NOT MEASURED"]
Relation = Literal[">=", "<="]

GOOD: Mapping[str, Relation] = {"higher": ">=", "lower": "<="}
SYNTAX = "recipe[/arm]:metric>=target or <=target, the target a ratio of arm to baseline"
_CRITERION = re.compile(
    r"(?P<recipe>[^/:\s]+)(?:/(?P<arm>[^:\s]+))?:(?P<metric>\w+)\s*(?P<relation>>=|<=)\s*(?P<target>\S+)"
)


class CriterionError(ValueError):
    """The text of a criterion that nobody can score; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A criterion, claim or primary metric with its score and what the score was read from.

    `reason` is the number, its interval and n in words. `more` is how many more replicates would decide a
    CANNOT TELL, None for more than 100 or none that would. `p_holm` is p adjusted over the declared criteria.
    `is_declared` is False for a primary metric that stands in; `is_decidable` is False for what no
    benchmark can decide.
    """

    text: str
    recipe: str
    metric: str
    arm: str
    relation: Relation
    target: float
    score: Score
    reason: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    is_exact: bool = False
    p: float | None = None
    p_holm: float | None = None
    more: int | None = None
    is_declared: bool = True
    is_decidable: bool = True

    @property
    def sentence(self) -> str:
        return f"{self.text}: {self.score}: {self.reason}"


def parse_criterion(
    text: str, *, recipes: Collection[str], arms: Collection[str], arm: str = "optimized"
) -> Criterion:
    """`sft:job_tokens_per_s>=1.3`, `dpo/optimized+packing:peak_memory_b<=1.1`; `arm` where none is named.

    Raises CriterionError for what nobody could score: unknown names, a metric asked to get worse, a target
    that is no ratio.
    """
    match = _CRITERION.fullmatch(text.strip())
    if match is None:
        raise CriterionError(
            f"cannot read criterion {text!r}; write {SYNTAX}, like sft:job_tokens_per_s>=1.3"
        )
    recipe, named = match["recipe"], match["arm"] or arm
    others = [name for name in arms if name != BASELINE]
    if recipe not in recipes:
        raise CriterionError(
            f"recipe {recipe!r} of criterion {text!r} is not measured{near_miss(recipe, recipes)}"
        )
    if named not in others:
        raise CriterionError(f"no arm {named!r} to judge in criterion {text!r}{near_miss(named, others)}")
    relation = cast(Relation, match["relation"])
    _check_direction(match["metric"], relation, text)
    return Criterion(text.strip(), recipe, match["metric"], relation, _target(match["target"], text), named)


def check_arms(plan: Plan) -> None:
    """Raises CriterionError for a criterion on an arm that takes no part in its recipe.

    Such a criterion would be scored NOT MEASURED, after all the time was spent.
    """
    for criterion in plan.criteria:
        taking_part = [arm.name for arm in plan.arms_of(plan.recipe(criterion.recipe))]
        if criterion.arm not in taking_part:
            raise CriterionError(
                f"criterion {criterion.text!r}: arm {criterion.arm!r} sets a parameter that recipe"
                f" {criterion.recipe!r} does not have, so it takes no part in it"
            )


def score(criterion: Criterion, comparison: Comparison | None, why: str = "") -> Scored:
    """`why` is the reason to give where there is no comparison, or none with a ratio."""
    if criterion.metric not in BY_NAME:  # of an older or newer plan
        return _scored(criterion, None, "NOT MEASURED", f"no metric {criterion.metric!r}")
    better = BY_NAME[criterion.metric].better
    if better is not None and criterion.relation != GOOD[better]:
        why, comparison = f"asks for the wrong direction: {better} is better", None
    if comparison is None or comparison.ratio is None:
        return _scored(criterion, comparison, "NOT MEASURED", why or _no_ratio(comparison))
    told = f"{_measured(comparison, criterion.target)}, asked {criterion.relation} {criterion.target:g}"
    decided = _decided(criterion, comparison)
    if decided is not None:
        return _scored(criterion, comparison, decided, told)
    more, advice = _undecided(criterion, comparison)
    return _scored(criterion, comparison, "CANNOT TELL", f"{told}; {advice}", more=more)


def score_primary(
    recipe: str, metric_name: str, arm: str, comparison: Comparison | None, why: str = ""
) -> Scored:
    """Proven better is MET, proven worse REGRESSED, anything else no difference shown."""
    known = BY_NAME.get(metric_name)
    relation = GOOD.get((known and known.better) or "", ">=")
    stand_in = Criterion(f"{recipe}:{metric_name}", recipe, metric_name, relation, 1.0, arm)
    if comparison is None or comparison.ratio is None:
        text = why or _no_ratio(comparison)
        return _scored(stand_in, comparison, "NOT MEASURED", text, is_declared=False)
    told = _measured(comparison, 1.0)
    if comparison.change in ("better", "worse"):
        outcome: Score = "MET" if comparison.change == "better" else "REGRESSED"
        return _scored(
            stand_in, comparison, outcome, f"proven {comparison.change}, {told}", is_declared=False
        )
    text = f"no difference shown, {told}; {_could_detect(comparison)}"
    return _scored(stand_in, comparison, "CANNOT TELL", text, is_declared=False)


def _check_direction(name: str, relation: Relation, text: str) -> None:
    try:
        better = metric(name).better
    except UnknownMetric as error:
        raise CriterionError(f"{error} in criterion {text!r}") from error
    if better is not None and relation != GOOD[better]:
        raise CriterionError(
            f"criterion {text!r} asks {name} to get worse; {better} is better, write {GOOD[better]}"
        )


def _target(text: str, criterion: str) -> float:
    try:
        target = float(text)
    except ValueError:
        target = math.nan
    if not 0 < target < math.inf:
        raise CriterionError(
            f"target {text!r} in criterion {criterion!r} is no ratio; write a number like 1.3"
        )
    return target


def _decided(criterion: Criterion, comparison: Comparison) -> Score | None:
    low, high, ratio = comparison.low, comparison.high, comparison.ratio
    if low is None or high is None or ratio is None:
        return None
    is_upward, target = criterion.relation == ">=", criterion.target
    if low >= target if is_upward else high <= target:
        return "MET" if comparison.proven or not _asks_for_gain(criterion) else None
    if high < target if is_upward else low > target:
        is_wrong_way = comparison.proven and (ratio < 1 if is_upward else ratio > 1)
        return "REGRESSED" if is_wrong_way else "NOT MET"
    return None


def _asks_for_gain(criterion: Criterion) -> bool:
    """A target beyond 1 on its good side; "at most +10 % memory" asks for none."""
    return criterion.target > 1 if criterion.relation == ">=" else criterion.target < 1


def _undecided(criterion: Criterion, comparison: Comparison) -> tuple[int | None, str]:
    """(how many more replicates would decide, that in words)."""
    assert comparison.ratio is not None
    effect, target = math.log(comparison.ratio), math.log(criterion.target)
    threshold = BY_NAME[criterion.metric].threshold(comparison.floor)
    is_good = effect >= target if criterion.relation == ">=" else effect <= target
    distance = abs(effect - target)
    if is_good and _asks_for_gain(criterion):
        if abs(effect) <= threshold:
            return None, f"within the floor of {bound_text(math.expm1(threshold))}: more would not decide"
        distance = min(distance, abs(effect) - threshold)
    more = more_replicates(distance, comparison.spread, comparison.n, comparison.confidence)
    return more, more_text(more)


def _could_detect(comparison: Comparison) -> str:
    if comparison.spread is None:
        return more_text(more_replicates(0.0, None, comparison.n))
    threshold = BY_NAME[comparison.metric].threshold(comparison.floor)
    effect = detectable(comparison.spread, comparison.n, threshold, comparison.confidence)
    return f"this run could detect {bound_text(math.expm1(effect))}"


def _measured(comparison: Comparison, target: float) -> str:
    assert comparison.ratio is not None
    text = interval_text(comparison.ratio, comparison.low, comparison.high, apart=(target,))
    if comparison.low is None:
        return f"{text} from one pair, no interval"
    return f"{'exactly ' if comparison.is_exact else ''}{text}, n = {comparison.n}"


def _no_ratio(comparison: Comparison | None) -> str:
    if comparison is None or not comparison.warnings:
        return "no run has this figure"
    return comparison.warnings[0]


def _scored(
    criterion: Criterion,
    comparison: Comparison | None,
    outcome: Score,
    reason: str,
    *,
    more: int | None = None,
    is_declared: bool = True,
) -> Scored:
    return Scored(
        text=criterion.text,
        recipe=criterion.recipe,
        metric=criterion.metric,
        arm=criterion.arm,
        relation=criterion.relation,
        target=criterion.target,
        score=outcome,
        reason=reason,
        ratio=comparison.ratio if comparison else None,
        low=comparison.low if comparison else None,
        high=comparison.high if comparison else None,
        n=comparison.n if comparison else 0,
        is_exact=bool(comparison and comparison.is_exact),
        p=comparison.p if comparison else None,
        more=more,
        is_declared=is_declared,
    )

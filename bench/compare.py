"""Comparisons: one metric, an arm against the baseline, over replicates.

The unit is the replicate; its effect is log(arm / baseline). Over replicates stands the mean of the effects
with a t interval. Doubt is a value: what weakens a number travels with it in `warnings`. Proven means that
the whole interval lies beyond max(practical floor, A/A floor). p is printed and decides nothing. Takes valid
pairs only, drops nothing for its value, and refuses a ratio rather than to invent one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from bench.metrics import BY_NAME, Metric
from bench.plan import BASELINE
from bench.run import Run
from bench.sample import Pair, incomparable, left_out, paired, typical, valid, value
from bench.units import interval_text

CONFIDENCE = 0.95
FEWEST_PAIRS = 3
SIGN_FLIP_FROM = 8  # below, even the best p of a sign-flip test, 2 / 2**n, says little
# 2**15 half sums, under 10 ms. At 40 every table would cost seconds, for a p that decides nothing.
SIGN_FLIP_TO = 30
SAME = 1e-12  # effects closer than this (log ratio) differ by rounding only
SHORTEST_UTILISATION_S = 20.0  # the driver averages utilisation over up to a second, and start-up is idle


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` = arm / baseline with its interval `[low, high]` at `confidence`; None where there is none.

    `n` counts the pairs behind the ratio. `floor` is the A/A floor as an absolute log ratio, None where it
    is not known. `spread` is the standard deviation of the log ratios over replicates. `baseline_value`
    and `arm_value` are geometric means in the metric's unit, over the same pairs as the ratio (so that
    their quotient is the ratio); where there is no pair, over whatever runs an arm has.
    """

    recipe: str
    metric: str
    baseline: str
    arm: str
    ratio: float | None
    low: float | None
    high: float | None
    confidence: float
    p: float | None
    p_kind: Literal["t", "sign-flip", "none"]
    n: int
    floor: float | None
    proven: bool
    is_exact: bool
    spread: float | None
    baseline_value: float | None
    arm_value: float | None
    warnings: tuple[str, ...] = ()

    @property
    def change(self) -> Literal["better", "worse", "differs", "none"]:
        """What is proven, by the metric's better direction; `none` where nothing is."""
        if not self.proven or self.ratio is None:
            return "none"
        change = BY_NAME[self.metric].change_of(self.ratio)
        return "none" if change == "same" else change

    @property
    def figures(self) -> tuple[float, ...]:
        """Ratio and interval, rounded: 0.5 and the inverse of 2 are the same figures."""
        ends = (self.ratio, self.low, self.high)
        return tuple(round(end, 9) for end in ends if end is not None)

    @property
    def text(self) -> str:
        """`1.93 [1.78, 2.09]`, with `~` before it where nothing is proven and it is not exact."""
        if self.ratio is None:
            return "-"
        text = interval_text(self.ratio, self.low, self.high)
        return text if self.proven or self.is_exact else f"~ {text}"


def compare(
    recipe: str,
    metric: Metric,
    arm: str,
    pairs: Sequence[Pair],
    *,
    baseline: str = BASELINE,
    floor: float | None = None,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """`floor` is the A/A floor: an absolute log ratio, None where it is not known."""
    both = valid(pairs)
    samples = [
        (before, after)
        for before, after in (paired(metric, one, other) for one, other in both)
        if before is not None and after is not None
    ]
    refusal = _refusal(metric, both, samples)
    effects = [] if refusal else [math.log(after / before) for before, after in samples]
    interval = t_interval(effects, confidence)
    is_exact = len(effects) >= 2 and max(effects) - min(effects) <= SAME
    p, p_kind = (None, "none") if is_exact else p_of(effects)
    doubts = _doubts(metric, pairs, both, len(samples), is_floor_unknown=floor is None and not is_exact)
    ratio = None if not effects else math.exp(fmean(effects))
    if is_exact:  # not through logarithms: 130 against 100 is 1.3 to the last bit, and meets a target of 1.3
        ratio = samples[0][1] / samples[0][0]
    return Comparison(
        recipe=recipe,
        metric=metric.name,
        baseline=baseline,
        arm=arm,
        ratio=ratio,
        low=ratio if is_exact else None if interval is None else math.exp(interval.low),
        high=ratio if is_exact else None if interval is None else math.exp(interval.high),
        confidence=confidence,
        p=p,
        p_kind=p_kind,
        n=len(effects),
        floor=floor,
        proven=interval is not None and interval.is_beyond(metric.threshold(floor)),
        is_exact=is_exact,
        spread=None if interval is None else interval.spread,
        baseline_value=_value_of(metric, [pair.baseline for pair in pairs], [one for one, _ in samples]),
        arm_value=_value_of(metric, [pair.arm for pair in pairs], [other for _, other in samples]),
        warnings=(refusal, *doubts) if refusal else doubts,
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its two-sided t interval; `spread` is the sample's standard deviation."""

    mean: float
    low: float
    high: float
    spread: float

    def is_beyond(self, threshold: float) -> bool:
        """Wholly above `threshold` or wholly below its negative."""
        return self.low > threshold or self.high < -threshold


def t_interval(values: Sequence[float], confidence: float) -> Interval | None:
    """None for fewer than two values: one number has no interval."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    mean = fmean(values)
    if max(values) - min(values) <= SAME:
        return Interval(mean, mean, mean, 0.0)
    # `statistics.stdev` gives the same to 15 digits, through fractions, at ten times the cost.
    spread = math.sqrt(math.fsum((number - mean) ** 2 for number in values) / (len(values) - 1))
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * spread / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, spread)


def p_of(effects: Sequence[float]) -> tuple[float | None, Literal["t", "sign-flip", "none"]]:
    """The two-sided p of "the mean effect is 0": exact sign-flip where there are enough, else t."""
    if len(effects) < 2:
        return None, "none"
    if SIGN_FLIP_FROM <= len(effects) <= SIGN_FLIP_TO:
        return sign_flip_p(effects), "sign-flip"
    from scipy.special import stdtr

    spread = stdev(effects)
    if spread == 0:
        return None, "none"
    t = fmean(effects) / (spread / math.sqrt(len(effects)))
    return 2 * float(stdtr(len(effects) - 1, -abs(t))), "t"


def sign_flip_p(effects: Sequence[float]) -> float:
    """The share of all 2**n choices of signs whose sum is at least as far from 0 as the one seen.

    Exact: the sums of one half are looked up in the sorted sums of the other (Horowitz and Sahni, 1974), so
    that n = 30 needs 2**15 sums and not 2**30.
    """
    import numpy as np

    seen = abs(math.fsum(effects))
    slack = SAME * max(1.0, math.fsum(abs(effect) for effect in effects))
    if seen <= slack:
        return 1.0
    half = len(effects) // 2
    left, right = _signed_sums(effects[:half]), np.sort(_signed_sums(effects[half:]))
    reaching = len(left) * len(right) - int(np.searchsorted(right, seen - slack - np.asarray(left)).sum())
    return min(1.0, 2.0 * reaching / 2.0 ** len(effects))


def holm(ps: Sequence[float | None]) -> tuple[float | None, ...]:
    """p adjusted for their number (Holm, 1979), in the order given; None stays None and does not count."""
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[place] = largest
    return tuple(adjusted)


def _signed_sums(effects: Sequence[float]) -> list[float]:
    sums = [0.0]
    for effect in effects:
        sums = [total + sign * effect for total in sums for sign in (1, -1)]
    return sums


def _refusal(metric: Metric, both: Sequence[tuple[Run, Run]], samples: Sequence[tuple[float, float]]) -> str:
    """Why there is no ratio; empty where there is one, or nothing to make one of."""
    unlike = [why for one, other in both if (why := incomparable(metric, one, other))]
    if unlike:
        return unlike[0]
    unfit = [number for sample in samples for number in sample if not (0 < number < math.inf)]
    if unfit:
        return f"no ratio: a value of {unfit[0]:g}; ratios need positive, finite values"
    return ""


def _doubts(
    metric: Metric,
    pairs: Sequence[Pair],
    both: Sequence[tuple[Run, Run]],
    n: int,
    *,
    is_floor_unknown: bool,
) -> tuple[str, ...]:
    runs = [run for pair in both for run in pair]
    environments = [(one.environment, other.environment) for one, other in both]
    left, total = left_out(metric, both)
    doubts = {
        f"{left} of {total} windows left out: other processes took the CPU": left > 0,
        "floor unknown": is_floor_unknown,
        "n = 1: no interval": n == 1,
        f"needs >= {FEWEST_PAIRS} pairs": n < FEWEST_PAIRS,
        f"{len(pairs) - n} of {len(pairs)} replicates give no pair": 0 < n < len(pairs),
        "installed packages differ between the arms": any(a and b and a != b for a, b in environments),
        "self-reported": not metric.is_process and any(run.is_self_reported for run in runs),
        f"utilisation means little under {SHORTEST_UTILISATION_S:.0f} s": metric.unit == "percent"
        and any((run.wall_s or 0.0) < SHORTEST_UTILISATION_S for run in runs),
    }
    return tuple(text for text, holds in doubts.items() if holds)


def _value_of(metric: Metric, runs: Sequence[Run | None], paired: Sequence[float]) -> float | None:
    if paired:
        return typical(paired)
    return typical([found for run in runs if run is not None and (found := value(metric, run)) is not None])

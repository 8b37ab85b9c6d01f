"""Bisection under noise: which commit of a line was the first to make a metric worse than a threshold.

Two rules, both pure. A **probe** compares one commit with the good one and goes on until its interval lies
on one side of the threshold; each look is taken at its share of the probe's error, so that looking often
costs nothing in truth. A **search** halves the line and shares its error out over the probes that it may
still need, so that the whole search errs in at most `ERROR` of all cases (union bound, both times). What
cannot be decided is told as such: the search answers with a commit, or between which two it lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.compare import t_interval
from bench.metrics import Metric
from bench.sample import Pair, valid, value

ERROR = 0.10
"""Of the whole search: the chance that it names a wrong commit, or range."""
LOOKS = (3, 5, 8, 12, 20)
"""Replicates of a probe after which it is looked; the last is the cap."""
MOST_UNDECIDED = 3
"""Probes that may stay undecided, each at the cost of the whole cap, before the search stops."""

Judged = Literal["worse", "not worse", "undecided", "skipped"]
"""skipped: the commit cannot be measured (it crashes), like `git bisect skip`."""
Answer = Literal["open", "found", "between", "nothing", "unknown"]
"""found: `high` is it; between: one of those behind `low` up to `high`; nothing: the bad commit is not worse;
unknown: it could not be judged."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The commit to be compared next, and the chance of a wrong decision that it may take."""

    place: int
    error: float


@dataclass(frozen=True, slots=True)
class Search:
    """Places on a line: 0 is the good commit, `last` the bad one.

    `low` is the newest place known to be not worse, `high` the oldest known to be worse (or `last`, before
    it was asked). `passed` are places that could not be judged. `error` is what is left of `ERROR`.
    """

    last: int
    low: int
    high: int
    is_bad_worse: bool | None = None
    passed: frozenset[int] = frozenset()
    undecided: int = 0
    error: float = ERROR

    @property
    def answer(self) -> Answer:
        if self.is_bad_worse is False:
            return "nothing"
        if self.is_bad_worse is None:
            return "unknown" if self.passed else "open"
        if self.high == self.low + 1:
            return "found"
        return "between" if next_probe(self) is None else "open"

    @property
    def open(self) -> tuple[int, ...]:
        return tuple(place for place in range(self.low + 1, self.high) if place not in self.passed)


def begin(commits: int) -> Search:
    """A search on a line of so many commits behind the good one, at least 1."""
    return Search(last=commits, low=0, high=commits)


def next_probe(search: Search) -> Probe | None:
    """The bad commit first, then a middle one of those that are open; None where there is nothing to ask."""
    if search.is_bad_worse is None:
        return None if search.passed else Probe(search.last, search.error / (1 + _halvings(search.open)))
    if search.is_bad_worse is False or not search.open or search.undecided >= MOST_UNDECIDED:
        return None
    return Probe(_middle(search), search.error / _halvings(search.open))


def after(search: Search, probe: Probe, judged: Judged) -> Search:
    """The search with one more probe judged. What was skipped had no chance to err, all others had."""
    left = search if judged == "skipped" else replace(search, error=search.error - probe.error)
    if judged in ("undecided", "skipped"):
        undecided = search.undecided + (judged == "undecided")
        return replace(left, passed=search.passed | {probe.place}, undecided=undecided)
    if search.is_bad_worse is None:
        return replace(left, is_bad_worse=judged == "worse")
    return replace(left, high=probe.place) if judged == "worse" else replace(left, low=probe.place)


def _halvings(places: Sequence[int]) -> int:
    """How many decisions tell apart which of the places, or none of them, is the first that is worse."""
    return math.ceil(math.log2(len(places) + 1))


def _middle(search: Search) -> int:
    """The middle of the open places; with passed ones, one far from these too: a broken build lasts."""
    places = search.open
    gone = [place for place in search.passed if search.low < place < search.high]

    def worth(rank: int) -> float:
        halving = min(rank + 1, len(places) - rank)
        return min(halving, *(abs(places[rank] - one) for one in gone)) if gone else halving

    return places[max(range(len(places)), key=worth)]


def limit_of(metric: Metric, threshold: float) -> float:
    """The threshold, a ratio, as a log effect that is turned so that less is worse.

    Raises ValueError where it lies on the good side, or the metric has none.
    """
    if metric.better is None:
        raise ValueError(f"{metric.name} has no better direction, so no commit can make it worse")
    if not (0 < threshold < math.inf) or metric.change_of(threshold) != "worse":
        side = "below 1, as in 0.95" if metric.better == "higher" else "above 1, as in 1.05"
        raise ValueError(
            f"{threshold:g} is not worse: {metric.better} {metric.name} is better, so it is {side}"
        )
    return -abs(math.log(threshold))


def effects_of(metric: Metric, pairs: Sequence[Pair]) -> list[float]:
    """log(commit / good) of the valid pairs that have the metric, turned so that less is worse."""
    sign = 1 if metric.better == "higher" else -1
    samples = [(value(metric, one), value(metric, other)) for one, other in valid(pairs)]
    return [sign * math.log(other / one) for one, other in samples if one and other]


def judged_of(effects: Sequence[float], limit: float, *, error: float, looks: int) -> Judged:
    """On which side of the limit the interval lies; each of `looks` looks errs in error / looks."""
    interval = t_interval(effects, confidence_of(error, looks))
    if interval is None or interval.low <= limit <= interval.high:
        return "undecided"
    return "worse" if interval.high < limit else "not worse"


def confidence_of(error: float, looks: int) -> float:
    """Of the two-sided interval; only one of its sides can err."""
    return 1 - 2 * error / looks


def looks_up_to(most: int) -> tuple[int, ...]:
    """The looks of a probe with a cap of `most` replicates."""
    return (*(look for look in LOOKS if look < most), most)

"""The table of `noise.py`: comparisons resampled from the pool of runs, the sequential rule included.

A comparison draws replicates from the pool of a setting, looks after 3, 5 and 8 at the level of a look, and
is proven as `bench.compare` says: its whole interval beyond the practical floor. Intervals of the rates come
from a bootstrap over the pool itself, since that is what limits them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any

from bench.compare import Interval, t_interval
from bench.metrics import metric
from bench.pairing import pairing, throughputs
from bench.run import JOB_PHASES, Load, Window
from bench.sequential import EACH_LOOK

METRICS = ("tokens_per_s", "job_tokens_per_s")
LOOKS = (3, 5, 8)
RESAMPLES = 4000
POOLS, RESAMPLES_OF_A_POOL = 200, 200
POWER = 0.9
THRESHOLD = metric("tokens_per_s").threshold(None)

Effects = Sequence[float]
"""log(arm / baseline) of each replicate in the pool."""


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    runs = [line for line in lines if line["setting"] != "hyperfine"]
    out = []
    for name in METRICS:
        out += [f"\n`{name}`:\n", *_of_metric(runs, name)]
    out += ["\n" + _hyperfine([line for line in lines if line["setting"] == "hyperfine"])]
    return "\n".join(out)


def _of_metric(runs: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    header = (
        "setting", "replicates", "spread A/A", "median A/A, n = 3", "A/A proven falsely",
        "+2 % proven", "+5 % proven", "machine-seconds for 2 %", "machine-seconds for 5 %",
    )  # fmt: skip
    rows = []
    for setting in dict.fromkeys(line["setting"] for line in runs):
        pools = {arm: effects(runs, setting, arm, name) for arm in ("again", "plus2", "plus5")}
        if min(map(len, pools.values())) < LOOKS[0]:
            continue
        pair_s = seconds_of_a_pair(runs, setting)
        rows.append(
            (
                setting,
                str(len(pools["again"])),
                f"{100 * stdev(pools['again']):.2f} %",
                f"{100 * median(abs(fmean(drawn)) for drawn in _draws(pools['again'], LOOKS[0])):.2f} %",
                _rate(pools["again"], lambda found: found is not None and found.is_beyond(THRESHOLD)),
                _rate(pools["plus2"], _is_slower),
                _rate(pools["plus5"], _is_slower),
                *(_cost(pools[arm], pair_s) for arm in ("plus2", "plus5")),
            )
        )
    return [_line(header), _line(["---"] * len(header)), *map(_line, rows)]


def effects(runs: Sequence[Mapping[str, Any]], setting: str, arm: str, name: str) -> list[float]:
    found: dict[tuple[int, int], dict[str, Mapping[str, Any]]] = {}
    for line in runs:
        if line["setting"] == setting and line["outcome"] == "ok":
            found.setdefault((line["round"], line["replicate"]), {})[line["arm"]] = line
    pairs = [(one["baseline"], one[arm]) for one in found.values() if {"baseline", arm} <= set(one)]
    samples = (_samples(base, other, name) for base, other in pairs)
    return [math.log(other / base) for base, other in samples]


def _samples(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Of a pair of runs, as `bench.sample.paired` has them."""
    if name == "tokens_per_s":
        if found := pairing(_windows(one), _windows(other)):
            return throughputs(found)
        return _steady(one), _steady(other)
    return _of_the_job(one), _of_the_job(other)


def _steady(line: Mapping[str, Any]) -> float:
    return float(line["train_tokens"] / line["phases_s"]["train"])


def _of_the_job(line: Mapping[str, Any]) -> float:
    return float(line["tokens"] / sum(line["phases_s"].get(phase, 0.0) for phase in JOB_PHASES))


def _windows(line: Mapping[str, Any]) -> list[Window]:
    return [Window(**{**one, "load": one["load"] and Load(**one["load"])}) for one in line["windows"]]


def seconds_of_a_pair(runs: Sequence[Mapping[str, Any]], setting: str) -> float:
    """What a replicate of two arms takes of the machine, with runs that had to be made again."""
    ours = [line for line in runs if line["setting"] == setting]
    return 2 * sum(line["wall_s"] for line in ours) / sum(line["outcome"] == "ok" for line in ours)


def sequential(drawn: Effects) -> Interval | None:
    """The interval at the first look that proves something, else at the last."""
    found = None
    for look in LOOKS:
        found = t_interval(drawn[:look], EACH_LOOK.ratio)
        if found is not None and found.is_beyond(THRESHOLD):
            return found
    return found


def _is_slower(found: Interval | None) -> bool:
    return found is not None and found.high < -THRESHOLD


def _draws(pool: Effects, count: int, resamples: int = RESAMPLES, seed: int = 0) -> list[list[float]]:
    draw = random.Random(seed)  # noqa: S311 - the table can be made again
    return [draw.choices(pool, k=count) for _ in range(resamples)]


def _rate(pool: Effects, holds: Callable[[Interval | None], bool]) -> str:
    """`97 % [93, 99]`: how often it holds, and the 95 % bootstrap interval over pools like this one."""
    rate = fmean(holds(sequential(drawn)) for drawn in _draws(pool, LOOKS[-1]))
    pools = _draws(pool, len(pool), POOLS, seed=1)
    rates = sorted(
        fmean(holds(sequential(drawn)) for drawn in _draws(other, LOOKS[-1], RESAMPLES_OF_A_POOL, seed=2))
        for other in pools
    )
    low, high = rates[int(0.025 * POOLS)], rates[int(0.975 * POOLS) - 1]
    return f"{100 * rate:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def _cost(pool: Effects, pair_s: float) -> str:
    needed = replicates_for(pool)
    return f"{needed * pair_s:,.0f} s ({needed} x {pair_s:.0f} s)" if needed else "more than 100 replicates"


def replicates_for(pool: Effects) -> int | None:
    """The fewest replicates, their number fixed, of which `POWER` of all comparisons prove the effect."""
    for count in range(LOOKS[0], 101):
        proven = [_is_slower(t_interval(drawn, 0.95)) for drawn in _draws(pool, count, 500)]
        if fmean(proven) >= POWER:
            return count
    return None


def _hyperfine(lines: Sequence[Mapping[str, Any]]) -> str:
    """What a comparison of two blocks of whole processes says, by eye, of +5 %."""
    blocks: dict[int, dict[str, Sequence[float]]] = {}
    for line in lines:
        blocks.setdefault(line["round"], {})[line["arm"]] = line["times_s"]
    both = [block for block in blocks.values() if len(block) == 2]
    if not both:
        return "hyperfine: not run"
    ratios = [fmean(block["plus5"]) / fmean(block["baseline"]) for block in both]
    singles = [other / base for b in both for base, other in zip(b["baseline"], b["plus5"], strict=True)]
    return (
        f"`hyperfine`, whole processes, {len(both[0]['baseline'])} runs of one arm, then of the other:"
        f" {len(ratios)} comparisons of +5 % range from {100 * (min(ratios) - 1):+.1f} to"
        f" {100 * (max(ratios) - 1):+.1f} %; {sum(ratio < 1 for ratio in ratios)} have the wrong sign."
        f" One run of each: from {100 * (min(singles) - 1):+.1f} to {100 * (max(singles) - 1):+.1f} %,"
        f" {sum(ratio < 1 for ratio in singles)} of {len(singles)} with the wrong sign."
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

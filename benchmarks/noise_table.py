"""The table of `noise.py`: comparisons resampled from the pool of runs, the sequential rule included.

A comparison draws replicates from the pool of a setting, looks after 3, 5 and 8 at the level of a look, and
is proven as `bench.compare` says: its whole interval beyond the practical floor. Intervals of the rates come
from a bootstrap over the pool itself, since that is what limits them. Below stands what somebody reads off
whole processes without Paceline.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any

from bench.compare import Interval, t_interval
from bench.metrics import metric
from bench.run import Load, Run, Window
from bench.sample import paired
from bench.sequential import EACH_LOOK

from noise_pool import Line, sittings_of

METRICS = ("tokens_per_s", "job_tokens_per_s")
LOOKS = (3, 5, 8)
RESAMPLES = 4000
POOLS, RESAMPLES_OF_A_POOL = 200, 200
POWER, MOST_REPLICATES, RESAMPLES_OF_A_COUNT = 0.9, 100, 500
THRESHOLD = metric("tokens_per_s").threshold(None)
HEADER = (
    "setting", "replicates", "spread A/A", "median A/A, n = 3", "A/A proven falsely",
    "+2 % proven", "+5 % proven", "machine-seconds for 2 %", "machine-seconds for 5 %",
)  # fmt: skip

Effects = Sequence[float]
"""log(arm / baseline) of each replicate in the pool."""


def table(lines: Sequence[Line], machine: Mapping[str, Any], pools: int = POOLS) -> str:
    """`pools` of the bootstrap behind each bracket; 0: none, and a hundredth of the time."""
    runs = [line for line in lines if "outcome" in line]  # Paceline's
    out = [*made_in(lines, machine)]
    for name in METRICS:
        out += [f"\n`{name}`:\n", _line(HEADER), _line(["---"] * len(HEADER))]
        out += [_line(cells) for cells in rows_of(runs, name, pools)]
    return "\n".join([*out, "", *by_hand(lines)])


def made_in(lines: Sequence[Line], machine: Mapping[str, Any]) -> Iterator[str]:
    """On what machine, and in which sittings."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    rounds = len({line["round"] for line in lines})
    yield (
        f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, {versions},"
        f" {machine['steps']} steps; {rounds} rounds:\n"
    )
    yield from (f"- {sitting.text}" for sitting in sittings_of(machine))


def rows_of(runs: Sequence[Line], name: str, pools: int) -> Iterator[tuple[str, ...]]:
    """The cells of each setting that has enough replicates."""
    for setting in dict.fromkeys(line["setting"] for line in runs):
        of_arm = {arm: effects(runs, setting, arm, name) for arm in ("again", "plus2", "plus5")}
        if min(map(len, of_arm.values())) < LOOKS[0]:
            continue
        again, pair_s = of_arm["again"], seconds_of_a_pair(runs, setting)
        yield (
            setting,
            str(len(again)),
            f"{100 * stdev(again):.2f} %",
            f"{100 * median(abs(fmean(drawn)) for drawn in _draws(again, LOOKS[0])):.2f} %",
            rate(again, is_proven, pools),
            rate(of_arm["plus2"], is_slower, pools),
            rate(of_arm["plus5"], is_slower, pools),
            *(_cost(of_arm[arm], pair_s) for arm in ("plus2", "plus5")),
        )


def effects(runs: Sequence[Line], setting: str, arm: str, name: str) -> list[float]:
    """Of all replicates in which the baseline and the arm are ok."""
    found: dict[tuple[int, int], dict[str, Run]] = {}
    for line in runs:
        if line["setting"] == setting and line["outcome"] == "ok":
            found.setdefault((line["round"], line["replicate"]), {})[line["arm"]] = run_of(line)
    pairs = [(one["baseline"], one[arm]) for one in found.values() if {"baseline", arm} <= set(one)]
    samples = (paired(metric(name), base, other) for base, other in pairs)
    return [math.log(other / base) for base, other in samples if base and other]


def run_of(line: Line) -> Run:
    windows = (Window(**{**one, "load": one["load"] and Load(**one["load"])}) for one in line["windows"])
    return Run(
        recipe="train",
        arm=line["arm"],
        replicate=line["replicate"],
        outcome=line["outcome"],
        wall_s=line["wall_s"],
        phases_s=line["phases_s"],
        steps=len(line["step_s"]),
        tokens=line["tokens"],
        train_tokens=line["train_tokens"],
        engine=line["engine"],
        windows=tuple(windows),
    )


def seconds_of_a_pair(runs: Sequence[Line], setting: str) -> float:
    """What a replicate of two arms takes of the machine, with runs that had to be made again."""
    ours = [line for line in runs if line["setting"] == setting]
    return 2 * sum(line["wall_s"] for line in ours) / sum(line["outcome"] == "ok" for line in ours)


def sequential(drawn: Effects) -> Interval | None:
    """The interval at the first look that proves something, else at the last."""
    found = None
    for look in LOOKS:
        found = t_interval(drawn[:look], EACH_LOOK.ratio)
        if is_proven(found):
            return found
    return found


def is_proven(found: Interval | None) -> bool:
    return found is not None and found.is_beyond(THRESHOLD)


def is_slower(found: Interval | None) -> bool:
    return found is not None and found.high < -THRESHOLD


def rate(pool: Effects, holds: Callable[[Interval | None], bool], pools: int) -> str:
    """`97 % [93, 99]`: how often it holds, and the 95 % bootstrap interval over pools like this one."""
    share = fmean(holds(sequential(drawn)) for drawn in _draws(pool, LOOKS[-1]))
    rates = sorted(
        fmean(holds(sequential(drawn)) for drawn in _draws(other, LOOKS[-1], RESAMPLES_OF_A_POOL, seed=2))
        for other in _draws(pool, len(pool), pools, seed=1)
    )
    if not rates:
        return f"{100 * share:.0f} %"
    low, high = rates[int(0.025 * pools)], rates[int(0.975 * pools) - 1]
    return f"{100 * share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def replicates_for(pool: Effects) -> int | None:
    """The fewest replicates, their number fixed, of which `POWER` of all comparisons prove the effect."""
    for count in range(LOOKS[0], MOST_REPLICATES + 1):
        drawn = _draws(pool, count, RESAMPLES_OF_A_COUNT)
        if fmean(is_slower(t_interval(one, 0.95)) for one in drawn) >= POWER:
            return count
    return None


def by_hand(lines: Sequence[Line]) -> Iterator[str]:
    """What somebody says without Paceline who takes any ratio beyond 1 % for a result."""
    blocks = [line for line in lines if line["setting"] == "hyperfine"]
    runs = len(blocks[0]["times_s"]) if blocks else 0
    sequence = [line for line in lines if line["setting"] == "sequence"]
    yield _line(("whole processes, by hand", "A/A", "A/A beyond 1 %", "+5 %", "+5 %, wrong sign"))
    yield _line(["---"] * 5)
    yield _line((f"`hyperfine`, {runs} runs of one arm, then of the other", *_by_eye(blocks)))
    yield _line(("one run of each, in turn", *_by_eye(sequence)))
    if known := effects(lines, "abba", "plus5", "end_to_end_s"):
        share = math.expm1(fmean(known))
        yield f"\n+5 % of a step is {100 * share:+.1f} % of a process (ABBA, n = {len(known)})."


def _by_eye(lines: Sequence[Line]) -> tuple[str, str, str, str]:
    seconds = seconds_by_hand(lines)
    again, plus5 = (ratios(seconds, arm) for arm in ("again", "plus5"))
    beyond = sum(abs(math.log(ratio)) > THRESHOLD for ratio in again)
    wrong = sum(ratio < 1 for ratio in plus5)
    return _range(again), _of(beyond, again), _range(plus5), _of(wrong, plus5)


def seconds_by_hand(lines: Sequence[Line]) -> list[dict[str, float]]:
    """Of each round: arm -> mean seconds of a whole process."""
    rounds: dict[int, dict[str, float]] = {}
    for line in lines:
        seconds = fmean(line["times_s"]) if "times_s" in line else line["wall_s"]
        rounds.setdefault(line["round"], {})[line["arm"]] = seconds
    return list(rounds.values())


def ratios(seconds: Sequence[Mapping[str, float]], arm: str) -> list[float]:
    return [one[arm] / one["baseline"] for one in seconds if {arm, "baseline"} <= set(one)]


def _range(found: Sequence[float]) -> str:
    """`-1.2 to +3.4 %`."""
    return f"{100 * (min(found) - 1):+.1f} to {100 * (max(found) - 1):+.1f} %" if found else "-"


def _of(count: int, found: Sequence[float]) -> str:
    return f"{count} of {len(found)}" if found else "-"


def _cost(pool: Effects, pair_s: float) -> str:
    needed = replicates_for(pool)
    return f"{needed * pair_s:,.0f} s ({needed} x {pair_s:.0f} s)" if needed else "more than 100 replicates"


def _draws(pool: Effects, count: int, resamples: int = RESAMPLES, seed: int = 0) -> list[list[float]]:
    draw = random.Random(seed)  # noqa: S311 - the table can be made again
    return [draw.choices(pool, k=count) for _ in range(resamples)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

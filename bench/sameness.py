"""Whether runs that are held against each other were made in the same conditions. Warnings, never a taint.

Looks at the pairs of one arm and the baseline in one recipe: the same GPU and driver, the same clocks, one
after the other, and a first replicate that is like the later ones. What differs by design (the packages of
the environment) is the verdict's matter. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median

from bench.plan import Recipe
from bench.run import Run
from bench.sample import Pair, valid
from bench.units import change_text, value_text

GPU_CLOCK_BAND = 0.03
CPU_CLOCK_BAND = 0.05
"""A governor moves that much from second to second; a machine that clocks down moves more."""
OVERLAP_S = 0.5
FIRST_UNLIKE, FIRST_UNLIKE_S = 1.5, 1.0
"""How much longer the first preparation has to take, as a ratio and in seconds, to look like a cache."""


def unlike(recipe: Recipe, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """What differs, once each; the first pair that shows it stands for all."""
    both = valid(pairs)
    found = [_first(rule(one, other) for one, other in both) for rule in (_gpus, _gpu_clocks, _cpu_clocks)]
    runs = [run for pair in pairs for run in (pair.baseline, pair.arm) if run is not None]
    found += [_first(_overlaps(runs)), _first(_engines(both))]
    found += [_first_replicate([one for one, _ in both]), _first_replicate([other for _, other in both])]
    if recipe.cache == "warm":
        found.append("caches are warm by declaration: what filling them costs is in no figure")
    return tuple(dict.fromkeys(text for text in found if text))


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")


def _gpus(one: Run, other: Run) -> str:
    if one.gpu is None or other.gpu is None:
        return ""
    for what, before, after in (
        ("GPUs", one.gpu.uuid, other.gpu.uuid),
        ("drivers", one.gpu.driver, other.gpu.driver),
    ):
        if before and after and before != after:
            return f"the {what} differ: {before} in the baseline, {after} in the arm"
    return ""


def _gpu_clocks(one: Run, other: Run) -> str:
    if one.gpu is None or other.gpu is None:
        return ""
    return _clocks("GPU", one.gpu.sm_mhz, other.gpu.sm_mhz, GPU_CLOCK_BAND)


def _cpu_clocks(one: Run, other: Run) -> str:
    if one.host is None or other.host is None:
        return ""
    return _clocks("CPU", one.host.mhz, other.host.mhz, CPU_CLOCK_BAND)


def _clocks(what: str, before_mhz: float | None, after_mhz: float | None, band: float) -> str:
    if (
        not before_mhz
        or not after_mhz
        or max(before_mhz, after_mhz) <= (1 + band) * min(before_mhz, after_mhz)
    ):
        return ""
    return (
        f"the {what}'s clock differs between the arms: {before_mhz:,.0f} MHz in the baseline,"
        f" {after_mhz:,.0f} MHz in the arm ({change_text(after_mhz / before_mhz)})"
    )


def _engines(both: Sequence[tuple[Run, Run]]) -> Iterator[str]:
    for one, other in both:
        if one.engine != other.engine:
            yield f"replicate {one.replicate}: the baseline ran in {one.engine}, the arm in {other.engine}"


def _overlaps(runs: Sequence[Run]) -> Iterator[str]:
    """Two whole runs at the same time share CPU, memory bandwidth and power; lockstep takes turns."""
    alone = [(run.host, run) for run in runs if run.host is not None and run.engine == "abba"]
    ordered = sorted(alone, key=lambda entry: entry[0].begin)
    for (before, one), (after, other) in pairwise(ordered):
        shared_s = min(before.end, after.end) - after.begin
        if shared_s > OVERLAP_S:
            yield (
                f"{one.arm} and {other.arm} ran side by side for {value_text(shared_s, 's')}:"
                " they shared CPU and power"
            )


def _first_replicate(runs: Sequence[Run]) -> str:
    """A cache that outlives a run makes the second unlike the first."""
    waits = [(run.replicate, run.arm, _before_steps_s(run)) for run in runs]
    if len(waits) < 2:
        return ""
    replicate, arm, first_s = waits[0]
    later_s = median(seconds for _, _, seconds in waits[1:])
    if first_s < FIRST_UNLIKE * later_s or first_s - later_s < FIRST_UNLIKE_S:
        return ""
    return (
        f"before its steps {arm} took {value_text(first_s, 's')} in replicate {replicate} and"
        f" {value_text(later_s, 's')} in later ones: something is kept between runs"
    )


def _before_steps_s(run: Run) -> float:
    return run.phases_s.get("prep", 0.0) + run.phases_s.get("reference", 0.0)

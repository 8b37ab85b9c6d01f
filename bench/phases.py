"""The phase ledger of an arm: where its seconds went, phase by phase, and what only changed its place.

Per recipe and arm, over the valid pairs that trained: the mean of arm - baseline in seconds with a t
interval, for every phase, for the job (what throughput divides by), for what lies outside it and for the
whole process. Means are arithmetic here, so that phases sum. A gain in one phase that reappears in another
is said in words; whether it was moved rather than saved (a rule of the verdict) is decided here as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.compare import CONFIDENCE, Comparison, t_interval
from bench.metrics import BY_NAME
from bench.plan import Plan, Recipe
from bench.run import JOB_PHASES, PHASES, Phase, Run
from bench.sample import Pair, pairs_of, valid
from bench.units import bound_text

UNSEEN: tuple[Phase, ...] = ("import", "load", "save", "other")
"""Phases outside the job, where work can be moved out of sight. The evaluation is ours."""
LOOP: tuple[Phase, ...] = ("first", "train")
OUTSIDE_STEPS: tuple[Phase, ...] = (*JOB_PHASES[:-1], *UNSEEN)
"""All but the steady steps and our evaluation."""
CACHED: tuple[Phase, ...] = ("import", "load", "prep")
"""Phases that a filled cache makes shorter."""
MOVED_SHARE = 0.5
"""Of the seconds gained: where so many reappear outside the job, they were moved and not saved."""
SHORTEST_S = 0.0005  # a phase that no run spent more in is not shown
COLD_FACTOR, COLD_MORE_S = 2.0, 1.0
"""A first run that took this many times, and this much longer than, the median of the later ones was cold."""


@dataclass(frozen=True, slots=True)
class Change:
    """Seconds of one phase, or of a sum of phases, of both arms: arithmetic means over the same pairs.

    `change_s` is the mean of arm - baseline, `low_s` and `high_s` the ends of its interval, None for one
    pair. Proven: the whole interval lies beyond a floor on either side.
    """

    name: str
    baseline_s: float
    arm_s: float
    change_s: float
    low_s: float | None
    high_s: float | None
    is_proven: bool

    @property
    def is_shorter(self) -> bool:
        return self.is_proven and self.change_s < 0

    @property
    def is_longer(self) -> bool:
        return self.is_proven and self.change_s > 0

    @property
    def is_surely_longer(self) -> bool:
        """Whether all of the interval is above nothing, be it worth a review or not."""
        return self.low_s is not None and self.low_s > 0

    @property
    def text(self) -> str:
        """`-2.90 [-3.02, -2.78]` where proven, `~ [-0.02, 0.03]` where not, `=` for no difference at all."""
        if self.low_s is None or self.high_s is None:
            return "~ (n = 1)"
        if self.low_s == self.high_s == 0:
            return "="
        digits = _digits(self.low_s, self.high_s)
        if not self.is_proven:
            return f"~ {_interval(self.low_s, self.high_s, digits)}"
        width = "" if self.low_s == self.high_s else f" {_interval(self.low_s, self.high_s, digits, '+')}"
        return f"{self.change_s:+.{digits}f}{width}"

    @property
    def size(self) -> str:
        """How much, whichever way: `2.90 s [2.78, 3.02]`, with `~` before it where it is not proven."""
        if self.low_s is None or self.high_s is None:
            return f"~ {abs(self.change_s):.2f} s (n = 1)"
        sign, digits = math.copysign(1.0, self.change_s), _digits(self.low_s, self.high_s)
        low_s, high_s = sorted((sign * self.low_s, sign * self.high_s))
        width = "" if low_s == high_s else f" {_interval(low_s, high_s, digits)}"
        return f"{'' if self.is_proven else '~ '}{abs(self.change_s):.{digits}f} s{width}"


def change_of(
    name: str, samples: Sequence[tuple[float, float]], floor_s: float, confidence: float = CONFIDENCE
) -> Change:
    """Of (baseline, arm) seconds, one tuple a pair; at least one."""
    differences = [after - before for before, after in samples]
    interval = t_interval(differences, confidence)
    return Change(
        name=name,
        baseline_s=fmean(before for before, _ in samples),
        arm_s=fmean(after for _, after in samples),
        change_s=fmean(differences),
        low_s=None if interval is None else interval.low,
        high_s=None if interval is None else interval.high,
        is_proven=interval is not None and interval.is_beyond(floor_s),
    )


@dataclass(frozen=True, slots=True)
class PhaseLedger:
    """`phases` in their order; `job`, `unseen` (outside it, without our evaluation) and `whole` are sums.

    `floor_s` is what a change has to be beyond to be proven: the share of the baseline's job that is worth a
    review, or that its A/A floor leaves in doubt. `moved` says what got longer while something else got
    shorter, both proven; empty where nothing did. `cache` is the state that the recipe declares;
    `cache_differs` says in which phases it was another one for one of the arms, by its first run.
    """

    recipe: str
    baseline: str
    arm: str
    n: int
    confidence: float
    floor_s: float
    phases: tuple[Change, ...]
    job: Change
    unseen: Change
    whole: Change
    moved: str
    cache: str
    cache_differs: tuple[str, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Of the phases, then their sums, as rows."""
        return (*self.phases, self.job, self.whole)

    def longer(self, *names: str, surely: bool = False) -> str:
        """`reference 2.70 s [2.61, 2.79], import ~ 0.30 s [-0.10, 0.70]`: of the named, the three largest."""
        grown = [change for change in self.phases if change.name in names and change.change_s > 0]
        grown = [change for change in grown if change.is_surely_longer or not surely]
        grown.sort(key=lambda change: -change.change_s)
        return ", ".join(f"{change.name} {change.size}" for change in grown[:3])


def phase_ledgers(
    plan: Plan, runs: Sequence[Run], comparisons: Sequence[Comparison]
) -> tuple[PhaseLedger, ...]:
    """Of every recipe and arm whose throughput was compared, on the runs that were."""
    found = (
        phase_ledger(
            plan.recipe(job.recipe),
            job.arm,
            pairs_of(runs, job.recipe, job.baseline, job.arm),
            floor=job.floor,
            confidence=job.confidence,
        )
        for job in comparisons
        if job.metric == "job_tokens_per_s"
    )
    return tuple(ledger for ledger in found if ledger is not None)


def phase_ledger(
    recipe: Recipe, arm: str, pairs: Sequence[Pair], *, floor: float | None, confidence: float = CONFIDENCE
) -> PhaseLedger | None:
    """`floor` is the A/A floor of `job_tokens_per_s` (absolute log ratio). None where no pair trained."""
    both = trained(pairs)
    if not both:
        return None
    floor_s = share_of(floor) * fmean(_spent_s(one, JOB_PHASES) for one, _ in both)

    def change(name: str, phases: Sequence[Phase]) -> Change:
        samples = [(_spent_s(one, phases), _spent_s(other, phases)) for one, other in both]
        return change_of(name, samples, floor_s, confidence)

    found = [change(phase, (phase,)) for phase in PHASES]
    phases = tuple(one for one in found if max(one.baseline_s, one.arm_s) >= SHORTEST_S)
    baseline = both[0][0].arm
    return PhaseLedger(
        recipe=recipe.name,
        baseline=baseline,
        arm=arm,
        n=len(both),
        confidence=confidence,
        floor_s=floor_s,
        phases=phases,
        job=change("job", JOB_PHASES),
        unseen=change("outside the job", UNSEEN),
        whole=change("whole process", PHASES),
        moved=_moved(phases, floor_s, is_packing_new=_is_packing_new(both)),
        cache=recipe.cache,
        cache_differs=tuple(_unlike_caches(both)),
    )


def work_moved(ledger: PhaseLedger, steady: Comparison | None, job: Comparison) -> str:
    """What shows that work was moved and not saved, empty where nothing does; by both throughputs."""
    n = f"(n = {ledger.n})"
    if said := _steps_alone(steady, job):
        longer = ledger.longer(*OUTSIDE_STEPS, surely=True)
        where = ledger.moved or (longer and f"longer: {longer}")
        return f"{said}: {where} {n}" if where else ""
    gained_s, unseen = -ledger.job.change_s, ledger.unseen
    # A point estimate alone would accuse every short run whose imports took a little longer by chance.
    is_half = unseen.is_surely_longer and unseen.change_s >= MOVED_SHARE * gained_s > 0
    if job.change != "better" or not is_half:
        return ""
    return f"of {ledger.job.size} gained {unseen.size} reappear outside the job: {ledger.longer(*UNSEEN)} {n}"


def saving_not_shown(ledger: PhaseLedger, steady: Comparison | None, job: Comparison) -> str:
    """Steps that are proven faster where the job is not, and nothing says that their work went elsewhere."""
    said = _steps_alone(steady, job)
    if not said or work_moved(ledger, steady, job):
        return ""
    share = share_of(job.floor)
    is_open = job.high is None or job.high > 1 + share
    why = "more replicates would tell" if is_open else f"the job gains less than {bound_text(share)}"
    return f"{said}; no phase is surely longer: {why} (n = {ledger.n})"


def _steps_alone(steady: Comparison | None, job: Comparison) -> str:
    """What to say where the steps are proven faster and the job is not; else empty."""
    if steady is None or steady.change != "better" or job.change == "better":
        return ""
    return f"tokens_per_s {steady.text} is proven better, job_tokens_per_s {job.text} is not"


def trained(pairs: Sequence[Pair]) -> list[tuple[Run, Run]]:
    """The (baseline, arm) runs of the valid pairs that trained."""
    return [both for both in valid(pairs) if both[0].outcome == "ok"]


def share_of(floor: float | None) -> float:
    """The share of the baseline's time that a change has to be beyond; `floor` is the A/A floor."""
    return math.expm1(BY_NAME["job_tokens_per_s"].threshold(floor))


def _spent_s(run: Run, phases: Sequence[Phase]) -> float:
    return sum(run.phases_s.get(phase, 0.0) for phase in phases)


def _moved(phases: Sequence[Change], floor_s: float, *, is_packing_new: bool) -> str:
    shorter = [change for change in phases if change.is_shorter and change.name != "eval"]
    longer = [change for change in phases if change.is_longer and change.name != "eval"]
    if not shorter or not longer:
        return ""
    is_loop_shorter = any(change.name in LOOP for change in shorter)
    known = {
        change.name: _out_of_the_loop(change, floor_s, is_packing_new) if is_loop_shorter else ""
        for change in longer
    }
    by_name = [name for name in known.values() if name]
    others = [change for change in longer if not known[change.name]]
    told = [f"{change.name} got {change.size} shorter" for change in shorter]
    return ", ".join((*by_name, *told, *(f"{change.name} got {change.size} longer" for change in others)))


def _out_of_the_loop(change: Change, floor_s: float, is_packing_new: bool) -> str:
    """What work it is that stands before training now, where that is known by its name; else empty."""
    if change.name == "reference" and change.baseline_s <= floor_s:
        return f"reference pass moved out of the timed loop: {change.size} before training"
    if change.name == "prep" and is_packing_new:
        return f"packing moved into preparation: {change.size} before training"
    return ""


def _is_packing_new(both: Sequence[tuple[Run, Run]]) -> bool:
    """Whether the arm packs rows and the baseline does not, by what their trainers resolved to."""
    return all((_used(one, "packing"), _used(other, "packing")) == ("False", "True") for one, other in both)


def _used(run: Run, name: str) -> str | None:
    return next((choice.used for choice in run.choices if choice.name == name), None)


def _unlike_caches(both: Sequence[tuple[Run, Run]]) -> Iterator[str]:
    """Phases in which the first run of one arm only was cold: the other found a cache that was filled."""
    ordered = sorted(both, key=lambda pair: pair[0].replicate)
    for phase in CACHED if len(ordered) > 2 else ():
        spent = [[_spent_s(pair[side], (phase,)) for pair in ordered] for side in (0, 1)]
        if _is_cold(spent[0]) == _is_cold(spent[1]):
            continue
        cold, warm = (0, 1) if _is_cold(spent[0]) else (1, 0)
        yield (
            f"{phase} took {ordered[0][cold].arm} {_first_and_later(spent[cold])}, but {ordered[0][warm].arm}"
            f" {_first_and_later(spent[warm])}"
        )


def _is_cold(seconds: Sequence[float]) -> bool:
    first_s, later_s = seconds[0], median(seconds[1:])
    return first_s > COLD_FACTOR * later_s and first_s - later_s > COLD_MORE_S


def _first_and_later(seconds: Sequence[float]) -> str:
    return f"{seconds[0]:.2f} s in its first run and {median(seconds[1:]):.2f} s in later ones"


def _interval(low: float, high: float, digits: int, sign: str = "") -> str:
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def _digits(low: float, high: float) -> int:
    """Decimals: two digits of the half width, but hundredths of a second at least, and four at most."""
    half = (high - low) / 2
    return min(4, max(2, 1 - math.floor(math.log10(half)))) if 0 < half < math.inf else 2

"""Samples: the value of one metric of one run, and which runs of a replicate belong together.

Reads runs that ended `ok`; of a run with `no trainer` only what is seen from outside the process. Refuses to
guess: a figure that the run did not produce is None, and two figures that do not mean the same thing
(`incomparable`) are named. Nothing is dropped because of its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.metrics import Metric
from bench.pairing import pairing, throughputs
from bench.run import Phase, Run

PEAK_PHASES: tuple[Phase, ...] = ("import", "load", "prep", "reference", "first", "train")
"""Device peaks are those of the job. The evaluation is ours, and what follows it may still carry its peak."""
SPENT = ("tainted", "cancelled")
"""Outcomes that a repeated run of the same replicate replaces; a crash stays a crash."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The baseline's and an arm's run of one replicate; None where there is none (cancelled half way)."""

    replicate: int
    baseline: Run | None
    arm: Run | None

    @property
    def runs(self) -> tuple[Run, Run] | None:
        """Both runs where the pair is valid: both ok, or both without a trainer."""
        if self.baseline is None or self.arm is None or self.baseline.outcome != self.arm.outcome:
            return None
        return (self.baseline, self.arm) if self.arm.is_well else None


def pairs_of(runs: Sequence[Run], recipe: str, baseline: str, arm: str) -> tuple[Pair, ...]:
    """All replicates of a recipe in which either arm has a run, in order."""
    ours = [run for run in runs if run.recipe == recipe and run.arm in (baseline, arm)]
    replicates = sorted({run.replicate for run in ours})
    return tuple(
        Pair(number, _that_counts(ours, baseline, number), _that_counts(ours, arm, number))
        for number in replicates
    )


def valid(pairs: Sequence[Pair]) -> list[tuple[Run, Run]]:
    """The (baseline, arm) runs of the valid pairs."""
    return [both for pair in pairs if (both := pair.runs) is not None]


def outcomes_text(pairs: Sequence[Pair]) -> str:
    """`baseline: ok 3; optimized: ok 1, crashed 2`."""
    sides: dict[str, dict[str, int]] = {}
    for pair in pairs:
        for run in (pair.baseline, pair.arm):
            if run is not None:
                counts = sides.setdefault(run.arm, {})
                counts[run.outcome] = counts.get(run.outcome, 0) + 1
    told = (f"{arm}: {', '.join(f'{o} {n}' for o, n in counts.items())}" for arm, counts in sides.items())
    return "; ".join(told) or "no run"


def value(metric: Metric, run: Run) -> float | None:
    """The sample in base units; None where the run has none."""
    if run.outcome == "ok" or (run.outcome == "no trainer" and metric.is_process):
        return _READERS[metric.name](run)
    return None


def paired(metric: Metric, one: Run, other: Run) -> tuple[float | None, float | None]:
    """The samples of a pair of runs; steady throughput without windows in which others took the CPU."""
    found = pairing(one.windows, other.windows) if metric.name == "tokens_per_s" else None
    return (value(metric, one), value(metric, other)) if found is None else throughputs(found)


def left_out(metric: Metric, both: Sequence[tuple[Run, Run]]) -> tuple[int, int]:
    """(windows that were left out of a metric's samples, out of how many)."""
    if metric.name != "tokens_per_s":
        return 0, 0
    found = [pairing(one.windows, other.windows) for one, other in both]
    counts = [(one.left_out, one.total) for one in found if one is not None]
    return sum(count for count, _ in counts), sum(total for _, total in counts)


def incomparable(metric: Metric, one: Run, other: Run) -> str:
    """Why the two runs' samples of this metric do not mean the same thing; empty where they do."""
    if metric.name == "final_loss" and one.steps != other.steps:
        return f"no ratio: final losses of unlike step counts ({one.steps} and {other.steps})"
    if metric.name == "peak_memory_b" and (_peak_allocated_b(one) is None) != (
        _peak_allocated_b(other) is None
    ):
        return "no ratio: one arm's memory is the device's, the other's the host's"
    return ""


def _that_counts(runs: Sequence[Run], arm: str, replicate: int) -> Run | None:
    """The first run that was not spoiled from outside, so that nobody picks the best of several."""
    tries = [run for run in runs if run.arm == arm and run.replicate == replicate]
    counting = [run for run in tries if run.outcome not in SPENT]
    return counting[0] if counting else tries[-1] if tries else None


def _quotient(amount: float | None, seconds: float | None) -> float | None:
    return None if amount is None or not seconds else amount / seconds


def _mean_step_s(run: Run) -> float | None:
    return fmean(run.step_s[1:]) if len(run.step_s) > 1 else None


def _peak(values: Sequence[int | None]) -> int | None:
    return max((number for number in values if number is not None), default=None)


def _peak_allocated_b(run: Run) -> int | None:
    return _peak([run.memory[phase].allocated_b for phase in PEAK_PHASES if phase in run.memory])


def _peak_reserved_b(run: Run) -> int | None:
    return _peak([run.memory[phase].reserved_b for phase in PEAK_PHASES if phase in run.memory])


def _peak_memory_b(run: Run) -> int | None:
    allocated_b = _peak_allocated_b(run)
    return run.peak_rss_b if allocated_b is None else allocated_b


def _gpu_hours(run: Run) -> float | None:
    return None if run.gpu is None or run.wall_s is None else run.wall_s / 3600


def _phase(name: Phase) -> Callable[[Run], float | None]:
    return lambda run: run.phases_s.get(name)


_READERS: Mapping[str, Callable[[Run], float | None]] = {
    "job_tokens_per_s": lambda run: _quotient(run.tokens, run.job_s),
    "tokens_per_s": lambda run: _quotient(run.train_tokens, run.phases_s.get("train")),
    "rows_per_s": lambda run: _quotient(run.rows, run.job_s),
    "end_to_end_s": lambda run: run.wall_s,
    "step_s": _mean_step_s,
    "first_step_s": _phase("first"),
    "import_s": _phase("import"),
    "load_s": _phase("load"),
    "prep_s": _phase("prep"),
    "reference_s": _phase("reference"),
    "train_s": _phase("train"),
    "eval_s": _phase("eval"),
    "save_s": _phase("save"),
    "other_s": _phase("other"),
    "peak_memory_b": _peak_memory_b,
    "peak_reserved_b": _peak_reserved_b,
    "peak_device_b": lambda run: run.gpu.peak_memory_b if run.gpu else None,
    "peak_rss_b": lambda run: run.peak_rss_b,
    "first_loss": lambda run: run.first_loss,
    "final_loss": lambda run: run.final_loss,
    "heldout_loss": lambda run: run.eval.loss if run.eval else None,
    "gpu_util_mean_pct": lambda run: run.gpu.utilisation_mean_pct if run.gpu else None,
    "gpu_util_p95_pct": lambda run: run.gpu.utilisation_p95_pct if run.gpu else None,
    "gpu_hours": _gpu_hours,
    "tokens": lambda run: run.tokens,
    "padded_tokens": lambda run: run.padded_tokens,
    "supervised_tokens": lambda run: run.supervised_tokens,
    "steps": lambda run: run.steps,
    "rows": lambda run: run.rows,
}


def typical(values: Sequence[float]) -> float | None:
    """The geometric mean, so that the ratio of two typical values is the ratio of the comparison.

    The median where a value is not positive; None where there is none that is finite.
    """
    finite = sorted(number for number in values if math.isfinite(number))
    if not finite:
        return None
    if finite[0] == finite[-1]:  # exact: a mean of logarithms would give 19517.999999999996
        return finite[0]
    if finite[0] > 0 and len(finite) == len(values):
        return math.exp(fmean(math.log(number) for number in finite))
    middle = len(finite) // 2
    return finite[middle] if len(finite) % 2 else (finite[middle - 1] + finite[middle]) / 2

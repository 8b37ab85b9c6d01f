"""The one table of metrics: unit, better direction, practical floor, warning band, title.

Every sign in the project comes from `better` here; nothing else knows whether more is good. How a sample
is read from a run is `sample.py`'s matter, how it is printed is `units.py`'s.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bench.units import Unit

Better = Literal["higher", "lower"]

# A change of less than 1 % is worth nobody's review, whatever its p says; where a benchmark cannot hold its
# own baseline to 1 %, the A/A floor is the larger of the two and takes over.
PRACTICAL = 0.01
# Counts and losses have no clock in them: what differs, differs.
NONE = 0.0
# Time that nobody asked about: five times the floor, so that a warning is not a matter of taste.
TIME_BAND = 0.05
# Memory that nobody asked about: allocators round, and 20 % still fits where 80 % did.
MEMORY_BAND = 0.20


@dataclass(frozen=True, slots=True)
class Metric:
    """`practical_floor` and `warning_band` are shares (0.01 is a ratio of 1.01, or of 1/1.01 downwards).

    `warning_band` is None where a metric never warns by itself, because another one or the equivalence
    already judges the same thing. `is_process` says that it is seen from outside, without a trainer.
    """

    name: str
    unit: Unit
    better: Better | None
    practical_floor: float
    warning_band: float | None
    title: str
    is_process: bool = False

    def change_of(self, ratio: float) -> Literal["better", "worse", "differs", "same"]:
        """What a ratio (arm / baseline) means by this metric's better direction."""
        if ratio == 1:
            return "same"
        if self.better is None:
            return "differs"
        return "better" if (ratio > 1) == (self.better == "higher") else "worse"

    def threshold(self, floor: float | None) -> float:
        """max(practical floor, A/A floor), both as an absolute log ratio."""
        return max(math.log1p(self.practical_floor), floor or 0.0)


METRICS: tuple[Metric, ...] = (
    Metric("job_tokens_per_s", "tok/s", "higher", PRACTICAL, TIME_BAND, "tokens/s of the job"),
    Metric("tokens_per_s", "tok/s", "higher", PRACTICAL, TIME_BAND, "tokens/s, steady"),
    Metric("rows_per_s", "row/s", "higher", PRACTICAL, TIME_BAND, "rows/s of the job"),
    Metric("end_to_end_s", "s", "lower", PRACTICAL, TIME_BAND, "end to end", is_process=True),
    # A step of another arm may hold other work (packing), and all seconds of these are in the four above.
    Metric("step_s", "s", "lower", PRACTICAL, None, "step"),
    Metric("first_step_s", "s", "lower", PRACTICAL, None, "first step"),
    Metric("import_s", "s", "lower", PRACTICAL, None, "import"),
    Metric("load_s", "s", "lower", PRACTICAL, None, "load"),
    Metric("prep_s", "s", "lower", PRACTICAL, None, "preparation"),
    Metric("reference_s", "s", "lower", PRACTICAL, None, "reference pass"),
    Metric("train_s", "s", "lower", PRACTICAL, None, "steps after the first"),
    Metric("eval_s", "s", None, PRACTICAL, None, "evaluation (ours)"),
    Metric("save_s", "s", "lower", PRACTICAL, None, "save"),
    Metric("other_s", "s", "lower", PRACTICAL, None, "after the last step"),
    Metric("peak_memory_b", "B", "lower", PRACTICAL, MEMORY_BAND, "peak memory"),
    Metric("peak_reserved_b", "B", "lower", PRACTICAL, MEMORY_BAND, "peak memory, reserved"),
    Metric("peak_device_b", "B", "lower", PRACTICAL, MEMORY_BAND, "peak memory, device", is_process=True),
    Metric("peak_rss_b", "B", "lower", PRACTICAL, MEMORY_BAND, "peak memory, host", is_process=True),
    # The first loss and the held-out loss are judged by equivalence, two-sided and with a band of their own.
    Metric("first_loss", "nat/tok", None, NONE, None, "first loss"),
    # One batch: noisy, but paired by seed. 10 % wholly passed is a change that somebody should look at.
    Metric("final_loss", "nat/tok", "lower", PRACTICAL, 0.10, "final loss"),
    Metric("heldout_loss", "nat/tok", "lower", NONE, None, "held-out loss"),
    # A faster arm may well keep the GPU less busy: that is no harm by itself.
    Metric(
        "gpu_util_mean_pct", "percent", "higher", PRACTICAL, None, "GPU utilisation, mean", is_process=True
    ),
    Metric("gpu_util_p95_pct", "percent", "higher", PRACTICAL, None, "GPU utilisation, p95", is_process=True),
    # The seconds of end_to_end_s in another unit.
    Metric("gpu_hours", "h", "lower", PRACTICAL, None, "GPU-hours", is_process=True),
    # Equal real tokens and rows are demanded by equivalence; fewer steps are neither good nor bad.
    Metric("tokens", "count", None, NONE, None, "real tokens"),
    Metric("padded_tokens", "count", "lower", NONE, None, "computed positions"),
    Metric("supervised_tokens", "count", None, NONE, None, "supervised tokens"),
    Metric("steps", "count", None, NONE, None, "steps"),
    Metric("rows", "count", None, NONE, None, "rows"),
)
BY_NAME = {entry.name: entry for entry in METRICS}


class UnknownMetric(ValueError):
    """A name that is not in the table; the message names a near miss."""


def metric(name: str) -> Metric:
    """Raises UnknownMetric."""
    if name not in BY_NAME:
        raise UnknownMetric(f"no metric {name!r}{near_miss(name, BY_NAME)}")
    return BY_NAME[name]


def near_miss(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, else the names there are."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f" (did you mean {near[0]!r}?)"
    return f" (there are: {', '.join(names) or 'none'})"

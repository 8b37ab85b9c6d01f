"""What the training losses say about two runs: the same beginning, DPO's ln 2, curves that part.

On the same first batch the first loss must be the same; DPO of a policy that begins at its reference has the
first loss ln 2 on any batch. Both are gates of equivalence, within a tolerance per dtype. The rest of the
curve is a diagnosis: it warns and decides nothing, for only held-out rows say what was learned.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from statistics import fmean

from bench.compare import t_interval
from bench.run import Run
from bench.units import bound_text, change_text

LN_2 = math.log(2)  # the DPO loss of a policy that equals its reference, whatever beta and batch
LN_2_TOLERANCE = 1e-3
FIRST_LOSS_TOLERANCE: Mapping[str, float] = {"float32": 1e-3, "float16": 5e-3, "bfloat16": 2e-2}
"""Relative. About the same number of units in the last place of each; kernels sum in their own order."""
TAIL_SHARE = 0.25
"""The last part of a curve that is held against the other's: long enough to even single steps out."""
FEWEST_STEPS = 8  # a quarter of fewer is one step

Both = Sequence[tuple[Run, Run]]
"""(baseline, arm) runs of the valid pairs."""


def other_beginnings(both: Both) -> tuple[str, ...]:
    """First losses that differ although they had to be the same: what makes an arm not equivalent."""
    return tuple(_first_losses(both)[:1] or _reference_losses(both)[:1])


def starts_at_reference(run: Run) -> bool:
    """Whether a run of DPO shows by its first loss that its policy began as its reference."""
    return _is_sigmoid_dpo(run) and run.first_loss is not None and _is_ln_2(run.first_loss, LN_2_TOLERANCE)


def reference_warnings(both: Both) -> tuple[str, ...]:
    """For each side whose first DPO loss is not ln 2, whether or not a gate lets that pass."""
    found: dict[str, str] = {}
    for run in (side for pair in both for side in pair):
        loss = run.first_loss
        if _is_sigmoid_dpo(run) and loss is not None and not _is_ln_2(loss, LN_2_TOLERANCE):
            told = (
                f"{run.arm}: first DPO loss {loss:.4f}, not ln 2: the policy does not start at the reference"
            )
            found.setdefault(run.arm, told)
    return tuple(found.values())


def parted_warnings(arm: str, both: Both, band: float, confidence: float) -> tuple[str, ...]:
    """Curves of equal length and first batch whose last quarters differ by more than the held-out band.

    The difference is a share of the baseline's mean loss over all steps: the tail alone may be near 0 (DPO).
    """
    curves = [(one.losses, other.losses) for one, other in both if _is_same_work(one, other)]
    scale = fmean([abs(loss) for one, _ in curves for loss in one]) if curves else 0.0
    if not scale:
        return ()
    shares = [(_tail(other) - _tail(one)) / scale for one, other in curves]
    if not abs(fmean(shares)) > band:
        return ()
    interval = t_interval(shares, confidence)
    width = ""
    if interval is not None and interval.low < interval.high:
        width = f" [{change_text(1 + interval.low)}, {change_text(1 + interval.high)}]"
    before, after = (fmean(map(_tail, losses)) for losses in zip(*curves, strict=True))
    return (
        f"{arm}: the first batches are the same, the training losses part from step"
        f" {_parting_step(curves, band * scale)} on: {before:.4f} in the baseline and {after:.4f} in the arm"
        f" over the last quarter, {change_text(1 + fmean(shares))}{width} of the curve's mean"
        f" (n = {len(curves)}, band of ±{bound_text(band)})",
    )


def _first_losses(both: Both) -> list[str]:
    """First losses that differ although the first batches are the same."""
    found = []
    for one, other in both:
        before, after = one.first_loss, other.first_loss
        if not _is_same_batch(one, other) or before is None or after is None:
            continue
        allowed = max(_tolerance(one), _tolerance(other))
        if not abs(after - before) <= allowed * abs(before):  # also where one is NaN
            found.append(
                f"same first batch, other first loss: {before:.4f} in the baseline, {after:.4f} in the arm"
                f" (replicate {one.replicate}, tolerance {bound_text(allowed)})"
            )
    return found


def _reference_losses(both: Both) -> list[str]:
    """First DPO losses that are not ln 2 in the arm while they are in the baseline.

    No digest is asked for: a policy that equals its reference has this loss on every batch.
    """
    found = []
    for one, other in both:
        before, after = one.first_loss, other.first_loss
        if not (_is_sigmoid_dpo(one) and _is_sigmoid_dpo(other)) or before is None or after is None:
            continue
        allowed = max(LN_2_TOLERANCE, LN_2 * max(_tolerance(one), _tolerance(other)))
        if _is_ln_2(before, allowed) and not _is_ln_2(after, allowed):
            found.append(
                f"first DPO loss {after:.4f} in the arm, ln 2 in the baseline ({before:.4f}): its policy does"
                f" not start at the reference (replicate {one.replicate}, tolerance {allowed:.4f})"
            )
    return found


def _is_same_batch(one: Run, other: Run) -> bool:
    """Whether the first steps had the same batch. What came after it is not asked: the first loss was there
    before, and an arm must not get past its gate by another second batch."""
    return bool(one.batch_digests and other.batch_digests) and one.batch_digests[0] == other.batch_digests[0]


def _is_same_work(one: Run, other: Run) -> bool:
    """Whether two curves may be held against each other step by step."""
    steps = len(one.losses)
    is_known = all(math.isfinite(loss) for loss in (*one.losses, *other.losses))
    is_same_data = _is_same_batch(one, other) and one.batch_digests == other.batch_digests
    return is_same_data and steps == len(other.losses) >= FEWEST_STEPS and is_known


def _is_sigmoid_dpo(run: Run) -> bool:
    """Other DPO losses, and sums of several, start elsewhere. The choice prints as `['sigmoid']`."""
    kinds = [choice.used for choice in run.choices if choice.name == "loss_type"]
    return run.is_dpo and all(re.findall(r"\w+", kind) == ["sigmoid"] for kind in kinds)


def _is_ln_2(loss: float, tolerance: float) -> bool:
    return abs(loss - LN_2) <= tolerance


def _tolerance(run: Run) -> float:
    """Of the coarsest dtype that the run says it computed in; float32's where it does not say."""
    used = {choice.name: choice.used for choice in run.choices}
    said = used.get("parameter dtypes", "")
    if "bfloat16" in said or used.get("bf16") == "True":
        return FIRST_LOSS_TOLERANCE["bfloat16"]
    if "float16" in said or used.get("fp16") == "True":
        return FIRST_LOSS_TOLERANCE["float16"]
    return FIRST_LOSS_TOLERANCE["float32"]


def _tail(losses: Sequence[float]) -> float:
    """The mean of the last quarter of a curve."""
    return fmean(losses[-int(len(losses) * TAIL_SHARE) :])


def _parting_step(curves: Sequence[tuple[Sequence[float], Sequence[float]]], allowed: float) -> int:
    """The first step (from 1) from which on the mean gap of the curves stays above `allowed` nat.

    Where single steps of the tail come close again, the step at which the tail begins.
    """
    steps = min(len(one) for one, _ in curves)
    gaps = [fmean(other[place] - one[place] for one, other in curves) for place in range(steps)]
    together = max((place for place, gap in enumerate(gaps) if abs(gap) <= allowed), default=-1)
    return min(together + 2, steps - int(steps * TAIL_SHARE) + 1)

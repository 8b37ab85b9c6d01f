"""Equivalence: whether an arm still trains the same thing. Faster but different is not faster.

Per recipe and arm, over valid pairs: the same rows and real tokens to the unit, the same first loss where
the first batches are the same, and held-out loss within the band by two one-sided tests (the 90 % interval
lies inside). The unit is the difference of held-out losses as a share of the baseline's mean: the band and
its cap (a quarter of what the baseline learns) are shares of the same number, and losses near 0 do not
explode as ratios would. Says "undecided" or "not measured", with the reason, rather than to guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Literal

from bench.compare import FEWEST_PAIRS, t_interval
from bench.plan import Arm, Recipe, Value
from bench.run import Eval, Run
from bench.sample import Pair, valid
from bench.units import bound_text, interval_text

State = Literal["equivalent", "not equivalent", "undecided", "not measured"]

CONFIDENCE = 0.90  # two one-sided tests at 5 % each (Schuirmann, 1987)
LEARNED_SHARE = 0.25  # a band wider than this would let a quarter of the training go unseen
DECLARING = ("rows", "epochs", "max_length", "limit")
"""Parameters whose change declares that an arm trains on other rows or lengths."""
LN_2 = math.log(2)  # the DPO loss of a policy that equals its reference, whatever beta
LN_2_TOLERANCE = 1e-3
FIRST_LOSS_TOLERANCE: Mapping[str, float] = {"float32": 1e-3, "float16": 5e-3, "bfloat16": 2e-2}
"""Relative. About the same number of units in the last place of each; kernels sum in their own order."""


@dataclass(frozen=True, slots=True)
class Parity:
    """`ratio`, `low`, `high`: 1 + the mean difference of held-out losses as a share of the baseline's mean.

    `band` is the share that was applied (`declared_band`, or less), None where there was none to apply.
    `learned` and `spread` are nat: what the baseline learned, and the standard deviation over seeds of its
    held-out loss. `reasons` say why the state is what it is; `warnings` go with the arm.
    """

    recipe: str
    arm: str
    state: State
    reasons: tuple[str, ...]
    declared_band: float
    band: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = CONFIDENCE
    n: int = 0
    baseline_loss: float | None = None
    arm_loss: float | None = None
    learned: float | None = None
    spread: float | None = None
    warnings: tuple[str, ...] = ()


def parity(
    recipe: Recipe,
    baseline: Arm,
    arm: Arm,
    pairs: Sequence[Pair],
    loss_band: float,
    *,
    confidence: float = CONFIDENCE,
) -> Parity:
    """First what is equal or not to the unit, then the held-out loss."""
    both = valid(pairs)
    differing, unknown = _work(both, is_declared=bool(declared(recipe, baseline, arm)))
    broken = (*differing, *_first_losses(both))
    held_out = _held_out(recipe, arm.name, both, loss_band, confidence)
    warnings = (*held_out.warnings, *_reference_warnings(arm.name, both))
    if broken:
        was = held_out.reasons if held_out.state == "not equivalent" else ()
        return replace(held_out, state="not equivalent", reasons=(*broken, *was), warnings=warnings)
    if unknown and held_out.state == "equivalent":
        return replace(held_out, state="undecided", reasons=unknown, warnings=warnings)
    return replace(held_out, warnings=warnings)


def declared(recipe: Recipe, baseline: Arm, arm: Arm) -> tuple[str, ...]:
    """The parameters by which an arm says that it trains on other rows or lengths than the baseline."""
    before: dict[str, Value] = {**recipe.params, **baseline.params}
    after: dict[str, Value] = {**recipe.params, **arm.params}
    return tuple(key for key in DECLARING if before.get(key) != after.get(key))


def _work(both: Sequence[tuple[Run, Run]], *, is_declared: bool) -> tuple[list[str], tuple[str, ...]]:
    """(what differs, what is not known). Supervised tokens may be unknown; rows and real tokens may not."""
    differing, unknown = [], []
    for name, title in (
        ("rows", "rows"),
        ("tokens", "real tokens"),
        ("supervised_tokens", "supervised tokens"),
    ):
        counts = [(one.replicate, getattr(one, name), getattr(other, name)) for one, other in both]
        unlike = [(r, a, b) for r, a, b in counts if a is not None and b is not None and a != b]
        if unlike and not is_declared:
            replicate, before, after = unlike[0]
            differing.append(
                f"{title} differ undeclared: {before:,} in the baseline, {after:,} in the arm"
                f" (replicate {replicate}; {len(unlike)} of {len(counts)} pairs)"
            )
        if name != "supervised_tokens" and any(a is None or b is None for _, a, b in counts):
            unknown.append(f"{title} not known")
    return differing, tuple(unknown)


def _first_losses(both: Sequence[tuple[Run, Run]]) -> list[str]:
    """First losses that differ although the first batches are the same."""
    found = []
    for one, other in both:
        before, after = one.first_loss, other.first_loss
        is_same_batch = bool(one.batch_digests) and one.batch_digests == other.batch_digests
        if not is_same_batch or before is None or after is None:
            continue
        allowed = max(_tolerance(one), _tolerance(other))
        if not abs(after - before) <= allowed * abs(before):  # also where one is NaN
            found.append(
                f"same first batch, other first loss: {before:.4f} in the baseline, {after:.4f} in the arm"
                f" (replicate {one.replicate}, tolerance {bound_text(allowed)})"
            )
    return found[:1]


def _tolerance(run: Run) -> float:
    """Of the coarsest dtype that the run says it computed in; float32's where it does not say."""
    used = {choice.name: choice.used for choice in run.choices}
    said = used.get("parameter dtypes", "")
    if "bfloat16" in said or used.get("bf16") == "True":
        return FIRST_LOSS_TOLERANCE["bfloat16"]
    if "float16" in said or used.get("fp16") == "True":
        return FIRST_LOSS_TOLERANCE["float16"]
    return FIRST_LOSS_TOLERANCE["float32"]


def _reference_warnings(arm: str, both: Sequence[tuple[Run, Run]]) -> tuple[str, ...]:
    losses = [
        other.first_loss for _, other in both if _is_sigmoid_dpo(other) and other.first_loss is not None
    ]
    off = [loss for loss in losses if not abs(loss - LN_2) <= LN_2_TOLERANCE]
    if not off:
        return ()
    return (f"{arm}: first DPO loss {off[0]:.4f}, not ln 2: the policy does not start at the reference",)


def _is_sigmoid_dpo(run: Run) -> bool:
    """Other DPO losses start elsewhere."""
    kinds = [choice.used for choice in run.choices if choice.name == "loss_type"]
    return run.is_dpo and all("sigmoid" in kind for kind in kinds)


def _held_out(
    recipe: Recipe, arm: str, both: Sequence[tuple[Run, Run]], declared_band: float, confidence: float
) -> Parity:
    def of(state: State, reason: str) -> Parity:
        return Parity(recipe.name, arm, state, (reason,), declared_band, confidence=confidence, n=len(evals))

    evals = [(one, one.eval, other.eval) for one, other in both if one.eval and other.eval]
    if not both:
        return of("not measured", "no valid pair")
    if all(one.outcome == "no trainer" for one, _ in both):
        return of("not measured", "no trainer, so no held-out loss")
    if recipe.eval is None:  # whatever a subject that measures itself may report of rows of its own
        return of("not measured", "recipe has no eval rows")
    if not evals:
        return of("not measured", "no pair of runs has a held-out loss")
    if len(evals) < len(both):  # those that are left would be a choice of the runs that did well
        return of("undecided", f"held-out loss in {len(evals)} of {len(both)} pairs only")
    if any((a.rows, a.tokens) != (b.rows, b.tokens) for _, a, b in evals):
        return of("undecided", "held-out rows or tokens were not the same for both arms")
    if not all(math.isfinite(a.loss) for _, a, _ in evals):
        return of("undecided", "the baseline's held-out loss is not a number")
    if not all(math.isfinite(b.loss) for _, _, b in evals):
        return of("not equivalent", "the arm's held-out loss is not a number")
    return _tested(recipe, arm, evals, declared_band, confidence)


def _tested(
    recipe: Recipe,
    arm: str,
    evals: Sequence[tuple[Run, Eval, Eval]],
    declared_band: float,
    confidence: float,
) -> Parity:
    """Two one-sided tests, where they may be made."""
    before = [one.loss for _, one, _ in evals]
    base_loss = fmean(before)
    shares = [(other.loss - one.loss) / abs(base_loss) if base_loss else 0.0 for _, one, other in evals]
    interval = t_interval(shares, confidence)
    learned = _learned(evals)
    cap = math.inf if learned is None or not base_loss else LEARNED_SHARE * learned / abs(base_loss)
    figures = Parity(
        recipe=recipe.name,
        arm=arm,
        state="undecided",
        reasons=(),
        declared_band=declared_band,
        band=min(declared_band, max(cap, 0.0)),
        ratio=1 + fmean(shares),
        low=None if interval is None else 1 + interval.low,
        high=None if interval is None else 1 + interval.high,
        confidence=confidence,
        n=len(evals),
        baseline_loss=base_loss,
        arm_loss=fmean(other.loss for _, _, other in evals),
        learned=learned,
        spread=stdev(before) if len(before) > 1 else None,
    )
    is_same = all(one.loss == other.loss for _, one, other in evals)
    state, reason = _state(recipe, figures, is_same=is_same)
    warning = "held-out loss before training not known" if state == "equivalent" and learned is None else ""
    return replace(figures, state=state, reasons=(reason,), warnings=(warning,) if warning else ())


def _state(recipe: Recipe, figures: Parity, *, is_same: bool) -> tuple[State, str]:
    """(state, reason), first that holds."""
    low, high, band, learned, spread = (
        figures.low,
        figures.high,
        figures.band,
        figures.learned,
        figures.spread,
    )
    if not recipe.is_seeded:
        return "undecided", "the recipe has no {seed}, so losses are not paired over seeds"
    if figures.n < FEWEST_PAIRS or low is None or high is None or spread is None or band is None:
        return "undecided", f"held-out loss of {figures.n} pairs, needs >= {FEWEST_PAIRS}"
    # Equal to the bit while seeds differ: no band is needed, so neither is what would cap it.
    if is_same and (spread > 0 if learned is None else learned > spread):
        return "equivalent", "held-out losses equal in every pair"
    if learned is None:
        return "undecided", "what the baseline learns is not known (no held-out loss before training)"
    if learned <= spread:
        return "undecided", f"the baseline learns {learned:.4f} nat, its seeds differ by {spread:.4f}"
    ratio = interval_text((low + high) / 2, low, high, apart=(1 - band, 1 + band))
    measured, allowed = f"held-out loss {ratio} of the baseline's", f"the band of ±{bound_text(band)}"
    if 1 - band <= low and high <= 1 + band:
        return "equivalent", f"{measured}, inside {allowed}"
    if low > 1 + band or high < 1 - band:
        return "not equivalent", f"{measured}, wholly outside {allowed}"
    return "undecided", f"{measured}, neither inside nor outside {allowed}"


def _learned(evals: Sequence[tuple[Run, Eval, Eval]]) -> float | None:
    """Mean of what the baseline's runs learned, in nat; None where one does not know its loss before."""
    gains = []
    for run, end, _ in evals:
        start = LN_2 if run.is_dpo and end.before is None else end.before
        if start is None or not math.isfinite(start):
            return None
        gains.append(start - end.loss)
    return fmean(gains)

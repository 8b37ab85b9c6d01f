"""Equivalence: whether an arm still trains the same thing. Faster but different is not faster.

Per recipe and arm, over valid pairs: the same rows and real tokens to the unit, the same first loss where
the first batches are the same, and held-out loss within the band by two one-sided tests (the 90 % interval
lies inside). The unit is the difference of held-out losses as a share of the baseline's mean: the band and
its cap (a quarter of what the baseline learns) are shares of the same number, and losses near 0 do not
explode as ratios would. Says "undecided" or "not measured", with the reason, rather than to guess. What a
baseline of full fine-tuning learned is known from an extra run, `BEFORE`; see `before_of`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Literal

from bench.compare import FEWEST_PAIRS, t_interval
from bench.losses import LN_2, other_beginnings, parted_warnings, reference_warnings, starts_at_reference
from bench.plan import BEFORE, Arm, Recipe, Value
from bench.run import Eval, Run
from bench.sample import Pair, valid
from bench.units import bound_text, interval_text

State = Literal["equivalent", "not equivalent", "undecided", "not measured"]

CONFIDENCE = 0.90  # two one-sided tests at 5 % each (Schuirmann, 1987)
LEARNED_SHARE = 0.25  # a band wider than this would let a quarter of the training go unseen
DECLARING = ("rows", "epochs", "max_length", "limit")
"""Parameters whose change declares that an arm trains on other rows or lengths."""
"""The place of an arm's name in the extra run (replicate 0) that says what the baseline began with."""


@dataclass(frozen=True, slots=True)
class Parity:
    """`ratio`, `low`, `high`: 1 + the mean difference of held-out losses as a share of the baseline's mean.

    `band` is the share that was applied (`declared_band`, or less), None where there was none to apply.
    `before_loss`, `learned` and `spread` are nat: the baseline's mean held-out loss before training, what it
    learned, and the standard deviation over seeds of its held-out loss. `reasons` say why the state is what
    it is; `warnings` go with the arm.
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
    before_loss: float | None = None
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
    before: Run | None = None,
) -> Parity:
    """First what is equal or not to the unit, then the held-out loss.

    `before` is the extra run that says what the baseline began with, where there is one.
    """
    both = valid(pairs)
    differing, unknown = _work(both, is_declared=bool(declared(recipe, baseline, arm)))
    broken = (*differing, *other_beginnings(both))
    held_out = _HeldOut(recipe, arm.name, loss_band, confidence, before).judged(both)
    parted = parted_warnings(arm.name, both, loss_band, confidence)
    warnings = (*held_out.warnings, *reference_warnings(both), *parted)
    if broken:
        was = held_out.reasons if held_out.state == "not equivalent" else ()
        return replace(held_out, state="not equivalent", reasons=(*broken, *was), warnings=warnings)
    if unknown and held_out.state == "equivalent":
        return replace(held_out, state="undecided", reasons=unknown, warnings=warnings)
    return replace(held_out, warnings=warnings)


def before_of(runs: Sequence[Run], recipe: str) -> Run | None:
    """The extra run of the baseline that was evaluated, and ended, before its first step; None without one.

    One a recipe, at one seed, has to be enough: a run of each replicate would cost as much as the loading of
    all others. Loaded weights do not depend on the seed. Where some do (a random head, random adapters), one
    seed's loss stands for all, and the cap of the band errs by a quarter of what they differ by.
    """
    return next((run for run in runs if (run.recipe, run.replicate, run.arm) == (recipe, 0, BEFORE)), None)


def declared(recipe: Recipe, baseline: Arm, arm: Arm) -> tuple[str, ...]:
    """The parameters by which an arm says that it trains on other rows or lengths than the baseline."""
    before: dict[str, Value] = {**recipe.params, **baseline.params}
    after: dict[str, Value] = {**recipe.params, **arm.params}
    return tuple(key for key in DECLARING if before.get(key) != after.get(key))


def _work(both: Sequence[tuple[Run, Run]], *, is_declared: bool) -> tuple[list[str], tuple[str, ...]]:
    """(what differs, what is not known to be equal)."""
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
        if name == "supervised_tokens":
            unknown += [] if is_declared else _known_to_one(title, counts)
        elif any(a is None or b is None for _, a, b in counts):
            unknown.append(f"{title} not known")
    return differing, tuple(unknown)


def _known_to_one(title: str, counts: Sequence[tuple[int, int | None, int | None]]) -> list[str]:
    """A subject may not know a count, but then in both arms: who hid it in one could hide that it differs."""
    lacking = {
        "the baseline" if before is None else "the arm"
        for _, before, after in counts
        if (before is None) != (after is None)
    }
    return [f"{title} not known in {' and '.join(sorted(lacking))}"] if lacking else []


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """The question put to the held-out losses of one arm."""

    recipe: Recipe
    arm: str
    declared_band: float
    confidence: float
    before: Run | None

    def judged(self, both: Sequence[tuple[Run, Run]]) -> Parity:
        """What keeps it from being asked, else two one-sided tests."""
        evals = [(one, one.eval, other.eval) for one, other in both if one.eval and other.eval]

        def of(state: State, reason: str) -> Parity:
            confidence, n = self.confidence, len(evals)
            return Parity(
                self.recipe.name, self.arm, state, (reason,), self.declared_band, confidence=confidence, n=n
            )

        if not both:
            return of("not measured", "no valid pair")
        if all(one.outcome == "no trainer" for one, _ in both):
            return of("not measured", "no trainer, so no held-out loss")
        if self.recipe.eval is None:  # whatever a subject that measures itself may report of rows of its own
            return of("not measured", "recipe has no eval rows")
        if not any(one.eval for one, _ in both):
            return of("not measured", "no run of the baseline has a held-out loss")
        if len(evals) < len(both):  # those that are left would be a choice of the runs that did well
            return of("undecided", f"held-out loss in {len(evals)} of {len(both)} pairs only")
        if any((a.rows, a.tokens) != (b.rows, b.tokens) for _, a, b in evals):
            return of("undecided", "held-out rows or tokens were not the same for both arms")
        if not all(math.isfinite(a.loss) for _, a, _ in evals):
            return of("undecided", "the baseline's held-out loss is not a number")
        if not all(math.isfinite(b.loss) for _, _, b in evals):
            return of("not equivalent", "the arm's held-out loss is not a number")
        return self._tested(evals)

    def _tested(self, evals: Sequence[tuple[Run, Eval, Eval]]) -> Parity:
        """Two one-sided tests, where they may be made."""
        after = [one.loss for _, one, _ in evals]
        base_loss = fmean(after)
        shares = [(other.loss - one.loss) / abs(base_loss) if base_loss else 0.0 for _, one, other in evals]
        interval = t_interval(shares, self.confidence)
        before_loss = self._before_loss(evals)
        learned = None if before_loss is None else before_loss - base_loss
        cap = math.inf if learned is None or not base_loss else LEARNED_SHARE * learned / abs(base_loss)
        figures = Parity(
            recipe=self.recipe.name,
            arm=self.arm,
            state="undecided",
            reasons=(),
            declared_band=self.declared_band,
            band=min(self.declared_band, max(cap, 0.0)),
            ratio=1 + fmean(shares),
            low=None if interval is None else 1 + interval.low,
            high=None if interval is None else 1 + interval.high,
            confidence=self.confidence,
            n=len(evals),
            baseline_loss=base_loss,
            arm_loss=fmean(other.loss for _, _, other in evals),
            before_loss=before_loss,
            learned=learned,
            spread=stdev(after) if len(after) > 1 else None,
        )
        is_same = all(one.loss == other.loss for _, one, other in evals)
        state, reason = _state(self.recipe, figures, self._why_unknown(), is_same=is_same)
        is_unknown = state == "equivalent" and learned is None
        warnings = ("held-out loss before training not known",) if is_unknown else ()
        return replace(figures, state=state, reasons=(reason,), warnings=warnings)

    def _before_loss(self, evals: Sequence[tuple[Run, Eval, Eval]]) -> float | None:
        """Mean held-out loss that the baseline's runs began with, in nat; None where one does not know."""
        starts = [self._start(run, end) for run, end, _ in evals]
        known = [start for start in starts if start is not None and math.isfinite(start)]
        return fmean(known) if len(known) == len(starts) else None

    def _start(self, run: Run, end: Eval) -> float | None:
        """The run's own word, else the extra run's on the same rows, else ln 2 by its first loss."""
        if end.before is not None:
            return end.before
        began = self.before.eval if self.before else None
        if began is not None and (began.rows, began.tokens) == (end.rows, end.tokens):
            return began.loss
        return LN_2 if starts_at_reference(run) else None

    def _why_unknown(self) -> str:
        if self.before is None:
            return "no held-out loss before training"
        if self.before.eval is None:
            why = "; ".join(part for part in (self.before.reason, *self.before.warnings) if part)
            return f"the run that was to end before training: {self.before.outcome}{why and f': {why}'}"
        return "the run that ended before training was evaluated on other rows"


def _state(recipe: Recipe, figures: Parity, why_unknown: str, *, is_same: bool) -> tuple[State, str]:
    """(state, reason), first that holds; `why_unknown` is why it is not known what the baseline learned."""
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
    if learned is not None and learned <= spread:
        return "undecided", f"the baseline learns {learned:.4f} nat, its seeds differ by {spread:.4f}"
    ratio = interval_text((low + high) / 2, low, high, apart=(1 - band, 1 + band))
    measured, allowed = f"held-out loss {ratio} of the baseline's", f"the band of ±{bound_text(band)}"
    if (
        low > 1 + band or high < 1 - band
    ):  # the band can only get narrower, so no need to know what was learned
        return "not equivalent", f"{measured}, wholly outside {allowed}"
    if learned is None:
        return "undecided", f"what the baseline learns is not known ({why_unknown})"
    if 1 - band <= low and high <= 1 + band:
        return "equivalent", f"{measured}, inside {allowed}"
    return "undecided", f"{measured}, neither inside nor outside {allowed}"

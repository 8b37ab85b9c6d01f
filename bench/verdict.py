"""The verdict of an arm: the rules of the house, as data, first that holds.

`RULES` is the table; each rule names what holds in the evidence, or nothing. The first that holds decides,
all that hold are listed. The evidence is gathered by `judge.py`; a rule reads it and does nothing else. No
rule can be talked away by another: an arm that is faster and not equivalent fails, and says both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.compare import FEWEST_PAIRS, Comparison
from bench.metrics import METRICS
from bench.parity import Parity
from bench.phases import PhaseLedger, phase_ledger, saving_not_shown, work_moved
from bench.plan import Recipe
from bench.run import Run
from bench.sample import Pair, outcomes_text, valid
from bench.score import Score, Scored
from bench.units import bound_text

Outcome = Literal["PASS", "CONCERNS", "FAIL", "CANNOT TELL"]

FAILED = ("crashed", "out of memory", "NaN", "timed out")


@dataclass(frozen=True, slots=True)
class RecipeEvidence:
    """Everything measured of one arm in one recipe; comparisons by the name of their metric."""

    recipe: Recipe
    baseline: str
    replicates: int
    pairs: tuple[Pair, ...]
    comparisons: Mapping[str, Comparison]
    parity: Parity

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def primary(self) -> str:
        """The recipe's primary metric; for a subject without a trainer the whole process."""
        both = valid(self.pairs)
        has_no_trainer = bool(both) and all(one.outcome == "no trainer" for one, _ in both)
        return "end_to_end_s" if has_no_trainer else self.recipe.primary

    @property
    def ledger(self) -> PhaseLedger | None:
        """Where the arm's seconds went; None where no pair trained."""
        job = self.comparisons.get("job_tokens_per_s")
        if job is None:
            return None
        return phase_ledger(
            self.recipe, self.parity.arm, self.pairs, floor=job.floor, confidence=job.confidence
        )

    def change(self, metric: str) -> str:
        """What is proven of a metric: better, worse, differs or none."""
        return self.comparisons[metric].change if metric in self.comparisons else "none"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything measured of one arm. `criteria` are the declared ones, or the primaries that stand in."""

    arm: str
    recipes: tuple[RecipeEvidence, ...]
    criteria: tuple[Scored, ...]

    @property
    def decidable(self) -> tuple[Scored, ...]:
        return tuple(scored for scored in self.criteria if scored.is_decidable)

    def sentences(self, *scores: Score) -> tuple[str, ...]:
        return tuple(scored.sentence for scored in self.decidable if scored.score in scores)


@dataclass(frozen=True, slots=True)
class Rule:
    """`holds` returns what makes the rule hold, or nothing. Numbers are those of the design."""

    number: int
    outcome: Outcome
    name: str
    holds: Callable[[Evidence], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that holds, with everything that makes it hold."""

    rule: int
    outcome: Outcome
    name: str
    details: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.name}: {'; '.join(self.details)}"


@dataclass(frozen=True, slots=True)
class ArmVerdict:
    """`reasons` are all rules that hold, the deciding one first; `caveat` is what is not said."""

    arm: str
    outcome: Outcome
    rule: int
    reasons: tuple[Reason, ...]
    caveat: str
    warnings: tuple[str, ...] = ()


def verdict_of(evidence: Evidence, caveat: str, warnings: Sequence[str] = ()) -> ArmVerdict:
    """The first rule that holds decides."""
    reasons = tuple(
        Reason(rule.number, rule.outcome, rule.name, details)
        for rule in RULES
        if (details := rule.holds(evidence))
    )
    assert reasons, "the rules leave a case open"
    return ArmVerdict(
        evidence.arm, reasons[0].outcome, reasons[0].rule, reasons, caveat, tuple(dict.fromkeys(warnings))
    )


def _failed(evidence: Evidence) -> tuple[str, ...]:
    return tuple(told for here in evidence.recipes for told in (*_lost(here), *_trained_nothing(here)))


def _lost(here: RecipeEvidence) -> Iterator[str]:
    """Counts where the baseline did not fail in the same replicate, and did well in some replicate."""
    is_baseline_sound = any(pair.baseline and pair.baseline.is_well for pair in here.pairs)
    lost = [
        pair.arm
        for pair in here.pairs
        if pair.arm
        and pair.arm.outcome in FAILED
        and (pair.baseline is None or pair.baseline.outcome not in FAILED)
    ]
    if lost and is_baseline_sound:
        yield f"{here.name}: {lost[0].outcome} in {_count(lost, here)}"


def _trained_nothing(here: RecipeEvidence) -> Iterator[str]:
    """A process that ends well without one optimizer step did not do its job, however fast it was."""
    idle = [
        pair.arm
        for pair in here.pairs
        if pair.arm and pair.arm.outcome == "no trainer" and pair.baseline and pair.baseline.outcome == "ok"
    ]
    if idle:
        yield f"{here.name}: trained nothing where the baseline did in {_count(idle, here)}"


def _count(lost: Sequence[Run], here: RecipeEvidence) -> str:
    why = f" ({lost[0].reason})" if lost[0].reason else ""
    return f"{len(lost)} of {len(here.pairs)} replicates{why}"


def _not_equivalent(evidence: Evidence) -> tuple[str, ...]:
    found = []
    for here in evidence.recipes:
        if here.parity.state != "not equivalent":
            continue
        faster = [name for name in _throughputs(here) if here.change(name) == "better"]
        said = "; ".join(here.parity.reasons)
        if faster:
            said = f"FASTER BUT NOT EQUIVALENT ({faster[0]} {here.comparisons[faster[0]].text}): {said}"
        found.append(f"{here.name}: {said}")
    return tuple(found)


def _scored(score: Score) -> Callable[[Evidence], tuple[str, ...]]:
    """Criteria of that score."""
    return lambda evidence: evidence.sentences(score)


def _equivalence(state: str) -> Callable[[Evidence], tuple[str, ...]]:
    """Recipes in which the equivalence is in that state, with its reasons."""
    return lambda evidence: tuple(
        f"{here.name}: {'; '.join(here.parity.reasons)}"
        for here in evidence.recipes
        if here.parity.state == state
    )


def _too_few(evidence: Evidence) -> tuple[str, ...]:
    if not evidence.recipes:
        return (f"{evidence.arm} takes part in no recipe" if evidence.arm else "no arm to judge",)
    return tuple(
        f"{here.name}: {_pairs_text(here)}, needs >= {FEWEST_PAIRS}"
        for here in evidence.recipes
        if len(valid(here.pairs)) < FEWEST_PAIRS
    )


def _pairs_text(here: RecipeEvidence) -> str:
    good = len(valid(here.pairs))
    if good == here.replicates:
        return f"only {good} replicate{'s' * (good != 1)}"
    return f"{good} of {here.replicates} pairs are valid ({outcomes_text(here.pairs)})"


def _of_ledgers(
    said_of: Callable[[PhaseLedger, Comparison | None, Comparison], str],
) -> Callable[[Evidence], tuple[str, ...]]:
    """What is said of the phase ledger of each recipe, by its steady throughput and that of the job."""

    def holds(evidence: Evidence) -> tuple[str, ...]:
        found = []
        for here in evidence.recipes:
            steady, job = here.comparisons.get("tokens_per_s"), here.comparisons.get("job_tokens_per_s")
            if (ledger := here.ledger) and job and (said := said_of(ledger, steady, job)):
                found.append(f"{here.name}: {said}")
        return tuple(found)

    return holds


def _unasked(evidence: Evidence) -> tuple[str, ...]:
    return tuple(f"{here.name}: {said}" for here in evidence.recipes for said in _beyond_band(here, evidence))


def _beyond_band(here: RecipeEvidence, evidence: Evidence) -> Iterator[str]:
    asked = {scored.metric for scored in evidence.decidable if scored.recipe == here.name}
    # The same figures under another name (rows/s beside tokens/s, host memory on a CPU) are said once.
    said = {comparison.figures for name, comparison in here.comparisons.items() if name in asked}
    for metric in METRICS:
        comparison = here.comparisons.get(metric.name)
        if comparison is None or metric.name in asked or metric.warning_band is None:
            continue
        if comparison.change != "worse" or comparison.low is None or comparison.high is None:
            continue
        worst, limit = max(comparison.low, 1 / comparison.high), 1 + metric.warning_band
        if worst > limit and comparison.figures not in said:
            said.add(comparison.figures)
            yield f"{metric.name} {comparison.text}, beyond {bound_text(metric.warning_band)}"


def _environment(evidence: Evidence) -> tuple[str, ...]:
    found = []
    for here in evidence.recipes:
        both = valid(here.pairs)
        unlike = [
            (one.environment, other.environment)
            for one, other in both
            if one.environment and other.environment and one.environment != other.environment
        ]
        if unlike:
            found.append(f"{here.name}: installed packages {unlike[0][0][:12]} and {unlike[0][1][:12]}")
    return tuple(found)


def _protected(evidence: Evidence) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for here in evidence.recipes:
        for one, other in valid(here.pairs):
            for key in sorted({*one.protected, *other.protected}):
                before, after = one.protected.get(key, "missing"), other.protected.get(key, "missing")
                if before != after:
                    found[f"{here.name}: {key} is {before} in the baseline, {after} in {evidence.arm}"] = None
    return tuple(found)


def _cannot_tell(evidence: Evidence) -> tuple[str, ...]:
    """Primaries that stand in need one that is proven better, not all."""
    is_stand_in = not any(scored.is_declared for scored in evidence.decidable)
    if is_stand_in and evidence.sentences("MET"):
        return ()
    return evidence.sentences("CANNOT TELL")


def _all_met(evidence: Evidence) -> tuple[str, ...]:
    met = evidence.sentences("MET")
    is_declared = any(scored.is_declared for scored in evidence.decidable)
    if is_declared and len(met) < len(evidence.decidable):
        return ()
    return met


RULES: tuple[Rule, ...] = (
    Rule(1, "FAIL", "failed where the baseline did not", _failed),
    Rule(1, "FAIL", "not equivalent", _not_equivalent),
    Rule(1, "FAIL", "regressed", _scored("REGRESSED")),
    Rule(2, "CANNOT TELL", "too few valid pairs", _too_few),
    Rule(2, "CANNOT TELL", "equivalence undecided", _equivalence("undecided")),
    Rule(2, "CANNOT TELL", "criterion not measured", _scored("NOT MEASURED")),
    Rule(3, "CONCERNS", "criterion not met", _scored("NOT MET")),
    Rule(3, "CONCERNS", "equivalence not measured", _equivalence("not measured")),
    Rule(3, "CONCERNS", "work moved, not saved", _of_ledgers(work_moved)),
    Rule(3, "CONCERNS", "faster steps, not shown to be saved", _of_ledgers(saving_not_shown)),
    Rule(3, "CONCERNS", "worse where nobody asked", _unasked),
    Rule(3, "CONCERNS", "arms differ in more than they declare", _environment),
    Rule(3, "CONCERNS", "protected value touched", _protected),
    Rule(4, "CANNOT TELL", "criterion undecided", _cannot_tell),
    Rule(5, "PASS", "everything declared is met", _all_met),
)


def _throughputs(here: RecipeEvidence) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys((here.primary, "job_tokens_per_s", "tokens_per_s", "rows_per_s", "end_to_end_s"))
    )

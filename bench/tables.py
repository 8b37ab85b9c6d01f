"""The tables of a judgement, as rows of text: figures in people's units, `~` where nothing is proven.

Every figure comes from a comparison, a run or a score; nothing is typed here. Who prints them escapes and
aligns. A value that did not vary between replicates stands without an interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.compare import Comparison
from bench.epochs import EpochCost
from bench.judge import Judgement
from bench.metrics import BY_NAME
from bench.phases import SHORTEST_S, PhaseLedger
from bench.plan import Plan, Recipe
from bench.run import JOB_PHASES, PHASES, Phase, Run
from bench.units import bound_text, interval_text, value_text

SHOWN = (
    "job_tokens_per_s",
    "tokens_per_s",
    "rows_per_s",
    "end_to_end_s",
    "step_s",
    "first_step_s",
    "peak_memory_b",
    "peak_reserved_b",
    "peak_device_b",
    "peak_rss_b",
    "gpu_util_mean_pct",
    "gpu_util_p95_pct",
    "gpu_hours",
    "first_loss",
    "final_loss",
    "heldout_loss",
    "rows",
    "tokens",
    "supervised_tokens",
    "padded_tokens",
    "steps",
)
"""In the order of the table. Seconds of phases have a table of their own."""
UNPROVEN, NOTHING = "~", "-"
WHOLE = "whole process"
SMALLEST, LARGEST = 0.05, 20.0
"""An interval that reaches further says nothing that its figures would make clearer."""
MOST_WITH_VALUES = 2
"""Of more arms than that beside the baseline a table has what differs only: it is read side by side."""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def metric_table(recipe: Recipe, plan: Plan, judgement: Judgement, shown: Sequence[str] = SHOWN) -> Table:
    """A row a metric: the baseline's value, then value and ratio of each arm, of many arms the ratio only."""
    others = [arm.name for arm in plan.arms_of(recipe)[1:]]
    found = {(c.arm, c.metric): c for c in judgement.comparisons if c.recipe == recipe.name}
    has_values = len(others) <= MOST_WITH_VALUES
    header = ["", "baseline"]
    for arm in others:
        header += [arm] * has_values + [f"{arm} / baseline"]
    rows = []
    for name in shown:
        comparisons = [found.get((arm, name)) for arm in others]
        known = [comparison for comparison in comparisons if comparison is not None]
        if not known or _repeats(name, found, others):
            continue
        metric = BY_NAME[name]
        baseline = next((c.baseline_value for c in known if c.baseline_value is not None), None)
        row = [metric.title, value_text(baseline, metric.unit)]
        for comparison in comparisons:
            value, ratio = _cells(comparison)
            row += [value] * has_values + [ratio]
        rows.append(tuple(row))
    return Table(recipe.name, tuple(header), tuple(rows))


def _repeats(name: str, found: Mapping[tuple[str, str], Comparison], arms: Sequence[str]) -> bool:
    """Peak memory is the resident set where there is no device: one row is enough then."""
    if name != "peak_rss_b":
        return False
    pairs = [(found.get((arm, "peak_memory_b")), found.get((arm, name))) for arm in arms]
    return all(a is not None and b is not None and a.arm_value == b.arm_value for a, b in pairs)


def _cells(comparison: Comparison | None) -> tuple[str, str]:
    if comparison is None:
        return "-", "-"
    return value_text(comparison.arm_value, BY_NAME[comparison.metric].unit), ratio_text(comparison)


def ratio_text(comparison: Comparison) -> str:
    """`1.93 [1.78, 2.09]` where proven, `~ [0.97, 1.06]` where not, `=` for equal exact values."""
    if comparison.ratio is None:
        return "-"
    if comparison.is_exact:
        return "=" if comparison.ratio == 1 else interval_text(comparison.ratio, None, None)
    if comparison.low is None or comparison.high is None:
        return f"{UNPROVEN} (n = {comparison.n})"
    if comparison.proven:
        return interval_text(comparison.ratio, comparison.low, comparison.high)
    if comparison.low < SMALLEST or comparison.high > LARGEST:
        return f"{UNPROVEN} wide open"
    text = interval_text(comparison.ratio, comparison.low, comparison.high)
    return f"{UNPROVEN} {text[text.index('[') :]}"


def phase_table(recipe: Recipe, plan: Plan, runs: Sequence[Run], ledgers: Sequence[PhaseLedger]) -> Table:
    """A row a phase: mean seconds of each arm over its runs that ended well, and the arm's change over pairs;
    of many arms the change only.

    The phases sum to the whole process, so their means are arithmetic.
    """
    arms = [arm.name for arm in plan.arms_of(recipe)]
    ended = [run for run in runs if run.recipe == recipe.name and run.is_well]
    found = {ledger.arm: ledger for ledger in ledgers if ledger.recipe == recipe.name}
    has_values = len(arms) - 1 <= MOST_WITH_VALUES
    header = ["", *arms[:1]]
    for arm in arms[1:]:
        header += [arm] * has_values + [_difference(found.get(arm), arm)]
    rows = []
    for name, phases in (*((phase, (phase,)) for phase in PHASES), ("job", JOB_PHASES), (WHOLE, PHASES)):
        means = {arm: _mean_s([run for run in ended if run.arm == arm], phases) for arm in arms}
        if max((mean or 0.0 for mean in means.values()), default=0.0) < SHORTEST_S:
            continue
        row = [name]
        for arm in arms:
            if has_values or arm == arms[0]:
                row.append(NOTHING if (mean := means[arm]) is None else f"{mean:.2f}")
            row += [_change_text(found.get(arm), name)] if arm != arms[0] else []
        rows.append(tuple(row))
    return Table(
        f"Seconds by phase, arithmetic means{_intervals(found.values())}", tuple(header), tuple(rows)
    )


def _mean_s(runs: Sequence[Run], phases: Sequence[Phase]) -> float | None:
    return fmean(sum(run.phases_s.get(phase, 0.0) for phase in phases) for run in runs) if runs else None


def _difference(ledger: PhaseLedger | EpochCost | None, arm: str) -> str:
    return f"{arm} - baseline" + (f", n = {ledger.n}" if ledger else "")


def _change_text(ledger: PhaseLedger | None, name: str) -> str:
    changes = {change.name: change for change in ledger.changes} if ledger else {}
    return changes[name].text if name in changes else NOTHING


def _intervals(found: Iterable[PhaseLedger | EpochCost]) -> str:
    """Which intervals stand beside the differences."""
    confidences = dict.fromkeys(bound_text(one.confidence) for one in found if one.n > 1)
    return f" (differences: {', '.join(confidences)} intervals)" if confidences else ""


def epoch_table(recipe: Recipe, costs: Sequence[EpochCost]) -> Table:
    """A row an arm: seconds paid once, seconds of an epoch, and from how many epochs on it pays."""
    found = [cost for cost in costs if cost.recipe == recipe.name]
    if not found:
        return Table("Cost of an epoch", (), ())
    first = found[0]
    unit = "an epoch" if first.is_epoch else "a run"
    header = ("", "once", "once - baseline", unit, f"{unit} - baseline", "n", "pays")
    rows = [("baseline", f"{first.once.baseline_s:.2f}", "", f"{first.epoch.baseline_s:.2f}", "", "", "")]
    for cost in found:
        once, epoch = cost.once, cost.epoch
        figures = (f"{once.arm_s:.2f}", once.text, f"{epoch.arm_s:.2f}", epoch.text)
        rows.append((cost.arm, *figures, str(cost.n), cost.pays))
    return Table(f"{_span(first)}, arithmetic means{_intervals(found)}", header, tuple(rows))


def _span(cost: EpochCost) -> str:
    rows = "" if cost.rows is None else f" of {cost.rows:,.0f} rows"
    once = "Seconds paid once (all but steps and our evaluation)"
    if not cost.is_epoch:
        return f"{once} and by run{rows} (the number of epochs is not known)"
    return f"{once} and by epoch{rows} (measured over {cost.epochs:g})"


def run_table(recipe: Recipe, runs: Sequence[Run], last: int | None = None) -> Table:
    """A row a run, as they are; a run that did not end well shows why.

    `last` is the replicate at which everything was decided: later ones are shown and not used.
    """
    rows = [
        (
            str(run.replicate),
            run.arm,
            _outcome(run, last),
            value_text(run.wall_s, "s"),
            value_text(run.steps, "count"),
            value_text(run.tokens, "count"),
            value_text(run.first_loss, "nat/tok"),
            value_text(run.final_loss, "nat/tok"),
            value_text(run.eval.loss if run.eval else None, "nat/tok"),
        )
        for run in runs
        if run.recipe == recipe.name
    ]
    losses = ("first loss", "final loss", "held-out loss")
    header = ("replicate", "arm", "outcome", "wall", "steps", "tokens", *losses)
    return Table("Runs", header, tuple(rows))


def _outcome(run: Run, last: int | None) -> str:
    text = run.outcome if run.is_well else f"{run.outcome}: {run.reason}"
    if run.set_aside:
        return f"{text}; made again"
    return f"{text}; not used, made after the decision" if last and run.replicate > last else text


def criteria_table(judgement: Judgement) -> Table:
    """The declared criteria, or the primary metrics of the arms that decide where none was declared."""
    scored = judgement.criteria or tuple(s for s in judgement.primaries if s.arm == judgement.verdict.arm)
    rows = tuple((s.text, s.arm, s.score, s.reason) for s in scored)
    return Table("Criteria", ("criterion", "arm", "score", "measured"), rows)


def parity_table(judgement: Judgement) -> Table:
    rows = tuple((p.recipe, p.arm, p.state, "; ".join(p.reasons)) for p in judgement.parities)
    return Table("Equivalence", ("recipe", "arm", "trains the same", "why"), rows)


def choice_table(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> Table:
    """The settings that arms resolved to, where they differ between arms."""
    arms = [arm.name for arm in plan.arms_of(recipe)]
    used = {arm: dict(_used(recipe, arm, runs)) for arm in arms}
    names = dict.fromkeys(name for choices in used.values() for name in choices)
    rows = []
    for name in names:
        values = [used[arm].get(name, "-") for arm in arms]
        if len(set(values)) > 1:
            rows.append((name, *values))
    return Table("Settings that differ", ("setting", *arms), tuple(rows))


def _used(recipe: Recipe, arm: str, runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    for run in runs:
        if (run.recipe, run.arm) == (recipe.name, arm):
            yield from ((choice.name, choice.used) for choice in run.choices)

"""The tables of a judgement, as rows of text: figures in people's units, `~` where nothing is proven.

Every figure comes from a comparison, a run or a score; nothing is typed here. Who prints them escapes and
aligns. A value that did not vary between replicates stands without an interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.compare import Comparison
from bench.judge import Judgement
from bench.metrics import BY_NAME
from bench.plan import Plan, Recipe
from bench.run import PHASES, Run
from bench.units import interval_text, value_text

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
UNPROVEN = "~"
SMALLEST, LARGEST = 0.05, 20.0
"""An interval that reaches further says nothing that its figures would make clearer."""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def metric_table(recipe: Recipe, plan: Plan, judgement: Judgement, shown: Sequence[str] = SHOWN) -> Table:
    """A row a metric: the baseline's value, then value and ratio of each arm."""
    others = [arm.name for arm in plan.arms_of(recipe)[1:]]
    found = {(c.arm, c.metric): c for c in judgement.comparisons if c.recipe == recipe.name}
    header = ["", "baseline", *(text for arm in others for text in (arm, f"{arm} / baseline"))]
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
            row += _cells(comparison)
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


def phase_table(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> Table:
    """Mean seconds of each phase by arm, over the runs that ended well; they sum to the whole process."""
    ended = [run for run in runs if run.recipe == recipe.name and run.outcome in ("ok", "no trainer")]
    phases = [name for name in PHASES if any(run.phases_s.get(name, 0.0) >= 0.0005 for run in ended)]
    rows = []
    for arm in plan.arms_of(recipe):
        ours = [run for run in ended if run.arm == arm.name]
        if ours:
            means = [fmean(run.phases_s.get(name, 0.0) for run in ours) for name in phases]
            walls = [run.wall_s for run in ours if run.wall_s is not None]
            rows.append((arm.name, *(f"{mean:.2f}" for mean in means), f"{fmean(walls):.2f}"))
    return Table("Seconds by phase", ("", *phases, "whole process"), tuple(rows))


def run_table(recipe: Recipe, runs: Sequence[Run]) -> Table:
    """A row a run, as they are; a run that did not end well shows why."""
    rows = [
        (
            str(run.replicate),
            run.arm,
            run.outcome if run.outcome == "ok" else f"{run.outcome}: {run.reason}",
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

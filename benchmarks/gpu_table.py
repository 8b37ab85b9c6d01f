"""What the kept jobs of `gpu_ab.py` give: figures of each part, agreement of the engines, one Markdown table.

Every figure is computed from the raw runs in the job folders, so that a test can compute it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.result import Result, result_of
from bench.compare import CONFIDENCE, Comparison
from bench.noise import FEWEST_FOR_FLOOR
from bench.plan import BASELINE
from bench.sample import outcomes_text, pairs_of
from bench.units import bound_text, change_text, interval_text

from gpu_parts import ABBA, LOCKSTEP, PARTS, Part

METRICS = ("tokens_per_s", "job_tokens_per_s", "end_to_end_s")
COMPARED = ("ratio", "low", "high", "n", "spread", "baseline_value", "arm_value")

Figures = dict[str, Any]
"""Plain data: what `summary.json` holds of one part, or of the agreement."""


def replayed(folder: Path, jobs: Iterable[Mapping[str, Any]]) -> dict[str, Figures]:
    """The figures of every part by its key, from the job folders in `folder`, the most important first."""
    found: dict[str, Figures] = {}
    for job in jobs:
        result = result_of(folder / job["folder"])
        found |= {key: figures_of(_part(key), arm, result, job["folder"]) for key, arm in job["arms"].items()}
    return {part.key: found[part.key] for part in PARTS if part.key in found}


def _part(key: str) -> Part:
    return next(part for part in PARTS if part.key == key)


def figures_of(part: Part, arm: str, result: Result, job: str) -> Figures:
    """A part's ratios to the baseline; `arm` is what its arm is called in the job.

    `spread` is the standard deviation of the log ratios. `trouble` counts the outcomes where not all are ok.
    """
    pairs = pairs_of(result.runs, part.recipe, BASELINE, arm)
    runs = [run for pair in pairs for run in (pair.baseline, pair.arm) if run is not None]
    return {
        "arm": arm,
        "job": job,
        "ran_as": " and ".join(sorted({run.engine for run in runs})),
        "trouble": outcomes_text(pairs) if any(run.outcome != "ok" for run in runs) else "",
        "metrics": {
            one.metric: {
                **{name: getattr(one, name) for name in COMPARED},
                "floor": _floor(one) if part.is_aa else None,
            }
            for one in result.judgement.comparisons
            if (one.recipe, one.arm) == (part.recipe, arm) and one.metric in METRICS and one.n
        },
    }


def _floor(comparison: Comparison) -> float | None:
    """The A/A floor that follows from the part alone (an absolute log ratio), as `bench.noise` has it."""
    if comparison.n < FEWEST_FOR_FLOOR or comparison.low is None or comparison.high is None:
        return None
    return max(abs(math.log(comparison.low)), abs(math.log(comparison.high)))


def agreement_of(parts: Mapping[str, Figures]) -> Figures | None:
    """By metric the difference of the mean log ratios, lockstep less ABBA; None where one is missing."""
    lockstep, abba = parts.get(LOCKSTEP.key), parts.get(ABBA.key)
    if lockstep is None or abba is None or (lockstep["ran_as"], abba["ran_as"]) != ("lockstep", "abba"):
        return None
    names = [name for name in METRICS if name in lockstep["metrics"] and name in abba["metrics"]]
    return {name: difference(lockstep["metrics"][name], abba["metrics"][name]) for name in names} or None


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Figures:
    """Mean log ratio of `ours` less that of `theirs`, with a 95 % interval for unlike spreads (Welch, 1947).

    There is no interval where either has no spread, having one replicate.
    """
    mean = math.log(ours["ratio"]) - math.log(theirs["ratio"])
    found = {"difference": mean, "low": None, "high": None, "n": [ours["n"], theirs["n"]]}
    if ours["spread"] is None or theirs["spread"] is None:
        return found
    from scipy.special import stdtrit

    errors = [one["spread"] ** 2 / one["n"] for one in (ours, theirs)]
    if sum(errors) == 0.0:
        return {**found, "low": mean, "high": mean}
    squares = sum(e**2 / (one["n"] - 1) for e, one in zip(errors, (ours, theirs), strict=True))
    freedom = sum(errors) ** 2 / squares
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(sum(errors))
    return {**found, "low": mean - half, "high": mean + half}


def table(summary: Mapping[str, Any]) -> str:
    """Markdown: what it was run on, a line for each part, the agreement after its two, what went wrong."""
    header = ("part", "what", "engine", "n", *(f"`{name}`" for name in METRICS), "seconds")
    lines = [_line(header), _line(["---:", ":---", ":---", *["---:"] * (len(METRICS) + 2)])]
    for part in PARTS:
        lines.append(_line(_cells(part, summary)))
        if part is ABBA:
            lines.append(_line(_agreement(summary["agreement"])))
    return "\n".join([_head(summary), "", *lines, "", *_notes(summary)])


def _cells(part: Part, summary: Mapping[str, Any]) -> list[str]:
    what = [str(part.number), f"{part.recipe}: {part.title}"]
    figures = summary["parts"].get(part.key)
    if figures is None:
        return [*what, part.engine, "0", *["not run"] * len(METRICS), "-"]
    metrics = figures["metrics"]
    n = max((metric["n"] for metric in metrics.values()), default=0)
    [seconds] = [job["seconds"] for job in summary["jobs"] if job["folder"] == figures["job"]]
    ratios = [_ratio(metrics.get(name), is_aa=part.is_aa) for name in METRICS]
    return [*what, figures["ran_as"], str(n), *ratios, f"{seconds:.0f} (`{figures['job']}`)"]


def _ratio(metric: Mapping[str, Any] | None, *, is_aa: bool) -> str:
    if metric is None:
        return "-"
    text = interval_text(metric["ratio"], metric["low"], metric["high"])
    if not is_aa:
        return text
    if metric["floor"] is None:
        return f"{text}, floor unknown ({metric['n']} of {FEWEST_FOR_FLOOR})"
    return f"{text}, floor {bound_text(math.expm1(metric['floor']))}"


def _agreement(agreement: Mapping[str, Any] | None) -> list[str]:
    what = [str(LOCKSTEP.number), f"{LOCKSTEP.recipe}: agreement", "lockstep / abba"]
    if agreement is None:
        return [*what, "0", *["not known"] * len(METRICS), "-"]
    counts = next(f"{one['n'][0]} + {one['n'][1]}" for one in agreement.values())
    return [*what, counts, *(_difference(agreement.get(name)) for name in METRICS), "-"]


def _difference(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return "-"
    middle = change_text(math.exp(metric["difference"]))
    if metric["low"] is None:
        return middle
    return f"{middle} [{change_text(math.exp(metric['low']))}, {change_text(math.exp(metric['high']))}]"


def _head(summary: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(summary["versions"].items()))
    driver = f", driver {summary['driver']}" if summary["driver"] else ""
    return (
        f"{summary['date']}, {summary['device']}{driver}, {versions}; shape `{summary['shape']}`,"
        f" {summary['took_s']:.0f} of {summary['budget_s']:.0f} s."
    )


def _notes(summary: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Ratios arm / baseline, with 95 % intervals over replicates; less `end_to_end_s` is better."
        " Agreement: the difference of the mean log ratios by the two engines, as a change; they agree where"
        " its interval holds 0. Parts of one job share its seconds and its baseline."
    )
    for key, figures in summary["parts"].items():
        if figures["trouble"]:
            yield f"`{key}`: {figures['trouble']}."
    for job in summary["jobs"]:
        if job["status"]:
            yield f"`{job['folder']}` was broken off, its exit status was {job['status']}."
    for key, why in summary["not_run"].items():
        yield f"`{key}` was not run: {why}."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

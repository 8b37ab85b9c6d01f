"""What is said of a job that was measured: the texts and payloads of `results` and `verdict`.

Pure: words come from templates/comments, figures from the result, which is computed from the stored runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from bench import tables
from bench.plan import digest_of
from bench.tables import Table

from agent.bodies import rendered
from agent.follow import duration_text, gpu_hours_text
from agent.mermaid import drawings_of
from agent.promises import promises_table
from agent.report import escaped, how_it_was_measured, in_code, recipe_details
from agent.result import Result
from agent.specified import specified_table
from agent.task import Task

RESULTS_LIMIT = 40_000
"""Of the text: payload, frame and what a tracker adds stay below the body's 60,000 characters."""
NO_REVIEW: Mapping[str, Any] = MappingProxyType({})
MOST_REASONS = 10
"""In a payload."""
CUTS = ("charts", "runs", "phases", "lists", "secondary metrics", "extra arms")
"""What is left out first where the text is too long: a reader loses least. The job's report has all of it."""


def results_text(
    result: Result,
    gpu_hours: float,
    earlier_h: float = 0.0,
    *,
    files: Sequence[str] = (),
    task: Task | None = None,
) -> str:
    """The text of a results marker, cut as little as its length allows, and saying what was cut.

    `gpu_hours` is the budget, `earlier_h` what earlier attempts at the plan have taken of it. `files` are
    lines of Markdown that say where the raw files are; `task` tells what was specified of the runs.
    """
    told = {
        "time": time_lines(result, gpu_hours, earlier_h),
        "files": files,
        "drawings": drawings_of(result),
        "specified": specified_table(result, task),
    }
    texts = (_results(result, told, CUTS[:count]) for count in range(len(CUTS) + 1))
    return next((text for text in texts if len(text) <= RESULTS_LIMIT), "")


def _results(result: Result, told: Mapping[str, Any], cuts: tuple[str, ...]) -> str:
    plan, history = result.plan, result.history
    shown = replace(plan, arms=plan.arms[:2]) if "extra arms" in cuts else plan
    rows = {
        recipe.name: (recipe.primary, "heldout_loss") if "secondary metrics" in cuts else tables.SHOWN
        for recipe in plan.recipes
    }
    return rendered(
        "comments/results.md.j2",
        **how_it_was_measured(result),
        cuts=cuts,
        recipes=[
            {
                "metrics": tables.metric_table(recipe, shown, result.judgement, rows[recipe.name]),
                **recipe_details(result, recipe),
            }
            for recipe in plan.recipes
        ],
        arms=plan.arms,
        environment=environment_lines(result),
        noise=result.noise_lines,
        history=[]
        if "lists" in cuts
        else [
            {"name": arm.name, "commits": history[arm.name]["commits"], "diff": _diff(history[arm.name])}
            for arm in plan.arms
            if arm.name in history and not arm.params
        ],
        **told,
        deviations=deviations(result),
    )


def _diff(history: Mapping[str, Any]) -> Table:
    rows = tuple(
        (file["path"], *("-" if file[key] is None else str(file[key]) for key in ("added", "removed")))
        for file in history["files"]
    )
    return Table("diff", ("file", "lines added", "lines removed"), rows)


def environment_lines(result: Result) -> tuple[str, ...]:
    """Device, interpreter and the versions that matter, as code spans: nothing in them is markup."""
    kernel = in_code(str(result.host.get("kernel", "?")))
    pod = f" of pod `{in_code(str(result.host['pod']))}`" if result.host.get("pod") else ""
    lines = [f"device: {escaped(result.device) or 'not known'}{pod}, kernel `{kernel}`"]
    for digest, described in result.environments.items():
        names = (
            "torch",
            "transformers",
            "trl",
            "peft",
            "accelerate",
            "datasets",
            "flash_attn",
            "liger_kernel",
        )
        found = described.get("packages", ())
        packages = [f"`{in_code(p)}`" for p in found if p.partition("==")[0].replace("-", "_") in names]
        python = in_code(str(described.get("python")))
        lines.append(", ".join([f"environment `{in_code(digest)}`: Python `{python}`", *packages]))
    return tuple(lines)


def time_lines(result: Result, gpu_hours: float, earlier_h: float = 0.0) -> tuple[str, ...]:
    subject_s = sum(run.wall_s or 0.0 for run in result.runs)
    spent = f"{_spent_s(result) / 3600:.3f} GPU-hours of slot time from start to end"
    earlier = f", at most {earlier_h:.3f} in earlier attempts" if earlier_h else ""
    return (
        f"{len(result.runs)} runs, {duration_text(subject_s)} in the measured processes",
        f"{spent}{earlier}, budget {gpu_hours_text(gpu_hours)}",
    )


def _spent_s(result: Result) -> float:
    ended = result.ended or {}
    begin, end = ended.get("begin_monotonic_s"), ended.get("end_monotonic_s")
    return float(end - begin) if begin is not None and end is not None else 0.0


def deviations(result: Result) -> tuple[str, ...]:
    """What went otherwise than planned: runs that did not end well, runs that are missing."""
    found = [f"the plan could not be worked off: {result.error}"] if result.error else []
    ended = (result.ended or {}).get("outcome", "finished")
    if ended != "finished":
        found.append(f"the job ended early: {ended}")
    found += [
        f"`{in_code(str(name))}` was installed on the pod for this" for name in result.host.get("added", ())
    ]
    found += [
        f"{run.recipe} replicate {run.replicate}, {run.arm}: {run.outcome}: {run.reason}"
        + "; made again" * bool(run.set_aside)
        for run in result.runs
        if not run.is_well
    ]
    last = result.judgement.look or result.plan.replicates  # behind a look that decides nothing is owed
    planned = sum(len(arms) for replicate, _, arms in result.plan.rounds() if replicate <= last)
    found += [f"{arm} was not measured: {why}" for arm, why in result.not_measured.items()]
    made = sum(0 < run.replicate <= last and not run.set_aside for run in result.runs)
    if made < planned:
        found.append(f"{planned - made} of {planned} planned runs were not made")
    return tuple(found)


def verdict_text(result: Result, task: Task | None, review: Mapping[str, Any] = NO_REVIEW) -> str:
    """`review` is the payload of the reviewer's verdict on the same plan."""
    judgement = result.judgement
    return rendered(
        "comments/verdict.md.j2",
        judgement=judgement,
        criteria=tables.criteria_table(judgement),
        parities=tables.parity_table(judgement),
        promises=promises_table(result, task, review),
    )


def results_payload(result: Result, gpu_hours: float, earlier_h: float = 0.0) -> dict[str, Any]:
    """Plan, job and digests; the figures are in the text, and in the raw runs that the digests stand for."""
    return {
        "schema": 1,
        "plan": result.plan.hash,
        "job": result.folder.name,
        "gpu_hours": gpu_hours,
        "earlier_h": earlier_h,
        "runs": {
            "digest": digest_of({"exits": [run.files.get("exit.json", "") for run in result.runs]}),
            "outcomes": dict(Counter(run.outcome for run in result.runs)),
        },
        "comparisons": [
            [c.recipe, c.arm, c.metric, _short(c.ratio), _short(c.low), _short(c.high), c.n, c.proven]
            for c in result.judgement.comparisons
            if c.metric
            in ("job_tokens_per_s", "tokens_per_s", "end_to_end_s", "peak_memory_b", "heldout_loss")
        ],
    }


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.6g}")


def verdict_payload(result: Result) -> dict[str, Any]:
    verdict = result.judgement.verdict
    return {
        "schema": 1,
        "plan": result.plan.hash,
        "job": result.folder.name,
        "outcome": verdict.outcome,
        "rule": verdict.rule,
        "arms": {name: arm.outcome for name, arm in result.judgement.arms.items()},
        "criteria": [[s.text, s.arm, s.score] for s in result.judgement.criteria],
        "observed": [s.reason[:200] for s in result.judgement.criteria],
        "reasons": [
            [reason.rule, reason.outcome, f"{reason.name}: {detail}"[:300]]
            for reason in verdict.reasons[:MOST_REASONS]
            for detail in reason.details[:MOST_REASONS]
        ],
    }

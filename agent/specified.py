"""What an issue says of the runs, beside what the stored runs did. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bench.plan import BASELINE
from bench.run import Run
from bench.tables import Table

from agent.result import Result
from agent.task import Task

UNKNOWN = "not known"


def specified_table(result: Result, task: Task | None) -> Table:
    """A row for each number that the issue gives and recipe that it is of; what was said is never applied."""
    return Table("specified", ("what", "recipe", "specified", "actual"), tuple(_rows(result, task)))


def _rows(result: Result, task: Task | None) -> Iterator[tuple[str, ...]]:
    protocol = task.protocol if task else ()
    has_gpu = result.host.get("slot") != "cpu"
    for recipe in result.plan.recipes:
        said = {one.name: one.number for one in protocol if one.recipe in (None, recipe.name)}
        runs = [one for one in result.judged_runs if one.recipe == recipe.name and one.arm == BASELINE]
        for name, number in said.items():
            found = {_actual(run, name, said.get("examples"), has_gpu) for run in runs if run.is_well}
            yield name, recipe.name, f"{number:g}", ", ".join(sorted(found)) or UNKNOWN


def _actual(run: Run, name: str, examples: float | None, has_gpu: bool) -> str:
    """Of a run of the baseline, by what its events count."""
    if name == "gpus":
        return "1" if has_gpu else "none: measured on the CPU"
    if not run.rows or not run.steps:
        return UNKNOWN
    match name:
        case "examples":
            return f"{run.rows} rows in {run.steps} steps"
        case "batch":
            return f"{run.rows / run.steps:.3g} rows a step"
        case "epochs" if examples:
            return f"{run.rows / examples:.3g} (rows / examples)"
        case _:
            return UNKNOWN

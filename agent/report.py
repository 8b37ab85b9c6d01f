"""Prints a result as Markdown that reads well as plain text too: verdict first, numbers next, runs last.

The sentences are in `templates/report.md.j2`; the figures in `bench/tables.py`. Text from outside (log lines,
names, choices) goes through the filters of `foreign.py`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from bench import tables
from bench.attribution_table import attribution_table
from bench.plan import Recipe, written
from bench.tables import Table
from bench.units import bound_text

from agent.foreign import LONGEST_CELL, escaped, fenced, in_cell, in_code, in_html, plain
from agent.result import Result

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["LONGEST_CELL", "escaped", "in_code", "plain", "report_text", "table_text"]

WIDEST = 3_000
"""Characters of one column, from which on a table is not padded."""


def report_text(result: Result) -> str:
    judgement, plan = result.judgement, result.plan
    recipes = [
        {
            "metrics": tables.metric_table(recipe, plan, judgement),
            **recipe_details(result, recipe),
        }
        for recipe in plan.recipes
    ]
    template = environment_of_templates().get_template("report.md.j2")
    return template.render(
        result=result,
        **how_it_was_measured(result),
        criteria=tables.criteria_table(judgement),
        parities=tables.parity_table(judgement),
        recipes=recipes,
        warnings=dict.fromkeys(text for verdict in judgement.arms.values() for text in verdict.warnings),
    )


def how_it_was_measured(result: Result) -> dict[str, Any]:
    """What `how.md.j2` needs, in the report and in the comment."""
    judgement = result.judgement
    return {
        "plan": result.plan,
        "judgement": judgement,
        "confidence": bound_text(judgement.confidence),
        "equivalence": ", ".join(dict.fromkeys(bound_text(p.confidence) for p in judgement.parities)),
        # Not of the extra run before training.
        "engines": {run.engine for run in result.runs if run.replicate},
        "not_lockstep": _why_not_lockstep(result),
    }


def _why_not_lockstep(result: Result) -> tuple[str, ...]:
    """Where lockstep was planned and the arms ran one after the other: why, a line a recipe."""
    if result.plan.engine != "lockstep":
        return ()
    found = []
    for recipe in result.plan.recipes:
        ours = [run for run in result.runs if run.recipe == recipe.name and run.replicate]
        if recipe.name in result.unfit:
            found.append(f"{recipe.name}: not in lockstep: {result.unfit[recipe.name]}")
        elif any(run.outcome == "no trainer" for run in ours):
            found.append(
                f"{recipe.name}: not in lockstep: without a trainer there are no steps to take turns at"
            )
    return tuple(found)


def recipe_details(result: Result, recipe: Recipe) -> dict[str, Any]:
    """What stands below a recipe's table of metrics, in the report and in the comment."""
    plan, runs = result.plan, result.judged_runs
    ledgers = [one for one in result.ledgers if one.recipe == recipe.name]
    attributed = [attribution_table(one) for one in result.attributions if one.recipe == recipe.name]
    return {
        "name": recipe.name,
        "attribution": attributed[0] if attributed else None,
        "phases": tables.phase_table(recipe, plan, runs, ledgers),
        "ledgers": ledgers,
        "cache": recipe.cache,
        "epochs": tables.epoch_table(recipe, result.epochs),
        "choices": tables.choice_table(recipe, plan, runs),
        "runs": tables.run_table(recipe, result.runs, result.judgement.look),
    }


@cache
def environment_of_templates() -> Environment:
    """Jinja2 over `templates/`, with the filters that keep foreign text harmless."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("templates", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, not HTML: `text` and `table` escape
    )
    environment.filters["text"] = escaped
    environment.filters["code"] = in_code
    environment.filters["html"] = in_html
    environment.filters["fenced"] = fenced
    environment.filters["table"] = table_text
    environment.filters["written"] = written
    return environment


def table_text(table: Table) -> str:
    from tabulate import tabulate

    rows = [[in_cell(cell) for cell in row] for row in table.rows]
    align = ["left", *["right"] * (len(table.header) - 1)] if _is_numeric(table) else None
    text: str = tabulate(
        rows,
        headers=[in_cell(cell) for cell in table.header],
        tablefmt="pipe",
        colalign=align,
        disable_numparse=True,
    )
    widest = max((len(cell) for row in rows for cell in row), default=0)
    # Every row is as wide as the widest: worth it for the eye, not where one long cell would pad hundreds.
    return re.sub(r" {2,}\|", " |", text) if widest * len(rows) > WIDEST else text


TEXTS = ("Runs", "Criteria", "Equivalence", "review", "promises", "closing", "specified")
"""Tables whose cells are words."""


def _is_numeric(table: Table) -> bool:
    return bool(table.rows) and table.title not in TEXTS

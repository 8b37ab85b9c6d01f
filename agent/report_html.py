"""Prints a result as one HTML page with its charts: verdict first, numbers next, runs last.

The words are those of the Markdown report (`report.py`, `bench/tables.py`), the page is in
`templates/report/`. It needs nothing else: no script, no font, no address. Text from outside cannot become
markup: every value is escaped, and loses what would turn or hide it. The same folder gives the same bytes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from bench import tables
from bench.plan import digest_of, written
from bench.plots.charts import Chart, attribution_charts, charts_of
from bench.plots.drawn import inline_svg, png_bytes, svg_bytes
from bench.tables import Table
from bench.units import bound_text

from agent.foreign import cut, one_line
from agent.report import environment_of_templates, how_it_was_measured, recipe_details
from agent.result import Result

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

PAGE = "report.html"
_FIGURE = re.compile(r"|[-=]|~ wide open|([-+~]\s?)?[\d(\[].{0,30}|nan\b.{0,10}")
"""A cell that is read from its right end: a number with its unit, an interval, a sign that stands for one."""


def report_page(result: Result, charts: Sequence[Chart]) -> str:
    """`charts` are those of `report_charts`, and further ones; each stands with its recipe, in this order."""
    judgement, plan = result.judgement, result.plan
    recipes = []
    for recipe in plan.recipes:
        details = recipe_details(result, recipe)
        others = [one for key, one in details.items() if key != "phases" and isinstance(one, Table)]
        recipes.append(
            {
                **details,
                "metrics": tables.metric_table(recipe, plan, judgement),
                "charts": [chart for chart in charts if chart.recipe == recipe.name],
                "tables": [one for one in others if one.rows],
            }
        )
    template = _environment().get_template("page.html.j2")
    return template.render(
        result=result,
        plan=plan,
        judgement=judgement,
        confidence=bound_text(judgement.confidence),
        criteria=tables.criteria_table(judgement),
        parities=tables.parity_table(judgement),
        recipes=recipes,
        how=_how(result),
        warnings=dict.fromkeys(text for verdict in judgement.arms.values() for text in verdict.warnings),
        runs_digest=digest_of({"exits": [run.files.get("exit.json", "") for run in result.runs]}),
    )


def _how(result: Result) -> list[str]:
    """The lines of `how.md.j2`, whose words are ours alone, without the signs that belong to Markdown."""
    text = environment_of_templates().get_template("how.md.j2").render(how_it_was_measured(result))
    return [line.removeprefix("- ").replace("`", "") for line in text.splitlines() if line]


def report_charts(result: Result) -> tuple[Chart, ...]:
    """All charts of the runs that were judged. Raises ImportError where matplotlib is missing."""
    plan = result.plan
    runs = [run for run in result.judged_runs if run.replicate]  # not the extra run before training
    of_recipes = (charts_of(recipe, plan, runs, result.judgement) for recipe in plan.recipes)
    of_changes = (attribution_charts(plan, one) for one in result.attributions)
    return tuple(itertools.chain.from_iterable((*of_recipes, *of_changes)))


def chart_files(charts: Sequence[Chart]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of an SVG and a PNG for each chart that has a figure."""
    for chart in charts:
        if chart.figure is not None:
            yield f"{chart.slug}.svg", svg_bytes(chart)
            yield f"{chart.slug}.png", png_bytes(chart)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("templates", "report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
        finalize=_one_line,
    )
    environment.filters["svg"] = _svg
    environment.filters["written"] = written
    environment.filters["figures"] = figure_columns
    return environment


def _one_line(value: Any) -> Any:
    """Of foreign text: one line that is not endless, in which nothing is hidden or turned round."""
    return value if not isinstance(value, str) or hasattr(value, "__html__") else cut(one_line(value))


def _svg(chart: Chart) -> Markup:
    from markupsafe import Markup

    return Markup(inline_svg(chart))  # noqa: S704 - built element by element, its texts escaped by ElementTree


def figure_columns(table: Table) -> tuple[bool, ...]:
    """Whether all cells of a column are figures; the first column names its rows."""
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.header)
    return tuple(
        place > 0 and any(cells) and all(_FIGURE.fullmatch(cell) for cell in cells)
        for place, cells in enumerate(columns)
    )

"""The charts of a recipe, each with its words: title, caption, what it shows, or why there is none.

Gathers; what a chart looks like is its own module's matter. A chart that has nothing to show is not left out
silently: it says why. The same plan, runs and judgement give the same charts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.attribute import Attribution
from bench.judge import Judgement
from bench.metrics import BY_NAME
from bench.plan import Plan, Recipe
from bench.plots.canvas import settings
from bench.plots.effects import effects, effects_text
from bench.plots.losses import losses, losses_note, losses_text
from bench.plots.memory import memory, memory_text
from bench.plots.phases import phases, phases_text
from bench.plots.waterfall import Part, parts_of, waterfall, waterfall_text
from bench.plots.windows import why_none, windows, windows_note, windows_text
from bench.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_ALT = 700


@dataclass(frozen=True, slots=True)
class Chart:
    """`slug` names files and ids: lower-case letters, digits and dashes, another for every chart of a plan.

    `alt` says in words what is seen. Where there is no figure, `caption` says why.
    """

    slug: str
    recipe: str
    title: str
    caption: str
    alt: str
    figure: Figure | None


def charts_of(recipe: Recipe, plan: Plan, runs: Sequence[Run], judgement: Judgement) -> tuple[Chart, ...]:
    """Effects, windows, phases, losses, memory, in the order in which a report shows them."""
    make = _Maker(plan, recipe)
    with settings():
        return (
            make.chart(
                "effects",
                "Effects against the baseline",
                "Thick bars are intervals, the dot in them the estimate: blue is proven better, orange proven"
                " worse, pale grey unproven (~). Inside the shaded band, the floor, nothing is proven. Dashed"
                " lines are what was asked. Logarithmic scale.",
                effects(recipe, plan, judgement),
                effects_text(recipe, plan, judgement),
                "Nothing could be compared.",
            ),
            make.chart(
                "windows",
                "Window ratios over time",
                "A line a replicate: seconds of the baseline / seconds of the arm, for windows of as many"
                " steps. The band is the interval of the estimate from whole runs. Where lines drift or jump,"
                f" something else than the change was at work.{windows_note(recipe, plan, runs)}",
                windows(recipe, plan, runs, judgement),
                windows_text(recipe, plan, runs),
                f"There is no chart of windows: {why_none(recipe, plan, runs)}.",
            ),
            make.chart(
                "phases",
                "Seconds by phase",
                "Mean over the runs that ended well. The thin line along a bar spans the job: what tokens/s"
                " of the job divides by.",
                phases(recipe, plan, runs),
                phases_text(recipe, plan, runs),
                "No run ended well, so there are no phases to show.",
            ),
            make.chart(
                "losses",
                "Training loss",
                "Mean over replicates, shaded from the lowest to the highest; a run that did not end well is"
                f" thin, to a cross at its last finite loss.{losses_note(recipe, plan, runs)}",
                losses(recipe, plan, runs),
                losses_text(recipe, plan, runs),
                "No run reported a finite loss.",
            ),
            make.chart(
                "memory",
                "Peak memory by phase",
                "Mean over the runs that ended well, with the range where they differ.",
                memory(recipe, plan, runs),
                memory_text(recipe, plan, runs),
                "No run that ended well knows its memory by phase.",
            ),
        )


def attribution_charts(plan: Plan, attribution: Attribution) -> tuple[Chart, ...]:
    """The ladder, in which each change comes on top of those before it, and each taken from the whole."""
    ladder, taken, total, rest = parts_of(attribution)
    return (
        waterfall_chart(plan, attribution, "ladder", "Changes added in turn", ladder, total),
        waterfall_chart(plan, attribution, "without", "Each change taken from the whole", taken, total, rest),
    )


def waterfall_chart(
    plan: Plan,
    of: Attribution,
    kind: str,
    title: str,
    parts: Sequence[Part],
    total: Part,
    rest: Part | None = None,
) -> Chart:
    """`rest` is what the parts leave of the total, where that was measured; see `waterfall`."""
    metric = BY_NAME[of.metric]
    with settings():
        return _Maker(plan, plan.recipe(of.recipe)).chart(
            kind,
            f"{title}: {metric.title}",
            "Each bar begins where the last one ended, in the pale bar of its interval. Grey is unproven.",
            waterfall(parts, total, metric, rest),
            waterfall_text(parts, total, rest),
            "The whole was not measured, so there is nothing to divide among the changes.",
        )


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the charts of one recipe."""

    plan: Plan
    recipe: Recipe

    def chart(self, kind: str, title: str, caption: str, figure: Figure | None, alt: str, why: str) -> Chart:
        shorter = alt if len(alt) <= LONGEST_ALT else f"{alt[: LONGEST_ALT - 1]}…"
        return Chart(
            f"{self._slug()}-{kind}", self.recipe.name, title, caption if figure else why, shorter, figure
        )

    def _slug(self) -> str:
        """Of the recipe; with its place where two of them differ in what a slug cannot hold."""
        slugs = [re.sub(r"[^a-z0-9]+", "-", one.name.lower()).strip("-") for one in self.plan.recipes]
        place = self.plan.recipes.index(self.recipe)
        own = slugs[place]
        return own if slugs.count(own) == 1 and own else f"{own or 'recipe'}-{place + 1}"

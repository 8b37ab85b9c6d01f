"""Effects: the interval of each arm against the baseline, by metric, with floor and target.

The interval is a thick bar, the estimate a small dot in it: what is uncertain is seen first. Blue is proven
better, vermillion proven worse, pale is unproven. Figures in the margin are those of the table. Draws what a
judgement says and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.compare import Comparison
from bench.judge import Judgement
from bench.metrics import METRICS, Metric
from bench.plan import Plan, Recipe
from bench.plots.axis import ratio_axis, span_of
from bench.plots.canvas import (
    COLOUR_OF_CHANGE,
    GREY,
    INK,
    PAPER,
    QUIET,
    SMALL,
    WASH,
    WIDTH,
    Sheet,
    fitted,
    sheet,
    width_of,
)
from bench.score import Scored
from bench.tables import LARGEST, ratio_text
from bench.units import bound_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALWAYS = ("job_tokens_per_s", "tokens_per_s", "end_to_end_s", "peak_memory_b")
"""Shown wherever they were measured; beside them the recipe's primary metric and those of its criteria."""
UNPROVEN_REACH = 2.0
"""An unproven interval moves the axis no further than to this ratio and its inverse: it is cut instead."""
_NAMES, _GAP = 92.0, 7.0
_HEAD, _ROW, _ASKED, _BELOW, _AXIS = 17.0, 15.0, 11.0, 7.0, 20.0
_BAR, _DOT = 7.0, 2.6
_PALE = 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """One arm in one metric; `targets` are the criteria that ask something of it."""

    comparison: Comparison
    targets: tuple[Scored, ...]

    @property
    def height(self) -> float:
        return _ROW + _ASKED * len(self.targets)


@dataclass(frozen=True, slots=True)
class Group:
    """The arms of one metric. `threshold` is what proves, as an absolute log ratio."""

    metric: Metric
    threshold: float
    is_floor_known: bool
    rows: tuple[Row, ...]

    @property
    def height(self) -> float:
        return _HEAD + sum(row.height for row in self.rows) + _BELOW


@dataclass(frozen=True, slots=True)
class Columns:
    """Points: names from 0 to `left`, then the plot, then the figures, which are never cut."""

    left: float
    plot: float

    @property
    def right(self) -> float:
        return self.left + self.plot + _GAP


def effects(recipe: Recipe, plan: Plan, judgement: Judgement) -> Figure | None:
    """None where nothing was compared."""
    groups = tuple(groups_of(recipe, plan, judgement))
    if not groups:
        return None
    height = sum(group.height for group in groups)
    columns = _columns(groups)
    page = sheet(height + _AXIS)
    axes = page.axes(columns.left, 0, columns.plot, height)
    axes.set_ylim(height, 0)
    ratio_axis(axes, "x", *_span(groups), columns.plot)
    axes.grid(visible=False)  # the titles of the groups stand free of lines
    top = 0.0
    for group in groups:
        _draw_group(page, axes, columns, group, top)
        top += group.height
    return page.figure


def effects_text(recipe: Recipe, plan: Plan, judgement: Judgement) -> str:
    """What the chart shows, in words."""
    told = [
        f"{group.metric.title}: "
        + ", ".join(f"{row.comparison.arm} {ratio_text(row.comparison)}" for row in group.rows)
        for group in groups_of(recipe, plan, judgement)
    ]
    return "; ".join(told)


def groups_of(recipe: Recipe, plan: Plan, judgement: Judgement) -> Iterator[Group]:
    scored = [one for one in judgement.criteria if one.recipe == recipe.name]
    names = {*ALWAYS, recipe.primary, *(one.metric for one in scored)}
    arms = [arm.name for arm in plan.arms_of(recipe)]
    for metric in METRICS:
        found = [
            one
            for one in judgement.comparisons
            if (one.recipe, one.metric) == (recipe.name, metric.name) and one.arm in arms
        ]
        if metric.name not in names or not found:
            continue
        floor = found[0].floor
        rows = tuple(
            Row(
                one,
                tuple(asked for asked in scored if (asked.metric, asked.arm) == (metric.name, one.arm)),
            )
            for one in found
        )
        yield Group(metric, metric.threshold(floor), floor is not None, rows)


def _span(groups: Sequence[Group]) -> tuple[float, float]:
    """Ends of the axis: every estimate, target and proven interval; of the others what is near."""
    shown: list[float] = []
    for group in groups:
        shown += [math.exp(-group.threshold), math.exp(group.threshold)]
        for row in group.rows:
            shown += [asked.target for asked in row.targets]
            one = row.comparison
            if one.ratio is None:
                continue
            shown.append(one.ratio)
            if one.low is not None and one.high is not None:
                reach = LARGEST if one.proven else UNPROVEN_REACH
                shown += [max(one.low, min(1 / reach, one.ratio)), min(one.high, max(reach, one.ratio))]
    return span_of(shown)


def _columns(groups: Sequence[Group]) -> Columns:
    rows = [row for group in groups for row in group.rows]
    names = max(width_of(row.comparison.arm, SMALL) for row in rows)
    figures = max(width_of(_figures(row.comparison), SMALL) for row in rows)
    left = min(names, _NAMES) + _GAP
    return Columns(left, WIDTH - left - _GAP - figures)


def _draw_group(page: Sheet, axes: Axes, columns: Columns, group: Group, top: float) -> None:
    good = {"higher": ", more is better", "lower": ", less is better"}
    title, middle = group.metric.title, top + _HEAD / 2 + 1
    page.write(0, middle, title, weight="bold")
    beside = width_of(title, weight="bold") + 1
    page.write(beside, middle, good.get(group.metric.better or "", ""), size=SMALL, colour=QUIET)
    if group.threshold > 0:
        kind = "floor" if group.is_floor_known else "practical floor"
        text = f"{kind} ±{bound_text(math.expm1(group.threshold))}"
        page.write(WIDTH, middle, text, size=SMALL, colour=QUIET, align="right")
    begin, end = top + _HEAD, top + group.height - _BELOW
    axes.vlines(list(axes.get_xticks()), begin, end, color=WASH, linewidth=0.8, zorder=0.5)
    axes.vlines(1, begin, end, color=QUIET, linewidth=0.8, zorder=1)
    axes.fill_betweenx(
        [begin, end],
        math.exp(-group.threshold),
        math.exp(group.threshold),
        color=WASH,
        linewidth=0,
        label=f"floor {group.metric.name}",
    )
    for row in group.rows:
        _draw_row(page, axes, columns, row, begin)
        begin += row.height


def _draw_row(page: Sheet, axes: Axes, columns: Columns, row: Row, top: float) -> None:
    one, middle = row.comparison, top + _ROW / 2
    page.write(0, middle, fitted(one.arm, columns.left - _GAP, SMALL), size=SMALL)
    page.write(columns.right, middle, _figures(one), size=SMALL, colour=INK if one.proven else QUIET)
    if one.ratio is not None:
        _draw_interval(axes, one, one.ratio, middle, columns)
    for number, asked in enumerate(row.targets):
        y = top + _ROW + _ASKED * (number + 0.5)
        _draw_target(page, axes, columns, asked, (top + 1, top + row.height, y))


def _figures(one: Comparison) -> str:
    return "no ratio" if one.ratio is None else ratio_text(one)


def _draw_interval(axes: Axes, one: Comparison, ratio: float, y: float, columns: Columns) -> None:
    colour = COLOUR_OF_CHANGE[one.change]
    name = f"{one.metric} {one.arm}"
    if one.low is None or one.high is None or one.low == one.high:
        _draw_alone(axes, one, ratio, y, colour)
        return
    axes.plot(
        [one.low, one.high],
        [y, y],
        color=colour,
        alpha=1.0 if one.proven else _PALE,
        linewidth=_BAR,
        solid_capstyle="butt",
        label=f"interval {name}",
    )
    left, right = axes.get_xlim()
    for end, is_outside, marker in ((left, one.low < left, "<"), (right, one.high > right, ">")):
        if is_outside:
            axes.plot([end], [y], marker, color=GREY, markersize=5, clip_on=False, label="cut")
    width = math.log(one.high / one.low) / math.log(right / left) * columns.plot
    # On a bar that is narrower than the dot a light dot would be all that is seen.
    axes.plot(
        [ratio], [y], "o", color=PAPER if width > 2 * _DOT else colour, markersize=_DOT, label=f"point {name}"
    )


def _draw_alone(axes: Axes, one: Comparison, ratio: float, y: float, colour: str) -> None:
    """A value that did not vary is a diamond; a single replicate, of which nobody knows, a hollow dot."""
    axes.plot(
        [ratio],
        [y],
        "D" if one.is_exact else "o",
        markersize=4,
        markerfacecolor=colour if one.is_exact else "none",
        markeredgecolor=colour,
        label=f"point {one.metric} {one.arm}",
    )


def _draw_target(
    page: Sheet, axes: Axes, columns: Columns, asked: Scored, place: tuple[float, float, float]
) -> None:
    """The dashed line from top to bottom; beside it, away from the ratio 1, what was asked and its score."""
    top, bottom, y = place
    axes.plot(
        [asked.target, asked.target],
        [top, bottom],
        color=INK,
        linewidth=1,
        linestyle=(0, (3, 2)),
        label=f"target {asked.metric} {asked.arm}",
    )
    low, high = (math.log(end) for end in axes.get_xlim())
    x = columns.left + columns.plot * (math.log(asked.target) - low) / (high - low)
    text = f"asked {asked.relation} {asked.target:g}: {asked.score}"
    width = width_of(text, SMALL) + 4
    is_left = x + width > WIDTH or (asked.target < 1 and x >= width)
    page.write(x - 4 if is_left else x + 4, y, text, size=SMALL, align="right" if is_left else "left")

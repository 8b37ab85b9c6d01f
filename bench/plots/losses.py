"""Loss curves: the training loss of each arm by optimizer step, mean and range over replicates.

The real loss of each step as the run reported it. A run that did not end well is drawn by itself, to a cross
at its last finite loss. Equal steps only: where step counts differ, a step of one arm is not a step of the
other, and the caption says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from bench.plan import Plan, Recipe
from bench.plots.axis import plain_axis
from bench.plots.canvas import (
    FAINT,
    QUIET,
    SMALL,
    WIDTH,
    Sheet,
    apart,
    colour_of_arm,
    dash_of_arm,
    fitted,
    sheet,
    width_of,
)
from bench.run import Run
from bench.sample import pairs_of, valid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 240
"""Of a curve: where there are more steps, the mean of neighbours is drawn, and the range over all of them."""
_LEFT, _TOP, _PLOT, _AXIS = 36.0, 6.0, 150.0, 32.0
_LABEL, _LEADER, _LINE = 84.0, 14.0, 10.5


@dataclass(frozen=True, slots=True)
class Curve:
    """By step (from 1; the middle of a group of steps): mean, lowest and highest finite loss, in nat."""

    arm: str
    steps: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    is_whole: bool = True  # False: one run that did not end well


def losses(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> Figure | None:
    """None where no run reported a finite loss."""
    curves = curves_of(recipe, plan, runs)
    if not curves:
        return None
    arms = list(dict.fromkeys(curve.arm for curve in curves))
    labels = min(max(width_of(arm, SMALL) for arm in arms), _LABEL) + _LEADER
    box = (_LEFT, _TOP, WIDTH - _LEFT - labels, max(_PLOT, _LINE * len(arms)))
    page = sheet(box[1] + box[3] + _AXIS)
    axes = page.axes(*box)
    end = max(curve.steps[-1] for curve in curves)
    axes.set_xlim(min(1.0, end), max(end, 1.5))
    axes.set_ylim(*_limits(curves))
    plain_axis(axes, "x", 6, is_whole=True)
    plain_axis(axes, "y", 5)
    for place, curve in enumerate(curves):
        _draw(axes, curve, plan, width=2.6 if place == 0 else 1.3)
    _label(page, axes, curves, plan, box)
    label = "optimizer step; training loss in nat"
    page.write(_LEFT + box[2] / 2, page.height - 7, label, size=SMALL, colour=QUIET, align="center")
    return page.figure


def curves_of(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> tuple[Curve, ...]:
    """In the plan's order; each arm's runs that ended well as one curve, every other run as its own."""
    found = []
    for arm in plan.arms_of(recipe):
        ours = [run for run in runs if (run.recipe, run.arm) == (recipe.name, arm.name) and run.losses]
        well = [run.losses for run in ours if run.outcome == "ok"]
        found += [_curve(arm.name, well, is_whole=True)] if well else []
        found += [_curve(arm.name, [run.losses], is_whole=False) for run in ours if run.outcome != "ok"]
    return tuple(curve for curve in found if curve is not None)


def losses_text(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> str:
    """What the chart shows, in words: first and last point of each curve."""
    told = [
        f"{curve.arm}{'' if curve.is_whole else ' (did not end well)'}:"
        f" {curve.mean[0]:.4g} at step {curve.steps[0]:g}, {curve.mean[-1]:.4g} at step {curve.steps[-1]:g}"
        for curve in curves_of(recipe, plan, runs)
    ]
    return "; ".join(told)


def losses_note(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> str:
    """What must be known to read the chart: unlike step counts, arms whose curves lie on the baseline's."""
    arms = plan.arms_of(recipe)
    counts = {arm.name: _step_counts(recipe, arm.name, runs) for arm in arms}
    known = {name: count for name, count in counts.items() if count}
    told = []
    if len(set(known.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in known.items())
        told.append(f" Step counts differ ({listed}): a step of one arm is not a step of the other.")
    same = [
        arm.name
        for arm in arms[1:]
        if (both := valid(pairs_of(runs, recipe.name, arms[0].name, arm.name)))
        and all(one.losses and one.losses == other.losses for one, other in both)
    ]
    if same:
        told.append(f" Equal to the baseline's to the last bit: {', '.join(same)}.")
    return "".join(told)


def _step_counts(recipe: Recipe, arm: str, runs: Sequence[Run]) -> str:
    """`50`, or `48 to 50` where replicates differ; empty where nobody knows."""
    counts = {
        run.steps
        for run in runs
        if (run.recipe, run.arm, run.outcome) == (recipe.name, arm, "ok") and run.steps is not None
    }
    if not counts:
        return ""
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _curve(arm: str, losses: Sequence[Sequence[float]], *, is_whole: bool) -> Curve | None:
    """Over as many steps as the longest run has; a loss that is not finite is a gap. None without any."""
    length = max(len(one) for one in losses)
    size = math.ceil(length / MOST_POINTS)
    points = []
    for start in range(0, length, size):
        group = [loss for one in losses for loss in one[start : start + size] if math.isfinite(loss)]
        if group:
            end = min(start + size, length)
            points.append(((start + 1 + end) / 2, fmean(group), min(group), max(group)))
    if not points:
        return None
    steps, mean, low, high = zip(*points, strict=True)
    return Curve(arm, steps, mean, low, high, is_whole)


def _limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Of the axis: all of the runs that ended well, and of the others as much again on each side.

    A run that diverges to millions would else leave nothing to see of those that did not.
    """
    whole = [curve for curve in curves if curve.is_whole] or curves
    low, high = min(min(curve.low) for curve in whole), max(max(curve.high) for curve in whole)
    span = high - low or abs(high) or 1.0
    low = max(min(min(curve.low) for curve in curves), low - span)
    high = min(max(max(curve.high) for curve in curves), high + span)
    return low - 0.05 * span, high + 0.05 * span


def _draw(axes: Axes, curve: Curve, plan: Plan, width: float) -> None:
    colour, dash = colour_of_arm(plan, curve.arm), dash_of_arm(plan, curve.arm)
    if not curve.is_whole:
        axes.plot(curve.steps, curve.mean, color=colour, linewidth=0.8, alpha=0.8, label=f"lost {curve.arm}")
        low, high = axes.get_ylim()
        last = min(max(curve.mean[-1], low), high)
        axes.plot(
            curve.steps[-1],
            last,
            "x",
            color=colour,
            markersize=5,
            markeredgewidth=1.4,
            clip_on=False,
            label="end",
        )
        return
    if curve.low != curve.high:
        axes.fill_between(
            curve.steps,
            curve.low,
            curve.high,
            color=colour,
            alpha=0.2,
            linewidth=0,
            label=f"range {curve.arm}",
        )
    marker = "o" if len(curve.steps) == 1 else None
    axes.plot(
        curve.steps,
        curve.mean,
        color=colour,
        linestyle=dash,
        linewidth=width,
        marker=marker,
        markersize=3,
        label=f"mean {curve.arm}",
    )


def _label(
    page: Sheet, axes: Axes, curves: Sequence[Curve], plan: Plan, box: tuple[float, float, float, float]
) -> None:
    """Names beside the ends of the curves, pushed apart, each with a thin line to its end."""
    left, top, width, height = box
    edge = left + width
    (first, last), (low, high) = axes.get_xlim(), axes.get_ylim()
    ends = {curve.arm: (curve.steps[-1], min(max(curve.mean[-1], low), high)) for curve in reversed(curves)}
    xs = [left + width * (step - first) / (last - first) for step, _ in ends.values()]
    ys = [top + height * (high - loss) / (high - low) for _, loss in ends.values()]
    middles = apart(ys, [_LINE] * len(ys), top - 3, top + height + 3)
    for arm, x, y, middle in zip(ends, xs, ys, middles, strict=True):
        # A line from where an arm ended early must not look like more of its curve.
        is_early = x < edge - 8
        colour = FAINT if is_early else colour_of_arm(plan, arm)
        corner = middle if is_early else y
        page.line([x + 1, edge + 2, edge + 9], [y, corner, middle], color=colour, linewidth=0.7)
        page.write(edge + _LEADER - 2, middle, fitted(arm, _LABEL, SMALL), size=SMALL)

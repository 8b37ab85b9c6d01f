"""Window ratios over time: how many times as fast an arm was, window by window, in each replicate.

Two windows of the same number and as many steps, one of the baseline and one of the arm, were run right after
each other; their ratio is seconds of the baseline / seconds of the arm. They are diagnostics: the estimate
rests on whole runs, and stands behind them as a band.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.compare import Comparison
from bench.judge import Judgement
from bench.plan import Plan, Recipe
from bench.plots.axis import plain_axis, ratio_axis, span_of
from bench.plots.canvas import QUIET, SMALL, WASH, WIDTH, colour_of_arm, fitted, sheet, width_of
from bench.run import Run, Window
from bench.sample import pairs_of, valid
from bench.tables import UNPROVEN
from bench.units import interval_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS = 120
"""Of a line: where there are more windows, neighbours are added up (seconds over seconds)."""
OUTSIDE = 0.01
"""The share of points that the frame may leave out on each side: one pause shall not flatten all else."""
_LEFT, _HEAD, _PANEL, _GAP, _AXIS = 44.0, 16.0, 76.0, 10.0, 32.0


@dataclass(frozen=True, slots=True)
class Line:
    """Of one replicate: seconds since its first gate, and ratios baseline / arm, equally many.

    A point stands for `size` windows.
    """

    replicate: int
    size: int
    at_s: tuple[float, ...]
    ratios: tuple[float, ...]


def windows(recipe: Recipe, plan: Plan, runs: Sequence[Run], judgement: Judgement) -> Figure | None:
    """A panel an arm; None where no two windows can be held against each other (`why_none`)."""
    found = lines_of(recipe, plan, runs)
    if not found:
        return None
    height = len(found) * (_HEAD + _PANEL + _GAP) - _GAP + _AXIS
    page = sheet(height)
    end_s = max(at for lines in found.values() for line in lines for at in line.at_s)
    top = 0.0
    for arm, lines in found.items():
        estimate = _estimate(recipe, arm, judgement)
        told = _told(estimate)
        room = WIDTH - width_of(told, SMALL) - _GAP
        page.write(0, top + _HEAD / 2, fitted(arm, room, weight="bold"), weight="bold")
        page.write(WIDTH, top + _HEAD / 2, told, size=SMALL, colour=QUIET, align="right")
        axes = page.axes(_LEFT, top + _HEAD, WIDTH - _LEFT - 2, _PANEL)
        axes.set_xlim(0, 1.02 * end_s or 1)
        _draw(axes, lines, estimate, colour_of_arm(plan, arm))
        plain_axis(axes, "x", 6)
        top += _HEAD + _PANEL + _GAP
        axes.tick_params(axis="x", labelbottom=top > height - _AXIS)
    label = "seconds since the replicate's first gate"
    page.write((_LEFT + WIDTH) / 2, height - 7, label, size=SMALL, colour=QUIET, align="center")
    return page.figure


def why_none(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> str:
    """Why there is no window to show, for the end of a sentence."""
    ours = [run for run in runs if run.recipe == recipe.name]
    arms = [arm.name for arm in plan.arms_of(recipe)]
    if not any(valid(pairs_of(runs, recipe.name, arms[0], arm)) for arm in arms[1:]):
        return "in no replicate did both the baseline and another arm end well"
    if any(run.windows for run in ours):
        return "no window of an arm holds as many steps as the baseline's of the same number"
    if any(run.engine == "lockstep" for run in ours):
        return "no run got as far as its first window"
    return "the runs were made one whole process after the other, not window by window"


def windows_text(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> str:
    """What the chart shows, in words."""
    told = []
    for arm, lines in lines_of(recipe, plan, runs).items():
        ratios = sorted(ratio for line in lines for ratio in line.ratios)
        middle, size = ratios[len(ratios) // 2], lines[0].size
        points = f"{len(ratios)} points of {size} windows" if size > 1 else f"{len(ratios)} windows"
        told.append(f"{arm}: {points} in {len(lines)} replicates, median ratio {middle:.3g}")
    return "; ".join(told)


def windows_note(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> str:
    """What must be known to read the chart: points that stand for several windows."""
    lines = [line for found in lines_of(recipe, plan, runs).values() for line in found]
    most = max((line.size for line in lines), default=1)
    cut = len(lines) and max(len(line.ratios) for line in lines) * OUTSIDE >= 1
    return f" A point stands for {most} windows." * (most > 1) + (
        f" Up to {OUTSIDE:.0%} of the points on each side lie outside the frame." if cut else ""
    )


def lines_of(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> dict[str, tuple[Line, ...]]:
    """By arm, in the plan's order; an arm without any pair of windows is left out."""
    arms = plan.arms_of(recipe)
    found = {}
    for arm in arms[1:]:
        both = valid(pairs_of(runs, recipe.name, arms[0].name, arm.name))
        lines = tuple(line for one, other in both if (line := _line(one, other, _begin_s(recipe, one, runs))))
        if lines:
            found[arm.name] = lines
    return found


def _begin_s(recipe: Recipe, run: Run, runs: Sequence[Run]) -> float:
    """When the first window of any arm of this replicate began: one clock for all of them."""
    return (
        min(
            window.begin
            for one in runs
            if (one.recipe, one.replicate) == (recipe.name, run.replicate)
            for window in one.windows
        )
        if run.windows
        else 0.0
    )


def _line(one: Run, other: Run, begin_s: float) -> Line | None:
    """The first window holds the first step alone, which is no step like the others: it is passed over."""
    ours = {window.number: window for window in other.windows[1:]}
    paired = [
        (window, ours[window.number])
        for window in one.windows
        if window.number in ours and _is_alike(window, ours[window.number])
    ]
    if not paired:
        return None
    size = math.ceil(len(paired) / MOST_POINTS)
    groups = [paired[start : start + size] for start in range(0, len(paired), size)]
    return Line(
        one.replicate,
        size,
        tuple(
            sum(_middle(a) + _middle(b) for a, b in group) / (2 * len(group)) - begin_s for group in groups
        ),
        tuple(sum(a.seconds for a, _ in group) / sum(b.seconds for _, b in group) for group in groups),
    )


def _is_alike(one: Window, other: Window) -> bool:
    return one.steps == other.steps > 0 and one.seconds > 0 and other.seconds > 0


def _middle(window: Window) -> float:
    return (window.begin + window.end) / 2


def _estimate(recipe: Recipe, arm: str, judgement: Judgement) -> Comparison | None:
    """Seconds a step over whole runs, the first step left out, as in the windows."""
    wanted = (recipe.name, arm, "step_s")
    return next((one for one in judgement.comparisons if (one.recipe, one.arm, one.metric) == wanted), None)


def _told(estimate: Comparison | None) -> str:
    """The estimate's figures as a speed: the inverse of seconds a step."""
    if estimate is None or estimate.ratio is None:
        return ""
    if estimate.low is None or estimate.high is None:
        return f"speed of a step {UNPROVEN} (n = {estimate.n})"
    text = interval_text(1 / estimate.ratio, 1 / estimate.high, 1 / estimate.low)
    if not estimate.proven and not estimate.is_exact:
        text = f"{UNPROVEN} {text[text.index('[') :]}"
    return f"speed of a step {text}"


def _draw(axes: Axes, lines: Sequence[Line], estimate: Comparison | None, colour: str) -> None:
    ratios = sorted(ratio for line in lines for ratio in line.ratios)
    left_out = int(OUTSIDE * len(ratios))
    shown = ratios[left_out : len(ratios) - left_out]
    if estimate is not None and estimate.low is not None and estimate.high is not None:
        shown += [1 / estimate.high, 1 / estimate.low]
        axes.axhspan(1 / estimate.high, 1 / estimate.low, color=WASH, linewidth=0, label="estimate")
    ratio_axis(axes, "y", *span_of(shown, with_one=False), _PANEL)
    axes.axhline(1, color=QUIET, linewidth=0.8, zorder=1)
    for line in lines:
        marker = "o" if len(line.ratios) == 1 else None
        axes.plot(
            line.at_s,
            line.ratios,
            color=colour,
            alpha=0.75,
            linewidth=0.8,
            marker=marker,
            markersize=2.5,
            label=f"replicate {line.replicate}",
        )

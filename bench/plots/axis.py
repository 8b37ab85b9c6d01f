"""Axes that are read without thinking: ratios on a logarithmic scale, written as changes in percent.

A ratio of 2 lies as far to the right of 1 as one half to its left, and is written +100 %. Labels are as many
as fit and no more. Plain axes (seconds, steps, bytes) get a few round numbers and faint lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from bench.plots.canvas import QUIET, SMALL, WASH, width_of
from bench.units import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS_PCT = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_UP_PCT = (10, 20, 50, 100, 200, 400, 900, 1_900, 3_900, 9_900, 99_900)
_DOWN_PCT = (10, 20, 33, 50, 67, 80, 90, 95, 98, 99, 99.9)
WIDE = 3.0
"""From this quotient of its ends on an axis has no even steps: they would crowd where it is dense."""
MOST_TICKS = 40
LEAST_SPAN = math.log(1.04)
"""Of an axis of ratios, as a log ratio: noise of a thousandth shall not look like a mountain."""
_MARGIN = 0.05  # of the whole span, on each side


def span_of(ratios: Iterable[float], *, with_one: bool = True) -> tuple[float, float]:
    """The ends of an axis, as ratios, that shows all of these, and 1 unless told not to."""
    logs = [math.log(ratio) for ratio in ratios if 0 < ratio < math.inf]
    if with_one or not logs:
        logs.append(0.0)
    middle = (min(logs) + max(logs)) / 2
    half = max((max(logs) - min(logs)) / 2, LEAST_SPAN / 2) * (1 + 2 * _MARGIN)
    return math.exp(middle - half), math.exp(middle + half)


def percent_ticks(low: float, high: float, length: float, room: float | None = None) -> list[float]:
    """Ratios to label on an axis from `low` to `high` that is `length` points long.

    Even steps where they fit, else round changes that lie far enough apart. A label takes `room` points;
    without it, as much as its text is wide.
    """
    per_log = length / math.log(high / low)

    def is_clear(one: float, other: float) -> bool:
        taken = room or (width_of(percent(one), SMALL) + width_of(percent(other), SMALL)) / 2 + 6
        return abs(math.log(one / other)) * per_log >= taken

    steps = (_multiples(low, high, step_pct / 100) for step_pct in _STEPS_PCT if high / low < WIDE)
    even = (ticks for ticks in steps if all(is_clear(one, other) for one, other in pairwise(ticks)))
    return max(next(even, []), _round_changes(low, high, is_clear), key=len)


def _multiples(low: float, high: float, step: float) -> list[float]:
    """Ratios whose change is a multiple of `step`."""
    first, last = math.ceil((low - 1) / step), math.floor((high - 1) / step)
    if last - first > MOST_TICKS:
        return [low, low]  # never clear
    return [1 + number * step for number in range(first, last + 1)]


def _round_changes(low: float, high: float, is_clear: Callable[[float, float], bool]) -> list[float]:
    """From 1 outwards, each that is clear of the one before."""
    found = [1.0]
    for changes, sign in ((_UP_PCT, 1), (_DOWN_PCT, -1)):
        last = 1.0
        for change_pct in changes:
            ratio = 1 + sign * change_pct / 100
            if low <= ratio <= high and is_clear(ratio, last):
                found.append(ratio)
                last = ratio
    return sorted(ratio for ratio in found if low <= ratio <= high)


def percent(ratio: float) -> str:
    """A round ratio as a change: `+20 %`, `-0.5 %`, `0`."""
    change_pct = round((ratio - 1) * 100, 3)
    return "0" if change_pct == 0 else f"{change_pct:+,g} %"


def ratio_axis(axes: Axes, side: Literal["x", "y"], low: float, high: float, length: float) -> None:
    """A logarithmic axis from `low` to `high`, `length` points long, with labels in percent."""
    ticks = percent_ticks(low, high, length, room=None if side == "x" else 1.5 * SMALL)
    labels = [percent(ratio) for ratio in ticks]
    if side == "x":
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xticks(ticks, labels=labels)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, labels=labels)
    axes.minorticks_off()
    dress(axes, side)


def plain_axis(axes: Axes, side: Literal["x", "y"], most: int, *, is_whole: bool = False) -> None:
    """At most `most` round numbers, thousands set apart."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=is_whole))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    dress(axes, side)


def number(value: float) -> str:
    """A round number: `0.5`, `2`, `1,500`."""
    if value == 0 or not 1e-4 <= abs(value) < 1e9:
        return f"{value:g}"
    return figure(value, 6).rstrip("0").rstrip(".") if value != round(value) else f"{value:,.0f}"


def dress(axes: Axes, side: Literal["x", "y"]) -> None:
    axes.tick_params(axis=side, length=0, pad=3, labelsize=SMALL, labelcolor=QUIET)
    axes.grid(visible=True, axis=side, color=WASH, linewidth=0.8)
    axes.set_axisbelow(True)

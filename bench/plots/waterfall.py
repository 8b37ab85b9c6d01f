"""Attribution: what each change contributes to the whole effect, each bar beginning where the last one ended.

Contributions are log ratios, so that they add up, and are written as changes in percent. The interval of a
contribution is a thick pale bar around its end. What the parts leave of the whole (interactions, and noise)
has a bar of its own, so that the sum is never made to fit; what was not measured has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.attribute import Attribution, NotMeasured, Residual
from bench.compare import Comparison
from bench.metrics import Metric
from bench.plots.axis import ratio_axis, span_of
from bench.plots.canvas import (
    COLOUR_OF_CHANGE,
    FAINT,
    GREY,
    INK,
    PAPER,
    QUIET,
    SMALL,
    WIDTH,
    Sheet,
    fitted,
    sheet,
    width_of,
)
from bench.tables import UNPROVEN
from bench.units import interval_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REST = "left over"
SAME = 1e-9  # a rest below this (log ratio) is rounding
_NAMES, _GAP = 104.0, 7.0
_ROW, _RULE, _AXIS = 17.0, 7.0, 20.0


@dataclass(frozen=True, slots=True)
class Part:
    """A log ratio with its interval; None where there is none. `n` counts the replicates behind it."""

    name: str
    effect: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    is_proven: bool = False

    @property
    def figures(self) -> str:
        """`1.12 [1.08, 1.16]` as in the tables, `~ [0.98, 1.03]` where unproven."""
        if self.effect is None:
            return "NOT MEASURED"
        if self.low is None or self.high is None:
            told = f"(n = {self.n})" if self.n else interval_text(math.exp(self.effect), None, None)
            return f"{UNPROVEN} {told}"
        text = interval_text(math.exp(self.effect), math.exp(self.low), math.exp(self.high))
        return text if self.is_proven or "[" not in text else f"{UNPROVEN} {text[text.index('[') :]}"


@dataclass(frozen=True, slots=True)
class Placed:
    """A part and the log ratio at which its bar begins."""

    part: Part
    begin: float

    @property
    def end(self) -> float:
        return self.begin + (self.part.effect or 0.0)

    @property
    def ends(self) -> tuple[float, ...]:
        """All that must be seen of it, as log ratios."""
        sides = (self.begin + side for side in (self.part.low, self.part.high) if side is not None)
        return (self.begin, self.end, *sides)


def parts_of(attribution: Attribution) -> tuple[tuple[Part, ...], tuple[Part, ...], Part, Part]:
    """(the rungs of the ladder, each change taken from the whole, the whole, their interactions)."""
    ladder = tuple(_part(one.change, one.ladder) for one in attribution.contributions)
    taken = tuple(_part(one.change, one.without) for one in attribution.contributions)
    total, rest = _part("all together", attribution.total), _part("interactions", attribution.residual)
    return ladder, taken, total, rest


def _part(name: str, found: Comparison | Residual | NotMeasured) -> Part:
    if isinstance(found, NotMeasured) or found.ratio is None:
        return Part(name, None)
    low, high = (None if end is None else math.log(end) for end in (found.low, found.high))
    return Part(name, math.log(found.ratio), low, high, found.n, found.proven)


def waterfall(parts: Sequence[Part], total: Part, metric: Metric, rest: Part | None = None) -> Figure | None:
    """`rest` is what the parts leave of `total`, as it was measured; what is left even then is worked out.

    None where the total was not measured.
    """
    if total.effect is None:
        return None
    rows = placed(parts, total.effect, rest)
    whole = Placed(total, 0.0)
    height = _ROW * (len(rows) + 1) + _RULE
    names = max(width_of(row.part.name, SMALL, "bold") for row in (*rows, whole))
    left = min(names, _NAMES) + _GAP
    plot = WIDTH - left - _GAP - max(width_of(row.part.figures, SMALL) for row in (*rows, whole))
    page = sheet(height + _AXIS)
    axes = page.axes(left, 0, plot, height)
    axes.set_ylim(height, 0)
    ratio_axis(axes, "x", *span_of(math.exp(end) for row in (*rows, whole) for end in row.ends), plot)
    axes.axvline(1, color=QUIET, linewidth=0.8, zorder=1)
    for number, row in enumerate(rows):
        y = _ROW * (number + 0.5)
        below = y + _ROW + _RULE * (number + 1 == len(rows))
        axes.plot([math.exp(row.end)] * 2, [y, below], color=FAINT, linewidth=0.8, zorder=1, label="step")
        _draw(page, axes, row, metric, y, left)
    page.line([0, WIDTH], [height - _ROW - _RULE / 2] * 2, color=FAINT, linewidth=0.8)
    _draw(page, axes, whole, metric, height - _ROW / 2, left, weight="bold")
    return page.figure


def waterfall_text(parts: Sequence[Part], total: Part, rest: Part | None = None) -> str:
    """What the chart shows, in words."""
    rows = [row.part for row in placed(parts, total.effect or 0.0, rest)]
    return "; ".join(f"{part.name} {part.figures}" for part in (*rows, total))


def placed(parts: Sequence[Part], total: float, rest: Part | None) -> tuple[Placed, ...]:
    return tuple(_placed(parts, total, rest))


def _placed(parts: Sequence[Part], total: float, rest: Part | None) -> Iterator[Placed]:
    at = 0.0
    for part in (*parts, *(() if rest is None else (rest,))):
        yield Placed(part, at)
        at += part.effect or 0.0
    if abs(total - at) > SAME:
        yield Placed(Part(REST, total - at), at)


def _draw(
    page: Sheet, axes: Axes, row: Placed, metric: Metric, y: float, left: float, weight: str = "normal"
) -> None:
    part = row.part
    page.write(0, y, fitted(part.name, left - _GAP, SMALL, weight), size=SMALL, weight=weight)
    edge = WIDTH - width_of(part.figures, SMALL)
    page.write(edge, y, part.figures, size=SMALL, colour=INK if part.is_proven else QUIET)
    if part.effect is None:
        return
    change = metric.change_of(math.exp(part.effect)) if part.is_proven else "none"
    colour = COLOUR_OF_CHANGE.get(change, GREY)
    if part.low is not None and part.high is not None:
        axes.plot(
            [math.exp(row.begin + part.low), math.exp(row.begin + part.high)],
            [y, y],
            color=colour,
            alpha=0.4,
            linewidth=11,
            solid_capstyle="butt",
            label=f"interval {part.name}",
        )
    axes.plot(
        [math.exp(row.begin), math.exp(row.end)],
        [y, y],
        color=colour,
        linewidth=4.5,
        solid_capstyle="butt",
        label=f"part {part.name}",
    )
    axes.plot([math.exp(row.end)], [y], "o", color=PAPER, markersize=2.2)

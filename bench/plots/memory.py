"""Memory by phase: the peaks of each arm, on the device (allocated within reserved) and on the host.

A bar is the mean over the runs that ended well, the line at its end the range. A peak on the host is that of
the process so far, so it never falls from phase to phase. What a device did not tell is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from bench.plan import Plan, Recipe
from bench.plots.axis import plain_axis
from bench.plots.canvas import INK, QUIET, SMALL, WIDTH, Sheet, colour_of_arm, fitted, sheet, width_of
from bench.run import PHASES, Phase, PhaseMemory, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Reader = Callable[[PhaseMemory], int | None]
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))
_LEFT, _HEAD, _PANEL, _AXIS, _LEGEND = 36.0, 18.0, 92.0, 20.0, 13.0
_BARS = 0.82  # of the width between two phases


@dataclass(frozen=True, slots=True)
class Peak:
    """In bytes, over the runs of one arm that know it."""

    mean: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Panel:
    """Peaks by arm and phase; `outer` are those that hold the inner ones (reserved), drawn pale behind."""

    title: str
    inner: dict[str, dict[Phase, Peak]]
    outer: dict[str, dict[Phase, Peak]]

    @property
    def phases(self) -> tuple[Phase, ...]:
        known = {phase for peaks in (*self.inner.values(), *self.outer.values()) for phase in peaks}
        return tuple(phase for phase in PHASES if phase in known)

    @property
    def largest_b(self) -> int:
        both = (*self.inner.values(), *self.outer.values())
        return max((peak.high for peaks in both for peak in peaks.values()), default=0)


def memory(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> Figure | None:
    """None where no run knows any peak above 0."""
    panels = panels_of(recipe, plan, runs)
    if not panels:
        return None
    arms = [arm.name for arm in plan.arms_of(recipe) if any(arm.name in panel.inner for panel in panels)]
    rows = _legend_rows(arms)
    top = len(rows) * _LEGEND + 2
    page = sheet(top + len(panels) * (_HEAD + _PANEL + _AXIS))
    _draw_legend(page, rows, plan)
    for panel in panels:
        scale, unit = next(one for one in _UNITS if panel.largest_b >= one[0])
        page.write(0, top + _HEAD / 2, f"{panel.title}, {unit}", weight="bold")
        axes = page.axes(_LEFT, top + _HEAD, WIDTH - _LEFT, _PANEL)
        _draw(axes, panel, arms, plan, scale)
        top += _HEAD + _PANEL + _AXIS
    return page.figure


def memory_text(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> str:
    """What the chart shows, in words: the largest peak of each arm."""
    from bench.units import value_text

    told = []
    for panel in panels_of(recipe, plan, runs):
        for arm, peaks in panel.inner.items():
            phase = max(peaks, key=lambda phase: peaks[phase].mean)
            told.append(f"{panel.title}: {arm} {value_text(peaks[phase].mean, 'B')} in {phase}")
    return "; ".join(told)


def panels_of(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> tuple[Panel, ...]:
    """Device and host, each where anybody knows something of it."""

    def peaks(read: Reader) -> dict[str, dict[Phase, Peak]]:
        found = {arm.name: _peaks(recipe, arm.name, runs, read) for arm in plan.arms_of(recipe)}
        return {arm: peaks for arm, peaks in found.items() if peaks}

    allocated, reserved = peaks(lambda one: one.allocated_b), peaks(lambda one: one.reserved_b)
    host = peaks(lambda one: one.rss_b)
    device = Panel("device: allocated, and reserved behind it", allocated, reserved)
    return tuple(
        panel for panel in (device, Panel("host: resident set so far", host, {})) if panel.largest_b > 0
    )


def _peaks(recipe: Recipe, arm: str, runs: Sequence[Run], read: Reader) -> dict[Phase, Peak]:
    ended = [run for run in runs if (run.recipe, run.arm, run.outcome) == (recipe.name, arm, "ok")]
    found: dict[Phase, Peak] = {}
    for phase in PHASES:
        known = [read(run.memory[phase]) for run in ended if phase in run.memory]
        values = [value for value in known if value is not None]
        if values:
            found[phase] = Peak(fmean(values), min(values), max(values))
    return found


def _draw(axes: Axes, panel: Panel, arms: Sequence[str], plan: Plan, scale: int) -> None:
    order = panel.phases
    width = _BARS / len(arms)
    for number, arm in enumerate(arms):
        colour = colour_of_arm(plan, arm)
        for peaks, kind, alpha in ((panel.outer, "reserved", 0.35), (panel.inner, "peak", 1.0)):
            for phase, peak in peaks.get(arm, {}).items():
                x = order.index(phase) + (number - (len(arms) - 1) / 2) * width
                label = f"{kind} {arm} {phase}"
                axes.bar(
                    x, peak.mean / scale, width * 0.9, color=colour, alpha=alpha, linewidth=0, label=label
                )
                if peak.low < peak.high:
                    axes.plot([x, x], [peak.low / scale, peak.high / scale], color=INK, linewidth=1)
    axes.set_xlim(-0.5, len(order) - 0.5)
    axes.set_ylim(0, panel.largest_b / scale * 1.05)
    plain_axis(axes, "y", 4)
    axes.set_xticks(range(len(order)), labels=list(order))
    axes.tick_params(
        axis="x", length=0, pad=3, labelsize=SMALL - 1 if len(order) > 7 else SMALL, labelcolor=QUIET
    )


def _legend_rows(arms: Sequence[str]) -> list[list[tuple[float, str]]]:
    """(left edge, arm), row by row, as many in a row as fit."""
    rows: list[list[tuple[float, str]]] = [[]]
    x = 0.0
    for arm in arms:
        room = 13 + width_of(_shortened(arm), SMALL) + 12
        if rows[-1] and x + room > WIDTH:
            rows.append([])
            x = 0.0
        rows[-1].append((x, arm))
        x += room
    return rows


def _shortened(arm: str) -> str:
    return fitted(arm, 150, SMALL)


def _draw_legend(page: Sheet, rows: Sequence[Sequence[tuple[float, str]]], plan: Plan) -> None:
    for number, row in enumerate(rows):
        y = _LEGEND * (number + 0.5)
        for x, arm in row:
            page.line([x, x + 9], [y, y], color=colour_of_arm(plan, arm), linewidth=7, solid_capstyle="butt")
            page.write(x + 13, y, _shortened(arm), size=SMALL)

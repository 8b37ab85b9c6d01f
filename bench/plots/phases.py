"""Phases: where each arm's seconds went, as one bar an arm, mean over the runs that ended well.

Every phase has the same colour in every report, and its name and seconds at its place: inside where they fit,
else below or above with a thin line. The line along a bar spans the job: what `job_tokens_per_s` divides by.
All bars have one scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from bench.plan import Plan, Recipe
from bench.plots.axis import plain_axis
from bench.plots.canvas import (
    BLACK,
    BLUE,
    COLOUR_OF_PHASE,
    FAINT,
    INK,
    PAPER,
    QUIET,
    SMALL,
    WHITE,
    WIDTH,
    Sheet,
    apart,
    fitted,
    sheet,
    width_of,
)
from bench.run import JOB_PHASES, PHASES, Phase, Run
from bench.units import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORTEST_S = 0.0005
"""A phase below this has no column in the table either."""
_NAME, _LABELS, _JOB, _BAR, _GAP, _AXIS = 14.0, 15.0, 4.0, 17.0, 8.0, 30.0
_SIDE, _BETWEEN = 2.0, 7.0
_PLOT = WIDTH - 2 * _SIDE


@dataclass(frozen=True, slots=True)
class Segment:
    """A phase of one arm; `begin` and `seconds` are seconds along the bar."""

    phase: Phase
    begin: float
    seconds: float

    @property
    def text(self) -> str:
        return f"{self.phase} {value_text(self.seconds, 's')}"

    @property
    def room(self) -> float:
        """Points that its label needs."""
        return width_of(self.text, SMALL) + _BETWEEN


@dataclass(frozen=True, slots=True)
class Bar:
    """One arm. `why` says why there is no segment."""

    arm: str
    segments: tuple[Segment, ...]
    why: str = ""

    @property
    def seconds(self) -> float:
        return sum(segment.seconds for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A bar with its labels sorted into those inside it, below it and above it."""

    bar: Bar
    inside: tuple[Segment, ...]
    below: tuple[Segment, ...]
    above: tuple[Segment, ...]

    @property
    def height(self) -> float:
        labels = _LABELS * (bool(self.above) + bool(self.below))
        return _NAME + (labels + _JOB + _BAR if self.bar.segments else 0) + _GAP


def phases(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> Figure | None:
    """None where no run ended well."""
    bars = bars_of(recipe, plan, runs)
    longest_s = max((bar.seconds for bar in bars), default=0.0)
    if longest_s <= 0:
        return None
    labelled = [_sorted(bar, _PLOT / longest_s) for bar in bars]
    height = sum(one.height for one in labelled)
    page = sheet(height + _AXIS)
    axes = page.axes(_SIDE, 0, _PLOT, height)
    axes.set_xlim(0, longest_s)
    axes.set_ylim(height, 0)
    plain_axis(axes, "x", 6)
    axes.grid(visible=False)  # every bar has its figures
    top = 0.0
    for one in labelled:
        _draw(page, axes, one, top, _PLOT / longest_s)
        top += one.height
    page.write(WIDTH / 2, page.height - 7, "seconds", size=SMALL, colour=QUIET, align="center")
    return page.figure


def phases_text(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> str:
    """What the chart shows, in words."""
    return "; ".join(
        f"{bar.arm}: {bar.why or ', '.join(segment.text for segment in bar.segments)}"
        for bar in bars_of(recipe, plan, runs)
    )


def bars_of(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> tuple[Bar, ...]:
    """A bar an arm that has any run, in the plan's order."""
    bars = []
    for arm in plan.arms_of(recipe):
        ours = [run for run in runs if (run.recipe, run.arm) == (recipe.name, arm.name)]
        ended = [run for run in ours if run.is_well]
        if ended:
            bars.append(Bar(arm.name, tuple(_segments(ended))))
        elif ours:
            outcomes = Counter(run.outcome for run in ours)
            told = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items())
            bars.append(Bar(arm.name, (), f"no run ended well ({told})"))
    return tuple(bars)


def _segments(ended: Sequence[Run]) -> list[Segment]:
    found, begin = [], 0.0
    for phase in PHASES:
        seconds = fmean(run.phases_s.get(phase, 0.0) for run in ended)
        if seconds >= SHORTEST_S:
            found.append(Segment(phase, begin, seconds))
            begin += seconds
    return found


def _sorted(bar: Bar, points_per_s: float) -> Labelled:
    inside = tuple(one for one in bar.segments if one.room <= one.seconds * points_per_s)
    rest = tuple(one for one in bar.segments if one not in inside)
    if sum(one.room for one in rest) <= _PLOT:
        return Labelled(bar, inside, rest, ())
    return Labelled(bar, inside, rest[::2], rest[1::2])


def _draw(page: Sheet, axes: Axes, one: Labelled, top: float, points_per_s: float) -> None:
    bar = one.bar
    page.write(0, top + _NAME / 2, fitted(bar.arm, 200, weight="bold"), weight="bold")
    told = bar.why or f"{value_text(bar.seconds, 's')} in all"
    page.write(WIDTH, top + _NAME / 2, told, size=SMALL, colour=QUIET, align="right")
    if not bar.segments:
        return
    start = top + _NAME + _LABELS * bool(one.above) + _JOB
    for segment in bar.segments:
        axes.barh(
            start + _BAR / 2,
            segment.seconds,
            left=segment.begin,
            height=_BAR,
            color=COLOUR_OF_PHASE[segment.phase],
            edgecolor=PAPER,
            linewidth=0.6,
            label=f"{bar.arm} {segment.phase}",
        )
    for segment in one.inside:
        colour = WHITE if COLOUR_OF_PHASE[segment.phase] == BLUE else BLACK
        x = _SIDE + (segment.begin + segment.seconds / 2) * points_per_s
        page.write(x, start + _BAR / 2, segment.text, size=SMALL, colour=colour, align="center")
    _draw_job(axes, bar, start - _JOB / 2)
    _draw_labels(page, one.below, start + _BAR, start + _BAR + _LABELS - 5, points_per_s)
    _draw_labels(page, one.above, start, start - _JOB - _LABELS + 5, points_per_s)


def _draw_job(axes: Axes, bar: Bar, y: float) -> None:
    job = [segment for segment in bar.segments if segment.phase in JOB_PHASES]
    if job:
        ends = [job[0].begin, job[-1].begin + job[-1].seconds]
        axes.plot(ends, [y, y], color=INK, linewidth=1.2, solid_capstyle="butt", label=f"{bar.arm} job")


def _draw_labels(
    page: Sheet, segments: Sequence[Segment], edge: float, middle: float, points_per_s: float
) -> None:
    """One row of labels whose middle is at `middle`, with lines to the bar's `edge`."""
    wanted = [_SIDE + (one.begin + one.seconds / 2) * points_per_s for one in segments]
    places = apart(wanted, [one.room for one in segments], 0, WIDTH)
    end = middle - 4.5 if middle > edge else middle + 4.5
    for segment, here, x in zip(segments, wanted, places, strict=True):
        page.line([here, x], [edge, end], color=FAINT, linewidth=0.7)
        page.write(x, middle, segment.text, size=SMALL, align="center")

"""Paper, ink and letters of every chart: size, colours, and text that is measured before it is drawn.

A chart is as wide as a phone and as tall as what it shows. All sizes are points (1/72 inch), and y grows
downwards from the top, as on a page. The colours are those of Okabe and Ito (2008), which all common kinds of
colour vision tell apart. A user's matplotlibrc changes nothing, so the same data gives the same bytes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench.plan import Plan
from bench.run import Phase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 360.0
FONT, SMALL = 9.0, 8.0
FAMILY = "DejaVu Sans"  # comes with matplotlib, and is wider than what a reader's machine puts in its place
_BASELINE = 0.36  # of the size: how far below the middle of a line of text its letters stand

INK, PAPER = "#1f2328", "#fefefe"
"""What a page replaces by its own text and ground: no other colour of a chart has these values."""
Colour = str | tuple[str, float]
QUIET: Colour = (INK, 0.7)
FAINT: Colour = (INK, 0.3)
WASH: Colour = (INK, 0.1)

GREY, BLACK, WHITE = "#80868f", "#000000", "#ffffff"
ORANGE, SKY, GREEN, YELLOW = "#e69f00", "#56b4e9", "#009e73", "#f0e442"
BLUE, VERMILLION, PURPLE = "#0072b2", "#d55e00", "#cc79a7"
COLOUR_OF_CHANGE = {"better": BLUE, "worse": VERMILLION, "differs": PURPLE, "none": GREY}
COLOUR_OF_PHASE: dict[Phase, str] = {
    "import": "#b9bec6",
    "load": SKY,
    "prep": YELLOW,
    "reference": VERMILLION,
    "first": ORANGE,
    "train": BLUE,
    "eval": PURPLE,
    "save": GREEN,
    "other": GREY,
}
_ARMS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_DASHES = ("-", (0, (4, 1.2)), (0, (1.2, 1.2)), (0, (6, 1, 1.2, 1)))
Dash = str | tuple[int, tuple[float, ...]]


@contextmanager
def settings() -> Iterator[None]:
    """matplotlib as it is delivered, with our few changes, for as long as charts are made and written."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        # The reader's own fonts show what ours lacks; only in the PNG there is a box instead.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcParams.update(
            {
                "font.family": [FAMILY],
                "font.size": FONT,
                "text.color": INK,
                "text.parse_math": False,  # a dollar in a name is a dollar
                "svg.fonttype": "none",
                "svg.hashsalt": "paceline",
                "axes.unicode_minus": False,
            }
        )
        yield


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure of `WIDTH` by `height` points."""

    figure: Figure
    height: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Bare axes in this box: no frame, no ticks, no ground."""
        box = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(box, frameon=False)
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = FONT,
        colour: Colour = INK,
        align: Literal["left", "center", "right"] = "left",
        weight: str = "normal",
    ) -> None:
        """One line of text whose middle is at `y`."""
        self.figure.text(
            x / WIDTH,
            1 - (y + _BASELINE * size) / self.height,
            printable(text),
            ha=align,
            va="baseline",
            fontsize=size,
            color=colour,
            fontweight=weight,
        )

    def line(self, xs: Sequence[float], ys: Sequence[float], **style: Any) -> None:
        from matplotlib.lines import Line2D

        places = [x / WIDTH for x in xs], [1 - y / self.height for y in ys]
        self.figure.add_artist(Line2D(*places, transform=self.figure.transFigure, **style))


def sheet(height: float) -> Sheet:
    """An empty one. It knows no display and no pyplot, so nothing of it outlives its last reader."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    figure.patch.set_facecolor(PAPER)
    return Sheet(figure, height)


def colour_of_arm(plan: Plan, arm: str) -> str:
    """The same in every chart of a plan; the baseline is grey."""
    place = _place(plan, arm)
    return GREY if place == 0 else _ARMS[(place - 1) % len(_ARMS)]


def dash_of_arm(plan: Plan, arm: str) -> Dash:
    """Solid until the colours have been used up once; then other dashes in the same colours."""
    return _DASHES[max(_place(plan, arm) - 1, 0) // len(_ARMS) % len(_DASHES)]


def _place(plan: Plan, arm: str) -> int:
    return [one.name for one in plan.arms].index(arm)


def printable(text: str) -> str:
    """Foreign text as one line without control characters, which neither XML nor an eye could take."""
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "\ufffd" for character in line)


def width_of(text: str, size: float = FONT, weight: str = "normal") -> float:
    """Of a line of text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(printable(text), font, ismath=False)[0])


def fitted(text: str, width: float, size: float = FONT, weight: str = "normal") -> str:
    """The text, its middle left out where it is wider than `width`: names tend to differ at their ends."""
    line = printable(text)
    for kept in range(len(line), 0, -1):
        shorter = line if kept == len(line) else f"{line[: (kept + 1) // 2]}…{line[len(line) - kept // 2 :]}"
        if width_of(shorter, size, weight) <= width:
            return shorter
    return "…"


def apart(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Middles of labels of these sizes, as near to the `wanted` ones as they can be without overlapping.

    Pushed upwards from the low end and downwards from the high end, and the mean of both taken: gaps that
    both keep, their mean keeps. Where there is no room for all, they overlap evenly.
    """
    room = high - low
    if sum(sizes) > room > 0:
        sizes = [size * room / sum(sizes) for size in sizes]
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    rising, edge = {}, low
    for place in order:
        rising[place] = max(wanted[place], edge + sizes[place] / 2)
        edge = rising[place] + sizes[place] / 2
    falling, edge = {}, high
    for place in reversed(order):
        falling[place] = min(wanted[place], edge - sizes[place] / 2)
        edge = falling[place] - sizes[place] / 2
    middles = [(rising[place] + falling[place]) / 2 for place in range(len(wanted))]
    return _inside(middles, sizes, order, low, high)


def _inside(
    middles: list[float], sizes: Sequence[float], order: Sequence[int], low: float, high: float
) -> list[float]:
    """Moved back over `low` and `high`, each push handed on to the neighbour."""
    edge = high
    for place in reversed(order):
        middles[place] = min(middles[place], edge - sizes[place] / 2)
        edge = middles[place] - sizes[place] / 2
    edge = low
    for place in order:
        middles[place] = max(middles[place], edge + sizes[place] / 2)
        edge = middles[place] + sizes[place] / 2
    return middles

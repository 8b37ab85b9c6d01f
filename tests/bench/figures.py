"""Reads back what a figure shows: data of its lines, bars and bands by label, and all its text."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.text import Text


def lines(figure: Figure) -> dict[str, tuple[list[float], list[float]]]:
    """(x, y) of every line of every axes by label; of several with one label the last."""
    return {
        line.get_label(): (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for axes in figure.axes
        for line in axes.get_lines()
    }


def xs(figure: Figure, label: str) -> list[float]:
    return lines(figure)[label][0]


def bars(figure: Figure) -> dict[str, tuple[float, float, float, float]]:
    """(x, y, width, height) of every bar by the label of its container."""
    return {
        box.get_label(): (bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height())
        for axes in figure.axes
        for box in axes.containers
        for bar in box
    }


def band(figure: Figure, label: str) -> tuple[float, float, float, float]:
    """(left, bottom, right, top) of a filled area, in data."""
    for axes in figure.axes:
        for collection in axes.collections:
            if collection.get_label() == label:
                box = collection.get_paths()[0].get_extents()
                return box.x0, box.y0, box.x1, box.y1
        for patch in axes.patches:
            if patch.get_label() == label:
                return patch.get_x(), patch.get_y(), *patch.get_corners()[2]
    raise KeyError(label)


def texts(figure: Figure) -> list[str]:
    """Everything that is written, ticks included, as far as it is not empty."""
    return [found.get_text() for found in figure.findobj(Text) if found.get_text()]

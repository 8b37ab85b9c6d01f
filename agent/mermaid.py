"""Charts of a result as Mermaid blocks, which a tracker draws in a comment: window ratios, training loss.

Pure; every number is one of the stored runs', or a mean of neighbours where there are more than fit. Foreign
names lose every character that could end a label, a line or the block, or begin a directive of Mermaid's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from bench.plan import Plan, Recipe
from bench.plots.losses import Curve, curves_of
from bench.plots.windows import Line, lines_of
from bench.run import Run

from agent.result import Result

MOST_POINTS = 40
"""Of a line: a comment is no place for more, and the drawing is 700 pixels wide."""
MOST_LINES = 6
LABEL_LIMIT = 40
BLOCK_LIMIT = 4_000
_PLAIN = frozenset(" .,_+-=/()")


@dataclass(frozen=True, slots=True)
class Drawing:
    """`block` is fenced Mermaid. `lines` say in the order of drawing which line is what: Mermaid has no
    legend for them. `size` neighbours are one point. `left_out` are lines that do not fit beside the others.
    """

    recipe: str
    block: str
    lines: tuple[str, ...]
    size: int
    left_out: tuple[str, ...] = ()


def drawings_of(result: Result) -> tuple[Drawing, ...]:
    """In the order of the plan's recipes: windows, then losses."""
    plan = result.plan
    runs = [run for run in result.judged_runs if run.replicate]  # not the extra run before training
    found: list[Drawing | None] = []
    for recipe in plan.recipes:
        found += [*window_drawings(recipe, plan, runs), loss_drawing(recipe, plan, runs)]
    return tuple(one for one in found if one is not None)


def window_drawings(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> tuple[Drawing, ...]:
    """One an arm: how many times as fast as the baseline its windows were, a line a replicate; none without
    windows."""
    found = (
        _windows(recipe.name, arm, lines) for arm, lines in lines_of(recipe, plan, runs).items() if lines
    )
    return tuple(one for one in found if one is not None)


def loss_drawing(recipe: Recipe, plan: Plan, runs: Sequence[Run]) -> Drawing | None:
    """Training loss of the baseline and of every arm of as many steps; None without any."""
    curves = [curve for curve in curves_of(recipe, plan, runs) if curve.is_whole]
    if not curves:
        return None
    first = curves[0]
    alike = [curve for curve in curves if curve.steps == first.steps][:MOST_LINES]
    left_out = tuple(curve.arm for curve in curves if curve not in alike)
    size = math.ceil(len(first.steps) / MOST_POINTS)
    lines = [_thinned(curve.mean, size, is_ratio=False) for curve in alike]
    steps = first.steps[0], _last(first)
    block = _block(f"{label(recipe.name)} - training loss", ("step", *steps), "nat", lines)
    names = tuple(curve.arm for curve in alike)
    return Drawing(recipe.name, block, names, size, left_out) if block else None


def label(text: str) -> str:
    """Foreign text between quotation marks of Mermaid's: letters, digits and few signs, on one line."""
    line = " ".join(text.split())
    plain = "".join(one if one.isalnum() or one in _PLAIN else "?" for one in line)
    # Two dashes could end a comment of HTML, or be an arrow.
    while "--" in plain:
        plain = plain.replace("--", "-")
    plain = plain or "?"
    return plain if len(plain) <= LABEL_LIMIT else f"{plain[: LABEL_LIMIT - 3]}..."


def _windows(recipe: str, arm: str, lines: Sequence[Line]) -> Drawing | None:
    """A line has as many points as the shortest, since an axis has one scale; what ended before half of the
    others is left out."""
    longest = max(len(line.ratios) for line in lines)
    kept = [line for line in lines if 2 * len(line.ratios) >= longest][:MOST_LINES]
    count = min(len(line.ratios) for line in kept)
    size = math.ceil(count / MOST_POINTS)
    drawn = [_thinned(line.ratios[:count], size, is_ratio=True) for line in kept]
    windows = max(line.size for line in kept)
    title = f"{label(recipe)} - baseline / {label(arm)}"
    block = _block(title, ("window", 1, count * windows), "ratio", drawn)
    names = tuple(f"replicate {line.replicate}" for line in kept)
    left_out = tuple(f"replicate {line.replicate}" for line in lines if line not in kept)
    return Drawing(recipe, block, names, windows * size, left_out) if block else None


def _last(curve: Curve) -> float:
    return curve.steps[-1] if len(curve.steps) > 1 else curve.steps[-1] + 1


def _thinned(values: Sequence[float], size: int, *, is_ratio: bool) -> list[float]:
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    return [geometric_mean(group) if is_ratio else fmean(group) for group in groups]


def _block(title: str, x: tuple[str, float, float], y: str, lines: Sequence[Sequence[float]]) -> str:
    """`title` and the names of axes are safe. Empty where there is nothing to draw, or too much."""
    values = [value for line in lines for value in line]
    if not values or not all(map(math.isfinite, values)):
        return ""
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * 0.1
    name, begin, end = x
    told = [
        "```mermaid",
        "xychart-beta",
        f'    title "{title}"',
        f'    x-axis "{name}" {_number(begin)} --> {_number(max(end, begin + 1))}',
        f'    y-axis "{y}" {_number(low - room)} --> {_number(high + room)}',
        *(f"    line [{', '.join(map(_number, line))}]" for line in lines),
        "```",
    ]
    block = "\n".join(told) + "\n"
    return block if len(block) <= BLOCK_LIMIT else ""


def _number(value: float) -> str:
    """Four digits that count; Mermaid reads no exponent."""
    if value == 0:
        return "0"
    places = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

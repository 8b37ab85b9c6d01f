"""Base units, and how figures of them are printed for people.

Figures are kept in base units (s, B, tok/s, nat/tok) everywhere else; scaling to ms or GiB happens here and
only here. Owns the number of digits: as many as the interval can carry, and never so few that rounding
moves an end of it across a target. Pure text; knows neither metrics nor runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Unit = Literal["s", "B", "tok/s", "row/s", "nat/tok", "ratio", "count", "percent", "h"]

MOST_DECIMALS = 6
_BINARY = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "B"))
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_ROUNDS_UP = 0.9995  # from here on three digits would print the next unit's 1


def value_text(value: float | None, unit: Unit) -> str:
    """A figure in base units as text: `1.27 GiB`, `1,352 tok/s`, `12.3 ms`; `-` where there is none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    match unit:
        case "s":
            return _scaled(value, _SECONDS, "s")
        case "B":
            return _scaled(value, _BINARY, "B")
        case "nat/tok":  # four decimals: losses are compared to 1e-3; for DPO it is nat per pair
            return f"{value:.4f} nat"
        case "count":
            return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
        case "percent":
            return f"{value:.1f} %"
        case "ratio":
            return figure(value)
        case "tok/s" | "row/s" | "h":
            return f"{figure(value)} {unit}"


def figure(value: float, digits: int = 3) -> str:
    """`digits` significant digits, all digits of the integer part, thousands set apart."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded value: 0.9999 is 1.00
    decimals = max(0, digits - 1 - exponent)
    return f"{value:,.{decimals}f}"


def change_text(ratio: float) -> str:
    """A ratio as a signed change: 1.293 is `+29.3 %`, 0.974 is `-2.6 %`."""
    change_pct = (ratio - 1.0) * 100.0
    size = abs(change_pct)
    text = f"{change_pct:+,.{0 if size >= 99.95 else 1 if size >= 0.095 else 2}f}"
    return "0 %" if float(text.replace(",", "")) == 0 else f"{text} %"


def bound_text(share: float) -> str:
    """A floor or band as text without a sign: 0.01 is `1 %`, 0.125 is `12.5 %`."""
    return f"{share * 100:.3g} %"


def interval_text(ratio: float, low: float | None, high: float | None, apart: Sequence[float] = ()) -> str:
    """`1.93 [1.78, 2.09]`; `1.93` alone without an interval or where it has no width.

    Of the decimals there are enough for two digits of the half width, and enough that no rounded number
    stands on the other side of a number in `apart` (a target) than the number itself.
    """
    if low is None or high is None or low == high:
        return f"{ratio:.{_enough(_by_size(ratio), (ratio,), apart)}f}"
    decimals = _enough(_by_size((high - low) / 2), (ratio, low, high), apart)
    return f"{ratio:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def _by_size(width: float) -> int:
    if width <= 0 or not math.isfinite(width):
        return 2
    return min(4, max(0, 1 - math.floor(math.log10(width)))) if width < 1 else 2 if width < 10 else 1


def _enough(decimals: int, numbers: Sequence[float], apart: Sequence[float]) -> int:
    while decimals < MOST_DECIMALS and any(
        _side(round(number, decimals), target) != _side(number, target)
        for number in numbers
        for target in (*apart, 1.0)
    ):
        decimals += 1
    return decimals


def _side(number: float, target: float) -> int:
    return (number > target) - (number < target)


def _scaled(value: float, scales: Sequence[tuple[float, str]], base: str) -> str:
    if value == 0:
        return f"0 {base}"
    fitting = (scale for scale in scales if abs(value) >= scale[0] * _ROUNDS_UP)
    factor, name = next(fitting, scales[-1])
    return f"{figure(value / factor)} {name}"

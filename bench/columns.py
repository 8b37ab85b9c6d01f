"""Reads a sampler's file: a header of names, then lines of as many fields, all set apart by commas.

A last line without an end is cut off and passed over, as is any line of another number of fields. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

Row = Mapping[str, str]


def rows_of(data: bytes) -> Iterator[Row]:
    header, *lines = data.decode(errors="replace").split("\n")[:-1] or [""]
    names = [name.strip() for name in header.split(",")]
    for line in lines:
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == len(names):
            yield dict(zip(names, fields, strict=True))


def number(text: str) -> float:
    """Raises ValueError where it is not a finite number."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value

"""A table as far as it fits: rows where the terminal is wide enough, else a block of lines for each row.

A terminal breaks lines that are too long, and nobody can read a table then. What goes into a file or another
program has no width.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence


def width_told() -> int | None:
    """In characters; None where nobody has said it and standard output is no terminal."""
    if os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return None


def table_text(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> str:
    """`width` None: as wide as it is. The first column names the row; empty cells of a block are left out."""
    from tabulate import tabulate

    table = tabulate(rows, header, tablefmt="simple", disable_numparse=True)
    if width is None or max(len(line.rstrip()) for line in table.splitlines()) <= width:
        return table
    return "\n\n".join(_block(header, row) for row in rows)


def _block(header: Sequence[str], row: Sequence[str]) -> str:
    keys = max(map(len, header[1:]))
    lines = [f"  {key:<{keys}}  {value}" for key, value in zip(header[1:], row[1:], strict=True) if value]
    return "\n".join([f"{row[0]}:", *lines])

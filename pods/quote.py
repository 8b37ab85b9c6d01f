"""The one place where an argument list becomes a line for a shell: that of the login shell at the other end
of SSH, which takes nothing else. It has to be a POSIX one.

Its start-up files may print something before it reads the line (a greeting). So the line says where its own
output begins.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

BEGINS = b"\x02paceline\n"
"""On standard output before the first byte of the command's own; no greeting has it."""


def command_line(argv: Sequence[str]) -> str:
    """Says `BEGINS`, then becomes the command, a program. Raises ValueError for what no line can hold."""
    if not argv or any("\0" in part for part in argv):
        raise ValueError(f"not a command: {list(argv)!r}")
    return f"printf '\\002paceline\\n'; exec {shlex.join(argv)}"

"""The one place where an argument list becomes a line for a shell: that of the login shell at the other end
of SSH, which takes nothing else. It has to be a POSIX one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def command_line(argv: Sequence[str]) -> str:
    """Raises ValueError for what no command line can hold."""
    if not argv or any("\0" in part for part in argv):
        raise ValueError(f"not a command: {list(argv)!r}")
    return shlex.join(argv)

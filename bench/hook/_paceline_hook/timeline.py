"""The phases of this process: exclusive, contiguous, in seconds of the monotonic clock.

A base phase runs underneath (`prep`, then `first`, `train`, `other`); `import`, `load`, `reference`, `save`
and `eval` lie on top of it while they last, the innermost counting. The clock is taken before the subject
can replace it. Only the thread that started the process moves the timeline.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

now = time.monotonic
SHORTEST_IMPORT_S = 0.001
"""Imports shorter than this stay in the phase around them: hundreds of lazy ones would drown the record."""


class Timeline:
    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write
        self._thread = threading.get_ident()
        self._base = "prep"
        self._stack: list[str] = []
        self._since = now()
        self._import_depth = 0
        self._import_since = 0.0
        self.memory: Callable[[], dict[str, Any]] = dict
        """Peaks since it was last asked, as fields of a phase; replaced once torch is there."""

    @property
    def current(self) -> str:
        return self._stack[-1] if self._stack else self._base

    @property
    def is_before_training(self) -> bool:
        return self._base == "prep"

    def is_mine(self) -> bool:
        return threading.get_ident() == self._thread

    def _close(self, at: float) -> None:
        if at > self._since:
            self._write("phase", name=self.current, begin=self._since, end=at, **self.memory())
        self._since = at

    def switch(self, base: str, at: float) -> None:
        """Begin another base phase; an import that is still open (a module that trains) ends here."""
        self._settle_import()
        self._close(at)
        self._stack.clear()
        self._import_depth = 0
        self._base = base

    def enter(self, name: str) -> bool:
        """Lay a phase on top; False where it is laid already (then do not leave it)."""
        if not self.is_mine() or name in self._stack:
            return False
        self._settle_import()
        self._close(now())
        self._stack.append(name)
        return True

    def leave(self, name: str) -> None:
        if name in self._stack:
            self._close(now())
            self._stack.remove(name)

    def enter_import(self) -> bool:
        """Begin an outermost import; not written until it turns out to have been long enough to tell."""
        if not self.is_mine() or not self.is_before_training:
            return False
        if self._import_depth or self._stack:
            return False
        self._import_depth = 1
        self._import_since = now()
        return True

    def leave_import(self) -> None:
        if self.is_before_training and now() - self._import_since >= SHORTEST_IMPORT_S:
            self._settle_import()
        self._import_depth = 0
        self.leave("import")

    def _settle_import(self) -> None:
        """Write an open import down as a phase, from its begin on."""
        if self._import_depth and "import" not in self._stack:
            self._close(self._import_since)
            self._stack.append("import")

    def skip(self, begin: float, end: float) -> None:
        """What lies between belongs to no phase: the process stood at a gate."""
        self._close(begin)
        self._since = end

    def finish(self) -> None:
        self._close(now())

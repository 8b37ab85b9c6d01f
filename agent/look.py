"""One look at one issue: with what, at what, when, and to whom it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from agent.gather import Desk
from agent.situation import Situation
from agent.task import Task


@dataclass(frozen=True, slots=True)
class Look:
    """`found` is what was read just now; `say` tells whoever runs the agent, a line at a time."""

    desk: Desk
    number: int
    found: Situation
    now: datetime
    say: Callable[[str], None]

    @property
    def task(self) -> Task | None:
        """The task as the issue's text has it now; the same digest as the plan's, or its job would be
        stopped."""
        return self.found.asked if isinstance(self.found.asked, Task) else None

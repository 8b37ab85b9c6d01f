"""Labels that show people how a task stands: a view of its state, never read back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agent.ledger import Stage
from agent.situation import Situation
from agent.tracker import Issue

View = Literal["queued", "running", "needs-decision", "done"]
VIEWS: Mapping[View, tuple[str, str]] = {
    "queued": ("fbca04", "Waits for a slot"),
    "running": ("0e8a16", "Is being measured"),
    "needs-decision": ("d93f0b", "Waits for an answer or an approval"),
    "done": ("5319e7", "Has its verdict"),
}
"""Colour and description."""
BY_STAGE: Mapping[Stage, View] = {
    "blocked": "needs-decision",
    "waiting": "needs-decision",
    "approved": "queued",
    "intent": "running",
    "running": "running",
    "measured": "running",
    "done": "done",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What has to be put on an issue and taken off it."""

    add: tuple[str, ...]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


def named(label: str, view: View) -> str:
    return f"{label}:{view}"


def to_ensure(label: str) -> list[tuple[str, str, str]]:
    """Name, colour and description of each."""
    return [(named(label, view), *about) for view, about in VIEWS.items()]


def change_for(now: Situation, label: str) -> Change:
    """`label` is the one that asks for a measurement; a task that nobody wants any more has no view."""
    if not isinstance(now.issue, Issue):
        return Change((), ())
    view = _view_of(now)
    wanted = named(label, view) if view else ""
    there = {one.casefold() for one in now.issue.labels}
    known = [named(label, one) for one in VIEWS]
    return Change(
        tuple(one for one in (wanted,) if one and one.casefold() not in there),
        tuple(one for one in known if one != wanted and one.casefold() in there),
    )


def _view_of(now: Situation) -> View | None:
    if now.has_verdict:
        return "done"
    if now.is_wanted and now.ledger.broken:
        return "needs-decision"
    return BY_STAGE.get(now.state.stage) if now.state and now.is_wanted else None

"""What is measured now and what waits for a slot, over all tagged issues, by what their ledgers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape

from agent.follow import duration_text
from agent.ledger import Ledger
from agent.report import escaped
from agent.tracker import Issue

WAITS_FOR = {"waiting": "an approval", "blocked": "its author"}


@dataclass
class Line:
    """The issues that wait for a slot, as the agent has seen them since it was started: by the comment that
    approved each, oldest first. `left_s` is how long each job under way takes, where that is known."""

    since: dict[int, int] = field(default_factory=dict)
    left_s: dict[str, float] = field(default_factory=dict)

    def note(self, number: int, ledger: Ledger) -> None:
        self.since.pop(number, None)
        self.since |= _waiting({number: ledger})

    def note_left(self, job: str, left_s: float | None) -> None:
        self.left_s.pop(job, None)
        if left_s is not None:
            self.left_s[job] = left_s

    def key(self, number: int) -> tuple[int, int]:
        """Whose turn it is: what does not wait for a slot is looked after first."""
        return (self.since.get(number, 0), number)

    def told(self, number: int) -> str:
        """The place of an issue, where there is more than one, and when the next slot is free."""
        parts = []
        if number in self.since and len(self.since) > 1:
            place = sorted(self.since, key=self.key).index(number) + 1
            parts.append(f"place {place} of {len(self.since)} in line")
        if number in self.since and self.left_s:
            parts.append(f"the next slot is free in about {duration_text(min(self.left_s.values()))}")
        return ", ".join(parts)


def _waiting(ledgers: Mapping[int, Ledger]) -> dict[int, int]:
    """Issue: the comment since which it waits for a slot."""
    return {
        number: newest.comment.id
        for number, ledger in ledgers.items()
        if ledger.state is not None
        and ledger.state.stage == "approved"
        and ledger.verdict_for(ledger.state.plan) is None
        and (newest := ledger.newest("progress")) is not None
    }


def waiting_line(ledgers: Mapping[int, Ledger]) -> tuple[int, ...]:
    """The issues that wait for a slot: those approved first come first."""
    waiting = _waiting(ledgers)
    return tuple(sorted(waiting, key=lambda number: (waiting[number], number)))


def queue_lines(issues: Mapping[int, Issue], ledgers: Mapping[int, Ledger]) -> tuple[str, ...]:
    """One a tagged issue that is not at rest: what runs, then the line in order, then who has to answer."""
    running, asking = [], []
    for number in sorted(issues):
        ledger = ledgers[number]
        state = ledger.state
        if state is None or ledger.verdict_for(state.plan) is not None:
            continue
        if state.stage in ("intent", "running") and state.intent is not None:
            doing = f": {escaped(unescape(ledger.live))}" if ledger.live else ""
            running.append(f"{_named(issues[number])} is measured on {escaped(state.intent.pod)}{doing}")
        elif state.stage in WAITS_FOR:
            asking.append(f"{_named(issues[number])} waits for {WAITS_FOR[state.stage]}")
    places = enumerate(waiting_line(ledgers), 1)
    line = [f"place {place}: {_named(issues[number])}" for place, number in places if number in issues]
    return (*running, *line, *asking)


def _named(issue: Issue) -> str:
    """Its number is meant as a reference."""
    return f"#{issue.number} ({escaped(issue.title)})"

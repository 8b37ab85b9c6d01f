"""What an operator asks of the tracker: status, watch, cancel. Reads markers; `cancel`
posts a signed note that the agent obeys at its next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from agent import bodies
from agent.errors import TaskError
from agent.gather import Desk, wording_of
from agent.ledger import Ledger, State
from agent.marker import Marker, render
from agent.report import plain
from agent.tracker import Gone, Issue

WATCH_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Status:
    """One tagged issue as its markers tell it."""

    issue: int
    title: str
    stage: str
    plan: str
    verdict: str
    live: str
    note: str


def statuses(desk: Desk) -> list[Status]:
    listed = desk.tracker.tagged(desk.operator.label) or ()
    ordered = sorted(listed, key=lambda one: one.number)
    return [_status(issue, desk.ledger(issue.number)) for issue in ordered]


def status_dicts(desk: Desk) -> list[dict[str, Any]]:
    return [asdict(status) for status in statuses(desk)]


def lines_of(found: list[Status]) -> Iterator[str]:
    if not found:
        yield "no open issue has the label"
    for one in found:
        tail = one.verdict or one.live or one.note
        line = f"#{one.issue} {one.title}: {one.stage}{f', {tail}' if tail else ''}"
        yield plain(line)


def watch(desk: Desk, number: int, say: Callable[[str], None]) -> None:
    """Say each change of an issue until it has its verdict or rests. Raises TaskError where it is gone."""
    last = ""
    while True:
        issue = present(desk, number)
        status = _status(issue, desk.ledger(number))
        line = next(lines_of([status]))
        if line != last:
            say(line)
            last = line
        if not _has_label(desk, issue):
            say(f"#{number} {_no_label(desk)}: no agent looks at it")
            return
        if status.verdict or status.stage in ("blocked", "stopped", "done") or not issue.is_open:
            return
        time.sleep(WATCH_EVERY_S)


def cancel(desk: Desk, number: int) -> str:
    """Post the note that cancels the task in its present wording; what to expect, in a line.

    Raises TaskError where nothing is under way that could be cancelled.
    """
    issue = present(desk, number)
    ledger = desk.ledger(number)
    body = wording_of(issue.body, ledger.settings)
    if ledger.is_cancelled(body):
        return f"#{number} was cancelled already"
    idle = _why_idle(desk, issue, ledger)
    if idle:
        raise TaskError(f"#{number} {idle}: there is nothing to cancel")
    text = bodies.note_text(
        "Cancelled by the operator",
        ("the agent ends what is under way at its next look; what was measured stays in the job's folder",),
        "Edit the issue's text to ask anew.",
    )
    payload = {"schema": 1, "command": "cancel", "body": body}
    marker = Marker("note", ledger.next_version("note"), text, payload)
    desk.tracker.post(number, render(marker, desk.place(number), desk.keys[0]))
    return f"#{number} is cancelled; the agent ends what is under way at its next look"


def _why_idle(desk: Desk, issue: Issue, ledger: Ledger) -> str:
    """Why nothing is under way on an issue, "" where something is, or is about to be."""
    stage = _status(issue, ledger).stage
    if stage in ("verdict", "done"):
        return "has its verdict"
    if not issue.is_open:
        return "is closed"
    if not _has_label(desk, issue):
        return _no_label(desk)
    return {"blocked": "waits for its author", "stopped": "is stopped already"}.get(stage, "")


def _has_label(desk: Desk, issue: Issue) -> bool:
    return desk.operator.label.casefold() in {label.casefold() for label in issue.labels}


def _no_label(desk: Desk) -> str:
    return f"has no label {desk.operator.label!r}"


def present(desk: Desk, number: int) -> Issue:
    """Raises TaskError where the issue is gone."""
    issue = desk.tracker.issue(number)
    if isinstance(issue, Gone):
        raise TaskError(f"issue {number} of {desk.tracker.repository} was {issue.why}")
    return issue


def _status(issue: Issue, ledger: Ledger) -> Status:
    state = ledger.state
    verdict = ledger.verdict_for(state.plan) if state else None
    return Status(
        issue=issue.number,
        title=issue.title,
        stage=_stage(ledger, state, verdict is not None),
        plan=state.plan if state else "",
        verdict=str(verdict.marker.payload.get("outcome", "")) if verdict else "",
        live="" if verdict else ledger.live,
        note=state.note if state else "",
    )


def _stage(ledger: Ledger, state: State | None, has_verdict: bool) -> str:
    if ledger.broken:
        return "parked"
    if has_verdict:
        return "verdict"
    return state.stage if state else "not looked at yet"

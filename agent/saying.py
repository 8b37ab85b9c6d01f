"""Writes on the issue: markers, reactions, the live line. Every write may be repeated.

A post is decided from a fresh read of the issue, so one whose answer was unsure is looked for before it is
sent again. What the texts say is `bodies.py`'s; nothing is decided here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, assert_never

from agent import bodies
from agent.action import Answer, Close, Fail, Fold, Note, Park, Progress, Refresh, Shrug
from agent.closing import closing_text
from agent.delivery import Delivered
from agent.effects import effect, post_of
from agent.labels import change_for
from agent.ledger import State
from agent.look import Look
from agent.marker import Kind, Marker, render, with_live_line
from agent.result import Result
from agent.result_bodies import results_payload, results_text, verdict_payload, verdict_text
from agent.review.review import Review
from agent.review.text import review_payload, review_text
from agent.tracker import TrackerError


def write(look: Look, action: Progress | Answer | Shrug | Note | Park | Close | Fold) -> None:
    match action:
        case Progress():
            progress(look, action)
        case Answer():
            answer(look, action)
        case Shrug():
            shrug(look, action)
        case Note():
            note(look, action)
        case Park():
            park(look, action)
        case Close():
            close(look, action)
        case Fold():
            fold(look, action)
        case _:
            assert_never(action)


def post(look: Look, kind: Kind, text: str, payload: Mapping[str, Any]) -> None:
    desk, number = look.desk, look.number
    marker = Marker(kind, look.found.ledger.next_version(kind), text, payload)
    with effect(post_of(kind, str(payload.get("stage", "")))):
        desk.tracker.post(number, render(marker, desk.place(number), desk.keys[0]))


def park(look: Look, action: Park) -> None:
    look.say(f"parked: {action.why[0]}")
    advice = "Nothing is done here until the comment is put right or deleted, or its key is known."
    text = bodies.note_text("Parked: a marker of this account does not hold", action.why, advice)
    post(look, "note", text, {"schema": 1, "broken": list(action.why)})


def answer(look: Look, action: Answer) -> None:
    """The reaction first: it may be repeated, and somebody who waits sees it at once."""
    comment = action.comment
    look.say(f"answered comment {comment.id}")
    with effect("react"):
        look.desk.tracker.react(comment.id, "+1" if action.is_done else "confused")
    payload: dict[str, Any] = {"schema": 1, "answers": [comment.id]}
    if action.command:
        payload |= {"command": action.command, "body": look.found.body}
    if action.settings:
        payload["settings"] = [asdict(one) for one in action.settings]
    post(look, "note", bodies.answer_text(comment.author.login, action.lines), payload)


def shrug(look: Look, action: Shrug) -> None:
    with effect("react"):
        look.desk.tracker.react(action.comment.id, "confused")
    look.desk.shrugged.add(action.comment.id)


def progress(look: Look, action: Progress) -> None:
    state = action.state
    look.say(f"{state.stage}{': ' + state.note if state.note else ''}")
    for comment in action.answers:
        with effect("react"):
            look.desk.tracker.react(comment, "+1")
    payload = held(look, state)
    if action.answers:
        payload["answers"] = list(action.answers)
    if state.stage == "approved" and action.planned is not None:
        # What was approved is what is run, whatever recipes and branches become.
        payload["planned"] = {"plan": action.planned.plan.to_dict(), "source": action.planned.source}
    post(look, "progress", bodies.progress_text(action, look.task, look.found.forecast), payload)


def held(look: Look, state: State) -> dict[str, Any]:
    """The payload of a state that this agent holds."""
    return replace(state, holder=look.desk.agent).to_payload()


def refresh(look: Look, action: Refresh) -> bool:
    """Whether the live line said something else."""
    newest = look.found.ledger.newest("progress")
    if newest is None or not action.line:
        return False
    body = with_live_line(newest.comment.body, action.line)
    if body == newest.comment.body:
        return False
    with effect("refresh"):
        look.desk.tracker.edit(newest.comment.id, body)
    return True


def results(look: Look, result: Result, delivered: Delivered) -> None:
    hours, earlier_h = look.found.gpu_hours, round(look.found.spent_s / 3600.0, 6)
    payload = {**results_payload(result, hours, earlier_h), **delivered.payload}
    if delivered.lines:
        payload["where"] = list(delivered.lines)
    text = results_text(result, hours, earlier_h, files=delivered.lines, task=look.task)
    post(look, "results", text, payload)


def review(look: Look, found: Review | str, plan: str) -> None:
    """What the reviewer found, or in a line why nothing was reviewed."""
    if isinstance(found, str):
        text = bodies.note_text("Review: not made", (found,), "The verdict below does not depend on it.")
        post(look, "reviewer-verdict", text, {"schema": 1, "plan": plan, "outcome": None})
        return
    look.say(f"review: {found.outcome}")
    post(look, "reviewer-verdict", review_text(found), {**review_payload(found), "plan": plan})


def close(look: Look, action: Close) -> None:
    task = look.task if look.found.is_same_task else None
    text = closing_text(look.found.ledger, action.verdict, task)
    post(look, "note", text, {"schema": 1, "closes": action.verdict.marker.version})


def verdict(look: Look, result: Result) -> None:
    look.say(f"verdict {result.judgement.verdict.outcome}")
    reviewed = look.found.ledger.review_for(result.plan.hash)
    text = verdict_text(result, look.task, reviewed.marker.payload if reviewed else {})
    post(look, "verdict", text, verdict_payload(result))


def fail(look: Look, action: Fail, log: Callable[[], str]) -> None:
    """The failure first, then the state that rests: each look at the issue posts the one that is missing.
    `log` asks the pod for the end of what the last job said."""
    state, ledger = action.state, look.found.ledger
    look.say(f"failed: {action.why}")
    last = max(ledger.intents(state.plan), key=lambda one: one.attempt, default=None)
    attempt = last.attempt if last else 0
    told = [one.marker.payload for one in ledger.all_of("failure")]
    if any((one.get("plan"), one.get("attempt", 0)) == (state.plan, attempt) for one in told):
        post(look, "progress", bodies.progress_text(Progress(state), None), held(look, state))
        return
    attempts = ledger.attempts(state.plan)
    if last and last not in [intent for intent, _ in attempts]:
        attempts = (*attempts, (last, action.why))
    text = bodies.failure_text(action.cause, action.why, attempts, log())
    post(look, "failure", text, {"schema": 1, "plan": state.plan, "attempt": attempt, "cause": action.cause})


def note(look: Look, action: Note) -> None:
    look.say(action.title)
    post(look, "note", bodies.note_text(action.title, action.lines, action.advice), action.payload)


def fold(look: Look, action: Fold) -> None:
    """A tracker that cannot minimise is no reason to fail."""
    for comment in action.comments:
        with contextlib.suppress(TrackerError), effect("fold"):
            look.desk.tracker.minimise(comment)
    look.desk.folded.add(action.verdict.comment.id)


def relabel(look: Look) -> None:
    """The view of the state for people; a tracker that refuses is no reason to fail."""
    change = change_for(look.found, look.desk.operator.label)
    if change:
        with contextlib.suppress(TrackerError), effect("label"):
            look.desk.tracker.set_labels(look.number, change.add, change.remove)

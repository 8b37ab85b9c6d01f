"""Does the one thing that was decided: posts, launches, stops. Every effect may be repeated.

A post is decided from a fresh read of the issue, so one whose answer was unsure is looked for before it is
sent again. The intent stands on the issue before the lease is taken; taking, preparing and launching a job
find what an earlier try left. Nothing is decided here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never

from pods import job
from pods.shell import PodError

from agent import bodies
from agent.action import (
    Action,
    Bury,
    Enough,
    Fail,
    Fold,
    Free,
    Intend,
    Launch,
    Park,
    Progress,
    Refresh,
    Rest,
    Results,
    Stop,
    Verdict,
)
from agent.bench_command import stored
from agent.decide import closed
from agent.dispatch import hard_limit_s
from agent.effects import effect, post_of
from agent.gather import Desk, next_attempt, next_job
from agent.launching import Begun, Lacking, NotTaken, begin
from agent.ledger import Intent, State
from agent.marker import Kind, Marker, render, with_live_line
from agent.report import escaped
from agent.result import Result
from agent.result_bodies import results_payload, results_text, verdict_payload, verdict_text
from agent.situation import Situation
from agent.task import Task
from agent.tracker import TrackerError

SLACK_S = 300.0
"""A lease has ended when it is this long past its hard end, seen or not."""

Say = Callable[[str], None]


def perform(  # noqa: PLR0912 - one case for each action
    desk: Desk, number: int, found: Situation, action: Action, now: datetime, say: Say
) -> bool:
    """Whether anything was done. Raises TrackerError, PodError, TaskError."""
    match action:
        case Rest():
            return False
        case Park(why=why):
            say(f"parked: {why[0]}")
            advice = "Nothing is done here until the comment is put right or deleted, or its key is known."
            text = bodies.note_text("Parked: a marker of this account does not hold", why, advice)
            _post(desk, number, found, "note", text, {"schema": 1, "broken": list(why)})
        case Progress():
            say(f"{action.state.stage}{': ' + action.state.note if action.state.note else ''}")
            text = bodies.progress_text(action, _task_of(found), found.forecast)
            _post(desk, number, found, "progress", text, _held(desk, action.state))
        case Intend():
            _intend(desk, number, found, action, now, say)
        case Launch():
            return _launch(desk, number, found, action, now, say)
        case Stop():
            return _stop(desk, number, found, action, say)
        case Bury(state=state, intent=intent, why=why):
            if living := _end(desk, intent.pod, intent.job):
                say(f"{why}; {living}")
                return False
            return perform(desk, number, found, closed(state, why), now, say)
        case Free(jobs=jobs, why=why):
            left = [told for told in (_end(desk, desk.yard.holder_of(name), name) for name in jobs) if told]
            say(f"{why}: {'; '.join(left) or 'ended ' + ', '.join(jobs)}")
            return not left
        case Refresh(line=line):
            return _refresh(desk, found, line)
        case Enough(intent=intent):
            say("what was measured decides; no further replicate is made")
            bench = desk.yard.bench(intent.pod)
            with effect("enough"):
                bench.shell.put(bench.paths(intent.job).enough, b"")
        case Results(intent=intent):
            say("measured; posting results")
            result = _result(desk, intent.pod, intent.job, action.state.plan)
            hours, earlier_h = found.gpu_hours, round(found.spent_s / 3600.0, 6)
            text = results_text(result, hours, earlier_h)
            _post(desk, number, found, "results", text, results_payload(result, hours, earlier_h))
        case Verdict(job=name):
            result = _result(desk, found.ledger.pod_of(name) or "", name, action.state.plan)
            say(f"verdict {result.judgement.verdict.outcome}")
            text = verdict_text(result, _task_of(found))
            _post(desk, number, found, "verdict", text, verdict_payload(result))
        case Fold():
            _fold(desk, action)
        case Fail(state=state, why=why):
            say(f"failed: {why}")
            _fail(desk, number, found, state, why)
        case _:
            assert_never(action)
    return True


def _post(
    desk: Desk, number: int, found: Situation, kind: Kind, text: str, payload: Mapping[str, Any]
) -> None:
    version = found.ledger.next_version(kind)
    marker = Marker(kind, version, text, payload)
    with effect(post_of(kind, str(payload.get("stage", "")))):
        desk.tracker.post(number, render(marker, desk.place(number), desk.keys[0]))


def _held(desk: Desk, state: State) -> dict[str, Any]:
    return replace(state, holder=desk.agent).to_payload()


def _intend(desk: Desk, number: int, found: Situation, action: Intend, now: datetime, say: Say) -> None:
    plan, best = action.planned.plan, action.choice.best
    assert best is not None and best.slot is not None, "an intent is decided on where a slot was chosen"
    intent = Intent(
        attempt=next_attempt(found, plan),
        pod=best.pod,
        slot=best.slot,
        job=next_job(desk, number, found, plan),
        hard_end=bodies.hard_end(now, min(hard_limit_s(plan), found.left_s) + SLACK_S),
    )
    say(f"attempt {intent.attempt} on {intent.pod}, slot {intent.slot}")
    state = replace(action.state, stage="intent", intent=intent, note="")
    said = Progress(state, planned=action.planned, choice=action.choice)
    text = bodies.progress_text(said, _task_of(found), found.forecast)
    _post(desk, number, found, "progress", text, _held(desk, state))
    desk.yard.promised.add((intent.pod, intent.slot))


def _launch(desk: Desk, number: int, found: Situation, action: Launch, now: datetime, say: Say) -> bool:
    intent, source = action.intent, desk.tracker.clone_url()
    begun = begin(desk.yard, action.planned, intent, source, found.left_s, now)
    desk.yard.forget(intent.pod)
    match begun:
        case Begun(warnings=warnings):
            for warning in warnings:
                say(warning)
            return True
        case NotTaken(why=why):
            say(f"slot {intent.slot} of {intent.pod} is held ({why})")
            resting = replace(action.state, stage="approved", intent=None, note="the slot was not taken")
            return perform(desk, number, found, Progress(resting), now, say)
        case Lacking(why=why):
            return perform(desk, number, found, closed(action.state, f"{intent.pod} lacks {why}"), now, say)
        case _:
            assert_never(begun)


def _task_of(found: Situation) -> Task | None:
    """The task as the issue's text has it now; the same digest as the plan's, or the job would be stopped."""
    return found.asked if isinstance(found.asked, Task) else None


def _fail(desk: Desk, number: int, found: Situation, state: State, why: str) -> None:
    """The failure first, then the state that rests: each look at the issue posts the one that is missing."""
    said = [one.marker.payload.get("plan") for one in found.ledger.all_of("failure")]
    if state.plan not in said:
        advice = "Edit the issue's text to have it tried again."
        text = bodies.note_text("No attempt came to a result", (why,), advice)
        _post(desk, number, found, "failure", text, {"schema": 1, "plan": state.plan})
    else:
        _post(
            desk,
            number,
            found,
            "progress",
            bodies.progress_text(Progress(state), None),
            _held(desk, state),
        )


def _stop(desk: Desk, number: int, found: Situation, action: Stop, say: Say) -> bool:
    """That everything is freed is said once it is true; until then each tick tries again."""
    left = _end(desk, action.intent.pod, action.intent.job)
    if left:
        say(f"to be stopped: {action.state.note}; {left}")
        return False
    say(f"stopped: {action.state.note}")
    text = bodies.progress_text(Progress(action.state), None)
    _post(desk, number, found, "progress", text, _held(desk, replace(action.state, intent=None)))
    return True


def _end(desk: Desk, pod: str | None, name: str) -> str:
    """Ends a job and everything of it: "" once nothing is left, else what is. Raises PodError."""
    if pod is None or isinstance(desk.yard.observe(pod, name), job.Absent):
        return ""
    bench = desk.yard.bench(pod)
    with effect("cancel"):
        cancelled = job.cancel(bench.shell, bench.paths(name))
    desk.yard.forget(pod)
    if cancelled.has_ended and not cancelled.left:
        return ""
    processes = f" (processes {', '.join(map(str, cancelled.left))})" if cancelled.left else ""
    return f"job {name} has not ended{processes}: tried again at the next look"


def _refresh(desk: Desk, found: Situation, line: str) -> bool:
    newest = found.ledger.newest("progress")
    if newest is None or not line:
        return False
    body = with_live_line(newest.comment.body, escaped(line))
    if body == newest.comment.body:
        return False
    with effect("refresh"):
        desk.tracker.edit(newest.comment.id, body)
    return True


def _result(desk: Desk, pod: str, name: str, plan: str) -> Result:
    """The result of a job that has ended, from its files as they are on the pod; stored beside the copy of
    them here, for `paceline verify`.

    Raises PodError for one of another plan: what was said of that would be missed, and said again, for ever.
    """
    with effect("fetch"):
        copy = desk.yard.bench(pod).fetched(name)
    result = stored(copy.root)
    if result.plan.hash != plan:
        raise PodError(f"job {name} has measured plan {result.plan.hash[:12]}, not {plan[:12]}")
    return result


def _fold(desk: Desk, action: Fold) -> None:
    """A tracker that cannot minimise is no reason to fail."""
    for comment in action.comments:
        with contextlib.suppress(TrackerError), effect("fold"):
            desk.tracker.minimise(comment)
    desk.folded.add(action.verdict.comment.id)

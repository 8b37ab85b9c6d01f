"""Does the one thing that was decided: posts, launches, stops. Every effect may be repeated.

A post is decided from a fresh read of the issue, so one whose answer was unsure is looked for before it is
sent again. The intent stands on the issue before the lease is taken; taking, preparing and launching a job
find what an earlier try left. Nothing is decided here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, assert_never

from pods import job
from pods.job import JobSpec
from pods.paths import job_name
from pods.shell import PodError

from agent import bodies
from agent.action import (
    Action,
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
from agent.dispatch import Place as JobPlace
from agent.dispatch import files_of, spec_of
from agent.floors import Known, known_noise
from agent.forecast import noise_files
from agent.gather import Desk
from agent.ledger import Intent, State
from agent.marker import Kind, Marker, render, with_live_line
from agent.result import HOST, Result
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
        case Free(jobs=jobs, why=why):
            left = [told for told in (_end(desk, name) for name in jobs) if told]
            say(f"{why}: {'; '.join(left) or 'ended ' + ', '.join(jobs)}")
            return not left
        case Refresh(line=line):
            _refresh(desk, found, line)
        case Enough(intent=intent):
            say("what was measured decides; no further replicate is made")
            desk.bench.shell.put(desk.bench.paths(intent.job).enough, b"")
        case Results(intent=intent):
            say("measured; posting results")
            result = _result(desk, intent.job, action.state.plan)
            hours, earlier_h = found.gpu_hours, round(found.spent_s / 3600.0, 6)
            text = bodies.results_text(result, hours, earlier_h)
            _post(desk, number, found, "results", text, bodies.results_payload(result, hours, earlier_h))
        case Verdict(job=name):
            result = _result(desk, name, action.state.plan)
            say(f"verdict {result.judgement.verdict.outcome}")
            text = bodies.verdict_text(result, _task_of(found))
            _post(desk, number, found, "verdict", text, bodies.verdict_payload(result))
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
    desk.tracker.post(number, render(marker, desk.place(number), desk.keys[0]))


def _held(desk: Desk, state: State) -> dict[str, Any]:
    return replace(state, holder=desk.agent).to_payload()


def _intend(desk: Desk, number: int, found: Situation, action: Intend, now: datetime, say: Say) -> None:
    plan = action.planned.plan
    attempt = _attempts(found, plan.hash) + 1
    name = job_name(desk.tracker.repository.replace("/", "-"), number, plan.hash, attempt)
    intent = Intent(
        attempt=attempt,
        pod=desk.bench.shell.name,
        slot=desk.bench.slot,
        job=name,
        hard_end=bodies.hard_end(now, found.left_s + SLACK_S),
    )
    say(f"attempt {attempt} on {intent.pod}, slot {intent.slot}")
    state = replace(action.state, stage="intent", intent=intent, note="")
    text = bodies.progress_text(Progress(state, planned=action.planned), _task_of(found), found.forecast)
    _post(desk, number, found, "progress", text, _held(desk, state))


def _attempts(found: Situation, plan: str) -> int:
    """Attempts at this plan so far: those whose intents stand on the issue."""
    intents = [
        said.marker.payload.get("intent") or {}
        for said in found.ledger.all_of("progress")
        if said.marker.payload.get("plan") == plan
    ]
    return max((intent.get("attempt", 0) for intent in intents), default=0)


def _launch(desk: Desk, number: int, found: Situation, action: Launch, now: datetime, say: Say) -> bool:
    spec = _spec(desk, found, action)
    shell = desk.bench.shell
    known = _known(desk, action, now)
    for warning in known.warnings:
        say(warning)
    job.prepare(shell, spec, {**_files(desk, action), **noise_files(known.noise, action.planned.plan)})
    taken = job.take(shell, spec.paths, desk.bench.machine, spec.slot)
    if isinstance(taken, job.Held):
        say(f"slot {spec.slot} is held ({taken.why})")
        job.cancel(shell, spec.paths)
        closed = replace(action.state, stage="approved", intent=None, note="the slot was not taken")
        text = bodies.progress_text(Progress(closed), _task_of(found))
        _post(desk, number, found, "progress", text, _held(desk, closed))
        return True
    launched = job.launch(shell, spec.paths)
    if isinstance(launched, job.NotLaunched):
        say(f"not launched: {launched.why}")
    return True


def _spec(desk: Desk, found: Situation, action: Launch) -> JobSpec:
    place = _place(desk, action.intent)
    spec = spec_of(action.planned.plan, action.intent.job, place)
    return replace(spec, limit_s=min(spec.limit_s, found.left_s))


def _files(desk: Desk, action: Launch) -> dict[str, bytes]:
    place = _place(desk, action.intent)
    files = files_of(action.planned.plan, desk.tracker.clone_url(), action.planned.eval_rows, place)
    files[HOST] = (json.dumps(desk.bench.host, indent=1, sort_keys=True) + "\n").encode()
    return files


def _known(desk: Desk, action: Launch, now: datetime) -> Known:
    bench = desk.bench
    return known_noise(bench.shell, bench.machine, action.intent.slot, bench.host, action.planned.plan, now)


def _place(desk: Desk, intent: Intent) -> JobPlace:
    bench = desk.bench
    return JobPlace(bench.paths(intent.job), intent.slot, bench.machine, bench.workspace, bench.shell.python)


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
    left = _end(desk, action.intent.job)
    if left:
        say(f"to be stopped: {action.state.note}; {left}")
        return False
    say(f"stopped: {action.state.note}")
    text = bodies.progress_text(Progress(action.state), None)
    _post(desk, number, found, "progress", text, _held(desk, replace(action.state, intent=None)))
    return True


def _end(desk: Desk, name: str) -> str:
    """Ends a job and everything of it: "" once nothing is left, else what is. Raises PodError."""
    paths = desk.bench.paths(name)
    if isinstance(job.observe(desk.bench.shell, paths), job.Absent):
        return ""
    cancelled = job.cancel(desk.bench.shell, paths)
    if cancelled.has_ended and not cancelled.left:
        return ""
    processes = f" (processes {', '.join(map(str, cancelled.left))})" if cancelled.left else ""
    return f"job {name} has not ended{processes}: tried again at the next look"


def _refresh(desk: Desk, found: Situation, line: str) -> None:
    newest = found.ledger.newest("progress")
    if newest is not None and line:
        desk.tracker.edit(newest.comment.id, with_live_line(newest.comment.body, line))


def _result(desk: Desk, name: str, plan: str) -> Result:
    """The result of a job that has ended; stored in its folder too, for `paceline verify`.

    Raises PodError for one of another plan: what was said of that would be missed, and said again, for ever.
    """
    result = stored(Path(desk.bench.paths(name).root))
    if result.plan.hash != plan:
        raise PodError(f"job {name} has measured plan {result.plan.hash[:12]}, not {plan[:12]}")
    return result


def _fold(desk: Desk, action: Fold) -> None:
    """A tracker that cannot minimise is no reason to fail."""
    for comment in action.comments:
        with contextlib.suppress(TrackerError):
            desk.tracker.minimise(comment)
    desk.folded.add(action.verdict.comment.id)

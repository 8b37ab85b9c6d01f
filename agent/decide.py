"""One table: from everything that is known of one issue to the one next step. Pure, level-triggered.

Rows are tried in order, the first that answers decides. Nothing here remembers: the issue, its ledger, the
plan and the job are looked at anew each time, so an agent that was killed anywhere carries on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pods.job import Absent, Finished, Lost, Prepared, Running, Unreachable

from agent.action import (
    Action,
    Bury,
    Close,
    Enough,
    Fail,
    Fold,
    Free,
    Intend,
    Launch,
    Note,
    Park,
    Progress,
    Refresh,
    Rest,
    Results,
    Review,
    Stop,
    Verdict,
)
from agent.answers import answer_to
from agent.follow import duration_text, gpu_hours_text
from agent.ledger import Intent, State
from agent.planning import Planned
from agent.situation import ATTEMPTS, UNDER_WAY, Approval, Refused, Situation
from agent.task import Problems, Task
from agent.tracker import Gone, Issue

LIVE_EVERY = timedelta(seconds=30)
HOLD = timedelta(minutes=15)
"""A hold whose newest progress is older than this may be taken over."""

Row = tuple[str, Callable[[Situation], Action | None]]


def decide(situation: Situation) -> Action:
    """The one next step."""
    for _, row in ROWS:
        action = row(situation)
        if action is not None:
            return action
    return Rest("nothing is due")


# The rows.


def _gone(now: Situation) -> Action | None:
    if not isinstance(now.issue, Gone):
        return None
    return Free(now.jobs, now.why_unwanted) if now.jobs else Rest(now.why_unwanted)


def _broken(now: Situation) -> Action | None:
    if not now.ledger.broken:
        return None
    notes = [said.marker.payload.get("broken") for said in now.ledger.all_of("note")]
    if list(now.ledger.broken) in notes:
        return Rest("parked: a marker of our own account does not hold")
    return Park(now.ledger.broken)


def _held(now: Situation) -> Action | None:
    """Another agent of this account works on it, and its word is fresh."""
    state, last = now.state, now.ledger.last_word
    if state is None or last is None or state.stage not in UNDER_WAY or now.has_verdict:
        return None
    if now.is_ours or now.now - last >= HOLD:
        return None
    return Rest(f"held by {state.holder}")


def _spoken(now: Situation) -> Action | None:
    """Somebody commands: answered before anything else is done, one comment after the other."""
    is_heard = isinstance(now.issue, Issue) and now.issue.is_open and now.is_tagged and not now.ledger.broken
    if not is_heard or now.state is None:
        return None
    answers = (answer_to(now, spoken) for spoken in now.spoken)
    return next((answer for answer in answers if answer is not None), None)


def _unwanted(now: Situation) -> Action | None:
    if now.is_wanted:
        return None
    state = now.state
    if state is None or state.stage in ("stopped", "done", "blocked") or now.has_verdict:
        return Rest(now.why_unwanted)
    stopped = replace(state, stage="stopped", note=now.why_unwanted, body=now.body)
    return Progress(stopped) if state.intent is None else _stop(now, stopped, state.intent)


def _stop(now: Situation, stopped: State, intent: Intent) -> Action:
    """Its job is ended where it can be asked to; elsewhere it ends by itself, at its hard end."""
    if not isinstance(now.observed, Unreachable):
        return Stop(stopped, intent)
    if now.now > datetime.fromisoformat(intent.hard_end):
        return Progress(replace(stopped, intent=None))
    where = f"job {intent.job} on pod {intent.pod}, held by {stopped.holder or 'nobody that is known'},"
    why = f"cannot be ended from here ({now.observed.why})"
    return Rest(f"{stopped.note}; {where} {why}: it ends by {intent.hard_end} at the latest", is_news=True)


def _edited(now: Situation) -> Action | None:
    """A text that is new: understood, or asked about; a job goes on where the task is the same."""
    state = now.state
    if state is None:
        return _understood(now)
    if state.body == now.body:
        return None
    if now.is_only_wording:
        # Once it has its verdict nothing that could be said of a new wording would be news.
        said = replace(state, body=now.body, note="the text was edited; the task is the same")
        return Rest("the task has its verdict") if now.has_verdict else Progress(said)
    if state.intent is not None and now.has_work:
        stopped = replace(state, stage="stopped", note="the task was edited", body="")
        return _stop(now, stopped, state.intent)
    return _understood(now)


def _understood(now: Situation) -> Action:
    fresh = State(stage="blocked", body=now.body)
    if isinstance(now.asked, Problems):
        return Progress(fresh, problems=now.asked)
    assert isinstance(now.asked, Task), "the task is read before it is decided on"
    if isinstance(now.planned, Refused):
        refused = replace(fresh, task=now.asked.digest, note=now.planned.why)
        return Progress(refused, problems=Problems((now.planned.problem,)))
    assert isinstance(now.planned, Planned), "a task that was understood has a plan"
    plan = now.planned.plan
    state = replace(fresh, task=now.asked.digest, plan=plan.hash, stage="waiting")
    if now.ledger.verdict_for(plan.hash) is not None:
        return Progress(replace(state, stage="done", note="this plan has its verdict already"))
    assert now.approval is not None, "a plan that is new comes with the word on it"
    if now.state and now.state.approved_by and (now.state.body, now.state.plan) == (now.body, plan.hash):
        # It was stopped and is wanted again: the same plan of the same text is approved already.
        state = replace(state, stage="approved", approved_by=now.state.approved_by)
    elif now.approval.is_given:
        state = replace(state, stage="approved", approved_by=now.approval.words)
    else:
        state = replace(state, note=now.approval.words)
    return Progress(state, planned=now.planned)


def _superseded(now: Situation) -> Action | None:
    """Once in the life of an agent: not every tracker tells what is folded already."""
    if now.verdict is None or now.is_folded or not now.ledger.superseded:
        return None
    return Fold(now.verdict, now.ledger.superseded)


def _unclosed(now: Situation) -> Action | None:
    """A verdict without its closing note."""
    if now.verdict is None or now.ledger.is_closed(now.verdict):
        return None
    return Close(now.verdict)


def _judged(now: Situation) -> Action | None:
    return Rest("the task has its verdict") if now.has_verdict else None


def _wanted_again(now: Situation) -> Action | None:
    """Closed and opened again, or labelled again: asked for anew, unless its attempts are used up."""
    state = now.state
    if state is None or state.stage != "stopped" or not (now.may_start_again or now.ledger.is_retried):
        return None
    return _understood(now)


def _answered_by(approval: Approval) -> tuple[int, ...]:
    return (approval.comment,) if approval.comment is not None else ()


def _waiting(now: Situation) -> Action | None:
    state = now.state
    if state is None or state.stage != "waiting":
        return None
    if isinstance(now.planned, Refused) or (now.planned and now.planned.plan.hash != state.plan):
        return _understood(now)  # recipes or branches have moved on: the approval would be of something else
    if now.approval is None or not now.approval.is_given:
        return Rest("waiting for approval")
    approved = replace(state, stage="approved", approved_by=now.approval.words, note="")
    planned = now.planned if isinstance(now.planned, Planned) else None
    return Progress(approved, planned=planned, answers=_answered_by(now.approval))


def _unjudged(now: Situation) -> Action | None:
    """Results stand without their verdict: it comes from the same runs, whatever was begun since. Where these
    are gone, what was posted can be neither judged nor checked: it is measured again."""
    state = now.state
    if state is None or state.stage not in UNDER_WAY or now.unjudged is None:
        return None
    name = now.ledger.job_of(now.unjudged)
    if isinstance(now.measured, Finished):
        reviewed = now.ledger.review_for(state.plan)
        return Verdict(state, name) if reviewed else Review(state, name)
    if isinstance(now.measured, Absent) and state.intent is not None and state.intent.job == name:
        return closed(state, "the runs that its results were read from are gone")
    return None


def _approved(now: Situation) -> Action | None:
    state = now.state
    if state is None or state.stage != "approved":
        return None
    if not now.is_slot_free:
        return Refresh("; ".join([*_in_line(now), *now.troubles]), is_news=bool(now.troubles))
    if not isinstance(now.planned, Planned) or now.planned.plan.hash != state.plan:
        return _understood(now)
    if not now.left_s:
        why = f"earlier attempts have used up the {gpu_hours_text(now.gpu_hours)} of its budget: ask for more"
        return Fail(replace(state, stage="stopped", closed=ATTEMPTS, note=why), why, "budget")
    if now.choice is None or now.choice.best is None:
        reasons = [f"{one.pod}: {one.reason}" for one in now.choice.ranked] if now.choice else []
        return Refresh("; ".join([*_in_line(now), *reasons]), is_news=bool(reasons))
    return Intend(state, now.planned, now.choice)


def _in_line(now: Situation) -> tuple[str, ...]:
    return ("waiting for a free slot", now.line) if now.line else ("waiting for a free slot",)


def _intended(now: Situation) -> Action | None:
    """There is an intent: its job is started, followed, read, or given up."""
    state = now.state
    if state is None or state.intent is None or state.stage not in ("intent", "running"):
        return None
    match now.observed:
        case Absent() | Prepared():
            return _not_running(now, state, state.intent)
        case Running():
            return _running(now, state, state.intent)
        case Finished(exit=ended) if ended.outcome in ("finished", "timed out"):
            # Out of budget: what was measured until then is judged, and nothing is repeated.
            return Results(state, state.intent)
        case Finished() if now.error and now.error.is_final:
            # A commit that is not there is on no machine, so no attempt is owed.
            used_up = replace(state, stage="stopped", closed=ATTEMPTS, intent=None, note=now.error.text)
            return Fail(used_up, now.error.text, "code")
        case Finished(exit=ended):
            return closed(state, f"the job ended: {now.error.text if now.error else ended.outcome}")
        case Lost(why=why):
            return Bury(state, state.intent, f"the job was lost: {why}")
        case Unreachable(why=why):
            if now.now > datetime.fromisoformat(state.intent.hard_end):
                return closed(state, f"its hard end is over and the pod cannot be asked: {why}")
            return Refresh(f"the pod cannot be reached: {why}", is_news=True)
        case None:
            return Rest("the job was not looked at")


def _not_running(now: Situation, state: State, intent: Intent) -> Action:
    if state.stage == "running" and isinstance(now.observed, Absent):
        return closed(state, "its job folder is gone: the pod was replaced, or somebody deleted it")
    if now.now > datetime.fromisoformat(intent.hard_end):
        return closed(state, "the job did not start before its hard end")
    if not isinstance(now.planned, Planned) or now.planned.plan.hash != state.plan:
        return closed(state, "the plan has changed since its intent")
    return Launch(state, intent, now.planned)


def _running(now: Situation, state: State, intent: Intent) -> Action:
    if state.stage == "intent":
        return Progress(replace(state, stage="running", note=""))
    if now.is_enough:
        return Enough(intent)
    if now.is_stale and not now.ledger.is_told_stale(intent.job):
        return _stale(now, intent)
    last = now.ledger.last_word
    if last is None or now.now - last >= LIVE_EVERY:
        return Refresh(now.live)
    return Rest("the job runs")


def _stale(now: Situation, intent: Intent) -> Note:
    assert isinstance(now.observed, Running)
    quiet = duration_text(now.observed.quiet_s)
    lines = (
        f"job {intent.job} on pod {intent.pod} has written nothing for {quiet}: {now.doing or 'it runs'}",
        f"it goes on, and ends by {intent.hard_end} at the latest",
    )
    advice = "Comment `/cancel` to end it now. This is said once."
    return Note("No sign of the job for a while", lines, advice, {"schema": 1, "stale": intent.job})


def closed(state: State, why: str) -> Progress | Fail:
    """An attempt ended without a result. Failures of machine or network are tried again, a bounded number."""
    closed = state.closed + 1
    if closed >= ATTEMPTS:
        return Fail(replace(state, stage="stopped", closed=closed, intent=None, note=why), why)
    return Progress(replace(state, stage="approved", closed=closed, intent=None, note=why))


ROWS: tuple[Row, ...] = (
    ("the issue is gone, and its markers with it", _gone),
    ("another agent holds it", _held),
    ("somebody commands", _spoken),
    ("nobody wants it any more", _unwanted),
    ("a marker of ours does not hold", _broken),
    ("its verdict has no closing note", _unclosed),
    ("its verdict supersedes what was said before", _superseded),
    ("the text is new", _edited),
    ("it has its verdict", _judged),
    ("wanted again", _wanted_again),
    ("waiting for approval", _waiting),
    ("results without their verdict", _unjudged),
    ("approved", _approved),
    ("a job was intended", _intended),
)

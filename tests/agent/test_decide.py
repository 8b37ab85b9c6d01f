"""The table of the loop, one claim a row: from a situation to the one next step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.action import (
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
from agent.decide import ROWS, decide
from agent.ledger import Intent, Ledger, Said, State
from agent.marker import Marker
from agent.planning import Planned
from agent.reading import needs
from agent.situation import ATTEMPTS, Approval, Refused, Situation, WorkerError
from agent.task import Problem, Problems, Task
from agent.tracker import Comment, Gone, Issue, User
from pods.choose import Choice, Ranked
from pods.job import Absent, Exit, Finished, Lost, Prepared, Running, Unreachable
from tests.agent.made_job import made_plan

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ADA = User("ada", 2)
ISSUE = Issue(36, "faster", "body", ADA, ("bench",), True, NOW)
TASK = Task(baseline="main", optimized="faster", recipes=("sft",))
PLANNED = Planned(made_plan())
PLAN = PLANNED.plan.hash
YES, NO = Approval(True, "standing budget for ada"), Approval(False, "comment /approve")
INTENT = Intent(1, "local", "cpu", "job-a1", (NOW + timedelta(hours=1)).isoformat())
STATE = State("approved", "b1", TASK.digest, PLAN, "standing budget for ada")


def comment(number, minutes_old=0.0):
    at = NOW - timedelta(minutes=minutes_old)
    return Comment(number, f"N{number}", User("bot", 1), "", at, at)


def said(kind, version, payload, minutes_old=0.0):
    return Said(Marker(kind, version, "", payload), comment(100 + version, minutes_old))


def ledger(state=None, *others, minutes_old=0.0, **fields):
    entries = [said("progress", 1, state.to_payload(), minutes_old)] if state else []
    found = {(one.marker.kind, one.marker.version): one for one in (*entries, *others)}
    return Ledger(found, state=state, **fields)


FREE = Choice((Ranked("pod-1", "cpu", "1 of 1 free"),))
FULL = Choice((Ranked("pod-1", None, "in use by x (1)"), Ranked("pod-2", None, "not reached")))


def situation(state=None, *others, **fields):
    minutes_old = fields.pop("minutes_old", 0.0)
    base = Situation(
        ISSUE,
        True,
        "b1",
        ledger(state, *others, minutes_old=minutes_old),
        NOW,
        TASK,
        PLANNED,
        YES,
        choice=FREE,
    )
    return replace(base, **fields)


def ended(outcome="finished"):
    return Finished(Exit(outcome, 0, None, NOW, NOW, 0, (), None), None)


RESULTS = said("results", 1, {"plan": PLAN, "job": "job-a1"})
REVIEWED = said("reviewer-verdict", 1, {"plan": PLAN})
VERDICT = said("verdict", 1, {"plan": PLAN})
CLOSED = said("note", 1, {"closes": 1})
RUNNING = Running(1, 0.0, None, False)
INTENDED = replace(STATE, stage="intent", intent=INTENT)
MEASURING = replace(STATE, stage="running", intent=INTENT)


def test_a_new_task_within_the_standing_budget_is_approved():
    action = decide(situation())
    assert isinstance(action, Progress)
    assert (action.state.stage, action.state.plan, action.state.approved_by) == ("approved", PLAN, YES.words)


def test_a_task_beyond_it_waits_and_says_for_what():
    action = decide(situation(approval=NO))
    assert (action.state.stage, action.state.note) == ("waiting", "comment /approve")


def test_a_body_with_problems_is_asked_about_once():
    problems = Problems((Problem("Baseline commit", "is missing", "3f2a9c1"),))
    first = decide(situation(asked=problems))
    assert (first.state.stage, first.problems) == ("blocked", problems)
    assert isinstance(decide(situation(first.state, asked=problems)), Rest)


def test_a_task_without_a_plan_is_blocked_with_its_reason():
    problem = Problem("Baseline commit", "no commit 'x'", "656703d", 5)
    for state in (None, STATE, replace(STATE, stage="waiting"), replace(STATE, stage="stopped")):
        action = decide(situation(state, planned=Refused(problem)))
        assert (action.state.stage, action.state.note) == ("blocked", "Baseline commit: no commit 'x'")
        assert action.problems == Problems((problem,))


def test_waiting_rests_until_somebody_approves():
    waiting = replace(STATE, stage="waiting", approved_by="")
    assert isinstance(decide(situation(waiting, approval=NO)), Rest)
    assert decide(situation(waiting)).state.stage == "approved"


def test_an_approved_plan_is_intended_when_a_slot_is_free():
    assert isinstance(decide(situation(STATE)), Intend)
    assert decide(situation(STATE, is_slot_free=False)) == Refresh("waiting for a free slot")


def test_an_approved_plan_that_fits_no_free_slot_waits_and_says_why_not():
    assert decide(situation(STATE, choice=FULL)) == Refresh(
        "waiting for a free slot; pod-1: in use by x (1); pod-2: not reached", is_news=True
    )


def test_pods_that_cannot_be_asked_are_told_while_a_slot_is_waited_for():
    waiting = situation(STATE, is_slot_free=False, troubles=("pod-2: not reached",))
    assert decide(waiting) == Refresh("waiting for a free slot; pod-2: not reached", is_news=True)


def test_a_job_whose_folder_vanished_while_it_ran_is_an_attempt():
    gone = decide(situation(MEASURING, observed=Absent()))
    assert (gone.state.stage, gone.state.closed, gone.state.intent) == ("approved", 1, None)


def test_a_plan_whose_earlier_attempts_used_up_its_budget_is_not_intended():
    """From 12:00 on, and closed at 12:00 + 36 min: 0.6 h."""
    closed = Said(Marker("progress", 2, "", STATE.to_payload()), comment(200, minutes_old=-36))
    used = Ledger(
        {("progress", 1): said("progress", 1, INTENDED.to_payload()), ("progress", 2): closed}, state=STATE
    )
    left = situation(ledger=used, gpu_hours=1.0)
    assert isinstance(decide(left), Intend)
    assert left.left_s == pytest.approx(0.4 * 3600)
    action = decide(replace(left, gpu_hours=0.6))
    assert isinstance(action, Fail)
    assert "used up the 0.6 GPU-hours" in action.why
    assert isinstance(decide(situation(action.state)), Rest)


def test_an_approval_of_another_plan_is_not_one_of_this():
    other = Planned(made_plan(replicates=5))
    action = decide(situation(STATE, planned=other, approval=NO))
    assert (action.state.stage, action.state.plan) == ("waiting", other.plan.hash)


@pytest.mark.parametrize("observed", [Absent(), Prepared()])
def test_an_intended_job_that_is_not_there_is_launched(observed):
    assert isinstance(decide(situation(INTENDED, observed=observed)), Launch)


def test_a_job_that_never_started_is_given_up_after_its_hard_end():
    late = replace(INTENDED, intent=replace(INTENT, hard_end=(NOW - timedelta(minutes=1)).isoformat()))
    action = decide(situation(late, observed=Absent()))
    assert (action.state.stage, action.state.closed, action.state.intent) == ("approved", 1, None)


def test_a_job_that_runs_is_said_once_then_kept_alive():
    assert decide(situation(INTENDED, observed=RUNNING)).state.stage == "running"
    assert decide(situation(MEASURING, observed=RUNNING)) == Rest("the job runs")
    assert decide(situation(MEASURING, observed=RUNNING, minutes_old=1, live="3/6")) == Refresh("3/6")


def test_a_job_that_finished_gives_results_review_verdict_and_note_then_rest():
    assert isinstance(decide(situation(MEASURING, observed=ended())), Results)
    measured = {"observed": ended(), "measured": ended()}
    assert decide(situation(MEASURING, RESULTS, **measured)) == Review(MEASURING, "job-a1")
    assert decide(situation(MEASURING, RESULTS, REVIEWED, **measured)) == Verdict(MEASURING, "job-a1")
    assert decide(situation(MEASURING, RESULTS, REVIEWED, VERDICT, **measured)) == Close(VERDICT)
    told = situation(MEASURING, RESULTS, REVIEWED, VERDICT, CLOSED, **measured)
    assert decide(told) == Fold(VERDICT, (told.ledger.newest("progress").comment,))
    assert isinstance(decide(replace(told, is_folded=True)), Rest)


@pytest.mark.parametrize("stage", ["approved", "intent", "running"])
def test_results_are_judged_from_their_own_job_whatever_was_begun_since(stage):
    """Killed between results and verdict, stopped, asked for again: the second attempt's folder is empty."""
    second = replace(INTENT, attempt=2, job="job-a2") if stage != "approved" else None
    again = situation(replace(STATE, stage=stage, intent=second), RESULTS, REVIEWED, observed=Absent())
    assert "results" in needs(again)
    assert decide(replace(again, measured=ended())) == Verdict(again.state, "job-a1")


def test_an_approved_task_with_results_needs_no_slot_before_its_verdict():
    approved = situation(STATE, RESULTS)
    assert needs(approved) == needs(replace(approved, measured=ended())) == {"results"}
    assert needs(replace(approved, measured=Absent())) == {"slot", "plan"}


def test_results_whose_runs_are_gone_are_measured_again():
    gone = {"observed": Absent(), "measured": Absent()}
    closed = decide(situation(MEASURING, RESULTS, **gone))
    assert (closed.state.stage, closed.state.closed, closed.state.intent) == ("approved", 1, None)
    assert isinstance(decide(situation(STATE, RESULTS, **gone)), Intend)
    second = replace(MEASURING, stage="intent", intent=replace(INTENT, attempt=2, job="job-a2"))
    assert isinstance(decide(situation(second, RESULTS, **gone)), Launch)
    assert isinstance(decide(situation(second, RESULTS, observed=ended(), measured=Absent())), Results)


def test_results_that_another_agent_read_are_not_judged_from_here():
    unknown = Unreachable("pod pod-9 is not one of this agent's")
    assert isinstance(decide(situation(MEASURING, RESULTS, observed=unknown, measured=unknown)), Refresh)


def test_an_attempt_without_result_is_tried_again_a_bounded_number_of_times():
    action = decide(situation(MEASURING, observed=ended("crashed")))
    assert (action.state.stage, action.state.closed) == ("approved", 1)
    last = replace(MEASURING, closed=ATTEMPTS - 1)
    assert isinstance(decide(situation(last, observed=ended("crashed"))), Fail)


def test_what_a_lost_job_left_behind_is_ended_before_its_attempt_is_closed():
    lost = decide(situation(MEASURING, observed=Lost("killed", None)))
    assert lost == Bury(MEASURING, INTENT, "the job was lost: killed")


def test_unreachable_is_unknown_and_not_failed():
    waits = Refresh("the pod cannot be reached: no answer", is_news=True)
    assert decide(situation(MEASURING, observed=Unreachable("no answer"))) == waits


@pytest.mark.parametrize(
    "gone",
    [
        {"issue": replace(ISSUE, is_open=False)},
        {"is_tagged": False},
    ],
)
def test_what_nobody_wants_any_more_is_stopped(gone):
    action = decide(situation(MEASURING, observed=RUNNING, **gone))
    assert isinstance(action, Stop)
    assert action.intent == INTENT


UNWANTED = [
    {"issue": replace(ISSUE, is_open=False)},
    {"body": "b2", "asked": replace(TASK, optimized="other")},
]


@pytest.mark.parametrize("change", UNWANTED, ids=["closed", "edited"])
def test_a_job_that_cannot_be_ended_from_here_is_waited_for_and_told_with_who_holds_it(change):
    theirs = replace(MEASURING, holder="pod-9", intent=replace(INTENT, pod="pod-9"))
    change = {"observed": Unreachable("pod pod-9 is not one of this agent's"), "minutes_old": 16, **change}
    action = decide(situation(theirs, agent="pod-1", **change))
    assert isinstance(action, Rest)
    assert action.is_news
    assert "job job-a1 on pod pod-9, held by pod-9, cannot be ended from here" in action.why
    assert f"it ends by {INTENT.hard_end} at the latest" in action.why


@pytest.mark.parametrize("change", UNWANTED, ids=["closed", "edited"])
def test_a_job_that_cannot_be_ended_from_here_has_ended_once_its_hard_end_is_over(change):
    late = replace(MEASURING, intent=replace(INTENT, hard_end=(NOW - timedelta(minutes=1)).isoformat()))
    action = decide(situation(late, observed=Unreachable("no answer"), **change))
    assert isinstance(action, Progress)
    assert (action.state.stage, action.state.intent) == ("stopped", None)


@pytest.mark.parametrize("why", ["deleted", "transferred", "not found"])
def test_the_jobs_of_an_issue_that_is_gone_are_ended_though_no_marker_is_left(why):
    gone = situation(issue=Gone(why), is_tagged=False, jobs=("job-a1",))
    assert decide(gone) == Free(("job-a1",), f"the issue was {why}")
    assert isinstance(decide(replace(gone, jobs=())), Rest)


def test_a_cancel_of_this_text_stops_it_and_a_new_text_asks_anew():
    cancel = said("note", 1, {"command": "cancel", "body": "b1"})
    assert isinstance(decide(situation(MEASURING, cancel, observed=RUNNING)), Stop)
    stopped = replace(STATE, stage="stopped")
    assert isinstance(decide(situation(stopped, cancel)), Rest)
    assert decide(situation(stopped, cancel, body="b2")).state.stage == "approved"


def test_an_issue_that_was_closed_and_opened_again_is_asked_for_anew():
    assert decide(situation(replace(STATE, stage="stopped"))).state.stage == "approved"
    used_up = replace(STATE, stage="stopped", closed=ATTEMPTS)
    assert isinstance(decide(situation(used_up)), Rest)


def test_an_edit_that_changes_the_task_stops_its_job():
    other = replace(TASK, optimized="other")
    assert isinstance(decide(situation(MEASURING, body="b2", asked=other, observed=RUNNING)), Stop)


def test_an_edit_of_wording_changes_nothing_but_the_digest():
    action = decide(situation(MEASURING, body="b2", observed=RUNNING))
    assert isinstance(action, Progress)
    assert (action.state.stage, action.state.body, action.state.intent) == ("running", "b2", INTENT)


@pytest.mark.parametrize("stage", ["running", "done", "stopped"])
def test_an_edit_of_wording_behind_the_verdict_changes_nothing(stage):
    edited = situation(replace(MEASURING, stage=stage), VERDICT, CLOSED, body="b2", is_folded=True)
    assert needs(edited) == frozenset()
    assert isinstance(decide(replace(edited, planned=None, approval=None)), Rest)


@pytest.mark.parametrize("stage", ["running", "done"])
def test_another_task_behind_the_verdict_is_understood_without_stopping_anything(stage):
    other = {"asked": replace(TASK, optimized="other"), "planned": Planned(made_plan(replicates=5))}
    edited = situation(replace(MEASURING, stage=stage), VERDICT, CLOSED, body="b2", is_folded=True, **other)
    assert needs(edited) == {"plan", "approval"}
    assert decide(edited).state.stage == "approved"


def test_a_plan_that_has_its_verdict_is_not_run_again():
    verdict = said("verdict", 1, {"plan": PLAN})
    assert decide(situation(None, verdict)).state.stage == "done"


def test_a_broken_marker_of_our_own_parks_the_task_with_one_note():
    broken = Ledger({}, broken=("comment 7: changed",))
    assert decide(situation(ledger=broken)) == Park(("comment 7: changed",))
    note = said("note", 1, {"broken": ["comment 7: changed"]})
    told = Ledger({("note", 1): note}, broken=("comment 7: changed",))
    assert isinstance(decide(situation(ledger=told)), Rest)


def test_an_issue_at_rest_needs_no_reading():
    blocked = replace(STATE, stage="blocked")
    assert needs(situation(blocked)) == frozenset()
    assert needs(situation(MEASURING)) == frozenset({"job"})


@pytest.mark.parametrize("stage", ["approved", "intent", "running", "stopped", "done"])
@pytest.mark.parametrize("changes", [{}, {"is_tagged": False}], ids=["wanted", "unlabelled"])
def test_an_issue_with_its_verdict_needs_no_reading(stage, changes):
    assert needs(situation(replace(MEASURING, stage=stage), VERDICT, **changes)) == frozenset()


def test_an_approved_plan_is_made_anew_only_when_the_slot_is_free():
    assert needs(situation(STATE, is_slot_free=False)) == {"slot"}
    assert needs(situation(STATE)) == {"slot", "plan"}


def test_an_approved_plan_that_moved_on_needs_an_approval_of_its_own():
    assert needs(situation(STATE, planned=Planned(made_plan(replicates=5)))) == {"slot", "plan", "approval"}


def test_every_row_has_a_name():
    assert len({name for name, _ in ROWS}) == len(ROWS)


def test_what_another_agent_holds_is_left_alone_while_its_word_is_fresh():
    theirs = replace(MEASURING, holder="pod-9")
    assert decide(situation(theirs, observed=ended(), agent="pod-1")) == Rest("held by pod-9")
    assert isinstance(decide(situation(theirs, observed=ended(), agent="pod-9")), Results)
    assert isinstance(decide(situation(theirs, observed=ended(), agent="pod-1", minutes_old=16)), Results)


def test_a_pod_that_cannot_be_asked_is_given_up_after_the_hard_end():
    late = replace(MEASURING, intent=replace(INTENT, hard_end=(NOW - timedelta(minutes=1)).isoformat()))
    action = decide(situation(late, observed=Unreachable("gone")))
    assert (action.state.stage, action.state.closed) == ("approved", 1)


def test_a_job_that_used_up_its_budget_is_judged_and_not_repeated():
    assert isinstance(decide(situation(MEASURING, observed=ended("timed out"))), Results)


def test_what_would_fail_on_every_machine_is_not_tried_again():
    missing = WorkerError("fatal: not our ref", is_final=True)
    action = decide(situation(MEASURING, observed=ended("crashed"), error=missing))
    assert isinstance(action, Fail)
    assert action.why == "fatal: not our ref"


def test_a_network_that_failed_costs_an_attempt_and_no_more():
    down = {
        "observed": ended("crashed"),
        "error": WorkerError("fatal: could not resolve host", is_final=False),
    }
    action = decide(situation(MEASURING, **down))
    assert (action.state.stage, action.state.closed) == ("approved", 1)
    assert action.state.note == "the job ended: fatal: could not resolve host"
    last = decide(situation(replace(MEASURING, closed=ATTEMPTS - 1), **down))
    assert last.why == "the job ended: fatal: could not resolve host"


def test_a_job_whose_runs_decide_is_told_so_and_goes_on_being_followed():
    running = replace(STATE, stage="running", intent=INTENT)
    told = situation(running, observed=RUNNING, is_enough=True)
    assert decide(told) == Enough(INTENT)
    assert not isinstance(decide(replace(told, is_enough=False)), Enough)


def test_a_job_that_just_began_is_first_said_to_run():
    intended = replace(STATE, stage="intent", intent=INTENT)
    assert isinstance(decide(situation(intended, observed=RUNNING, is_enough=True)), Progress)


def test_a_job_without_a_sign_for_long_is_told_of_once():
    quiet = Running(1, 0.0, None, False, quiet_s=1900.0)
    found = decide(situation(MEASURING, observed=quiet, stale_s=1800.0))
    assert isinstance(found, Note)
    assert found.lines[0] == "job job-a1 on pod local has written nothing for 31 min 40 s: it runs"
    told = said("note", 1, found.payload)
    assert not isinstance(decide(situation(MEASURING, told, observed=quiet, stale_s=1800.0)), Note)
    assert not isinstance(decide(situation(MEASURING, observed=quiet, stale_s=1901.0)), Note)
    assert not isinstance(decide(situation(MEASURING, observed=RUNNING, stale_s=1.0)), Note)

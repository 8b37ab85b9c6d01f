"""Labels are a view of the state: which one stands for what, and that nothing else is touched."""

from dataclasses import replace

import pytest

from agent.labels import Change, change_for, to_ensure
from tests.agent.test_decide import ISSUE, PLAN, STATE, said, situation

VERDICT = said("verdict", 1, {"plan": PLAN})


def labelled(*labels):
    return replace(ISSUE, labels=("bench", *labels))


@pytest.mark.parametrize(
    ("stage", "view"),
    [
        ("blocked", "needs-decision"),
        ("waiting", "needs-decision"),
        ("approved", "queued"),
        ("intent", "running"),
        ("running", "running"),
    ],
)
def test_each_stage_has_its_view(stage, view):
    found = situation(replace(STATE, stage=stage))
    assert change_for(found, "bench") == Change((f"bench:{view}",), ())
    there = replace(found, issue=labelled(f"Bench:{view}"))
    assert not change_for(there, "bench"), "what is right already is not written"


def test_a_new_view_takes_the_place_of_the_old_one_and_touches_no_other():
    found = situation(STATE, VERDICT, issue=labelled("bench:running", "bench:queued", "bug"))
    assert change_for(found, "bench") == Change(("bench:done",), ("bench:queued", "bench:running"))


def test_a_task_that_was_stopped_or_closed_has_none():
    stopped = situation(replace(STATE, stage="stopped"), issue=labelled("bench:running"))
    assert change_for(stopped, "bench") == Change((), ("bench:running",))
    closed = situation(STATE, issue=replace(labelled("bench:queued"), is_open=False))
    assert change_for(closed, "bench") == Change((), ("bench:queued",))


def test_a_parked_task_needs_a_decision():
    parked = situation(STATE)
    parked = replace(parked, ledger=replace(parked.ledger, broken=("comment 7: ...",)))
    assert change_for(parked, "bench") == Change(("bench:needs-decision",), ())


def test_labels_are_named_for_the_one_that_asks():
    assert [name for name, *_ in to_ensure("perf")] == [
        "perf:queued",
        "perf:running",
        "perf:needs-decision",
        "perf:done",
    ]

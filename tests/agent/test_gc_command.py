"""What may go from a pod's workspace."""

import pytest

from agent.gc_command import DAY_S, Tidied, tidied, why_kept
from agent.ledger import Ledger, State

PLAN = "0123456789abcdef"


def job(has_ended=True):
    return {"has_ended": has_ended, "size_b": 1 << 20, "age_s": 0.0}


def test_a_job_goes_when_nothing_keeps_it_and_it_has_ended():
    listed = {"jobs": {"judged": job(), "open": job(), "runs": job(has_ended=False)}, "environments": {}}
    found = tidied(listed, lambda name, _age_s: "" if name != "open" else "#1 has no verdict", days=14)
    assert found == Tidied(("judged",), (), {"open": "#1 has no verdict", "runs": "it has not ended"})


def test_an_environment_goes_when_nothing_has_used_it_for_so_long():
    used = {"old": {"age_s": 15 * DAY_S, "size_b": 0}, "new": {"age_s": 13 * DAY_S, "size_b": 0}}
    found = tidied({"jobs": {}, "environments": used}, lambda _name, _age_s: "", days=14)
    assert found == Tidied((), ("old",), {"new": "used 13 days ago"})


@pytest.mark.parametrize(
    ("stage", "plan", "days", "why"),
    [
        ("running", PLAN, 99, "has no verdict of its plan yet"),
        ("waiting", PLAN, 99, "has no verdict of its plan yet"),
        ("stopped", PLAN, 13, "has no verdict of its plan, and none is to come; it ended 13 days ago"),
        ("stopped", PLAN, 15, ""),
        ("blocked", PLAN, 15, ""),
        ("running", "another", 15, ""),
        ("running", "another", 1, "has no verdict of its plan, and none is to come; it ended 1 day ago"),
    ],
)
def test_a_job_of_which_no_verdict_will_come_goes_after_a_while(stage, plan, days, why):
    ledger = Ledger(state=State(stage, "body", plan=plan))
    assert why_kept(ledger, PLAN[:12], days * DAY_S, 14) == why


@pytest.mark.parametrize("ledger", [Ledger(), Ledger(state=State("stopped", "b"), broken=("comment 1",))])
def test_a_job_stays_where_what_was_decided_cannot_be_read(ledger):
    assert why_kept(ledger, PLAN[:12], 99 * DAY_S, 14) == "has no verdict of its plan yet"

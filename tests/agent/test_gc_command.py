"""What may go from a pod's workspace."""

from agent.gc_command import DAY_S, Tidied, tidied


def job(has_ended=True):
    return {"has_ended": has_ended, "size_b": 1 << 20, "age_s": 0.0}


def test_a_job_goes_when_nothing_keeps_it_and_it_has_ended():
    listed = {"jobs": {"judged": job(), "open": job(), "runs": job(has_ended=False)}, "environments": {}}
    found = tidied(listed, lambda name: "" if name != "open" else "#1 has no verdict", days=14)
    assert found == Tidied(("judged",), (), {"open": "#1 has no verdict", "runs": "it has not ended"})


def test_an_environment_goes_when_nothing_has_used_it_for_so_long():
    used = {"old": {"age_s": 15 * DAY_S, "size_b": 0}, "new": {"age_s": 13 * DAY_S, "size_b": 0}}
    found = tidied({"jobs": {}, "environments": used}, lambda _: "", days=14)
    assert found == Tidied((), ("old",), {"new": "used 13 days ago"})

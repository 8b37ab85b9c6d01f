"""What an operator asks of the tracker: status, watch, cancel."""

from dataclasses import replace

import pytest

from agent import talk
from agent.errors import TaskError
from agent.ledger import Intent, State
from agent.loop import Loop
from agent.marker import LIVE, Key, Marker, Place, parse, render
from agent.talk import Status, cancel, lines_of, status_dicts, statuses, watch
from tests.agent.test_loop import KEY, TOO_DEAR, World

INTENT = Intent(1, "pod-1", "cpu", "acme-target-1-0123456789ab-a1", "2026-11-20T13:00:00+00:00")
RUNNING = State("running", "b1", "t1", "p1", "standing budget", INTENT)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def say(world, number, kind, version, payload, text="## text", who="paceline", key=KEY):
    marker = Marker(kind, version, text, payload)
    world.tracker.comment(who, render(marker, Place(42, number), key), number)


def newest_statuses(world):
    """As a process of its own sees them: its first list is never "nothing has changed"."""
    world.tracker.comment("ada", "any news?")
    return statuses(world.desk)


# Status.


def test_without_an_issue_it_is_said_so():
    assert list(lines_of([])) == ["no open issue has the label"]


def test_an_issue_nobody_looked_at_is_told_as_such(world):
    world.file()
    assert list(lines_of(statuses(world.desk))) == ["#1 faster: not looked at yet"]


def test_issues_are_told_by_number(world):
    world.file(), world.file(), world.file()
    assert [one.issue for one in statuses(world.desk)] == [1, 2, 3]


def test_an_issue_that_waits_is_told_with_what_for(world):
    number = world.file(TOO_DEAR)
    world.settle()
    [status] = newest_statuses(world)
    assert (status.issue, status.stage) == (number, "waiting")
    assert "/approve" in status.note


def test_a_job_that_runs_is_told_by_its_live_line(world):
    number = world.file()
    say(world, number, "progress", 1, RUNNING.to_payload(), f"## x\n\n{LIVE} 3 of 9 runs done\n\nmore")
    assert list(lines_of(statuses(world.desk))) == ["#1 faster: running, 3 of 9 runs done"]


def test_a_verdict_is_the_last_word(world):
    number = world.file()
    say(world, number, "progress", 1, RUNNING.to_payload(), f"## x\n\n{LIVE} 9 of 9 runs done\n\nmore")
    say(world, number, "verdict", 1, {"schema": 1, "plan": "p1", "outcome": "FAIL"})
    assert list(lines_of(statuses(world.desk))) == ["#1 faster: verdict, FAIL"]


def test_a_verdict_of_another_plan_is_not_this_ones(world):
    number = world.file()
    say(world, number, "progress", 1, RUNNING.to_payload())
    say(world, number, "verdict", 1, {"schema": 1, "plan": "p2", "outcome": "FAIL"})
    assert statuses(world.desk)[0].verdict == ""


def test_a_verdict_that_somebody_else_wrote_is_none(world):
    number = world.file()
    say(world, number, "progress", 1, RUNNING.to_payload())
    say(world, number, "verdict", 1, {"schema": 1, "plan": "p1", "outcome": "PASS"}, who="ada")
    assert statuses(world.desk)[0].stage == "running"


def test_status_as_data_has_the_same_fields(world):
    world.file()
    assert status_dicts(world.desk) == [
        {
            "issue": 1,
            "title": "faster",
            "stage": "not looked at yet",
            "plan": "",
            "verdict": "",
            "live": "",
            "note": "",
        }
    ]


def test_one_issue_that_cannot_be_read_hides_no_other(world):
    first = world.file()
    world.file()
    say(world, first, "progress", 1, {"schema": 99})
    assert len(statuses(world.desk)) == 2


def test_a_parked_issue_is_told_as_parked(world):
    number = world.file()
    say(world, number, "progress", 1, RUNNING.to_payload(), key=Key("89abcdef", b"o" * 32))
    world.settle()
    assert newest_statuses(world)[0].stage == "parked"


def test_a_title_moves_no_cursor():
    [line] = lines_of([Status(1, "fast\x1b[2Jer", "waiting", "", "", "", "")])
    assert line.isprintable()


# Watch.


def test_watching_an_issue_that_rests_says_it_and_ends(world):
    number = world.file()
    world.settle()
    said: list[str] = []
    watch(world.desk, number, said.append)
    assert len(said) == 1
    assert said[0].startswith("#1 faster: blocked")


def test_watching_says_each_change_once_until_the_verdict(world, monkeypatch):
    number = world.file()
    later = [
        lambda: say(world, number, "progress", 1, RUNNING.to_payload()),
        lambda: None,
        lambda: say(world, number, "verdict", 1, {"schema": 1, "plan": "p1", "outcome": "PASS"}),
    ]
    monkeypatch.setattr(talk.time, "sleep", lambda seconds: later.pop(0)())
    said: list[str] = []
    watch(world.desk, number, said.append)
    assert [line.partition(": ")[2] for line in said] == ["not looked at yet", "running", "verdict, PASS"]


def test_watching_an_issue_that_was_closed_ends(world):
    number = world.file()
    world.tracker.close_issue(number)
    watch(world.desk, number, lambda line: None)


def test_watching_an_issue_without_the_label_says_so_and_ends(world):
    number = world.file()
    world.tracker.label(number)
    said: list[str] = []
    watch(world.desk, number, said.append)
    assert said[-1] == "#1 has no label 'bench': no agent looks at it"


def test_an_issue_that_is_not_there_is_told_with_its_repository(world):
    with pytest.raises(TaskError, match="issue 9 of acme/target was not found"):
        watch(world.desk, 9, lambda line: None)


# Cancel.


def test_cancel_posts_a_note_that_the_agent_obeys(world):
    number = world.file(TOO_DEAR)
    world.settle()
    told = "#1 is cancelled; the agent ends what is under way at its next look"
    assert cancel(world.desk, number) == told
    world.settle()
    assert world.stages(number) == ["waiting", "stopped"]


def test_a_closed_issue_has_nothing_to_cancel(world):
    number = world.file(TOO_DEAR)
    world.settle()
    world.tracker.close_issue(number)
    with pytest.raises(TaskError, match="#1 is closed: there is nothing to cancel"):
        cancel(world.desk, number)
    assert "note v1" not in world.markers(number)


def test_an_issue_without_the_label_has_nothing_to_cancel(world):
    number = world.file(TOO_DEAR)
    world.tracker.label(number)
    with pytest.raises(TaskError, match="#1 has no label 'bench': there is nothing to cancel"):
        cancel(world.desk, number)
    assert world.markers(number) == []


def test_a_task_with_problems_has_nothing_to_cancel(world):
    number = world.file("### Kind\n\ninfra\n")
    world.settle()
    with pytest.raises(TaskError, match="#1 waits for its author: there is nothing to cancel"):
        cancel(world.desk, number)


def test_cancel_twice_posts_once(world):
    number = world.file(TOO_DEAR)
    cancel(world.desk, number)
    assert cancel(world.desk, number) == "#1 was cancelled already"
    assert len(world.tracker.writes) == 1


def test_a_cancelled_task_is_asked_for_anew_by_another_text(world):
    number = world.file(TOO_DEAR)
    world.settle()
    cancel(world.desk, number)
    world.settle()
    world.tracker.edit_body(number, TOO_DEAR.replace("\n5\n", "\n6\n"))
    world.settle()
    assert world.stages(number) == ["waiting", "stopped", "waiting"]


def test_a_note_of_cancel_can_be_read_back(world):
    number = world.file()
    cancel(world.desk, number)
    [comment] = world.tracker.comments(number)
    marker = parse(comment.body, Place(42, number), [KEY])
    assert (marker.kind, marker.payload["command"]) == ("note", "cancel")


def test_cancel_of_an_issue_that_is_gone_is_refused(world):
    number = world.file()
    world.tracker.delete(number)
    with pytest.raises(TaskError, match="was deleted"):
        cancel(world.desk, number)


def test_a_cancelled_issue_stays_so_for_an_agent_that_starts_anew(world):
    number = world.file(TOO_DEAR)
    cancel(world.desk, number)
    world.loop = Loop(replace(world.desk, agent="elsewhere"), world.clock, world.said.append)
    world.settle()
    assert world.stages(number) == []

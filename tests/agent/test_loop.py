"""The loop on a tracker in memory: what a poll reads, what trouble does, that nothing is said twice."""

import json
import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest

from agent.gather import Desk, digest_of_text
from agent.ledger import Intent, State
from agent.loop import WAITING_EVERY, Loop
from agent.marker import Key, Marker, Place, parse, render
from agent.operator import Operator
from agent.planning import plan_for
from agent.requested import request_of
from agent.task import Task, parse_task
from agent.tracker import Limited, Locked, Revoked, TrackerError
from agent.tracker_source import TrackerSource
from agent.yard import Yard
from pods.fleet import Fleet
from pods.inventory import Inventory, Pod
from tests.agent.made_job import made_plan, write_job
from tests.fakes.machine import FakeMachine
from tests.fakes.tracker import FakeTracker

KEY = Key("0123abcd", b"k" * 32)
CONFIG = '[recipe.sleep]\nrun = ["{python}", "-c", "pass"]\n'
BODY = """### Kind

infra

### Baseline commit

main

### Optimized commit

main

### Recipes

{recipes}

### GPU-hour budget

{hours}
"""
UNCLEAR = "make it faster"
TOO_DEAR = BODY.format(recipes="sleep", hours=5)
CHEAP = BODY.format(recipes="sleep", hours=0.5)
REFUSED = BODY.format(recipes="sleeep", hours=5)


class Clock:
    """A second passes at every look: two changes never have one stamp."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class World:
    """A tracker, an agent's desk over it, and what the agent has said to its log. Nobody reaches the machine
    until a test says so."""

    def __init__(self, folder) -> None:
        self.clock = Clock()
        self.tracker = FakeTracker(self.clock)
        self.tracker.set_role("ada", "write")
        self.tracker.add_commit("recipes", paceline__toml=CONFIG)
        operator = Operator("acme/target", "https://tracker.invalid", "token", poll_s=0.2)
        self.jobs = folder / "jobs"
        self.machine = FakeMachine("pod-1")
        self.machine.is_reached = False
        pod = Pod("pod-1", engine="local", workspace=folder, machine=folder / "machine")
        fleet = Fleet(Inventory((pod,), folder / "pins"), {"pod-1": self.machine})
        self.desk = Desk(self.tracker, operator, (KEY,), Yard(fleet, folder), self.tracker.me(), 42, "here")
        self.said: list[str] = []
        self.loop = self.started()

    def started(self, **options) -> Loop:
        """A new agent: it knows only what stands on the issues and in the folder of jobs."""
        return Loop(self.desk, self.clock, self.said.append, **options)

    def file(self, body=UNCLEAR, author="ada") -> int:
        return self.tracker.file_issue(author, body)

    def posts(self):
        """What was sent to be said, stored or not; labels and reactions say nothing."""
        return [write for write in self.tracker.writes if write.kind == "post"]

    def markers(self, number) -> list[str]:
        found = [parse(one.body, Place(42, number), [KEY]) for one in self.tracker.comments(number)]
        return [f"{one.kind} v{one.version}" for one in found if isinstance(one, Marker)]

    def stages(self, number) -> list[str]:
        found = [parse(one.body, Place(42, number), [KEY]) for one in self.tracker.comments(number)]
        return [one.payload["stage"] for one in found if isinstance(one, Marker) and "stage" in one.payload]

    def settle(self) -> None:
        """Until a tick does nothing: the agent's own comments are news too."""
        while self.loop.tick():
            pass
        self.loop.tick()

    def reads_of_a_tick(self) -> list[str]:
        del self.tracker.reads[:]
        self.loop.tick()
        return list(self.tracker.reads)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


# What a poll reads.


def test_a_poll_without_issues_reads_the_list(world):
    assert world.reads_of_a_tick() == ["tagged"]


def test_a_poll_in_which_nothing_changed_reads_the_list_only(world):
    world.file()
    world.settle()
    assert world.reads_of_a_tick() == ["tagged"]


def test_a_task_that_was_refused_is_left_alone_until_something_changes(world):
    world.file(REFUSED)
    world.settle()
    assert world.reads_of_a_tick() == ["tagged"]


def test_an_issue_that_waits_for_approval_is_left_alone_until_something_changes(world):
    world.file(TOO_DEAR)
    world.settle()
    assert world.reads_of_a_tick() == ["tagged"]


def test_a_comment_in_the_second_of_the_agents_own_is_heard(world):
    """Times are whole seconds there, and a task that waits for its author is not looked at by itself."""
    number = world.file(UNCLEAR)
    world.settle()
    stamp = world.tracker.issue(number).updated_at
    world.clock.now = stamp - timedelta(seconds=2)  # a comment takes two: its own stamp, and the issue's
    world.tracker.comment("ada", "/status", number)
    assert world.tracker.issue(number).updated_at == stamp
    world.settle()
    assert world.markers(number)[-1] == "note v1"


def measured(world, body=CHEAP) -> int:
    """An issue whose plan has its verdict: its stage is still the last that was said, running."""
    number = world.file(body)
    left(world, number, plan="p1")
    say(world, number, "results", 1, {"schema": 1, "plan": "p1"})
    say(world, number, "verdict", 1, {"schema": 1, "plan": "p1", "outcome": "PASS"})
    return number


@pytest.mark.parametrize("end", ["close_issue", "label", None], ids=["closed", "unlabelled", "open"])
def test_an_issue_with_its_verdict_is_left_alone(world, end):
    number = measured(world)
    world.settle()
    if end:
        getattr(world.tracker, end)(number)
        world.settle()
    assert world.reads_of_a_tick() == ["tagged"]
    assert world.machine.questions == []


def test_a_comment_behind_the_verdict_costs_a_look_and_no_plan(world):
    number = measured(world)
    world.settle()
    world.tracker.comment("ada", "thank you", number)
    assert world.reads_of_a_tick() == ["tagged", "issue", "comments"]


def test_a_parked_issue_is_left_alone_until_something_changes(world):
    number = world.file(CHEAP)
    left(world, number)
    say(world, number, "results", 1, {}, key=Key("89abcdef", b"o" * 32))
    world.settle()
    assert world.markers(number)[-1] == "note v1"
    assert world.reads_of_a_tick() == ["tagged"]


def queued(world) -> int:
    """An issue that was approved and waits for the slot, which somebody else has."""
    world.machine.is_reached, world.machine.is_free = True, False
    number = world.file(CHEAP)
    world.settle()
    assert world.stages(number) == ["approved"]
    return number


def test_issues_that_wait_for_the_slot_are_one_question_to_the_machine(world):
    queued(world), queued(world)
    del world.machine.questions[:]
    assert world.reads_of_a_tick() == ["tagged"]
    assert world.machine.questions == ["jobs"]


def test_an_issue_that_waits_for_the_slot_and_changed_is_not_planned(world):
    number = queued(world)
    world.tracker.comment("ada", "any news?", number)
    assert world.reads_of_a_tick() == ["tagged", "issue", "comments"]


def test_an_issue_that_waited_for_the_slot_is_begun_when_that_is_free(world):
    number = queued(world)
    world.machine.is_free = True
    world.settle()
    assert world.stages(number) == ["approved", "intent", "running"]


def test_what_another_agent_holds_is_not_looked_at_each_tick(world):
    number = world.file(TOO_DEAR)
    left(world, number, holder="elsewhere")
    world.settle()
    assert world.reads_of_a_tick() == ["tagged"]


def test_only_the_issue_that_changed_is_read(world):
    first, second = world.file(), world.file()
    world.settle()
    world.tracker.comment("ada", "any news?", second)
    assert world.reads_of_a_tick() == ["tagged", "issue", "comments"]
    assert len(world.markers(first)) == 1


def test_an_issue_that_vanished_from_the_list_is_asked_for_by_itself(world):
    number = world.file()
    world.settle()
    world.tracker.label(number)
    assert world.reads_of_a_tick() == ["tagged", "issue", "comments"]


def test_an_issue_that_vanished_is_asked_for_once(world):
    number = world.file()
    world.settle()
    world.tracker.label(number)
    world.settle()
    assert world.reads_of_a_tick() == ["tagged"]


@pytest.mark.parametrize("leave", ["delete", "transfer"])
def test_an_issue_that_is_gone_has_no_comments_to_read(world, leave):
    number = world.file()
    world.settle()
    getattr(world.tracker, leave)(number)
    assert world.reads_of_a_tick() == ["tagged", "issue"]


def test_an_issue_that_waited_and_lost_its_label_is_told_so(world):
    number = world.file(TOO_DEAR)
    world.settle()
    world.tracker.label(number)
    world.settle()
    assert world.stages(number) == ["waiting", "stopped"]


# What is said.


def test_a_body_with_problems_is_asked_about_once(world):
    number = world.file()
    world.settle()
    world.tracker.comment("ada", "?", number)
    world.settle()
    assert world.stages(number) == ["blocked"]


def test_a_new_body_with_problems_is_asked_about_anew(world):
    number = world.file()
    world.settle()
    world.tracker.edit_body(number, "please")
    world.settle()
    assert world.stages(number) == ["blocked", "blocked"]


def test_a_body_that_was_mended_is_understood(world):
    number = world.file()
    world.settle()
    world.tracker.edit_body(number, TOO_DEAR)
    world.settle()
    assert world.stages(number) == ["blocked", "waiting"]


def test_an_agent_that_starts_anew_says_nothing_again(world):
    number = world.file()
    world.settle()
    world.loop = world.started()
    world.settle()
    assert world.markers(number) == ["progress v1"]


def test_somebody_who_may_push_approves_and_a_reader_does_not(world):
    number = world.file(TOO_DEAR)
    world.settle()
    [waiting] = world.tracker.comments(number)
    plan = parse(waiting.body, Place(42, number), [KEY]).payload["plan"]
    world.tracker.comment("eve", f"/approve {plan[:12]}", number)
    world.settle()
    assert world.stages(number) == ["waiting"]
    world.tracker.comment("ada", f"/approve {plan[:12]}", number)
    world.loop.tick()
    assert world.stages(number) == ["waiting", "approved"]


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(world):
    world.file()
    world.started(is_dry=True).tick()
    assert world.said[0].startswith("#1: would post progress: blocked")
    assert world.tracker.writes == []


# Trouble.


def test_trouble_with_one_issue_leaves_the_others_alone(world):
    first, second = world.file(), world.file()
    world.tracker.fail_next("comments")
    world.loop.tick()
    assert (world.markers(first), world.markers(second)) == ([], ["progress v1"])
    assert world.said[0].startswith("#1: comments: the tracker is in trouble")


def test_an_issue_with_trouble_is_looked_at_again_though_it_did_not_change(world):
    number = world.file()
    world.tracker.fail_next("comments")
    world.loop.tick()
    world.loop.tick()
    assert world.markers(number) == ["progress v1"]


def test_a_pod_that_is_not_reached_is_trouble_of_its_issue_only(world):
    world.file(CHEAP)  # within the budget: the slot is asked for
    other = world.file()
    world.loop.tick()
    why = "waiting for a free slot; pod-1: pod-1 is not reached: no route to host"
    assert f"#1: {why}" in world.said
    assert world.markers(other) == ["progress v1"]


def test_our_own_bug_is_logged_with_its_traceback_and_leaves_the_others_alone(world, caplog, monkeypatch):
    first, second = world.file(), world.file()
    comments = world.tracker.comments
    monkeypatch.setattr(
        world.tracker, "comments", lambda number: comments(number if number == second else [])
    )
    with caplog.at_level(logging.ERROR):
        world.loop.tick()
    assert world.tracker.writes[0].on == second
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.getMessage().startswith(f"issue {first}: our bug")


def test_a_list_that_cannot_be_read_is_told_to_who_called(world):
    world.tracker.fail_next("tagged")
    with pytest.raises(TrackerError):
        world.loop.tick()


def test_a_tracker_in_trouble_is_waited_for(world):
    number = world.file()
    world.tracker.fail_next("tagged")
    stop = Patient(ticks=2)
    world.loop.run(stop)
    assert world.markers(number) == ["progress v1"]
    assert stop.pauses_s == [0.4, 0.2]  # twice the poll, then at once


class Patient(threading.Event):
    """Ends the loop after some ticks; keeps how long it would have waited."""

    def __init__(self, ticks: int) -> None:
        super().__init__()
        self.left, self.pauses_s = ticks, []

    def wait(self, timeout=None):
        self.pauses_s.append(timeout)
        self.left -= 1
        if not self.left:
            self.set()
        return self.is_set()


@pytest.mark.parametrize("stored", [True, False])
def test_a_post_whose_answer_did_not_come_is_looked_for_and_never_there_twice(world, stored):
    number = world.file()
    world.tracker.unsure_next("post", stored=stored)
    world.settle()
    world.settle()
    assert world.markers(number) == ["progress v1"]


def test_a_post_that_did_arrive_is_not_sent_again(world):
    world.file()
    world.tracker.unsure_next("post", stored=True)
    world.settle()
    world.settle()
    assert len(world.posts()) == 1


def test_before_an_unsure_post_is_sent_again_the_comments_are_read(world):
    world.file()
    world.tracker.unsure_next("post", stored=False)
    world.loop.tick()
    assert len(world.posts()) == 1
    assert "comments" in world.reads_of_a_tick()
    assert len(world.posts()) == 2


def test_an_unsure_answer_and_a_restart_say_nothing_twice(world):
    number = world.file(TOO_DEAR)
    world.tracker.unsure_next("post", stored=True)
    world.loop.tick()
    world.loop = world.started()
    world.settle()
    assert world.markers(number) == ["progress v1"]


@pytest.mark.parametrize(
    ("told", "stages"),
    [
        ({"text": "fatal: not our ref", "is_final": True}, ["running", "stopped"]),
        ({"text": "fatal: unable to access", "is_final": False}, ["running", "approved", "intent"]),
        ({"text": "of an older worker"}, ["running", "approved", "intent"]),
    ],
    ids=["missing", "network", "older"],
)
def test_a_job_that_could_not_be_worked_off_is_tried_again_unless_it_never_could_be(world, told, stages):
    number, name = begun(world)
    (world.jobs / name / "runs").mkdir(parents=True)
    (world.jobs / name / "runs" / "error.json").write_text(json.dumps(told))
    world.machine.has_ended(name, "crashed")
    world.settle()
    assert world.stages(number)[2:5] == stages


# What is ended, and what is said of it.


def begun(world, body=CHEAP) -> tuple[int, str]:
    """An issue whose job runs, and the name of that."""
    world.machine.is_reached = True
    number = world.file(body)
    world.settle()
    assert world.stages(number) == ["approved", "intent", "running"]
    [name] = world.machine.jobs
    return number, name


def test_that_everything_is_freed_is_said_once_it_is(world):
    number, name = begun(world)
    world.machine.stubborn.add(name)
    world.tracker.close_issue(number)
    for _ in range(3):
        world.loop.tick()
    told = f"#{number}: to be stopped: the issue was closed; job {name} has not ended (processes 4711)"
    assert [line for line in world.said if "stopped" in line] == [f"{told}: tried again at the next look"]
    assert world.stages(number)[-1] == "running"
    world.machine.stubborn.clear()
    world.settle()
    assert world.stages(number)[-1] == "stopped"
    assert world.said[-1] == f"#{number}: stopped: the issue was closed"


def test_the_job_of_an_issue_that_is_gone_is_ended_until_it_has_ended(world):
    number, name = begun(world)
    (world.jobs / name).mkdir(parents=True)
    world.machine.stubborn.add(name)
    world.tracker.delete(number)
    for _ in range(3):
        world.loop.tick()
    assert world.machine.questions.count("cancel") == 3
    world.machine.stubborn.clear()
    world.loop.tick()
    (world.jobs / name / "exit.json").write_text("{}")
    world.settle()
    assert world.reads_of_a_tick() == ["tagged"]


def test_the_job_of_an_issue_that_is_gone_is_ended_when_its_pod_is_reached_again(world):
    number, name = begun(world)
    world.machine.is_reached = False
    world.tracker.delete(number)
    world.settle()
    world.machine.is_reached = True
    world.clock.now += WAITING_EVERY
    world.settle()
    assert world.machine.questions.count("cancel") == 1
    assert world.machine.jobs[name]["exit"]["outcome"] == "cancelled"


def test_a_job_on_a_pod_of_another_agent_is_waited_for_and_told_once(world):
    world.machine.is_reached = True
    number = world.file(CHEAP)
    left(world, number, holder="elsewhere", pod="pod-9", ends_in=1, closed=0)
    world.tracker.close_issue(number)
    world.clock.now += timedelta(minutes=16)
    world.loop = world.started()
    world.loop.attention[number] = "each tick"
    for _ in range(3):
        world.loop.tick()
    [told] = world.said
    assert "on pod pod-9, held by elsewhere, cannot be ended from here" in told
    assert world.stages(number) == ["running"]
    assert "cancel" not in world.machine.questions
    world.clock.now += timedelta(hours=1)
    world.settle()
    assert world.stages(number) == ["running", "stopped"]


def test_what_a_job_does_is_said_when_it_changes_and_not_at_every_poll(world):
    number, name = begun(world)
    del world.said[:]
    for done, arm, eta_s in (
        (0, "baseline", None),
        (0, "baseline", 9.0),
        (1, "faster", 8.0),
        (1, "faster", 7.0),
    ):
        running = {"recipe": "sleep", "replicate": 1, "replicates": 3, "arm": arm, "total": 6}
        world.machine.runs(name, stage="run", done=done, eta_s=eta_s, **running)
        world.loop.tick()
    assert world.said == [
        f"#{number}: 0 of 6 runs done, sleep replicate 1/3, baseline",
        f"#{number}: 1 of 6 runs done, sleep replicate 1/3, faster",
    ]


# What a verdict supersedes.


def folded(world) -> list[int]:
    return [write.on for write in world.tracker.writes if write.kind == "minimise"]


def test_what_the_verdict_supersedes_is_folded_once(world):
    number = measured(world)
    world.settle()
    progress, *_ = world.tracker.comments(number)
    assert folded(world) == [progress.id]
    world.loop = world.started()
    world.settle()
    assert folded(world) == [progress.id]


def test_an_agent_that_was_killed_before_it_folded_does_so_when_it_starts_anew(world):
    """Between the verdict and the first fold, and between two of them."""
    number = world.file(CHEAP)
    left(world, number)
    left(world, number, version=2)
    say(world, number, "verdict", 1, {"schema": 1, "plan": "p1"})
    first, second, _ = world.tracker.comments(number)
    world.tracker.minimise(first)
    world.settle()
    assert folded(world) == [first.id, second.id]


@pytest.mark.parametrize("trouble", ["silent", "refused"])
def test_a_tracker_that_does_not_tell_what_is_folded_is_asked_once_in_the_life_of_an_agent(world, trouble):
    world.tracker.tells_minimised = False
    number = measured(world)
    if trouble == "refused":
        world.tracker.unsure_next("minimise", stored=False)
    world.settle()
    world.tracker.comment("ada", "thank you", number)
    world.settle()
    assert len(folded(world)) == 1


def test_a_second_verdict_has_its_own_progress_folded(world):
    number = measured(world)
    world.settle()
    left(world, number, version=2, plan="p2")
    say(world, number, "verdict", 2, {"schema": 1, "plan": "p2"})
    world.settle()
    assert len(folded(world)) == 2


# Killed between results and verdict.


def half_judged(world) -> tuple[int, str]:
    """Results stand, read from a job in the workspace; then it was closed, stopped, and opened again."""
    world.tracker.add_commit("other recipes", paceline__toml=CONFIG.replace("sleep", "sft"))
    body = BODY.format(recipes="sft", hours=0.5) + "\n### Replicates\n\n3\n"
    plan = plan_for(request_of(parse_task(body)), TrackerSource(world.tracker, ())).plan
    number, name = begun(world, body)
    write_job(world.jobs / name, plan)
    world.machine.has_ended(name)
    say(world, number, "results", 1, {"schema": 1, "plan": plan.hash, "gpu_hours": 0.5})
    world.tracker.close_issue(number)
    world.settle()
    assert world.stages(number)[-1] == "stopped"
    return number, name


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "of an older agent"])
def test_results_without_their_verdict_get_it_when_the_issue_is_opened_again(world, is_named):
    number, name = half_judged(world)
    if is_named:
        [results] = [one for one in world.tracker.comments(number) if "epm:results" in one.body]
        plan = parse(results.body, Place(42, number), [KEY]).payload["plan"]
        named = Marker("results", 1, "## text", {"schema": 1, "plan": plan, "job": name})
        world.tracker.edit_comment(results.id, render(named, Place(42, number), KEY))
    world.tracker.reopen_issue(number)
    world.settle()
    assert world.markers(number)[-3:] == ["reviewer-verdict v1", "verdict v1", "note v1"]
    assert list(world.machine.jobs) == [name]
    assert world.reads_of_a_tick() == ["tagged"]


def test_runs_of_another_plan_are_never_judged(world):
    number, name = half_judged(world)
    write_job(world.jobs / name, made_plan(replicates=1))
    world.tracker.reopen_issue(number)
    for _ in range(3):
        world.loop.tick()
    assert "verdict v1" not in world.markers(number)
    assert f"#{number}: job {name} has measured plan" in world.said[-1]


def test_results_whose_job_is_gone_are_measured_again_when_the_issue_is_opened_again(world):
    number, name = half_judged(world)
    del world.machine.jobs[name]
    world.tracker.reopen_issue(number)
    world.settle()
    assert world.stages(number)[-1] == "running"
    assert [job.rpartition("-")[2] for job in world.machine.jobs] == ["a2"]


# Jobs that an earlier agent has left.


def test_jobs_of_an_issue_that_nobody_lists_are_looked_after_at_the_start(world):
    number = world.file()
    world.tracker.label(number)
    world.machine.is_reached = True
    world.machine.runs(f"acme-target-{number}-{'a' * 12}-a1")
    assert "issue" in world.reads_of_a_tick()


def test_jobs_of_another_repository_are_not_ours(world):
    world.machine.is_reached = True
    world.machine.runs(f"other-target-1-{'a' * 12}-a1")
    assert world.reads_of_a_tick() == ["tagged"]


def test_an_issue_that_nobody_lists_whose_job_has_just_ended_is_looked_at_too(world):
    """Its last word may be missing: an agent was killed between the end and the word."""
    world.machine.is_reached = True
    world.machine.has_ended(f"acme-target-1-{'a' * 12}-a1")
    assert world.reads_of_a_tick() == ["tagged", "issue"]


def test_jobs_that_ended_long_ago_are_left_alone(world):
    world.machine.is_reached = True
    world.machine.has_ended(f"acme-target-1-{'a' * 12}-a1", days_ago=2)
    assert world.reads_of_a_tick() == ["tagged"]


# Attempts that came to nothing, and other agents: told by markers that an earlier agent has left.


def left(
    world, number, stage="running", version=1, closed=2, holder="here", plan="p1", ends_in=-1, pod="pod-1"
):
    """An earlier agent's word: an attempt on a pod that nobody reaches, past its hard end."""
    issue = world.tracker.issue(number)
    ends = (world.clock.now + timedelta(hours=ends_in)).isoformat()
    intent = Intent(3, pod, "cpu", f"acme-target-{number}-{'a' * 12}-a3", ends)
    task = parse_task(issue.body)
    digest = task.digest if isinstance(task, Task) else ""
    state = State(stage, digest_of_text(issue.body), digest, plan, "budget", intent, closed, "", holder)
    say(world, number, "progress", version, state.to_payload())


def say(world, number, kind, version, payload, key=KEY):
    body = render(Marker(kind, version, "## text", payload), Place(42, number), key)
    world.tracker.comment("paceline", body, number)


def test_when_the_attempts_are_used_up_the_failure_is_said_once_and_then_the_state(world):
    number = world.file(TOO_DEAR)
    left(world, number)
    world.settle()
    world.settle()
    assert world.markers(number) == ["progress v1", "failure v1", "progress v2"]
    assert world.stages(number) == ["running", "stopped"]


def test_a_failure_whose_answer_did_not_come_is_not_said_twice(world):
    number = world.file(TOO_DEAR)
    left(world, number)
    world.tracker.unsure_next("post", stored=True)
    world.settle()
    assert world.markers(number) == ["progress v1", "failure v1", "progress v2"]


def test_the_failure_of_another_plan_does_not_stand_for_this_ones(world):
    number = world.file(TOO_DEAR)
    say(world, number, "failure", 1, {"schema": 1, "plan": "p0"})
    left(world, number)
    world.settle()
    assert "failure v2" in world.markers(number)


def test_before_its_hard_end_a_pod_that_is_not_reached_is_waited_for(world):
    number = world.file(TOO_DEAR)
    left(world, number, ends_in=1)
    world.settle()
    assert world.markers(number) == ["progress v1"]


def test_what_another_agent_holds_is_left_alone_while_its_word_is_fresh(world):
    number = world.file(TOO_DEAR)
    left(world, number, holder="elsewhere")
    world.settle()
    assert world.markers(number) == ["progress v1"]


def test_a_hold_that_was_silent_for_fifteen_minutes_is_taken_over(world):
    number = world.file(TOO_DEAR)
    left(world, number, holder="elsewhere")
    world.settle()
    world.clock.now += timedelta(minutes=16)
    world.settle()
    assert world.markers(number) == ["progress v1", "failure v1", "progress v2"]


def test_a_marker_that_does_not_hold_parks_its_issue_and_says_so_once(world):
    number = world.file(TOO_DEAR)
    say(world, number, "progress", 1, {}, key=Key("89abcdef", b"o" * 32))
    world.settle()
    world.tracker.comment("ada", "what is wrong?", number)
    world.settle()
    assert world.markers(number) == ["note v1"]


def test_an_issue_goes_on_when_the_marker_that_parked_it_is_deleted(world):
    number = world.file(TOO_DEAR)
    say(world, number, "progress", 1, {}, key=Key("89abcdef", b"o" * 32))
    world.settle()
    world.tracker.delete_comment(world.tracker.comments(number)[0].id)
    world.settle()
    assert world.stages(number) == ["waiting"]


def test_a_waiting_task_whose_recipe_was_taken_away_is_told_so(world):
    number = world.file(TOO_DEAR)
    world.settle()
    world.tracker.add_commit("other recipes", paceline__toml=CONFIG.replace("sleep", "other"))
    world.clock.now += WAITING_EVERY
    world.settle()
    assert world.stages(number) == ["waiting", "blocked"]


def test_a_waiting_task_whose_recipe_changed_waits_for_approval_of_the_new_plan(world):
    number = world.file(TOO_DEAR)
    world.settle()
    world.tracker.add_commit("other recipes", paceline__toml=CONFIG.replace("pass", "1"))
    world.clock.now += WAITING_EVERY
    world.settle()
    assert world.stages(number) == ["waiting", "waiting"]


def test_an_approved_plan_is_run_as_it_was_approved_whatever_its_recipe_becomes(world):
    world.machine.is_reached, world.machine.is_free = True, False
    number = world.file(TOO_DEAR)
    world.settle()
    plan = parse(world.tracker.comments(number)[0].body, Place(42, number), [KEY]).payload["plan"]
    world.tracker.comment("ada", f"/approve {plan[:12]}", number)
    world.settle()
    world.tracker.add_commit("other recipes", paceline__toml=CONFIG.replace("pass", "1"))
    world.machine.is_free = True
    world.settle()
    assert world.stages(number) == ["waiting", "approved", "intent", "running"]
    marker = parse(world.tracker.comments(number)[-1].body, Place(42, number), [KEY])
    assert marker.payload["plan"] == plan
    assert [plan[:12] in job for job in world.machine.jobs] == [True]


def test_a_recipe_that_changes_before_the_approval_makes_a_new_plan_to_approve(world):
    world.machine.is_reached, world.machine.is_free = True, False
    number = world.file(TOO_DEAR)
    world.settle()
    plan = parse(world.tracker.comments(number)[0].body, Place(42, number), [KEY]).payload["plan"]
    world.tracker.add_commit("other recipes", paceline__toml=CONFIG.replace("pass", "1"))
    world.clock.now += WAITING_EVERY
    world.settle()
    assert world.stages(number) == ["waiting", "waiting"]
    marker = parse(world.tracker.comments(number)[-1].body, Place(42, number), [KEY])
    assert f"/approve {marker.payload['plan'][:12]}" in marker.text.replace("`", "")
    assert marker.payload["plan"] != plan


# Edits behind the verdict.


@pytest.mark.parametrize("more", ["### Context\n\nin other words\n\n", "\n"])
def test_other_words_behind_the_verdict_change_nothing(world, more):
    number = measured(world)
    world.settle()
    before = world.markers(number)
    world.tracker.edit_body(number, more + CHEAP + "\n")
    world.settle()
    assert world.markers(number) == before
    assert world.reads_of_a_tick() == ["tagged"]


def test_a_task_that_changed_behind_the_verdict_is_understood_afresh(world):
    number = measured(world)
    world.settle()
    world.tracker.edit_body(number, TOO_DEAR)
    world.settle()
    assert world.stages(number) == ["running", "waiting"]
    assert world.machine.questions == []


def test_a_text_without_a_task_behind_the_verdict_is_asked_about(world):
    number = measured(world)
    world.settle()
    world.tracker.edit_body(number, UNCLEAR)
    world.settle()
    assert world.stages(number) == ["running", "blocked"]


def test_an_approval_by_somebody_who_took_over_a_login_does_not_count(world):
    number = world.file(TOO_DEAR)
    world.settle()
    plan = parse(world.tracker.comments(number)[0].body, Place(42, number), [KEY]).payload["plan"]
    world.tracker.comment("ada", f"/approve {plan[:12]}", number)
    world.tracker.give_login_away("ada")
    world.settle()
    assert world.stages(number) == ["waiting"]


# A tracker that is away, or refuses.


class Silent:
    """Stands for the event that stops an agent: notes each pause, and stops after so many."""

    def __init__(self, world, pauses) -> None:
        self.world, self.left, self.pauses = world, pauses, []

    def is_set(self):
        return len(self.pauses) >= self.left

    def wait(self, seconds):
        self.pauses.append(seconds)
        self.world.clock.now += timedelta(seconds=seconds)


def test_six_hours_without_the_tracker_are_told_once_and_what_was_measured_is_said_then(world):
    number, name = half_judged(world)
    world.tracker.reopen_issue(number)
    begun = world.clock.now
    for _ in range(85):
        world.tracker.fail_next("tagged")
    del world.said[:]
    silent = Silent(world, 95)
    world.loop.run(silent)
    assert world.clock.now - begun > timedelta(hours=6)
    assert len([line for line in world.said if line.startswith("tracker: ")]) == 1
    assert world.markers(number)[-3:] == ["reviewer-verdict v1", "verdict v1", "note v1"]
    assert list(world.machine.jobs) == [name]


def test_a_pause_that_the_tracker_asks_for_is_kept(world, monkeypatch):
    until = world.clock.now + timedelta(minutes=20)
    refusals = [Limited("asked too much", until), Revoked("the token does not hold")]

    def refused(_label):
        if refusals:
            raise refusals.pop(0)

    monkeypatch.setattr(world.tracker, "tagged", refused)
    silent = Silent(world, 3)
    world.loop.run(silent)
    assert 1190 <= silent.pauses[0] <= 1200
    assert silent.pauses[1:] == [300.0, world.desk.operator.poll_s]


def test_a_locked_issue_is_told_once_and_tried_again_later(world, monkeypatch):
    number = world.file()

    def locked(_number, _body):
        raise Locked("the issue is locked")

    with monkeypatch.context() as patch:
        patch.setattr(world.tracker, "post", locked)
        for _ in range(3):
            world.loop.tick()
        assert world.said.count(f"#{number}: the issue is locked") == 1
    world.clock.now += WAITING_EVERY
    world.settle()
    assert world.markers(number) == ["progress v1"]

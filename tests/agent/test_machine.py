"""Everybody does anything, in any order: people, two agents, a pod, a troubled tracker. What must hold does.

Hypothesis draws the order; `PACELINE_EXAMPLES=500 pytest tests/agent/test_machine.py` draws longer, and anew
each time.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.commands import Command, commands_in
from agent.gather import wording_of
from agent.ledger import State, fold
from agent.loop import Loop
from agent.marker import Marker, Place, parse
from agent.task import Task, parse_task
from agent.tracker import Comment, TrackerError
from bench.plan import Plan
from tests.agent.test_crashes import SHARED_MEMORY
from tests.agent.test_loop import KEY, UNCLEAR
from tests.agent.whole_life import CHEAP, DEAR, Client, Town
from tests.fakes.tracker import ME

BLOCK = """Please measure.

```paceline
kind = "infra"
baseline = "main"
optimized = "main"
recipes = ["sft"]
replicates = 3
gpu_hours = 0.5
```
"""
PROSE = "kind: infra\n\nIs it faster now?\n\n## Success criteria\n\n- at least +20 % on SFT\n"
BODIES = (CHEAP, CHEAP, DEAR, CHEAP + "\n### Context\n\nin other words\n", BLOCK, PROSE, UNCLEAR)
PEOPLE = ("ada", "max", "eve", "renovate", ME)
WRITERS = ("admin", "maintain", "write")
WORDS = (
    *("/approve {right}", "/approve 0123456789ab", "/set gpu_hours=0.4", "/set gpu_hours=", "/cancel"),
    *("/retry", "/status", "/queue", "/cancle", "thank you", "> /cancel", "/cancel\n/retry"),
)
READS = ("tagged", "issue", "comments", "role", "file", "commit_of")
WRITES = ("post", "edit", "react", "label", "minimise")
AGENTS = ("here", "there")


logger = logging.getLogger("paceline.agent")


class Wrong(logging.Handler):
    """What was logged as a bug of ours, and what a check on the way did not hold."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append("".join(traceback.format_exception(record.exc_info[1] if record.exc_info else None)))


class Heard(Client):
    """An agent's connection, on which each of its posts is checked."""

    def __init__(self, world: World, agent: str) -> None:
        super().__init__(world.town.tracker)
        self._world, self._agent = world, agent

    def post(self, number, body):
        self._world.is_in_order(self._world.is_about_to_post, self._agent, number, body)
        before = set(self._tracker._comments)
        try:
            return self._tracker.post(number, body)
        finally:
            for new in set(self._tracker._comments) - before:
                self._world.by_agent[new] = self._agent


class World(RuleBasedStateMachine):
    """`first_words` is what each comment said when it was written; `is_race` lets the other agent tick in the
    middle of the next post of one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None))
        self.town = Town(self.folder)
        self.town.tracker.set_role("max", "write")
        self.town.tracker.set_role("eve", "read")
        self.town.tracker._people["renovate"] = replace(self.town.tracker.person("renovate"), is_bot=True)
        self.town.tracker.set_role("renovate", "write")
        self.town.pod.on_start = lambda job, plan: self.is_in_order(self.is_started, job, plan)
        self.first_words: dict[int, tuple[int, str, str]] = {}  # comment: issue, author, text
        self.by_agent: dict[int, str] = {}
        self.agents = {name: self.begun(name) for name in AGENTS}
        self.is_race, self.races, self.steps = False, 0, 0
        self.is_spoiled = False
        self.wrong = Wrong()
        logger.addHandler(self.wrong)

    def begun(self, name: str) -> Loop:
        return self.town.agent(name, Heard(self, name))

    def teardown(self) -> None:
        try:
            self.settle()
            self.everything_has_come_to_rest()
        finally:
            logger.removeHandler(self.wrong)
            shutil.rmtree(self.folder)

    # What people do.

    @initialize(body=st.sampled_from(BODIES), author=st.sampled_from(PEOPLE[:4]))
    def file(self, body, author):
        self.town.tracker.file_issue(author, body)

    @precondition(lambda self: self.town.tracker._number < 2)
    @rule(body=st.sampled_from(BODIES), author=st.sampled_from(PEOPLE[:4]))
    def file_another(self, body, author):
        self.town.tracker.file_issue(author, body)

    @precondition(lambda self: self.issues())
    @rule(data=st.data(), body=st.sampled_from(BODIES))
    def edit(self, data, body):
        self.town.tracker.edit_body(self.one_issue(data), body)

    @precondition(lambda self: self.issues())
    @rule(data=st.data(), what=st.sampled_from(["unlabel", "label", "label", "close", "reopen", "reopen"]))
    def leave_or_come_back(self, data, what):
        number, tracker = self.one_issue(data), self.town.tracker
        match what:
            case "label":
                tracker.label(number, "bench")
            case "unlabel":
                tracker.label(number, "bug")
            case "close":
                tracker.close_issue(number)
            case _:
                tracker.reopen_issue(number)

    @precondition(lambda self: self.town.pod.jobs and self.issues())
    @rule(data=st.data())
    def delete(self, data):
        self.town.tracker.delete(self.one_issue(data))

    @precondition(lambda self: self.issues())
    @rule(data=st.data(), who=st.sampled_from(PEOPLE), words=st.sampled_from(WORDS))
    def comment(self, data, who, words):
        number = self.one_issue(data)
        text = words.format(right=self.plan_on(number)[:12])
        made = self.town.tracker.comment(who, text, number)
        self.first_words[made.id] = (number, who, text)

    @precondition(lambda self: self.issues())
    @rule(data=st.data(), who=st.sampled_from(["ada", "max"]))
    def approve(self, data, who):
        number = self.one_issue(data)
        text = f"/approve {self.plan_on(number)[:12]}"
        made = self.town.tracker.comment(who, text, number)
        self.first_words[made.id] = (number, who, text)

    @precondition(lambda self: self.first_words)
    @rule(data=st.data(), words=st.sampled_from(WORDS), is_deleted=st.booleans())
    def edit_or_delete_a_comment(self, data, words, is_deleted):
        there = [one for one in self.first_words if one in self.town.tracker._comments]
        there = [one for one in there if self.first_words[one][0] in self.issues()]
        if not there:
            return
        comment = data.draw(st.sampled_from(there))
        if is_deleted:
            self.town.tracker.delete_comment(comment)
        else:
            number = self.first_words[comment][0]
            self.town.tracker.edit_comment(comment, words.format(right=self.plan_on(number)[:12]))

    @precondition(lambda self: self.markers_there())
    @rule(data=st.data(), is_deleted=st.sampled_from([True, True, False]))
    def spoil_a_marker(self, data, is_deleted):
        self.is_spoiled = True
        comment = data.draw(st.sampled_from(self.markers_there()))
        if is_deleted:
            self.town.tracker.delete_comment(comment)
        else:
            body = self.town.tracker._comments[comment][1].body
            self.town.tracker.edit_comment(comment, body.replace("## ", "## not ", 1))

    @rule(who=st.sampled_from(["ada", "max", "eve"]), role=st.sampled_from(["write", "read"]))
    def change_a_role(self, who, role):
        self.town.tracker.set_role(who, role)

    # What agents do.

    @rule(name=st.sampled_from(AGENTS), ticks=st.sampled_from([1, 3]))
    def tick(self, name, ticks):
        for _ in range(ticks):
            self.ticked(name)

    @rule(name=st.sampled_from(AGENTS))
    def tick_until_nothing_is_done(self, name):
        for _ in range(10):
            if not self.ticked(name):
                return

    @rule()
    def both_tick(self):
        for name in AGENTS:
            self.ticked(name)

    @rule(name=st.sampled_from(AGENTS))
    def restart(self, name):
        self.agents[name] = self.begun(name)

    @rule()
    def race(self):
        self.is_race = True

    def ticked(self, name: str) -> bool:
        try:
            return self.agents[name].tick()
        except TrackerError:  # of the list: waited for
            return False

    # What happens on the pod and to the tracker.

    @precondition(lambda self: self.town.pod.living())
    @rule(outcome=st.sampled_from(["timed out", "timed out", "crashed", "finished"]))
    def job_ends(self, outcome):
        """Out of budget before any run has ended: it has results like another, and they are cheap to read."""
        self.town.pod.has_ended(self.town.pod.living()[0], outcome)

    @precondition(lambda self: self.town.pod.jobs)
    @rule(data=st.data())
    def job_vanishes(self, data):
        self.town.pod.vanishes(data.draw(st.sampled_from(sorted(self.town.pod.jobs))))

    @rule(is_reached=st.sampled_from([True, True, False]))
    def pod_is_reached_or_not(self, is_reached):
        self.town.pod.is_reached = is_reached

    @rule(
        trouble=st.sampled_from([*READS, *((one, True) for one in WRITES), *((one, False) for one in WRITES)])
    )
    def tracker_will_be_in_trouble(self, trouble):
        """A read will fail, or a write be unsure, and stored or not."""
        if isinstance(trouble, str):
            self.town.tracker.fail_next(trouble)
        else:
            self.town.tracker.unsure_next(trouble[0], stored=trouble[1])

    @rule(minutes=st.sampled_from([1, 6, 16, 90]))
    def time_passes(self, minutes):
        self.town.passes(minutes=minutes)

    # What must hold at each post and start.

    def is_in_order(self, check, *arguments) -> None:
        """The loop would take what a check raises for a bug of one issue."""
        try:
            check(*arguments)
        except Exception as error:
            self.wrong.told.append("".join(traceback.format_exception(error)))

    def is_about_to_post(self, agent: str, number: int, body: str) -> None:
        if self.is_race:
            self.is_race, self.races = False, self.races + 1
            self.ticked(next(name for name in AGENTS if name != agent))
        marker = parse(body, Place(42, number), [KEY])
        assert isinstance(marker, Marker)
        if (marker.kind, marker.version) in self.ledger(number).said:
            return  # the other one was faster: this one will not count
        if marker.kind == "note":
            self.is_commanded(number, marker)
        if marker.kind == "progress":
            self.is_approved(number, State.from_payload(marker.payload))

    def is_commanded(self, number: int, note: Marker) -> None:
        """What a note puts on record was written by somebody who may, and never edited."""
        if not note.payload.get("settings") and "command" not in note.payload:
            return
        [comment] = note.payload["answers"]
        where, who, text = self.first_words[comment]
        assert where == number
        assert self.town.tracker._comments[comment][1].body == text
        commands = [one for one in commands_in(text) if isinstance(one, Command)]
        assert {"set", "cancel", "retry"} & {one.name for one in commands}
        self.may(who, number, is_author_enough=True)

    def is_approved(self, number: int, state: State) -> None:
        """Where a word on the plan is new, it is one: of the standing budget, or of somebody who may."""
        before = self.ledger(number).state
        known = before.approved_by if before and before.plan == state.plan else ""
        if not state.approved_by or state.approved_by == known:
            return
        issue = self.town.tracker._issues[number]
        if state.approved_by.startswith("standing budget"):
            task = self.task(number)
            assert task is not None and task.gpu_hours is not None and task.gpu_hours <= 1.0
            assert not issue.author.is_bot
            people = {issue.author.login, *(one.login for one in self.ledger(number).settings)}
            assert all(self.role(who) in WRITERS for who in people)
            return
        comment = int(state.approved_by.rpartition(" ")[2])
        where, who, text = self.first_words[comment]
        assert where == number and self.town.tracker._comments[comment][1].body == text
        assert any(
            isinstance(one, Command) and one.name == "approve" and state.plan.startswith(one.plan)
            for one in commands_in(text)
        )
        self.may(who, number, is_author_enough=False)

    def may(self, who: str, number: int, *, is_author_enough: bool) -> None:
        assert who not in (ME, "renovate")
        is_author = self.town.tracker._issues[number].author.login == who
        assert self.role(who) in WRITERS or (is_author_enough and is_author)

    def is_started(self, job: str, plan: Plan) -> None:
        """The plan is what the issue asks for now, and the newest word on the issue approves it."""
        number = int(job.split("-")[2])
        state = self.ledger(number).state
        assert state is not None and state.plan == plan.hash and state.approved_by
        task = self.task(number)
        assert task is not None and task.digest == plan.task
        [living] = self.town.pod.living()
        assert self.town.pod.starts.count(job) == 1 and living == job

    # What must hold after each step.

    @invariant()
    def nothing_was_wrong_on_the_way(self):
        self.steps += 1
        assert not self.wrong.told, self.wrong.told[0]

    @invariant()
    def no_agent_says_one_version_twice(self):
        for number in self.issues():
            said = Counter(
                (self.by_agent.get(comment.id), marker.kind, marker.version)
                for comment, marker in self.said(number)
            )
            assert not [one for one, times in said.items() if times > 1]
            if not self.races:
                assert len(said) == len({(kind, version) for _, kind, version in said})

    @invariant()
    def nothing_counts_twice(self):
        for number in self.issues():
            markers = [one.marker for one in self.ledger(number).said.values()]
            told = [one for marker in markers if (one := meaning(marker)) is not None]
            assert len(set(told)) == len(told)

    # In the end.

    def settle(self) -> None:
        """Everybody is reached, jobs end, time passes, until nothing more happens."""
        self.town.tracker._failing.clear()
        self.town.tracker._unsure.clear()
        self.town.pod.is_reached, self.is_race = True, False
        self.town.passes(minutes=6)  # what could not be asked is asked again
        while sum(self.ticked(name) for name in AGENTS):
            pass
        self.only_what_is_wanted_runs()
        quiet = 0
        for _ in range(100):
            did = [self.ticked(name) for name in AGENTS]
            for job in self.town.pod.living():
                self.town.pod.has_ended(job, "timed out")
                did.append(True)
            quiet = 0 if any(did) else quiet + 1
            if quiet == 3:
                return
            if quiet:
                self.town.passes(minutes=16)
        raise AssertionError("it does not come to rest")

    def only_what_is_wanted_runs(self) -> None:
        """Unless somebody took away the agent's memory of it."""
        for job in self.town.pod.living() if not self.is_spoiled else ():
            issue = self.town.tracker._issues.get(int(job.split("-")[2]))
            assert issue is not None and issue.is_open and "bench" in issue.labels, job
            state = self.ledger(issue.number).state
            assert state is not None and state.intent is not None and state.intent.job == job

    def everything_has_come_to_rest(self) -> None:
        self.nothing_was_wrong_on_the_way()
        self.no_agent_says_one_version_twice()
        self.nothing_counts_twice()
        assert self.town.pod.living() == [] and not self.town.pod.holder
        for number in self.issues():
            issue = self.town.tracker._issues[number]
            if issue.is_open and "bench" in issue.labels:
                rest = self.rest_of(number)
                assert rest, (number, self.town.kinds(number), self.town.said[-3:])
                event(f"in the end: {rest}")
        event(f"steps: {self.steps // 10 * 10}")
        event(f"jobs: {len(self.town.pod.starts)}")

    def rest_of(self, number: int) -> str:
        """How a task rests, "" where it does not."""
        ledger = self.ledger(number)
        state = ledger.state
        if ledger.broken:
            notes = [one.marker.payload.get("broken") for one in ledger.all_of("note")]
            return "parked" if list(ledger.broken) in notes else ""
        if state is None:
            return ""
        if ledger.verdict_for(state.plan):
            return "verdict"
        if state.body != wording_of(self.town.tracker._issues[number].body, ledger.settings):
            return ""
        if state.stage == "stopped":
            is_failed = any(one.marker.payload["plan"] == state.plan for one in ledger.all_of("failure"))
            return "failed" if is_failed else "cancelled" if ledger.is_cancelled(state.body) else ""
        return state.stage if state.stage in ("waiting", "blocked", "done") else ""

    # Looks.

    def issues(self) -> list[int]:
        return sorted(self.town.tracker._issues)

    def one_issue(self, data) -> int:
        return data.draw(st.sampled_from(self.issues()))

    def comments(self, number: int) -> list[Comment]:
        return [one for on, one in self.town.tracker._comments.values() if on == number]

    def said(self, number: int) -> list[tuple[Comment, Marker]]:
        found = [(one, parse(one.body, Place(42, number), [KEY])) for one in self.comments(number)]
        return [(one, marker) for one, marker in found if isinstance(marker, Marker)]

    def ledger(self, number: int):
        return fold(self.comments(number), self.town.tracker.person(ME), Place(42, number), [KEY])

    def task(self, number: int) -> Task | None:
        values = {one.key: one.value for one in self.ledger(number).settings}
        asked = parse_task(self.town.tracker._issues[number].body, values)
        return asked if isinstance(asked, Task) else None

    def plan_on(self, number: int) -> str:
        state = self.ledger(number).state
        return (state.plan if state else "") or "f" * 64

    def role(self, who: str) -> str:
        return self.town.tracker._roles.get(self.town.tracker.person(who).id, "read")

    def markers_there(self) -> list[int]:
        return sorted(comment.id for number in self.issues() for comment, _ in self.said(number))


def meaning(marker: Marker) -> tuple | None:
    """What may be said once: a reply, a result of a job, a verdict of a plan, a failure, a closing note."""
    payload = marker.payload
    match marker.kind:
        case "note" if "answers" in payload:
            return ("answer", *payload["answers"])
        case "note" if "closes" in payload:
            return ("closing", payload["closes"])
        case "results" | "verdict" | "reviewer-verdict":
            return (marker.kind, payload["plan"], payload.get("job"))
        case "failure":
            return ("failure", payload["plan"], payload["attempt"])
        case _:
            return None


EXAMPLES = int(os.environ.get("PACELINE_EXAMPLES", "0"))
TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=EXAMPLES or 150,
    stateful_step_count=40,
    deadline=None,
    derandomize=not EXAMPLES,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

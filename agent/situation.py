"""What is known of one issue: the one side of the table, with what follows from it by itself.

`gather.py` fills a Situation, `decide.py` answers with an Action. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Literal

from pods.choose import Choice
from pods.job import Observation, Running

from agent.ledger import Ledger, Said, Stage, State
from agent.planning import Planned
from agent.spoken import Spoken
from agent.task import Problem, Problems, Task
from agent.tracker import Gone, Issue

ATTEMPTS = 3
UNDER_WAY: tuple[Stage, ...] = ("approved", "intent", "running")


@dataclass(frozen=True, slots=True)
class Refused:
    """A task that cannot become a plan: what its author can mend, in the words of the issue form."""

    problem: Problem

    @property
    def why(self) -> str:
        return f"{self.problem.field}: {self.problem.what}"


@dataclass(frozen=True, slots=True)
class WorkerError:
    """Why the worker could not work the plan off; `is_final` where it could not on any machine."""

    text: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved the plan, in words that stand on the issue; or why nobody has."""

    is_given: bool
    words: str
    comment: int | None = None  # the one with the `/approve`, where it is one


Attention = Literal["each tick", "when the slot is free", "now and then", "when it changes"]
"""When an issue is looked at again; a change is news to all of them."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of one issue now. `body` is the digest of its text, `asked` what that says. `planned` and
    `approval` are read only where a row may need them; `observed` only where there is an intent."""

    issue: Issue | Gone
    is_tagged: bool
    body: str
    ledger: Ledger
    now: datetime
    asked: Task | Problems | None = None
    planned: Planned | Refused | None = None
    approval: Approval | None = None
    observed: Observation | None = None
    measured: Observation | None = None  # the job whose results stand without their verdict
    is_slot_free: bool = True
    troubles: tuple[str, ...] = ()  # pods that could not be asked for a slot, and why
    choice: Choice | None = None  # which pod an approved plan goes to; read with the plan
    is_enough: bool = False  # the runs so far decide, and the job was not told yet
    doing: str = ""  # what the job does now, and how much of it is done
    live: str = ""  # that, and how long the rest takes
    forecast: tuple[str, ...] = ()  # what the plan's runs should take and show on this machine
    agent: str = ""
    gpu_hours: float = 1.0  # what the task may spend, all attempts together
    error: WorkerError | None = None
    is_folded: bool = False  # this agent has tried to fold what the verdict supersedes
    jobs: tuple[str, ...] = ()  # of this issue, not ended; looked for where the issue is gone
    stale_s: float = inf
    spoken: tuple[Spoken, ...] = ()  # commands that nobody has answered, oldest first
    line: str = ""  # its place among those that wait for a slot
    queue: tuple[str, ...] = ()  # what is measured and what waits, where somebody asked

    @property
    def answers(self) -> dict[str, str]:
        """What `/set` gave, by key."""
        return {one.key: one.value for one in self.ledger.settings}

    @property
    def state(self) -> State | None:
        return self.ledger.state

    @property
    def verdict(self) -> Said | None:
        """Of the plan that the state tells of."""
        return self.ledger.verdict_for(self.state.plan) if self.state and self.state.plan else None

    @property
    def has_verdict(self) -> bool:
        return self.verdict is not None

    @property
    def unjudged(self) -> Said | None:
        """Results whose verdict is missing."""
        if self.state is None or self.has_verdict:
            return None
        return self.ledger.results_for(self.state.plan)

    @property
    def spent_s(self) -> float:
        """Slot time that earlier attempts at the plan have taken at most."""
        return self.ledger.spent_s(self.state.plan) if self.state else 0.0

    @property
    def left_s(self) -> float:
        return max(self.gpu_hours * 3600.0 - self.spent_s, 0.0)

    @property
    def is_same_task(self) -> bool:
        """Whether the text as it is now asks for what the state tells of."""
        return (
            self.state is not None and isinstance(self.asked, Task) and self.state.task == self.asked.digest
        )

    @property
    def is_only_wording(self) -> bool:
        """Of a text that is new: whether it asks for the same, so that what is said and done of it stands."""
        is_heard = self.state is not None and self.state.stage not in ("stopped", "blocked")
        return self.is_same_task and (self.has_verdict or is_heard)

    @property
    def has_work(self) -> bool:
        """Whether there is an attempt that may hold its slot."""
        state = self.state
        return (
            state is not None
            and state.intent is not None
            and state.stage in UNDER_WAY
            and not self.has_verdict
        )

    @property
    def is_stale(self) -> bool:
        """Whether the job has shown no sign for longer than the operator thinks usual."""
        quiet_s = self.observed.quiet_s if isinstance(self.observed, Running) else None
        return quiet_s is not None and quiet_s >= self.stale_s

    @property
    def may_start_again(self) -> bool:
        return self.state is not None and self.state.closed < ATTEMPTS

    @property
    def is_ours(self) -> bool:
        """Whether no other agent has said last that it works on it."""
        return self.state is not None and self.state.holder in ("", self.agent)

    @property
    def attention(self) -> Attention:
        """Nobody has to be asked about what rests: whoever wants more edits the issue."""
        if isinstance(self.issue, Gone):
            # Of a pod that is not reached nothing is known: it may have a job that nobody wants any more.
            return "each tick" if self.jobs else "now and then" if self.troubles else "when it changes"
        state, is_parked = self.state, self.is_wanted and bool(self.ledger.broken)
        if self.is_wanted and not is_parked and any(one.role is None for one in self.spoken):
            return "now and then"
        if state is None or is_parked or self.has_verdict or state.stage not in ("waiting", *UNDER_WAY):
            return "when it changes"
        if state.stage == "waiting" or not self.is_ours:
            return "now and then"
        return "when the slot is free" if state.stage == "approved" else "each tick"

    @property
    def is_wanted(self) -> bool:
        is_open = isinstance(self.issue, Issue) and self.issue.is_open
        return is_open and self.is_tagged and not self.ledger.is_cancelled(self.body)

    @property
    def why_unwanted(self) -> str:
        if isinstance(self.issue, Gone):
            return f"the issue was {self.issue.why}"
        if not self.issue.is_open:
            return "the issue was closed"
        return "it was cancelled" if self.is_tagged else "the label was taken off"

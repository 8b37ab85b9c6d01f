"""What is known of one issue, and the steps that can follow from it: the types on both sides of the table.

Data only: `gather.py` fills a Situation, `decide.py` answers with an Action, `perform.py` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pods.job import Observation

from agent.ledger import Intent, Ledger, Said, Stage, State
from agent.planning import Planned
from agent.task import Problem, Problems, Task
from agent.tracker import Comment, Gone, Issue

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
    is_enough: bool = False  # the runs so far decide, and the job was not told yet
    doing: str = ""  # what the job does now, and how much of it is done
    live: str = ""  # that, and how long the rest takes
    forecast: tuple[str, ...] = ()  # what the plan's runs should take and show on this machine
    agent: str = ""
    gpu_hours: float = 1.0  # what the task may spend, all attempts together
    error: WorkerError | None = None
    is_folded: bool = False  # this agent has tried to fold what the verdict supersedes
    jobs: tuple[str, ...] = ()  # of this issue, not ended; looked for where the issue is gone

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
    def is_ours(self) -> bool:
        """Whether no other agent has said last that it works on it."""
        return self.state is not None and self.state.holder in ("", self.agent)

    @property
    def attention(self) -> Attention:
        """Nobody has to be asked about what rests: whoever wants more edits the issue."""
        if isinstance(self.issue, Gone):
            return "each tick" if self.jobs else "when it changes"
        state = self.state
        if state is None or self.has_verdict or state.stage not in ("waiting", *UNDER_WAY):
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


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do, and why; `is_news` where whoever runs the agent should know."""

    why: str
    is_news: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """Say once that a marker of our own account does not hold."""

    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Post the next progress marker with this state. `problems` are the blockers that it lists."""

    state: State
    problems: Problems | None = None
    planned: Planned | None = None


@dataclass(frozen=True, slots=True)
class Intend:
    """Post an intent for the next attempt; where and under which name is the performer's to fill in."""

    state: State
    planned: Planned


@dataclass(frozen=True, slots=True)
class Launch:
    """Take the lease of the intent and start its job; each part may have been done already."""

    state: State
    intent: Intent
    planned: Planned


@dataclass(frozen=True, slots=True)
class Stop:
    """End the job of the intent and everything of it, then say so where it can be said."""

    state: State
    intent: Intent


@dataclass(frozen=True, slots=True)
class Free:
    """End jobs whose issue is gone: there is nowhere left to say it."""

    jobs: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """Rewrite the live line of the newest progress."""

    line: str


@dataclass(frozen=True, slots=True)
class Enough:
    """Tell the job that what it has measured decides."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Results:
    """Judge the runs of the job and post the results."""

    state: State
    intent: Intent


@dataclass(frozen=True, slots=True)
class Verdict:
    """Post the verdict of the results that are on the issue, from the runs of the job they were read from."""

    state: State
    job: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Minimise what the verdict supersedes."""

    verdict: Said
    comments: tuple[Comment, ...]


@dataclass(frozen=True, slots=True)
class Fail:
    """Post that no attempt came to a result."""

    state: State
    why: str


def told(action: Action) -> str:  # noqa: PLR0912 - one case for each action
    """What an action would do, in words."""
    match action:
        case Rest(why):
            return f"do nothing: {why}"
        case Park(why):
            return f"say that a marker does not hold: {'; '.join(why)}"
        case Progress(state):
            return f"post progress: {state.stage}{f', {state.note}' if state.note else ''}"
        case Intend(state):
            return f"announce an attempt at plan {state.plan[:12]}"
        case Launch(_, intent):
            return f"start job {intent.job} on {intent.pod}, slot {intent.slot}"
        case Stop(_, intent):
            return f"stop job {intent.job}"
        case Free(jobs, why):
            return f"end {', '.join(jobs)}: {why}"
        case Refresh(line):
            return f"rewrite the live line: {line}"
        case Enough(intent):
            return f"tell job {intent.job} that it has measured enough"
        case Results(_, intent):
            return f"judge the runs of {intent.job} and post the results"
        case Verdict(_, job):
            return f"post the verdict of {job}"
        case Fold(_, comments):
            return f"fold {len(comments)} comments that the verdict supersedes"
        case Fail(_, why):
            return f"post that no attempt came to a result: {why}"


def news(found: Situation, action: Action) -> str:
    """What is to be said where nothing else is: why an issue has to wait, or what its job does."""
    match action:
        case Rest(why, is_news=True):
            return why
        case Rest() | Refresh():
            return found.doing
        case _:
            return ""


Action = (
    Rest
    | Park
    | Progress
    | Intend
    | Launch
    | Stop
    | Free
    | Refresh
    | Enough
    | Results
    | Verdict
    | Fold
    | Fail
)

"""The steps that can follow from what is known of an issue: the other side of the table.

Data only: `decide.py` answers with an Action, `perform.py` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pods.choose import Choice

from agent.ledger import Intent, Said, Setting, State
from agent.planning import Planned
from agent.situation import Situation
from agent.task import Problems
from agent.tracker import Comment


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
class Answer:
    """Reply to a comment with commands, once. `command` (`cancel`, `retry`) and `settings` are put on record
    by it; `is_done` is whether all that was asked is or will be done."""

    comment: Comment
    lines: tuple[str, ...]
    is_done: bool = True
    command: str = ""
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class Shrug:
    """Let somebody who may not command see that they were heard, and no more."""

    comment: Comment


@dataclass(frozen=True, slots=True)
class Progress:
    """Post the next progress marker with this state. `problems` are the blockers that it lists, `answers` the
    ids of comments that it answers."""

    state: State
    problems: Problems | None = None
    planned: Planned | None = None
    choice: Choice | None = None  # the pods as they were ranked, where a slot was just chosen
    answers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Intend:
    """Post an intent for the next attempt at the best slot of `choice`; its name is the performer's."""

    state: State
    planned: Planned
    choice: Choice


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
class Bury:
    """End what a lost job has left behind, and give its lease back; then its attempt is closed."""

    state: State
    intent: Intent
    why: str


@dataclass(frozen=True, slots=True)
class Free:
    """End jobs whose issue is gone: there is nowhere left to say it."""

    jobs: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """Rewrite the live line of the newest progress, where it says something else."""

    line: str
    is_news: bool = False


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
class Review:
    """Review the commits of the job and post what the reviewer says, before the verdict."""

    state: State
    job: str


@dataclass(frozen=True, slots=True)
class Close:
    """Post the closing note behind the verdict: what was asked, what was seen, what is left to do."""

    verdict: Said


@dataclass(frozen=True, slots=True)
class Verdict:
    """Post the verdict of the results that are on the issue, from the runs of the job they were read from."""

    state: State
    job: str


@dataclass(frozen=True, slots=True)
class Note:
    """Tell people something once; `payload` is how it is known that it was told."""

    title: str
    lines: tuple[str, ...]
    advice: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fold:
    """Minimise what the verdict supersedes."""

    verdict: Said
    comments: tuple[Comment, ...]


Cause = Literal["infrastructure", "code", "budget"]
"""Machines or network; what the commits lack on every machine; nothing left to spend."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Post that no attempt came to a result. What the change itself does (a crash, no memory) is a result."""

    state: State
    why: str
    cause: Cause = "infrastructure"


def told(action: Action) -> str:  # noqa: PLR0912 - one case for each action
    """What an action would do, in words."""
    match action:
        case Rest(why):
            return f"do nothing: {why}"
        case Park(why):
            return f"say that a marker does not hold: {'; '.join(why)}"
        case Note(title):
            return f"note: {title}"
        case Answer(comment, lines):
            return f"answer comment {comment.id}: {'; '.join(lines)}"
        case Shrug(comment):
            return f"show {comment.author.login} that comment {comment.id} commands nothing here"
        case Progress(state):
            return f"post progress: {state.stage}{f', {state.note}' if state.note else ''}"
        case Intend(state):
            return f"announce an attempt at plan {state.plan[:12]}"
        case Launch(_, intent):
            return f"start job {intent.job} on {intent.pod}, slot {intent.slot}"
        case Stop(_, intent):
            return f"stop job {intent.job}"
        case Bury(_, intent, why):
            return f"end what is left of job {intent.job}: {why}"
        case Free(jobs, why):
            return f"end {', '.join(jobs)}: {why}"
        case Refresh(line):
            return f"rewrite the live line: {line}"
        case Enough(intent):
            return f"tell job {intent.job} that it has measured enough"
        case Results(_, intent):
            return f"judge the runs of {intent.job} and post the results"
        case Review(_, job):
            return f"review the commits of {job}"
        case Close(verdict):
            return f"post the closing note of verdict v{verdict.marker.version}"
        case Verdict(_, job):
            return f"post the verdict of {job}"
        case Fold(_, comments):
            return f"fold {len(comments)} comments that the verdict supersedes"
        case Fail(_, why):
            return f"post that no attempt came to a result: {why}"


def news(found: Situation, action: Action) -> str:
    """What is to be said where nothing else is: why an issue has to wait, or what its job does."""
    match action:
        case Rest(why, is_news=True) | Refresh(why, is_news=True):
            return why
        case Rest() | Refresh():
            return found.doing
        case _:
            return ""


Action = (
    Rest
    | Park
    | Note
    | Answer
    | Shrug
    | Progress
    | Intend
    | Launch
    | Stop
    | Bury
    | Free
    | Refresh
    | Enough
    | Results
    | Review
    | Verdict
    | Close
    | Fold
    | Fail
)

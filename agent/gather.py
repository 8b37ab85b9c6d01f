"""Looks at what the next step of one issue depends on; reads only, and only what a row may need."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from bench.plan import Plan
from pods import job
from pods.job import Absent, Finished, Observation, Running, Unreachable
from pods.paths import JobPaths
from pods.shell import NoSuchFile, PodError, Shell

from agent.approve import approval_of
from agent.early import Early
from agent.errors import TaskError
from agent.floors import known_noise
from agent.follow import Glance, duration_text
from agent.forecast import forecast_lines
from agent.ledger import Intent, fold
from agent.marker import Key, Place
from agent.operator import Operator
from agent.planning import Planned, plan_for
from agent.reading import needs
from agent.requested import problem_of, request_of
from agent.situation import Approval, Refused, Situation, WorkerError
from agent.task import Problems, Task, parse_task
from agent.tracker import Comment, Gone, Issue, Tracker, User
from agent.tracker_source import TrackerSource


@dataclass(frozen=True)
class Bench:
    """The machine that measures: a shell to it, its slot, its folder of leases, the workspace for jobs."""

    shell: Shell
    slot: str
    machine: Path
    workspace: Path
    host: dict[str, object]

    def paths(self, name: str) -> JobPaths[Path]:
        return JobPaths(self.workspace / "jobs" / name)


@dataclass(frozen=True)
class Desk:
    """Everything that the agent works with, for one repository."""

    tracker: Tracker
    operator: Operator
    keys: tuple[Key, ...]
    bench: Bench
    me: User
    repository_id: int
    agent: str  # who works here: host and workspace, the same after a restart
    early: Early = field(default_factory=Early)
    folded: set[int] = field(default_factory=set)  # comments of verdicts behind which it was folded up

    def place(self, number: int) -> Place:
        return Place(self.repository_id, number)


def gather(desk: Desk, number: int, issue: Issue | Gone, now: datetime) -> Situation:
    """Raises TrackerError, PodError."""
    comments = () if isinstance(issue, Gone) else tuple(desk.tracker.comments(number))
    ledger = fold(comments, desk.me, desk.place(number), desk.keys)
    labels = {label.casefold() for label in issue.labels} if isinstance(issue, Issue) else set()
    is_tagged = desk.operator.label.casefold() in labels  # as the tracker's own filter compares
    body = digest_of_text(issue.body) if isinstance(issue, Issue) else ""
    found = Situation(issue, is_tagged, body, ledger, now, agent=desk.agent)
    if isinstance(issue, Gone):
        jobs = tuple(name for of, name in _live_jobs(desk) if of == number)
        return replace(found, jobs=jobs)
    # Each read may make the next one needless: a plan costs many requests, the slot none.
    asked = parse_task(issue.body)
    is_folded = found.verdict is not None and found.verdict.comment.id in desk.folded
    found = replace(found, asked=asked, gpu_hours=budget_of(asked, desk.operator), is_folded=is_folded)
    if "job" in needs(found):
        found = _with_job(desk, found)
    if "results" in needs(found):
        found = replace(found, measured=_measured(desk, found))
    if "slot" in needs(found):
        found = replace(found, is_slot_free=is_slot_free(desk))
    if "plan" in needs(found):
        found = _with_plan(desk, found)
    if "approval" in needs(found) and isinstance(found.planned, Planned):
        found = replace(found, approval=_approval(desk, found, found.planned, issue, comments))
    return found


def issues_with_jobs(desk: Desk) -> set[int]:
    """Issues of this repository whose jobs have not ended: also those that nobody lists any more."""
    return {number for number, _ in _live_jobs(desk)}


def _live_jobs(desk: Desk) -> list[tuple[int, str]]:
    head = re.escape(desk.tracker.repository.replace("/", "-"))
    name = re.compile(rf"{head}-([0-9]+)-[0-9a-f]{{12}}-a[0-9]+")
    folders = (desk.bench.workspace / "jobs").glob("*")
    found = [(name.fullmatch(folder.name), folder) for folder in folders]
    return [(int(match[1]), match[0]) for match, path in found if match and not JobPaths(path).exit.exists()]


def digest_of_text(text: str) -> str:
    return hashlib.sha256(text.replace("\r\n", "\n").strip().encode()).hexdigest()[:16]


def _with_job(desk: Desk, found: Situation) -> Situation:
    intent = found.state.intent if found.state else None
    if intent is None:
        return found
    shell = desk.bench.shell
    if intent.pod != shell.name:
        return replace(found, observed=Unreachable(f"pod {intent.pod} is not one of this agent's"))
    observed = job.observe(shell, desk.bench.paths(intent.job))
    error = _error(desk, intent) if isinstance(observed, Finished) else None
    is_enough = isinstance(observed, Running) and desk.early.is_due(desk.bench.paths(intent.job))
    doing, left = _doing(observed)
    return replace(found, observed=observed, doing=doing, live=doing + left, error=error, is_enough=is_enough)


def _measured(desk: Desk, found: Situation) -> Observation:
    """The job that results on the issue were read from, as far as it is here."""
    name = found.ledger.job_of(found.unjudged) if found.unjudged else ""
    intent = found.state.intent if found.state else None
    if intent is not None and intent.job == name and found.observed is not None:
        return found.observed
    return job.observe(desk.bench.shell, desk.bench.paths(name)) if name else Absent()


def _error(desk: Desk, intent: Intent) -> WorkerError | None:
    """None where the worker could work the plan off. Older ones do not say whether another try could."""
    try:
        text = desk.bench.shell.get(desk.bench.paths(intent.job).runs / "error.json", 1 << 16)
        told = json.loads(text)
        return WorkerError(str(told["text"])[:500], told.get("is_final") is True)
    except (NoSuchFile, ValueError, KeyError, TypeError, AttributeError):
        return None


def _doing(observed: Observation) -> tuple[str, str]:
    """What runs now, and how long the rest takes."""
    if not isinstance(observed, Running):
        return "", ""
    glance = Glance.of(observed.progress)
    left = f", {duration_text(glance.eta_s)} left" if glance.eta_s is not None else ""
    return f"{glance.done} of {glance.total} runs done, {glance.stage}", left


def _with_plan(desk: Desk, found: Situation) -> Situation:
    if not isinstance(found.asked, Task):
        return found
    try:
        planned = plan_for(request_of(found.asked), TrackerSource(desk.tracker, desk.operator.branches))
    except TaskError as error:
        body = found.issue.body if isinstance(found.issue, Issue) else ""
        return replace(found, planned=Refused(problem_of(error, body)))
    return replace(found, planned=planned, forecast=_forecast(desk, planned.plan, found.now))


def _forecast(desk: Desk, plan: Plan, now: datetime) -> tuple[str, ...]:
    """Nothing where the machine cannot be asked: the task is answered all the same."""
    bench = desk.bench
    try:
        known = known_noise(bench.shell, bench.machine, bench.slot, bench.host, plan, now)
    except PodError:
        return ()
    return forecast_lines(plan, known)


def _approval(
    desk: Desk, found: Situation, planned: Planned, issue: Issue, comments: tuple[Comment, ...]
) -> Approval:
    plan, role_of = planned.plan.hash, desk.tracker.role
    return approval_of(plan, found.gpu_hours, issue, comments, desk.me, desk.operator, role_of)


def budget_of(asked: Task | Problems, operator: Operator) -> float:
    """GPU-hours that the plan may spend: as the task says, else the standing budget. The job ends there."""
    if isinstance(asked, Task) and asked.gpu_hours is not None:
        return asked.gpu_hours
    return operator.gpu_hours


def is_slot_free(desk: Desk) -> bool:
    """Whether nobody holds the slot; the lease itself decides, this only saves intents. Raises PodError."""
    return job.is_free(desk.bench.shell, desk.bench.machine, desk.bench.slot)

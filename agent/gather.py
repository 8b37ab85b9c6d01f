"""Looks at what the next step of one issue depends on; reads only, and only what a row may need."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bench.plan import Plan
from pods.choose import Choice, Ranked
from pods.job import Absent, Finished, Observation, Running
from pods.paths import job_name
from pods.shell import NoSuchFile

from agent.approve import approval_of
from agent.early import Early
from agent.errors import TaskError
from agent.floors import known_in
from agent.follow import Glance, duration_text, gpu_hours_text
from agent.forecast import forecast_lines
from agent.ledger import Intent, Ledger, Setting, fold
from agent.marker import Key, Place
from agent.operator import Operator
from agent.planning import Planned, plan_for
from agent.queue import Line, queue_lines
from agent.reading import needs
from agent.requested import problem_of, request_of
from agent.situation import UNDER_WAY, Approval, Refused, Situation, WorkerError
from agent.spoken import Spoken, spoken_on
from agent.task import Problems, Task, parse_task
from agent.tracker import Comment, Gone, Issue, Tracker, User
from agent.tracker_source import TrackerSource
from agent.yard import Bench, Yard, floor_by, need_of

LATELY_S = 86_400.0
MOST_IN_LINE = 50
"""Issues whose comments are read to tell the queue."""


@dataclass(frozen=True)
class Desk:
    """Everything that the agent works with, for one repository."""

    tracker: Tracker
    operator: Operator
    keys: tuple[Key, ...]
    yard: Yard
    me: User
    repository_id: int
    agent: str  # who works here: host and workspace, the same after a restart
    early: Early = field(default_factory=Early)
    folded: set[int] = field(default_factory=set)  # comments of verdicts behind which it was folded up
    shrugged: set[int] = field(default_factory=set)  # comments of people who may not command
    tagged: dict[int, Issue] = field(default_factory=dict)  # as they were listed last
    line: Line = field(default_factory=Line)

    def place(self, number: int) -> Place:
        return Place(self.repository_id, number)

    def folded_from(self, number: int, comments: Sequence[Comment]) -> Ledger:
        return fold(comments, self.me, self.place(number), self.keys)

    def ledger(self, number: int) -> Ledger:
        """Of an issue, read now. Raises TrackerError."""
        return self.folded_from(number, self.tracker.comments(number))


def gather(desk: Desk, number: int, issue: Issue | Gone, now: datetime) -> Situation:
    """Raises TrackerError, PodError."""
    comments = () if isinstance(issue, Gone) else tuple(desk.tracker.comments(number))
    ledger = desk.folded_from(number, comments)
    labels = {label.casefold() for label in issue.labels} if isinstance(issue, Issue) else set()
    is_tagged = desk.operator.label.casefold() in labels  # as the tracker's own filter compares
    settings = ledger.settings
    body = wording_of(issue.body, settings) if isinstance(issue, Issue) else ""
    found = Situation(issue, is_tagged, body, ledger, now, agent=desk.agent, stale_s=desk.operator.stale_s)
    if isinstance(issue, Gone):
        ours = ((job, issue_of(desk, job)) for job in desk.yard.living())
        jobs = tuple(job for job, of in ours if of and of[0] == number)
        return replace(found, jobs=jobs, troubles=desk.yard.troubles())
    # Each read may make the next one needless: a plan costs many requests, the slot none.
    asked = parse_task(issue.body, found.answers)
    is_folded = found.verdict is not None and found.verdict.comment.id in desk.folded
    found = replace(found, asked=asked, gpu_hours=budget_of(asked, desk.operator), is_folded=is_folded)
    desk.line.note(number, ledger)
    found = replace(found, spoken=_spoken(desk, issue, comments, ledger), line=desk.line.told(number))
    if any(one.has("queue") for one in found.spoken):
        found = replace(found, queue=_queue(desk))
    if "job" in needs(found):
        found = _with_job(desk, found)
    if "results" in needs(found):
        found = replace(found, measured=_measured(desk, found))
    if "slot" in needs(found):
        plan = found.state.plan if found.state else ""
        is_free = is_slot_free(desk, plan)
        found = replace(found, is_slot_free=is_free, troubles=desk.yard.troubles())
    if "plan" in needs(found):
        found = _with_plan(desk, found)
    if "slot" in needs(found) and found.is_slot_free and isinstance(found.planned, Planned):
        found = replace(found, choice=_choice(desk, number, found, found.planned.plan))
    if "approval" in needs(found) and isinstance(found.planned, Planned):
        found = replace(found, approval=_approval(desk, found, found.planned, issue))
    return found


def issues_with_jobs(desk: Desk) -> set[int]:
    """Issues of this repository whose jobs live, or ended lately: also those that nobody lists any more, and
    whose last word an agent that was killed has not said."""
    found = (issue_of(desk, job) for job in desk.yard.recent(LATELY_S))
    return {number for number, _ in filter(None, found)}


def issue_of(desk: Desk, job: str) -> tuple[int, str] | None:
    """The issue and the first 12 digits of the plan that a job folder is named for; None where it is none of
    this repository's."""
    head = re.escape(desk.tracker.repository.replace("/", "-"))
    match = re.fullmatch(rf"{head}-([0-9]+)-([0-9a-f]{{12}})-a[0-9]+", job)
    return (int(match[1]), match[2]) if match else None


def wording_of(body: str, settings: Sequence[Setting]) -> str:
    """The digest of what was written: the issue's text with what `/set` changed."""
    changes = "".join(f"\n/set {one.key}={one.value}" for one in settings)
    return digest_of_text(body.strip() + changes)


def digest_of_text(text: str) -> str:
    return hashlib.sha256(text.replace("\r\n", "\n").strip().encode()).hexdigest()[:16]


def _with_job(desk: Desk, found: Situation) -> Situation:
    intent = found.state.intent if found.state else None
    if intent is None:
        return found
    observed = desk.yard.observe(intent.pod, intent.job)
    error, is_enough = None, False
    if isinstance(observed, Finished):
        error = _error(desk.yard.bench(intent.pod), intent)
    elif isinstance(observed, Running):
        is_enough = _is_enough(desk, intent, observed)
    doing, left_s = _doing(observed)
    desk.line.note_left(intent.job, left_s)
    live = f"{doing}, {duration_text(left_s)} left" if left_s is not None else doing
    return replace(found, observed=observed, doing=doing, live=live, error=error, is_enough=is_enough)


def _is_enough(desk: Desk, intent: Intent, observed: Running) -> bool:
    """Whether the runs so far decide; they are fetched where a look has come that nobody has had yet."""
    bench = desk.yard.bench(intent.pod)
    copy = bench.copy(intent.job)
    if not bench.is_here:
        if not desk.early.may_be_due(copy, Glance.of(observed.progress).done):
            return False
        copy = bench.fetched(intent.job)
    return desk.early.is_due(copy)


def _measured(desk: Desk, found: Situation) -> Observation:
    """The job that results on the issue were read from, as far as it is to be had."""
    name = found.ledger.job_of(found.unjudged) if found.unjudged else ""
    intent = found.state.intent if found.state else None
    if intent is not None and intent.job == name and found.observed is not None:
        return found.observed
    pod = found.ledger.pod_of(name)
    return desk.yard.observe(pod, name) if pod else Absent()


def _error(bench: Bench, intent: Intent) -> WorkerError | None:
    """None where the worker could work the plan off. Older ones do not say whether another try could."""
    try:
        text = bench.shell.get(bench.paths(intent.job).runs / "error.json", 1 << 16)
        told = json.loads(text)
        return WorkerError(str(told["text"])[:500], told.get("is_final") is True)
    except (NoSuchFile, ValueError, KeyError, TypeError, AttributeError):
        return None


def _doing(observed: Observation) -> tuple[str, float | None]:
    """What runs now, and how long the rest takes."""
    if not isinstance(observed, Running):
        return "", None
    glance = Glance.of(observed.progress)
    return f"{glance.done} of {glance.total} runs done, {glance.stage}", glance.eta_s


def _with_plan(desk: Desk, found: Situation) -> Situation:
    if not isinstance(found.asked, Task):
        return found
    try:
        planned = _approved(desk, found) or _planned(desk, found.asked)
    except TaskError as error:
        body = found.issue.body if isinstance(found.issue, Issue) else ""
        return replace(found, planned=Refused(problem_of(error, body, found.answers)))
    desk.yard.needs[planned.plan.hash] = need_of(planned.plan)
    forecast = _forecast(desk, planned.plan, found.gpu_hours, found.now)
    return replace(found, planned=planned, forecast=forecast)


def _planned(desk: Desk, asked: Task) -> Planned:
    """Raises TaskError."""
    source = TrackerSource(desk.tracker, desk.operator.branches)
    return replace(plan_for(request_of(asked), source), source=source.tip)


def _approved(desk: Desk, found: Situation) -> Planned | None:
    """The plan as it was approved, from its marker; None where the text is another one now, or the held-out
    rows cannot be had as they were."""
    state = found.state
    stored = found.ledger.planned(state.plan) if state and state.approved_by else None
    if state is None or stored is None or state.stage not in UNDER_WAY or state.body != found.body:
        return None
    plan, commit = stored
    rows = {
        recipe.name: desk.tracker.file(recipe.eval, commit) or b"" for recipe in plan.recipes if recipe.eval
    }
    digests = {recipe.name: recipe.eval_sha256 for recipe in plan.recipes if recipe.eval}
    if digests != {name: hashlib.sha256(data).hexdigest() for name, data in rows.items()}:
        return None
    return Planned(plan, rows, commit)


def _forecast(desk: Desk, plan: Plan, gpu_hours: float, now: datetime) -> tuple[str, ...]:
    """What it may cost, by the price of the slot that would be taken now, and what it should take and show,
    by its noise; less where no pod says: the task is answered all the same."""
    cost = f"may spend {gpu_hours_text(gpu_hours)} at most"
    best = desk.yard.choose(need_of(plan), floor_by(plan, now)).best
    found = desk.yard.slot(best.pod, best.slot) if best is not None and best.slot is not None else None
    if best is None or best.slot is None or found is None:
        return (cost,)
    price = found[0].pod.price_per_hour
    if price is not None:
        cost += f", {gpu_hours * price:.2f} at {price:g} an hour on {best.pod}"
    return (cost, *forecast_lines(plan, known_in(found[0].noise_of(best.slot), plan, now)))


def _choice(desk: Desk, number: int, found: Situation, plan: Plan) -> Choice:
    """The freest slot that meets the plan's need; the pod that has the job's folder already, if one does: a
    marker that somebody deleted starts nothing twice."""
    name = next_job(desk, number, found, plan)
    holder = desk.yard.holder_of(name)
    if holder is not None:
        bench = desk.yard.bench(holder)
        body = json.loads(bench.shell.get(bench.paths(name).job, 1 << 20))
        return Choice((Ranked(holder, str(body["slot"]), "its job folder is there"),))
    avoid = [(intent.pod, intent.slot) for intent in found.ledger.intents(plan.hash)]
    return desk.yard.choose(need_of(plan), floor_by(plan, found.now), avoid)


def next_job(desk: Desk, number: int, found: Situation, plan: Plan) -> str:
    """The name of the next attempt's job folder."""
    attempt = next_attempt(found, plan)
    return job_name(desk.tracker.repository.replace("/", "-"), number, plan.hash, attempt)


def next_attempt(found: Situation, plan: Plan) -> int:
    return max((intent.attempt for intent in found.ledger.intents(plan.hash)), default=0) + 1


def _queue(desk: Desk) -> tuple[str, ...]:
    issues = {number: desk.tagged[number] for number in sorted(desk.tagged)[:MOST_IN_LINE]}
    return queue_lines(issues, {number: desk.ledger(number) for number in issues})


def _approval(desk: Desk, found: Situation, planned: Planned, issue: Issue) -> Approval:
    plan, settings, role_of = planned.plan.hash, found.ledger.settings, desk.tracker.role
    return approval_of(plan, found.gpu_hours, issue, found.spoken, settings, desk.operator, role_of)


def _spoken(desk: Desk, issue: Issue, comments: tuple[Comment, ...], ledger: Ledger) -> tuple[Spoken, ...]:
    heard = tuple(one for one in comments if one.id not in desk.shrugged)
    return spoken_on(issue, heard, ledger, desk.me, desk.tracker.role)


def budget_of(asked: Task | Problems, operator: Operator) -> float:
    """GPU-hours that the plan may spend: as the task says, else the standing budget. The job ends there."""
    if isinstance(asked, Task) and asked.gpu_hours is not None:
        return asked.gpu_hours
    return operator.gpu_hours


def is_slot_free(desk: Desk, plan: str = "") -> bool:
    """Whether a slot is free for a plan, as far as its need is known; the lease itself decides, this only
    saves intents and reads. Raises PodError."""
    return desk.yard.is_free(plan)

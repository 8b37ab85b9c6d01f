"""Does on the pods what was decided: jobs are announced, started, told, ended, read; each step repeatable.

The intent stands on the issue before the lease is taken; taking, preparing and launching a job find what an
earlier try left. Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import replace

from bench.plan import Plan
from bench.worker.source import Mirror, SourceError
from pods import job
from pods.shell import PodError

from agent import bodies
from agent.action import Enough, Free, Intend, Launch, Progress
from agent.bench_command import stored
from agent.dispatch import hard_limit_s
from agent.effects import effect
from agent.errors import TaskError
from agent.gather import Desk, next_attempt, next_job
from agent.launching import Begun, Lacking, NotTaken, begin
from agent.ledger import Intent, State
from agent.look import Look
from agent.result import Result
from agent.review.review import Review, review

SLACK_S = 300.0
"""A lease has ended when it is this long past its hard end, seen or not."""
LAST_LINES, LOG_B, LOG_S = 20, 8 << 10, 20.0
"""Of a log in a failure."""


def intended(look: Look, action: Intend) -> Progress:
    """The progress that announces the next attempt; its slot counts as promised from now on."""
    plan, best = action.planned.plan, action.choice.best
    assert best is not None and best.slot is not None, "an intent is decided on where a slot was chosen"
    limit_s = min(hard_limit_s(plan), look.found.left_s)
    intent = Intent(
        attempt=next_attempt(look.found, plan),
        pod=best.pod,
        slot=best.slot,
        job=next_job(look.desk, look.number, look.found, plan),
        hard_end=bodies.hard_end(look.now, limit_s + SLACK_S),
    )
    look.say(f"attempt {intent.attempt} on {intent.pod}, slot {intent.slot}")
    look.desk.yard.promised.add((intent.pod, intent.slot))
    state = replace(action.state, stage="intent", intent=intent, note="")
    return Progress(state, planned=action.planned, choice=action.choice)


def launch(look: Look, action: Launch) -> State | str | None:
    """None where it runs or may be tried again; the state to go back to where the slot was not to be had;
    what the pod lacks where it cannot do it."""
    intent, desk = action.intent, look.desk
    begun = begin(desk.yard, action.planned, intent, desk.tracker.clone_url(), look.found.left_s, look.now)
    desk.yard.forget(intent.pod)
    match begun:
        case Begun(warnings=warnings):
            for warning in warnings:
                look.say(warning)
            return None
        case NotTaken(why=why):
            look.say(f"slot {intent.slot} of {intent.pod} is held ({why})")
            return replace(action.state, stage="approved", intent=None, note="the slot was not taken")
        case Lacking(why=why):
            return f"{intent.pod} lacks {why}"


def enough(look: Look, action: Enough) -> None:
    look.say("what was measured decides; no further replicate is made")
    bench = look.desk.yard.bench(action.intent.pod)
    with effect("enough"):
        bench.shell.put(bench.paths(action.intent.job).enough, b"")


def free(look: Look, action: Free) -> bool:
    """Whether nothing is left of jobs whose issue is gone."""
    desk = look.desk
    left = [told for told in (end(desk, desk.yard.holder_of(name), name) for name in action.jobs) if told]
    look.say(f"{action.why}: {'; '.join(left) or 'ended ' + ', '.join(action.jobs)}")
    return not left


def end(desk: Desk, pod: str | None, name: str) -> str:
    """Ends a job and everything of it: "" once nothing is left, else what is. Raises PodError."""
    if pod is None or isinstance(desk.yard.observe(pod, name), job.Absent):
        return ""
    bench = desk.yard.bench(pod)
    with effect("cancel"):
        cancelled = job.cancel(bench.shell, bench.paths(name))
    desk.yard.forget(pod)
    if cancelled.has_ended and not cancelled.left:
        return ""
    processes = f" (processes {', '.join(map(str, cancelled.left))})" if cancelled.left else ""
    return f"job {name} has not ended{processes}: tried again at the next look"


def result_of_job(desk: Desk, pod: str, name: str, plan: str) -> Result:
    """The result of a job that has ended, from its files as they are on the pod; stored beside the copy of
    them here, for `paceline verify`.

    Raises PodError for one of another plan: what was said of that would be missed, and said again, for ever.
    """
    with effect("fetch"):
        copy = desk.yard.bench(pod).fetched(name)
    result = stored(copy.root)
    if result.plan.hash != plan:
        raise PodError(f"job {name} has measured plan {result.plan.hash[:12]}, not {plan[:12]}")
    return result


def end_of_log(look: Look, plan: str) -> str:
    """The last lines that the newest job of a plan has said; "" where it has not, or is not reached."""
    intents = look.found.ledger.intents(plan)
    if not intents:
        return ""
    intent = intents[-1]
    try:
        bench = look.desk.yard.bench(intent.pod)
        log = str(bench.paths(intent.job).log)
        done = bench.shell.run(["tail", "-n", str(LAST_LINES), log], timeout_s=LOG_S, limit_b=LOG_B)
    except PodError:
        return ""
    return done.out.decode(errors="replace").strip() if done.status == 0 else ""


def reviewed(look: Look, plan: Plan) -> Review | str:
    """The review of what lies between the plan's baseline and its optimized commit, in this machine's mirror;
    or why there is none."""
    baseline, optimized = plan.arms[0].commit, plan.arms[1].commit
    if baseline == optimized:
        return "both arms are one commit: there is nothing to review"
    changes = look.task.changes if look.task else ()
    mirror = Mirror(look.desk.yard.here, look.desk.tracker.clone_url())
    try:
        for commit in (baseline, optimized):
            mirror.fetch(commit)
        return review(mirror.path, baseline, optimized, changes, plan.protected)
    except (SourceError, TaskError) as error:
        return f"the commits could not be reviewed here: {error}"

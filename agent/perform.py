"""Does the one thing that was decided, and tells whether anything was done. Nothing is decided here."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from agent import jobs, saying
from agent.action import (
    Action,
    Answer,
    Bury,
    Close,
    Enough,
    Fail,
    Fold,
    Free,
    Intend,
    Launch,
    Note,
    Park,
    Progress,
    Refresh,
    Rest,
    Results,
    Review,
    Shrug,
    Stop,
    Verdict,
)
from agent.decide import closed
from agent.delivery import deliver
from agent.ledger import State
from agent.look import Look


def perform(look: Look, action: Action) -> bool:
    """Whether anything was done. Raises TrackerError, PodError, TaskError."""
    match action:
        case Rest():
            return False
        case Intend() | Launch() | Stop() | Bury() | Free() | Enough():
            return _work(look, action)
        case Results() | Review() | Verdict():
            _judge(look, action)
        case Refresh():
            return saying.refresh(look, action)
        case Fail():
            saying.fail(look, action, lambda: jobs.end_of_log(look, action.state.plan))
        case Progress() | Answer() | Shrug() | Note() | Park() | Close() | Fold():
            saying.write(look, action)
        case _:
            assert_never(action)
    return True


def _work(look: Look, action: Intend | Launch | Stop | Bury | Free | Enough) -> bool:
    """What asks a pod for something, and then says on the issue what came of it."""
    match action:
        case Intend():
            saying.progress(look, jobs.intended(look, action))
        case Launch():
            match jobs.launch(look, action):
                case State() as state:
                    return perform(look, Progress(state))
                case str(lack):
                    return perform(look, closed(action.state, lack))
        case Stop(state=state, intent=intent):
            stopped = Progress(replace(state, intent=None))
            return _end_and_say(look, intent.pod, intent.job, f"to be stopped: {state.note}", stopped)
        case Bury(state=state, intent=intent, why=why):
            return _end_and_say(look, intent.pod, intent.job, why, closed(state, why))
        case Free():
            return jobs.free(look, action)
        case Enough():
            jobs.enough(look, action)
        case _:
            assert_never(action)
    return True


def _judge(look: Look, action: Results | Review | Verdict) -> None:
    """What is said of a job that was measured, from its files as they are on its pod."""
    plan = action.state.plan
    match action:
        case Results(intent=intent):
            look.say("measured; posting results")
            result = jobs.result_of_job(look.desk, intent.pod, intent.job, plan)
            saying.results(look, result, deliver(look, result, intent))
        case Review(job=name):
            result = jobs.result_of_job(look.desk, look.found.ledger.pod_of(name) or "", name, plan)
            saying.review(look, jobs.reviewed(look, result.plan), plan)
        case Verdict(job=name):
            result = jobs.result_of_job(look.desk, look.found.ledger.pod_of(name) or "", name, plan)
            saying.verdict(look, result)
        case _:
            assert_never(action)


def _end_and_say(look: Look, pod: str, job: str, why: str, then: Progress | Fail) -> bool:
    """That everything is freed is said once it is true; until then each tick tries again."""
    left = jobs.end(look.desk, pod, job)
    if left:
        look.say(f"{why}; {left}")
        return False
    return perform(look, then)

"""What the agent says, one function a marker: from data to text and payload. Pure but for the templates.

Progress text is made from the state alone. Results and verdict are made from a Result, which exists only
where there are stored runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.plan import Plan

from agent.action import Cause, Progress
from agent.follow import duration_text
from agent.ledger import Intent, State
from agent.report import environment_of_templates, escaped, in_code
from agent.task import Problems, Task

STEPS = ("task understood", "plan approved", "runs measured", "results posted", "verdict posted")
DONE_BY_STAGE = {"blocked": 0, "waiting": 1, "approved": 2, "intent": 2, "running": 2}
TITLES = {
    "blocked": "Status: waiting for an answer",
    "waiting": "Status: waiting for approval",
    "approved": "Status: approved, next in line",
    "intent": "Status: starting",
    "running": "Status: measuring",
    "stopped": "Status: stopped",
    "done": "Status: this plan has its verdict",
}
TO_GO_ON = {
    "blocked": "Answer by `/set` in a comment, or edit the issue's text; it is read again then.",
    "stopped": "To have it measured after all, comment `/retry` or edit the text; the issue has to be open,"
    " with its label.",
}
LIVE_AT_FIRST = {"approved": "in line", "intent": "starting", "running": "measuring"}
MINUTES_UNKNOWN = "not known before the first runs have ended"


def progress_text(action: Progress, task: Task | None, forecast: Sequence[str] = ()) -> str:
    """The text of a progress marker; `forecast` is what the plan's runs should take and show."""
    state = action.state
    done = _steps_done(state)
    plan = action.planned.plan if action.planned else None
    return rendered(
        "comments/progress.md.j2",
        title=TITLES[state.stage],
        where=_where(state),
        live=LIVE_AT_FIRST.get(state.stage, ""),
        pods=_ranking(action),
        understood=(*_understood(plan, state, task), *map(escaped, forecast)) if plan else (),
        problems=action.problems.found if isinstance(action.problems, Problems) else (),
        blocker=state.note if state.stage in ("blocked", "waiting") else "",
        note=state.note if state.stage not in ("blocked", "waiting") else "",
        to_go_on=TO_GO_ON.get(state.stage, ""),
        done=STEPS[:done],
        left=STEPS[done:],
        eta=_eta(state, plan),
    )


def _steps_done(state: State) -> int:
    match state.stage:
        case "done":
            return len(STEPS)
        case "stopped":
            return bool(state.plan) + bool(state.approved_by)
        case stage:
            return DONE_BY_STAGE[stage]


def _where(state: State) -> str:
    match state.stage:
        case "blocked":
            return "the task is not clear yet"
        case "waiting":
            return f"plan `{state.plan[:12]}` waits for approval"
        case "approved":
            again = f", after {_counted(state.closed, 'attempt')} without result" if state.closed else ""
            return f"plan `{state.plan[:12]}` is approved ({escaped(state.approved_by)}){again}"
        case "intent" | "running":
            assert state.intent is not None, "a job that runs has an intent"
            intent = state.intent
            return (
                f"plan `{state.plan[:12]}`, attempt {intent.attempt}, pod `{in_code(intent.pod)}`,"
                f" slot `{in_code(intent.slot)}`, job `{in_code(intent.job)}`,"
                f" ends by {intent.hard_end} at the latest"
            )
        case "stopped":
            return "nothing runs any more, everything is freed"
        case _:
            return "nothing is left to do"


def _ranking(action: Progress) -> tuple[str, ...]:
    """Why this pod and not another, where there is another."""
    ranked = action.choice.ranked if action.choice else ()
    return tuple(f"{escaped(one.pod)}: {escaped(one.reason)}" for one in ranked) if len(ranked) > 1 else ()


def _understood(plan: Plan, state: State, task: Task | None) -> tuple[str, ...]:
    runs = sum(len(arms) for _, _, arms in plan.rounds())
    lines = [f"{escaped(arm.name)}: `{in_code(arm.commit[:12])}`{_params(arm.params)}" for arm in plan.arms]
    lines += [f"recipes: {', '.join(escaped(recipe.name) for recipe in plan.recipes)}"]
    most = f"up to {runs}" if plan.looks else str(runs)
    lines += [f"{_replicates(plan)}, {most} runs, at most {_limit(plan)}"]
    lines += [
        f"criterion: `{in_code(criterion.text)}` ({escaped(criterion.arm)})" for criterion in plan.criteria
    ]
    if any(recipe.eval for recipe in plan.recipes):
        lines += [f"trains the same: held-out loss within ±{100 * plan.loss_band:g} % of the baseline's"]
    first = plan.arms[0]
    lines += [
        f"{escaped(arm.name)} is the baseline again: what differs is noise"
        for arm in plan.arms[1:]
        if (arm.commit, arm.params) == (first.commit, first.params)
    ]
    lines += _beside(task) if task is not None else ()
    lines += [f"must not change: `{in_code(held)}`" for held in plan.protected]
    if task is not None:
        lines += [f"must not change, which no run can check: {escaped(held)}" for held in task.unchanged]
    return (*lines, f"plan `{state.plan[:12]}`")


CHECKS: Mapping[str, str] = {
    "outcomes": "decided by how the runs end",
    "lint": "decided by the review",
    "changes": "decided by the review",
    "": "which nothing here decides",
}


def _beside(task: Task) -> Iterator[str]:
    """What the issue says beside what is measured."""
    if task.changes:
        names = ", ".join(escaped(one.name) for one in task.changes)
        yield f"{_counted(len(task.changes), 'change')} listed: {names}"
    if task.protocol:
        said = "; ".join(escaped(one.text) for one in task.protocol)
        yield f"said of the runs, and shown beside what they do: {said}"
    yield from (f"stated, {CHECKS[one.check]}: {escaped(one.text)}" for one in task.stated)


def _replicates(plan: Plan) -> str:
    if not plan.looks:
        return _counted(plan.replicates, "replicate")
    *early, last = map(str, plan.looks)
    return f"as many replicates as are needed (looked at after {', '.join(early)} and {last})"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _params(params: Mapping[str, Any]) -> str:
    from bench.plan import written

    return "".join(f", {escaped(key)} = `{in_code(written(value))}`" for key, value in params.items())


def _limit(plan: Plan) -> str:
    return duration_text(sum(recipe.limit_s for _, recipe, arms in plan.rounds() for _ in arms))


def _eta(state: State, plan: Plan | None) -> str:
    if state.stage in ("blocked", "waiting", "stopped"):
        return "none while this waits"
    if state.stage == "done":
        return "it is there"
    if state.intent is not None:
        return f"{MINUTES_UNKNOWN}; {state.intent.hard_end} at the latest"
    return f"{MINUTES_UNKNOWN}; at most {_limit(plan)} from the start" if plan else MINUTES_UNKNOWN


def note_text(title: str, lines: tuple[str, ...], advice: str) -> str:
    return rendered("comments/note.md.j2", title=title, lines=lines, advice=advice)


CAUSES: Mapping[Cause, str] = {
    "infrastructure": "infrastructure: machines or network, not the change",
    "code": "code: these commits cannot be measured on any machine",
    "budget": "budget: nothing is left of the GPU-hours that the task may spend",
}


def failure_text(cause: Cause, why: str, attempts: Sequence[tuple[Intent, str]], log: str) -> str:
    """`attempts` with what ended each, the last one for `why`; `log` is the end of what the last job said."""
    return rendered("comments/failure.md.j2", cause=CAUSES[cause], why=why, attempts=attempts, log=log)


def answer_text(login: str, lines: Sequence[str]) -> str:
    """The reply to somebody's commands; the lines are Markdown of ours."""
    return rendered("comments/answer.md.j2", login=login, lines=lines)


def hard_end(now: datetime, limit_s: float) -> str:
    return datetime.fromtimestamp(now.timestamp() + limit_s, UTC).isoformat(timespec="seconds")


def rendered(name: str, **values: object) -> str:
    text = environment_of_templates().get_template(name).render(**values)
    lines = [line.rstrip() for line in text.strip().split("\n")]
    kept = [line for n, line in enumerate(lines) if line or (n and lines[n - 1])]
    return "\n".join(kept)

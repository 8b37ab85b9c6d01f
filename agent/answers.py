"""What is answered to a comment with commands: one reply, and what it puts on record.

Pure. The reply is a signed note: the values of `/set`, a cancellation and a retry are read from it from then
on, never from the comment again. An approval has no reply of its own: the progress that follows says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from agent.action import Answer, Shrug
from agent.commands import NAMES, SHORTEST_HASH, Command, Misread
from agent.ledger import Setting
from agent.report import escaped, in_code
from agent.situation import ATTEMPTS, UNDER_WAY, Situation
from agent.spoken import Spoken
from agent.task import ANSWER_KEYS

ABOUT: Mapping[str, str] = {
    "approve": "`/approve HASH`: the plan with this hash may spend its budget (write permission)",
    "set": f"`/set KEY=VALUE ...`: answers a question or changes the task; keys: {', '.join(ANSWER_KEYS)}",
    "cancel": "`/cancel`: ends what is under way and frees the slot",
    "retry": f"`/retry`: tries a task that was stopped again, up to {ATTEMPTS} attempts",
    "status": "`/status`: how the task stands",
    "queue": "`/queue`: what is measured now and what waits",
    "attribute": "`/attribute`: measures each change by itself, as a plan of its own",
    "help": "`/help`: this list",
}
assert tuple(ABOUT) == NAMES
EDITED = "the comment was edited, and commands are taken as they were first written: please write them anew"


@dataclass(frozen=True, slots=True)
class _Part:
    """What one command comes to."""

    lines: tuple[str, ...]
    is_done: bool = True
    command: str = ""
    settings: tuple[Setting, ...] = ()


def answer_to(now: Situation, spoken: Spoken) -> Answer | Shrug | None:
    """None where what follows answers it (the approval of a plan that waits), and where nobody knows yet what
    its author may do."""
    if spoken.role is None:
        return None
    if not spoken.may_command:
        return Shrug(spoken.comment)
    if spoken.is_edited:
        return Answer(spoken.comment, (EDITED,), is_done=False)
    state = now.state
    plan = state.plan if state and state.stage == "waiting" else ""
    if len(spoken.commands) == 1 and spoken.approves(plan) and now.approval and now.approval.is_given:
        return None
    parts = [part for command in spoken.commands for part in _parts(now, spoken, command)]
    return Answer(
        comment=spoken.comment,
        lines=tuple(line for part in parts for line in part.lines),
        is_done=all(part.is_done for part in parts),
        command=next((part.command for part in reversed(parts) if part.command), ""),
        settings=tuple(one for part in parts for one in part.settings),
    )


def _parts(now: Situation, spoken: Spoken, command: Command | Misread) -> Iterator[_Part]:
    if isinstance(command, Misread):
        yield _Part(
            (f"`{in_code(command.line)}` was not understood: {escaped(command.hint)}",), is_done=False
        )
        return
    match command.name:
        case "approve":
            yield _approve(now, spoken, command)
        case "set":
            yield _set(spoken, command)
        case "cancel":
            yield _cancel(now)
        case "retry":
            yield _retry(now)
        case "status":
            yield _Part(status_lines(now))
        case "queue":
            yield _Part(now.queue or ("nothing is measured and nothing waits",))
        case "attribute":
            yield _attribute(now)
        case "help":
            yield _Part(tuple(ABOUT.values()))
        case _:
            assert_never(command.name)


def _approve(now: Situation, spoken: Spoken, command: Command) -> _Part:
    state = now.state
    if not spoken.may_approve:
        return _Part(("a plan is approved by somebody with write permission",), is_done=False)
    if state is None or not state.plan:
        return _Part(("there is no plan yet that could be approved",), is_done=False)
    known = f"`{state.plan[:SHORTEST_HASH]}`"
    if not state.plan.startswith(command.plan):
        given = f"`{command.plan[:SHORTEST_HASH]}`"
        return _Part((f"{given} is not the plan of this task as it is now: that is {known}",), is_done=False)
    if state.stage != "waiting":
        return _Part((f"plan {known} does not wait for an approval",))
    why = now.approval.words if now.approval else "it could not be checked"
    return _Part((f"plan {known} is not approved by that: {escaped(why)}",), is_done=False)


def _set(spoken: Spoken, command: Command) -> _Part:
    unknown = [key for key in command.values if key not in ANSWER_KEYS]
    if unknown:
        named = ", ".join(f"`{in_code(key)}`" for key in unknown)
        return _Part(
            (f"nothing was set: there is no {named}; keys: {', '.join(ANSWER_KEYS)}",), is_done=False
        )
    who = spoken.comment.author
    settings = tuple(Setting(key, value, who.login, who.id) for key, value in command.values.items())
    lines = (
        f"{one.key} = `{in_code(one.value)}`" if one.value else f"{one.key} is as the text says"
        for one in settings
    )
    return _Part((*lines, "the task is read again with that"), settings=settings)


def _cancel(now: Situation) -> _Part:
    why = why_idle(now)
    if why:
        return _Part((f"there is nothing to cancel: {why}",), is_done=False)
    return _Part(
        ("what is under way is ended and its slot freed; the next progress says when it is",),
        command="cancel",
    )


def _retry(now: Situation) -> _Part:
    if now.has_verdict:
        return _Part(
            ("the task has its verdict: edit it, or use /set, to measure something else",), is_done=False
        )
    if now.state is None or now.state.stage != "stopped":
        stage = now.state.stage if now.state else "not read yet"
        return _Part((f"only what was stopped is tried again: this is {stage}",), is_done=False)
    return _Part(("the task is tried again",), command="retry")


def _attribute(now: Situation) -> _Part:
    if not now.has_verdict:
        return _Part(("changes are measured one by one once the task has its verdict",), is_done=False)
    return _Part(
        ("not done by the agent yet: `paceline attribute` measures each change by itself on one machine",),
        is_done=False,
    )


def why_idle(now: Situation) -> str:
    """Why nothing is under way, "" where something is or is about to be."""
    if now.has_verdict:
        return "the task has its verdict"
    if not now.is_wanted:
        return now.why_unwanted
    stage = now.state.stage if now.state else "waiting"
    return {"blocked": "the task waits for its author", "stopped": "it is stopped already"}.get(stage, "")


def status_lines(now: Situation) -> tuple[str, ...]:
    state = now.state
    if state is None:
        return ("the text was not read yet",)
    if now.verdict is not None:
        return (f"verdict {now.verdict.marker.payload.get('outcome', '?')}, plan `{state.plan[:12]}`",)
    lines = [f"{state.stage}{f', plan `{state.plan[:12]}`' if state.plan else ''}"]
    if state.intent is not None and state.stage in UNDER_WAY:
        intent = state.intent
        lines.append(
            f"attempt {intent.attempt} on pod `{in_code(intent.pod)}`, slot `{in_code(intent.slot)}`,"
            f" ends by {intent.hard_end} at the latest"
        )
    lines += [escaped(now.live)] if now.live else []
    lines += [f"last: {escaped(state.note)}"] if state.note else []
    return tuple(lines)

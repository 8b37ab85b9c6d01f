"""How a run ended: one outcome and the first useful line of why.

The owner's record decides first, then the events, then whether the two agree with each other. What the hook
says inside has to lie within the owner's clock and follow from itself; otherwise the run is tainted.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from bench import windows
from bench.events import Events
from bench.plan import BEFORE
from bench.run import Outcome, Phase

CLOCK_SLACK_S = 0.05
"""How far the hook's clock may stand outside the owner's: both read CLOCK_MONOTONIC of one machine."""
MEMORY_WORDS = ("out of memory", "cannot allocate memory", "can't allocate memory", "memoryerror")
MEMORY_TYPES = ("OutOfMemoryError", "MemoryError")


def outcome_of(
    record: Mapping[str, Any], owner: Mapping[str, Any], events: Events, log: str
) -> tuple[Outcome, str]:
    """`record` is the content of `exit.json`, `owner` its owner part ({} where lost), `log` its tail."""
    if not owner:
        return "tainted", f"the owner of the process was lost: {record['owner_error']}"
    if owner["not_started"]:
        return "crashed", f"did not start: {owner['not_started']}"
    if owner["cancelled"]:
        return "cancelled", "ended by request"
    if record.get("touched"):
        return (
            "tainted",
            f"files that are not the run's were changed while it lasted: {_some(record['touched'])}",
        )
    if owner["timed_out"]:
        return "timed out", _how_far(events)
    if events.fault in ("tampered", "foreign schema", "malformed"):
        return "tainted", f"events {events.fault}: {events.why}"
    if owner["status"] != 0:
        return _failed(record, owner, events, log)
    if not events.lines:
        return "hook not loaded", "the process left no events"
    if events.fault == "cut" or (not events.of("end") and record["events"] != "own"):
        return "tainted", f"events cut off: {events.why or 'no end line'}"
    if not events.of("step"):
        return _without_step(record, events)
    unlike = itertools.chain(
        _contradictions(owner, events),
        windows.contradictions(record, events),
        _unmade(events, is_hooks=record["events"] != "own"),
    )
    contradiction = next(unlike, None)
    if contradiction:
        return "tainted", contradiction
    bad = next(
        (step for step in events.of("step") if step["loss"] is not None and not is_finite(step["loss"])), None
    )
    if bad:
        return "NaN", f"loss is {bad['loss']} at step {bad['n']}"
    return "ok", ""


def _without_step(record: Mapping[str, Any], events: Events) -> tuple[Outcome, str]:
    """A run that only looks at the model before it is trained is made to end there."""
    evaluation = events.last("eval")
    if record["arm"] == BEFORE and evaluation and "loss" in evaluation:
        return "ok", ""
    return "no trainer", "no optimizer step of a transformers or TRL trainer was seen"


def as_kept(events: Events, data: bytes, record: Mapping[str, Any]) -> Events:
    """The events that were read from `data`, tampered where that is not what the worker kept of the run."""
    kept = record["files"].get("events.jsonl")
    is_kept = hashlib.sha256(data).hexdigest() == kept if kept or data else True
    if is_kept or events.fault is not None:
        return events
    return replace(events, fault="tampered", why="the file is not the one that the worker kept")


def _failed(
    record: Mapping[str, Any], owner: Mapping[str, Any], events: Events, log: str
) -> tuple[Outcome, str]:
    error = events.last("error")
    line = f"{error['type']}: {error['text']}" if error else _last_line(log)
    line = line.strip().splitlines()[0] if line.strip() else ""
    how = f"killed by signal {owner['signal']}" if owner["signal"] else f"exit status {owner['status']}"
    text = f"{line} ({how})" if line else how
    of_memory = error is not None and error["type"] in MEMORY_TYPES
    if (
        of_memory
        or (owner["signal"] == 9 and record["oom_kills"])
        or any(word in line.lower() for word in MEMORY_WORDS)
    ):
        return "out of memory", text
    return "crashed", text


def _last_line(log: str) -> str:
    """The last line of a log that says something: the end of a traceback, as a rule."""
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _how_far(events: Events) -> str:
    step = events.last("step")
    return (
        f"ended at its limit after step {step['n']}" if step else "ended at its limit before the first step"
    )


def _contradictions(owner: Mapping[str, Any], events: Events) -> Iterator[str]:
    """What the events say of themselves and of the clock that cannot be true."""
    begin, end = owner["begin"] - CLOCK_SLACK_S, owner["end"] + CLOCK_SLACK_S
    steps, phases = events.of("step"), events.of("phase")
    for event in (*steps, *phases):
        if not begin <= event["begin"] <= event["end"] <= end:
            yield f"a {event['kind']} lies outside the process's own time by the owner's clock"
    for before, after in itertools.pairwise(steps):
        if after["n"] != before["n"] + 1 or after["begin"] < before["begin"]:
            yield f"step {after['n']} follows step {before['n']}"
    if steps and steps[0]["n"] != 1:
        yield f"the first step is numbered {steps[0]['n']}"
    for one, two in itertools.pairwise(sorted(phases, key=lambda event: float(event["begin"]))):
        if two["begin"] < one["end"] - 1e-6:
            yield f"the phases {one['name']} and {two['name']} overlap"
    for phase in phases:
        if phase["name"] not in get_args(Phase):
            yield f"unknown phase {phase['name']!r}"
    total = events.last("end")
    if total and total.get("steps") not in (None, len(steps)):
        yield f"the end counts {total['steps']} steps, there are {len(steps)}"


def _unmade(events: Events, *, is_hooks: bool) -> Iterator[str]:
    """Steps that no batch went through, and batches that cannot be: what it takes to claim work undone.

    The hook writes a line for each batch that the trainer's `training_step` is called with; a subject that
    writes its own events need not.
    """
    steps, batches = events.of("step"), events.of("batch")
    trained = {batch["step"] for batch in batches}
    for step in steps:
        if is_hooks and step["n"] not in trained:
            yield f"no batch went through step {step['n']}"
    for batch in batches:
        if not 1 <= batch["step"] <= len(steps):
            yield f"a batch is of step {batch['step']}, there are {len(steps)}"
        padded = batch.get("padded")
        for name in ("real", "supervised"):
            count = batch.get(name)
            if padded is not None and count is not None and count > padded:
                yield f"a batch of step {batch['step']} holds {count} {name} tokens in {padded} positions"


def _some(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def is_finite(loss: object) -> bool:
    return isinstance(loss, int | float) and math.isfinite(loss)

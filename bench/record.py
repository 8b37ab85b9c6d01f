"""Makes a Run from the raw files of its folder: what it did, how it ended, and what does not agree.

Reads `runs/<recipe>/<replicate>/<arm>/{exit.json, events.jsonl, choices.jsonl, gpu.csv, log}`. Outer time
comes from the owner's record in `exit.json`; what the hook says inside has to lie within it and agree with
itself, otherwise the run is tainted. Writes nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from bench.events import Event, Events, read_events
from bench.gpu_trace import read_gpu_trace
from bench.host_trace import read_host_trace, said_by
from bench.outcome import as_kept, outcome_of
from bench.plan import ASIDE, BEFORE, Plan
from bench.run import Choice, Eval, Phase, PhaseMemory, Run
from bench.validity import checked
from bench.windows import at_gates_s, too_few, windows_of

EXIT_SCHEMA = 1
LOG_TAIL_B = 64 << 10


def read_runs(runs: Path, plan: Plan) -> list[Run]:
    """Every run of the plan that has ended, in the plan's order; first those before training."""
    found = []
    for recipe in plan.recipes:
        folder = runs / recipe.name / "0" / BEFORE
        if (folder / "exit.json").exists():
            found.append(read_run(folder))
    for replicate, recipe, arms in plan.rounds():
        for arm in arms:
            folder = runs / recipe.name / str(replicate) / arm.name
            found += [_set_aside(read_run(aside), number) for number, aside in tries_of(folder)]
            if (folder / "exit.json").exists():
                found.append(read_run(folder))
    return found


def tries_of(folder: Path) -> list[tuple[int, Path]]:
    """The runs that were set aside for the one in this folder, in their order: (number, folder)."""
    found = []
    for path in folder.parent.glob(f"{folder.name}{ASIDE}*"):
        number = path.name.rpartition(ASIDE)[2]
        if number.isdecimal() and (path / "exit.json").exists():
            found.append((int(number), path))
    return sorted(found)


def _set_aside(run: Run, number: int) -> Run:
    """Never counts: either it was spoiled, or another arm's in the same round."""
    why = run.reason if run.outcome == "tainted" else "its round was made again"
    return replace(run, outcome="tainted", reason=why, set_aside=number)


def read_run(folder: Path) -> Run:
    """Raises ValueError where `exit.json` is not a record of schema 1."""
    record = json.loads((folder / "exit.json").read_text(encoding="utf-8"))
    if record.get("schema") != EXIT_SCHEMA:
        raise ValueError(f"{folder}/exit.json: schema {record.get('schema')!r}, this reads {EXIT_SCHEMA}")
    owner = record["owner"] or {}
    is_own = record["events"] == "own"
    data = _bytes_of(folder / "events.jsonl")
    events = read_events(data, None if is_own else record["key"]) if data else Events()
    events = as_kept(events, data, record)
    outcome, reason = outcome_of(record, owner, events, _tail_of(folder / "log"))
    run = Run(
        recipe=record["recipe"],
        arm=record["arm"],
        replicate=record["replicate"],
        outcome=outcome,
        reason=reason,
        wall_s=_wall_s(owner, events),
        engine=record.get("engine", "abba"),
        windows=windows_of(events, _bytes_of(folder / "host.csv")) if events.of("gate") else (),
        phases_s=_phases_s(owner, events),
        choices=(*_choices(events.of("choice")), *_own_choices(folder / "choices.jsonl")),
        memory=_memory(events),
        peak_rss_b=owner.get("max_rss_b"),
        gpu=read_gpu_trace(
            _bytes_of(folder / "gpu.csv"),
            _bytes_of(folder / "gpu-apps.csv"),
            record.get("turns") or (),
            [(step["begin"], step["end"]) for step in events.of("step")],
        ),
        host=read_host_trace(_bytes_of(folder / "host.csv"), said_by(owner, events, data)),
        user_s=owner.get("user_s"),
        harness_s=_harness_s(record, owner),
        protected=record["protected"],
        environment=record["environment"],
        is_self_reported=is_own,
        warnings=_warnings(record, owner, events),
        files={**record["files"], "exit.json": hashlib.sha256(_bytes_of(folder / "exit.json")).hexdigest()},
        **_training(events),
    )
    # What looks at a loss before training takes no time that anybody compares.
    return run if run.arm == BEFORE else checked(run)


def _training(events: Events) -> dict[str, Any]:
    """The fields of Run that come from steps, batches and the evaluation."""
    steps, batches = events.of("step"), events.of("batch")
    evaluation = _eval(events.last("eval"))
    if not steps:
        return {"eval": evaluation}
    return {
        "steps": len(steps),
        "rows": _sum(batch.get("rows") for batch in batches),
        "tokens": _sum(batch.get("real") for batch in batches),
        "padded_tokens": _sum(batch.get("padded") for batch in batches),
        "supervised_tokens": _sum(batch.get("supervised") for batch in batches),
        "train_tokens": _sum(batch.get("real") for batch in batches if batch["step"] > 1),
        "step_s": tuple(step["end"] - step["begin"] for step in steps),
        "losses": tuple(float(step["loss"]) for step in steps if step["loss"] is not None),
        "eval": evaluation,
        "is_dpo": any(c["name"] == "objective" and c["used"] == "dpo" for c in events.of("choice")),
        "batch_digests": _digests_by_step(batches),
    }


def _digests_by_step(batches: Sequence[Event]) -> tuple[tuple[str, ...], ...]:
    """Of each of the first steps; () where a micro-batch of the first has none, and up to the first such."""
    by_step: dict[int, list[str | None]] = {}
    for batch in batches:
        by_step.setdefault(batch["step"], []).append(batch.get("digest"))
    told = takewhile(all, (by_step[step] for step in sorted(by_step)))
    return tuple(tuple(digest for digest in digests if digest) for digests in told)


def _sum(values: Iterator[int | None]) -> int | None:
    """The sum; None where any is not known, or there is none."""
    known = list(values)
    if not known or any(value is None for value in known):
        return None
    return sum(value for value in known if value is not None)


def _eval(event: Event | None) -> Eval | None:
    """A loss that is not finite is kept: an arm that evaluates to NaN was measured."""
    if event is None or not isinstance(event.get("loss"), int | float):
        return None
    return Eval(
        loss=event["loss"],
        rows=event["rows"],
        tokens=event["tokens"],
        before=event.get("before"),
        reward_accuracy=event.get("reward_accuracy"),
    )


def _wall_s(owner: Mapping[str, Any], events: Events) -> float | None:
    """Outer wall time, less what a lockstep run stood still."""
    if not owner or owner["not_started"]:
        return None
    return float(owner["end"] - owner["begin"]) - at_gates_s(events)


def _harness_s(record: Mapping[str, Any], owner: Mapping[str, Any]) -> float | None:
    """What the worker spent beside the subject; not known in lockstep, where others ran meanwhile."""
    if not owner or owner["not_started"] or record.get("turns"):
        return None
    return float(record["wall_s"] - (owner["end"] - owner["begin"]))


def _phases_s(owner: Mapping[str, Any], events: Events) -> dict[Phase, float]:
    """Seconds by phase; they sum to the outer wall time.

    What comes before the hook's first word is interpreter start (`import`), what comes after its last is
    interpreter end: `other` for a run that trained. Time between two phases belongs to the first of them.
    Between two calls of `train` nothing is `other`: that is only what comes after the last step. Time at a
    gate is nobody's.
    """
    if not owner or owner["not_started"]:
        return {}
    phases = sorted((*events.of("phase"), *events.of("gate")), key=lambda event: float(event["begin"]))
    steps = events.of("step")
    trained_until = steps[-1]["end"] if steps else -math.inf
    seconds: dict[Phase, float] = {}
    current: Phase = "import"
    at = owner["begin"]
    for phase in phases:
        seconds[current] = seconds.get(current, 0.0) + max(phase["begin"] - at, 0.0)
        at = max(at, phase["begin"])
        if phase["kind"] == "gate":
            at = max(at, phase["end"])
            continue
        is_between = phase["name"] == "other" and phase["begin"] < trained_until
        current = "train" if is_between else phase["name"]
        seconds[current] = seconds.get(current, 0.0) + max(phase["end"] - at, 0.0)
        at = max(at, phase["end"])
    rest: Phase = "other" if steps else current
    seconds[rest] = seconds.get(rest, 0.0) + max(owner["end"] - at, 0.0)
    return seconds


def _memory(events: Events) -> dict[Phase, PhaseMemory]:
    peaks: dict[Phase, PhaseMemory] = {}
    for event in events.of("phase"):
        old = peaks.get(event["name"], PhaseMemory())
        peaks[event["name"]] = PhaseMemory(
            allocated_b=_larger(old.allocated_b, event.get("allocated")),
            reserved_b=_larger(old.reserved_b, event.get("reserved")),
            rss_b=_larger(old.rss_b, event.get("rss")),
        )
    return peaks


def _larger(one: int | None, two: int | None) -> int | None:
    return max((value for value in (one, two) if value is not None), default=None)


def _choices(events: Sequence[Event]) -> tuple[Choice, ...]:
    return tuple(Choice(e["name"], e["requested"], e["used"], e.get("why") or "") for e in events)


def _own_choices(path: Path) -> tuple[Choice, ...]:
    """Choice lines that the subject wrote itself; any other line there is passed over."""
    choices = []
    for line in _bytes_of(path).decode(errors="replace").splitlines():
        try:
            event = json.loads(line)
            choices.append(
                Choice(event["name"], str(event["requested"]), str(event["used"]), str(event.get("why", "")))
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return tuple(choices)


def _warnings(record: Mapping[str, Any], owner: Mapping[str, Any], events: Events) -> tuple[str, ...]:
    warnings = []
    evaluation = events.last("eval")
    if evaluation and "loss" not in evaluation:
        warnings.append(f"the held-out evaluation failed: {evaluation.get('failed', 'no loss')}")
    warnings += [f"protected value {v} was not found" for v, text in record["protected"].items() if not text]
    if owner.get("survivors"):
        warnings.append(f"{owner['survivors']} processes outlived the main one and were ended")
    if owner.get("left"):
        warnings.append(f"processes {owner['left']} would not end")
    if owner.get("log_error"):
        warnings.append(f"the log is not whole: {owner['log_error']}")
    if record.get("engine") == "lockstep" and owner.get("status") == 0:
        warnings += filter(None, [too_few(windows_of(events))])
    if record["events"] == "own":
        warnings.append("self-reported: the subject wrote its own events")
    return tuple(warnings)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _tail_of(path: Path) -> str:
    return _bytes_of(path)[-LOG_TAIL_B:].decode(errors="replace")

"""Windows of a lockstep run: its steps between two gates, as the hook saw them, held against turns.

A turn is the time in which the worker let a run hold the token, by the worker's clock; the hook's windows
have to lie in the turns, one in each. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bench.events import Events
from bench.host_trace import loads_within
from bench.run import Window

FEWEST_WINDOWS = 5
"""The first step's own, and a cycle of two arms both ways (B A, B A, A B, A B): fewer let drift through."""
SLACK_S = 0.05
"""Of a message between two processes; a window reaches beyond its turn by no more."""
LONGEST_SILENCE_S = 5.0
SILENT_SHARE = 0.1
"""How much of the turns may lie outside the windows: what it takes to wake a stopped tree."""


def windows_of(events: Events, host: bytes = b"") -> tuple[Window, ...]:
    """Steps and real tokens by window; what runs before the first gate and behind the last is none.

    `host` is the sampler's trace of the machine.
    """
    gates, steps = events.of("gate"), events.of("step")
    tokens = _tokens_by_step(events)
    begins = [step["begin"] for step in steps]
    windows = []
    spans = [(before["end"], after["begin"]) for before, after in pairwise(gates)]
    loads = loads_within(host, spans)
    for number, (before, after) in enumerate(pairwise(gates)):
        inside = range(bisect_left(begins, before["begin"]), bisect_left(begins, after["begin"]))
        counts = [tokens.get(steps[place]["n"]) for place in inside]
        known = None if None in counts else sum(count for count in counts if count is not None)
        if inside:
            windows.append(Window(number, *spans[number], len(inside), known, loads[number]))
    return tuple(windows)


def too_few(windows: Sequence[Window]) -> str:
    """What to warn of where a lockstep run had fewer windows than make it one; empty otherwise."""
    if len(windows) >= FEWEST_WINDOWS:
        return ""
    return f"too few windows: {len(windows)}, lockstep needs {FEWEST_WINDOWS} for drift to cancel"


def at_gates_s(events: Events) -> float:
    """Seconds in which the process stood at gates."""
    return float(sum(gate["end"] - gate["begin"] for gate in events.of("gate")))


def contradictions(record: Mapping[str, Any], events: Events) -> Iterator[str]:
    """What the hook says of its gates and the worker of its turns that cannot both be true."""
    gates, turns = events.of("gate"), record.get("turns") or ()
    if not gates and not turns:
        return
    if len(turns) != len(gates) + 1:
        yield f"{len(gates)} gates, but the worker gave {len(turns)} turns"
        return
    owner = record["owner"]
    held = _held(owner["begin"], owner["end"], gates)
    for (begin, end), (first, last) in zip(held, turns, strict=True):
        if begin < first - SLACK_S or end > last + SLACK_S:
            yield "a window reaches beyond the time in which the run held the token by the worker's clock"
    # What the main process leaves behind is ended in the last turn: it may take its grace to.
    turns_s = sum(min(last, owner["end"]) - first for first, last in turns)
    silent_s = turns_s - sum(end - begin for begin, end in held)
    if silent_s > LONGEST_SILENCE_S + SILENT_SHARE * turns_s:
        yield f"the hook says nothing of {silent_s:.1f} s of the time in which the run held the token"


def _held(begin: float, end: float, gates: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Where the process ran: from its begin to the first gate, between gates, from the last to its end."""
    ends = [*(gate["begin"] for gate in gates), end]
    begins = [begin, *(gate["end"] for gate in gates)]
    return list(zip(begins, ends, strict=True))


def _tokens_by_step(events: Events) -> dict[int, int | None]:
    tokens: dict[int, int | None] = {}
    for batch in events.of("batch"):
        before, real = tokens.get(batch["step"], 0), batch.get("real")
        tokens[batch["step"]] = None if before is None or real is None else before + real
    return tokens

"""Reads what the sampler wrote in `host.csv` while a run lasted: whose the CPU time was, clocks.

One line is the state at one time (`bench/worker/host_log.py` has the columns); a trace is what lies between
the first and the last. Counters of CPU time come in ticks of 10 ms. Lines that are cut off are passed over,
a field that is empty is not known, and fewer than two good lines are no trace. Pure.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.columns import Row, number, rows_of
from bench.events import Events
from bench.run import HostTrace, Load


@dataclass(frozen=True, slots=True)
class Said:
    """What others say of the run, in monotonic seconds, to be held against what the sampler saw.

    `process` are the owner's begin and end of it. `lines` are (byte at which the line of a step ends in the
    events file, end that it claims), in order. `trained` is from the begin of the first step to the end of
    the last.
    """

    process: tuple[float, float] | None = None
    lines: tuple[tuple[int, float], ...] = ()
    trained: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    wall: float
    busy: float
    idle: float
    iowait: float
    steal: float
    own: float
    nicer: int
    mhz: float | None
    memory: float | None
    available: float | None
    throttled: float | None
    waited: float
    events_b: int
    events_file: int

    @property
    def cpu_s(self) -> float:
        return self.busy + self.idle + self.iowait + self.steal


NOTHING = Said()
FEWEST_S = 1.0
"""CPU time comes in ticks: over less than this a mean of it means nothing."""


def said_by(owner: Mapping[str, Any], events: Events, data: bytes) -> Said:
    """Of the owner's record ({} where lost) and the events that were read from `data`.

    Nothing of the steps of a lockstep run: it is stopped in the middle of whatever it does, and its turns
    are the worker's own times already.
    """
    process = None if not owner or owner["not_started"] else (float(owner["begin"]), float(owner["end"]))
    steps = events.of("step")
    if not steps or events.of("gate"):
        return Said(process)
    end, lines = 0, []
    for event, line in zip(events.lines, data.split(b"\n"), strict=False):
        end += len(line) + 1
        if event["kind"] == "step":
            lines.append((end, float(event["end"])))
    return Said(process, tuple(lines), (float(steps[0]["begin"]), float(steps[-1]["end"])))


def read_host_trace(data: bytes, said: Said = NOTHING) -> HostTrace | None:
    samples = _samples(data)
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    spent = last.cpu_s - first.cpu_s
    seconds = last.at - first.at
    foreign = (last.busy - first.busy) - (last.own - first.own)
    return HostTrace(
        samples=len(samples),
        begin=first.at,
        end=last.at,
        longest_gap_s=max(two.at - one.at for one, two in pairwise(samples)),
        wall_jump_s=max((two.wall - one.wall - (two.at - one.at) for one, two in pairwise(samples)), key=abs),
        foreign_share=max(foreign, 0.0) / spent if spent > 0 else None,
        waiting_threads=(last.waited - first.waited) / seconds if seconds > 0 else None,
        steal_share=(last.steal - first.steal) / spent if spent > 0 else None,
        throttled_share=_throttled_share(first, last),
        mhz=_mean([sample.mhz for sample in samples]),
        free_memory_share=min(
            (one.available / one.memory for one in samples if one.available is not None and one.memory),
            default=None,
        ),
        nicer=max(sample.nicer for sample in samples),
        training_cpus=_cpus_within(samples, said.trained),
        outside_s=_outside_s(samples, said.process),
        late_s=_late_s(samples, said.lines),
        events_moved=_moved(samples),
    )


def _samples(data: bytes) -> list[_Sample]:
    """In the order of their times; what a broken line says is not known."""
    found = []
    for row in rows_of(data):
        with contextlib.suppress(KeyError, ValueError):
            found.append(_sample(row))
    return found


def _sample(row: Row) -> _Sample:
    """Raises KeyError and ValueError where a field is missing or no number."""
    return _Sample(
        at=number(row["monotonic [s]"]),
        wall=number(row["wall [s]"]),
        busy=number(row["busy [s]"]),
        idle=number(row["idle [s]"]),
        iowait=number(row["iowait [s]"]),
        steal=number(row["steal [s]"]),
        own=number(row["own [s]"]),
        nicer=int(row["nicer"]),
        mhz=_known(row["clock [MHz]"]),
        memory=_known(row["memory [B]"]),
        available=_known(row["available [B]"]),
        throttled=_known(row["throttled [s]"]),
        waited=number(row["waited [s]"]),
        events_b=int(row["events [B]"]),
        events_file=int(row["events file"]),
    )


def _known(text: str) -> float | None:
    return number(text) if text else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _throttled_share(first: _Sample, last: _Sample) -> float | None:
    if first.throttled is None or last.throttled is None or last.at <= first.at:
        return None
    return (last.throttled - first.throttled) / (last.at - first.at)


def _cpus_within(samples: Sequence[_Sample], times: tuple[float, float] | None) -> float | None:
    """CPUs that the job used on average from the first to the last sample within these times."""
    inside = [sample for sample in samples if times is not None and times[0] <= sample.at <= times[1]]
    if len(inside) < 2 or inside[-1].at - inside[0].at < FEWEST_S:
        return None
    return (inside[-1].own - inside[0].own) / (inside[-1].at - inside[0].at)


def _outside_s(samples: Sequence[_Sample], process: tuple[float, float] | None) -> float:
    if process is None:
        return 0.0
    return max(samples[0].at - process[0], process[1] - samples[-1].at, 0.0)


def _late_s(samples: Sequence[_Sample], lines: Sequence[tuple[int, float]]) -> float | None:
    """The most by which a step's line was still missing after the end that the step claims, at least.

    The file only grows, so a line is there in the first sample that sees its last byte; it was not there in
    the one before.
    """
    place, late = 0, None
    for size_b, said_end in lines:
        while place < len(samples) and samples[place].events_b < size_b:
            place += 1
        if 0 < place < len(samples):
            missing_s = samples[place - 1].at - said_end
            late = missing_s if late is None else max(late, missing_s)
    return late


def _moved(samples: Sequence[_Sample]) -> str:
    """What cannot happen to a file that one process appends to; "" where it did not."""
    seen = [sample for sample in samples if sample.events_file]
    for one, two in pairwise(seen):
        if one.events_file != two.events_file:
            return "another file took its place"
        if two.events_b < one.events_b:
            return f"it shrank from {one.events_b} to {two.events_b} B"
    return "it was deleted" if seen and not samples[-1].events_file else ""


def loads_within(data: bytes, spans: Sequence[tuple[float, float]]) -> list[Load | None]:
    """The load of each span of monotonic seconds: from the last sample before it to the first behind it.

    None where the trace does not reach so far.
    """
    samples = _samples(data)
    times = [sample.at for sample in samples]
    found: list[Load | None] = []
    for begin, end in spans:
        first, last = bisect_right(times, begin) - 1, bisect_left(times, end)
        is_known = 0 <= first < last < len(samples) and times[first] < times[last]
        found.append(_load(samples[first], samples[last]) if is_known else None)
    return found


def _load(first: _Sample, last: _Sample) -> Load:
    seconds = last.at - first.at
    foreign = (last.busy - first.busy) - (last.own - first.own)
    return Load(
        waiting_threads=max(last.waited - first.waited, 0.0) / seconds,
        foreign_cpus=max(foreign, 0.0) / seconds,
        stolen_cpus=(last.steal - first.steal) / seconds,
    )

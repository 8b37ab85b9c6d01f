"""Reads what the sampler wrote in `gpu.csv` and `gpu-apps.csv` while a run lasted: load, memory, who else.

The format is that of `nvidia-smi --format=csv,nounits`, units in the header, with the worker's monotonic
clock before it. A field that the driver does not know (`[N/A]`, `[Not Supported]`, no such column) is not
known; a line without utilisation and memory is passed over, and a file without one good line is no trace.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from bench.columns import Row, number, rows_of
from bench.run import GpuTrace

MIB = 1 << 20
FULL_PCT = 99.0
FEWEST_FULL = 10
"""Samples at full utilisation that a share of the power limit is taken from: two seconds of them."""
SLOWED = 0x08 | 0x20 | 0x40 | 0x80
"""Reasons for a lower clock (NVML's bits): hardware slowdown, software and hardware heat, power brake."""
CAPPED = 0x04
"""The software's power cap: what a board under full load does."""
REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")

Spans = Sequence[tuple[float, float]]
"""(begin, end) in monotonic seconds."""


def read_gpu_trace(
    data: bytes, apps: bytes = b"", turns: Spans = (), training: Spans = ()
) -> GpuTrace | None:
    """Of a lockstep run only what was sampled in its `turns`.

    The clock is the mean over its steps, `training`: a GPU clocks down while a process imports.
    """
    every = list(_rows(data))
    rows = [row for row in every if _is_in(turns, _at(row))]
    utilisations = sorted(value for row in rows if (value := _utilisation_pct(row)) is not None)
    memories_mib = [value for row in rows if (value := _number(row, "memory.used [MiB]")) is not None]
    if not utilisations or not memories_mib:
        return None
    return GpuTrace(
        samples=len(utilisations),
        utilisation_mean_pct=fmean(utilisations),
        utilisation_p95_pct=utilisations[min(int(0.95 * len(utilisations)), len(utilisations) - 1)],
        peak_memory_b=None if turns else int(max(memories_mib)) * MIB,
        uuid=_text(rows, "uuid"),
        driver=_text(rows, "driver_version"),
        sm_mhz=_mean([row for row in rows if _is_in(training, _at(row))], "clocks.current.sm [MHz]"),
        power_share=_power_share(rows),
        slowed_share=_reason_share(rows, SLOWED),
        capped_share=_reason_share(rows, CAPPED),
        ecc_errors=_ecc_errors(every),
        begin_memory_b=None if turns else _begin_memory_b(every[0]),
        others=others_of(apps),
    )


def others_of(apps: bytes) -> tuple[str, ...]:
    """Processes on the GPU when no run was on it: `1234 /usr/bin/python3`."""
    found = []
    for line in apps.decode(errors="replace").splitlines()[1:]:
        fields = [field.strip() for field in line.split(",", 3)]
        if len(fields) == 4 and fields[1].isdigit():
            found.append(f"{fields[1]} {fields[3]}")
    return tuple(dict.fromkeys(found))


def _rows(data: bytes) -> Iterator[Row]:
    """Whole lines with utilisation and memory."""
    for row in rows_of(data):
        if _utilisation_pct(row) is not None and _number(row, "memory.used [MiB]") is not None:
            yield row


def _utilisation_pct(row: Row) -> float | None:
    return _number(row, "utilization.gpu [%]")


def _number(row: Row, name: str) -> float | None:
    try:
        return number(row.get(name, ""))
    except ValueError:
        return None


def _text(rows: Sequence[Row], name: str) -> str:
    """What the samples say, all of it where they do not agree."""
    return ", ".join(dict.fromkeys(text for row in rows if (text := row.get(name))))


def _at(row: Row) -> float | None:
    return _number(row, "monotonic [s]")


def _is_in(spans: Spans, at: float | None) -> bool:
    """`spans` are in order and apart from each other."""
    if not spans or at is None:
        return not spans
    place = bisect_right(spans, at, key=lambda span: span[0])
    return place > 0 and at <= spans[place - 1][1]


def _mean(rows: Sequence[Row], name: str) -> float | None:
    known = [value for row in rows if (value := _number(row, name)) is not None]
    return fmean(known) if known else None


def _power_share(rows: Sequence[Row]) -> float | None:
    shares = [
        power_w / limit_w
        for row in rows
        if (_utilisation_pct(row) or 0.0) >= FULL_PCT
        and (power_w := _number(row, "power.draw [W]")) is not None
        and (limit_w := _number(row, "power.limit [W]"))
    ]
    return median(shares) if len(shares) >= FEWEST_FULL else None


def _reason_share(rows: Sequence[Row], reasons: int) -> float:
    held_back = [row for row in rows if _reasons(row) & reasons]
    return len(held_back) / len(rows)


def _reasons(row: Row) -> int:
    for name in REASONS:
        try:
            return int(row.get(name, ""), 16)
        except ValueError:
            continue
    return 0


def _ecc_errors(rows: Sequence[Row]) -> int:
    counts = [
        value for row in rows if (value := _number(row, "ecc.errors.uncorrected.volatile.total")) is not None
    ]
    return int(max(counts) - counts[0]) if counts else 0


def _begin_memory_b(row: Row) -> int | None:
    memory_mib = _number(row, "memory.used [MiB]")
    return None if memory_mib is None else int(memory_mib) * MIB

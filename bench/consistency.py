"""Whether what a run says of itself can be true: of its clock, its memory, its steps and its losses.

Held against what was seen from outside, and against each other. What is found here may be a mistake of the
subject as well as a lie; what only the subject can know stays reported. Each rule says what it found, "" for
nothing; what follows stands in the table of `validity.py`. Pure.
"""

from __future__ import annotations

import math

from bench.run import PhaseMemory, Run
from bench.units import figure, value_text

LATE_S = 1.0
"""On top of two steps: on a GPU the line of a step is written once the next one has been queued."""
SAME_LOSSES = 4
IDLE_CPUS = 0.02
IDLE_GPU_PCT = 1.0


def events_moved(run: Run) -> str:
    """The hook appends to one file; a subject that writes its own events may do as it likes."""
    return "" if run.host is None or run.is_self_reported else run.host.events_moved


def late(run: Run) -> str:
    """By an outer clock: a hook whose clock runs slow writes each line later than it says."""
    late_s = None if run.host is None or run.is_self_reported else run.host.late_s
    if late_s is None or late_s <= LATE_S + 2 * max(run.step_s, default=0.0):
        return ""
    return f"{late_s:.1f} s after the end that it claims a step was not written down"


def memory_out_of_order(run: Run) -> str:
    """Allocated within reserved within the device: an allocator cannot give what it does not hold."""
    for phase, memory in run.memory.items():
        if _is_larger(memory.allocated_b, memory.reserved_b):
            return _order_text(f"allocated in {phase}", memory.allocated_b, "reserved", memory.reserved_b)
    reserved_b = max((_reserved_b(memory) for memory in run.memory.values()), default=0)
    device_b = run.gpu.peak_memory_b if run.gpu else None
    if device_b is not None and reserved_b > device_b:
        return _order_text("reserved", reserved_b, "in use on the device", device_b)
    return ""


def _is_larger(one: int | None, two: int | None) -> bool:
    return one is not None and two is not None and one > two


def _reserved_b(memory: PhaseMemory) -> int:
    return memory.reserved_b or 0


def _order_text(inner: str, inner_b: int | None, outer: str, outer_b: int | None) -> str:
    return f"{value_text(inner_b, 'B')} {inner}, but {value_text(outer_b, 'B')} {outer}"


def unfollowed_steps(run: Run) -> str:
    """Steps that the rows cannot have made: fewer than hold them, or more than they fill.

    With `batch` rows a device and a step of `accumulation` batches, N rows over E epochs make N/(B A) steps,
    and at most one that is not full an epoch (twice that: `train` may be called again). Packed rows share a
    batch row, so there the positions count: no step holds more than B A `max_length` of them.
    """
    used = {choice.name: choice.used for choice in run.choices}
    batch = _number(used.get("per_device_train_batch_size"))
    accumulation = _number(used.get("gradient_accumulation_steps")) or 1.0
    if not batch or run.steps is None or not run.rows:
        return ""
    a_step = batch * accumulation
    fewest = math.ceil(run.rows / a_step)
    if used.get("packing") == "True":
        length = _number(used.get("max_length"))
        fewest = math.ceil(run.padded_tokens / (a_step * length)) if length and run.padded_tokens else 1
    most = run.rows / a_step + 2 * max(1, math.ceil(_number(used.get("num_train_epochs")) or 1.0))
    if fewest <= run.steps <= most:
        return ""
    which = f"at least {fewest:,}" if run.steps < fewest else f"at most {int(most):,}"
    return f"{run.steps:,} for {run.rows:,} rows at {a_step:,.0f} a step, which make {which}"


def _number(text: str | None) -> float | None:
    """What can be counted with: above 0 and finite."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 < number < math.inf else None


def same_losses(run: Run) -> str:
    if len(run.losses) < SAME_LOSSES or len(set(run.losses)) > 1:
        return ""
    return f"{run.losses[0]} at each of {len(run.losses)} steps"


def no_work(run: Run) -> str:
    is_gpu_busy = run.gpu is not None and run.gpu.utilisation_mean_pct >= IDLE_GPU_PCT
    cpus = None if run.host is None else run.host.training_cpus
    if cpus is None or is_gpu_busy or cpus >= IDLE_CPUS:
        return ""
    trained_s = run.phases_s.get("first", 0.0) + run.phases_s.get("train", 0.0)
    return f"{figure(trained_s)} s of training used {cpus:.3f} CPUs and no GPU"

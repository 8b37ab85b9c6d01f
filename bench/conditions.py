"""What the machine was like during a run, as the samplers outside the subject saw it.

Each rule says what it found, "" for nothing; what follows from it stands in the table of `validity.py`.
Thresholds are here, with where they come from. What was not sampled, or not told, is no finding. Pure.
"""

from __future__ import annotations

from bench.run import GpuTrace, HostTrace, Run
from bench.units import bound_text, value_text

LOAD = 0.10
"""Share of the machine's CPU time that went to others."""
WAITING_THREADS = 0.20
"""Load alone does no harm where CPUs are free. That the run's own threads waited for one shows that it did;
that others took CPU time meanwhile, that it was not the run that started more threads than there are CPUs."""
JUDGED_S = 3.0
"""Shorter runs are not tainted for load: whoever started the job would decide."""
STEAL_HEAVY, STEAL = 0.10, 0.02
THROTTLED = 0.05
FREE_MEMORY = 0.05
STOOD_STILL_S = 5.0
"""Of samples every 0.5 s, which came within 0.1 s on two cores with six busy processes (measured)."""
WALL_JUMP_S = 1.0
OUTSIDE_S = 1.0
GPU_BEGIN_MEMORY_B = 2 << 30
"""A driver and a desktop hold less than 1 GiB."""
SLOWED_MOSTLY, SLOWED = 0.50, 0.05
CAPPED = 0.50
SHARED_POWER = 0.30
SHORT_FOR_UTILISATION_S = 20.0


def heavy_load(host: HostTrace) -> str:
    return _load_text(host) if _is_heavy(host) else ""


def load(host: HostTrace) -> str:
    is_load = host.foreign_share is not None and host.foreign_share >= LOAD
    return _load_text(host) if is_load and not _is_heavy(host) else ""


def _is_heavy(host: HostTrace) -> bool:
    if host.foreign_share is None or host.waiting_threads is None or host.end - host.begin < JUDGED_S:
        return False
    return host.foreign_share >= LOAD and host.waiting_threads >= WAITING_THREADS


def _load_text(host: HostTrace) -> str:
    return (
        f"other processes took {_percent(host.foreign_share or 0.0)} of the machine's CPU time,"
        f" {host.waiting_threads or 0.0:.2f} threads of the job waited for a CPU"
    )


def heavy_steal(host: HostTrace) -> str:
    is_judged = host.end - host.begin >= JUDGED_S
    return _steal_text(host) if is_judged and (host.steal_share or 0.0) >= STEAL_HEAVY else ""


def steal(host: HostTrace) -> str:
    return _steal_text(host) if (host.steal_share or 0.0) >= STEAL and not heavy_steal(host) else ""


def _steal_text(host: HostTrace) -> str:
    return f"the hypervisor took {_percent(host.steal_share or 0.0)} of the machine's CPU time"


def throttled(host: HostTrace) -> str:
    if (host.throttled_share or 0.0) < THROTTLED:
        return ""
    return f"the control group was held back for {_percent(host.throttled_share or 0.0)} of the time"


def short_of_memory(host: HostTrace) -> str:
    if host.free_memory_share is None or host.free_memory_share >= FREE_MEMORY:
        return ""
    return f"only {_percent(host.free_memory_share)} of the host's memory was left"


def lower_priority(host: HostTrace) -> str:
    return f"a process of the job ran {host.nicer} levels nicer than the worker" if host.nicer > 0 else ""


def stood_still(host: HostTrace) -> str:
    if host.longest_gap_s < STOOD_STILL_S:
        return ""
    return f"{host.longest_gap_s:.1f} s without a sample: the machine stood still, or its clock jumped"


def wall_jump(host: HostTrace) -> str:
    if abs(host.wall_jump_s) < WALL_JUMP_S:
        return ""
    return f"the wall clock moved by {host.wall_jump_s:+.1f} s against the monotonic one"


def outside(host: HostTrace) -> str:
    if host.outside_s <= OUTSIDE_S:
        return ""
    return f"the owner's times lie {host.outside_s:.1f} s outside the sampler's"


def others_on_gpu(gpu: GpuTrace) -> str:
    return ", ".join(gpu.others)


def begin_memory(gpu: GpuTrace) -> str:
    if gpu.begin_memory_b is None or gpu.begin_memory_b <= GPU_BEGIN_MEMORY_B:
        return ""
    return f"{value_text(gpu.begin_memory_b, 'B')} were in use before the run began"


def memory_errors(gpu: GpuTrace) -> str:
    return f"{gpu.ecc_errors} uncorrected errors of the GPU's memory" if gpu.ecc_errors else ""


def mostly_slowed(gpu: GpuTrace) -> str:
    return _slowed_text(gpu) if gpu.slowed_share >= SLOWED_MOSTLY else ""


def slowed(gpu: GpuTrace) -> str:
    return _slowed_text(gpu) if SLOWED <= gpu.slowed_share < SLOWED_MOSTLY else ""


def _slowed_text(gpu: GpuTrace) -> str:
    return f"the GPU was held back by heat or power supply in {_percent(gpu.slowed_share)} of the samples"


def capped(gpu: GpuTrace) -> str:
    if gpu.capped_share < CAPPED:
        return ""
    return f"the GPU was at its power limit in {_percent(gpu.capped_share)} of the samples"


def shared(gpu: GpuTrace) -> str:
    if gpu.power_share is None or gpu.power_share >= SHARED_POWER:
        return ""
    return f"{_percent(gpu.power_share)} of the power limit at full utilisation, as on a GPU that others use"


def short_for_utilisation(run: Run) -> str:
    if run.gpu is None or run.wall_s is None or run.wall_s >= SHORT_FOR_UTILISATION_S:
        return ""
    return f"{run.gpu.samples} samples of a run of {value_text(run.wall_s, 's')}"


def _percent(share: float) -> str:
    return bound_text(round(share, 3))

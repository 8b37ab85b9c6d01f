"""Whether a machine meets what a recipe needs; pure, one sentence for what is missing.

Packages are the worker's matter: it knows the environment that the recipe runs in.
"""

from __future__ import annotations

from bench.plan import Need
from pods.facts import Gpu, Host, NoGpu, Unknown

GIB = 1 << 30
MIB_PER_GIB = 1024


def unmet(need: Need, gpus: tuple[Gpu, ...] | NoGpu, host: Host | Unknown, free_b: int) -> str:
    """What the machine lacks, "" where nothing. `memory_gib` is a GPU's; the host's where there is none."""
    if need.disk_gib is not None and free_b < need.disk_gib * GIB:
        return f"{need.disk_gib:g} GiB of disk, {free_b / GIB:.1f} are free"
    if isinstance(gpus, NoGpu):
        if need.gpu_type is not None:
            return f"a GPU ({need.gpu_type}), this machine has none"
        memory_mib: int | None = host.memory_mib if isinstance(host, Host) else 0
        names = "this machine"
    else:
        fitting = [gpu for gpu in gpus if (need.gpu_type or "").lower() in gpu.name.lower()]
        names = ", ".join(sorted({gpu.name for gpu in gpus}))
        if not fitting:
            return f"a {need.gpu_type}, this machine has {names}"
        known_mib = [gpu.memory_total_mib for gpu in fitting if gpu.memory_total_mib is not None]
        memory_mib = max(known_mib, default=None)
    if need.memory_gib is not None and memory_mib is None:
        return f"{need.memory_gib:g} GiB of memory, the driver does not say how much {names} has"
    if need.memory_gib is not None and memory_mib is not None and memory_mib < need.memory_gib * MIB_PER_GIB:
        return f"{need.memory_gib:g} GiB of memory, {names} has {memory_mib / MIB_PER_GIB:.1f}"
    return ""

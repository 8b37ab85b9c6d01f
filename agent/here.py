"""This machine as one that measures: what it is, and its freest slot. Unknown is busy."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pods import facts
from pods.shell import PodError, Shell

MACHINE = Path(os.environ.get("PACELINE_MACHINE", "/var/tmp/paceline"))  # noqa: S108
"""Who holds which slot: one folder for all users of this machine, elsewhere only for tests."""


@dataclass(frozen=True, slots=True)
class Here:
    """`host` is what results say of the machine; needs are held against `gpus` and `facts`."""

    slot: str
    host: dict[str, Any]
    gpus: tuple[facts.Gpu, ...] | facts.NoGpu
    facts: facts.Host | facts.Unknown


def look_around(shell: Shell) -> Here:
    """Raises PodError where a GPU's state is unknown."""
    gpus = facts.ask(shell, facts.GPUS)
    if isinstance(gpus, facts.Unknown):
        raise PodError(f"the GPU cannot be asked, so it counts as busy: {gpus.why}")
    host = facts.ask(shell, facts.HOST)
    described = asdict(host) if isinstance(host, facts.Host) else {}
    if isinstance(gpus, facts.NoGpu):
        device = f"{described.get('cores', '?')} cores of {described.get('cpu_model', 'an unknown CPU')}"
        slot = "cpu"
    else:
        gpu = min(gpus, key=lambda one: (one.memory_used_mib or 0, one.uuid))
        device, slot = gpu.name, gpu.uuid
    return Here(slot, {**described, "device": device, "slot": slot}, gpus, host)

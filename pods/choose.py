"""Which slot of which pod a task goes to: the freest that meets its need, and a reason for each pod.

Pure. A pod is usable when a slot of it is free and meets the need. Usable pods are ranked: those with at
least `PREFERRED_FREE` free GPUs first, then by more free GPUs, a lower noise floor, no shared tenancy, less
load, a lower price, the name. What was chosen earlier in the same tick counts as taken, so that tasks spread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import inf

from pods.facts import Gpu
from pods.probe import PodState, Slot, Unusable

PREFERRED_FREE = 4
MIB_PER_GIB = 1024
GIB = 1 << 30

Floor = Callable[[PodState, Slot], float | None]
"""The A/A floor known of a slot for the task (absolute log ratio), None where none is."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a task asks of a slot. `memory_gib` is a GPU's; the host's where there is none. All `tags` have to
    be there."""

    gpu_type: str | None = None
    memory_gib: float | None = None
    disk_gib: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """`slot` None: not usable, and `reason` says why; else what speaks for it."""

    pod: str
    slot: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The usable pods, best first, then the others."""

    ranked: tuple[Ranked, ...]

    @property
    def best(self) -> Ranked | None:
        return self.ranked[0] if self.ranked and self.ranked[0].slot is not None else None


def freest(
    states: Sequence[PodState | Unusable],
    need: Need,
    *,
    floor: Floor = lambda _pod, _slot: None,
    taken: Collection[tuple[str, str]] = (),
    avoid: Collection[tuple[str, str]] = (),
) -> Choice:
    """`taken` and `avoid` are (pod, slot): promised in this tick; and where an attempt has failed: another
    pod is preferred to one of those, another slot of such a pod to the same one again."""
    usable: list[tuple[tuple[float | str, ...], Ranked]] = []
    others: list[Ranked] = []
    for state in states:
        if isinstance(state, Unusable):
            others.append(Ranked(state.pod.name, None, state.why))
            continue
        slots = [slot for slot in state.free if (state.pod.name, slot.name) not in taken]
        against = _against(state, slots, need)
        if against:
            others.append(Ranked(state.pod.name, None, against))
            continue
        fitting = [slot for slot in slots if not _lacks(slot, state, need)]
        slot = min(fitting, key=lambda one: _slot_key(state, one, floor, avoid))
        known = floor(state, slot)
        failed = [one for pod, one in avoid if pod == state.pod.name]
        key = (slot.name in failed, bool(failed), *_key(state, len(slots), known))
        usable.append((key, Ranked(state.pod.name, slot.name, _for(state, slot, len(slots), known))))
    return Choice((*(ranked for _, ranked in sorted(usable, key=lambda one: one[0])), *others))


def _key(state: PodState, free: int, floor: float | None) -> tuple[float | str, ...]:
    price = state.pod.price_per_hour
    return (
        free < PREFERRED_FREE,
        -free,
        inf if floor is None else floor,
        _is_crowded(state),
        state.host.load_1min / max(1, state.host.cores),
        inf if price is None else price,
        state.pod.name,
    )


def _slot_key(
    state: PodState, slot: Slot, floor: Floor, avoid: Collection[tuple[str, str]]
) -> tuple[float | str, ...]:
    known = floor(state, slot)
    used_mib = (slot.gpu.memory_used_mib if slot.gpu else None) or 0
    is_avoided = (state.pod.name, slot.name) in avoid
    return (is_avoided, slot.is_shared, inf if known is None else known, used_mib, slot.name)


def _against(state: PodState, slots: Sequence[Slot], need: Need) -> str:
    """Why none of the slots that are left will do; "" where one does."""
    if missing := [tag for tag in need.tags if tag not in state.pod.tags]:
        return f"has no tag {', '.join(missing)}"
    if state.disk is not None and not state.disk.is_writable:
        return f"its workspace {state.pod.workspace} cannot be written to"
    if need.disk_gib is not None and (state.disk is None or state.disk.free_b < need.disk_gib * GIB):
        free_gib = 0.0 if state.disk is None else state.disk.free_b / GIB
        return f"{free_gib:.1f} GiB of disk are free, {need.disk_gib:g} are needed"
    fitting = [slot for slot in state.slots if not _lacks(slot, state, need)]
    if not fitting:
        return _lacks(state.slots[0], state, need)
    if any(slot in slots for slot in fitting):
        return ""
    what = "slots" if fitting[0].gpu is None else "GPUs"
    busy = next((slot.busy for slot in fitting if slot.busy), "another task of this tick has it")
    return f"0 of {len(fitting)} fitting {what} free: {busy}" if len(fitting) > 1 else busy


def _lacks(slot: Slot, state: PodState, need: Need) -> str:
    memory_mib = state.host.memory_mib if slot.gpu is None else slot.gpu.memory_total_mib
    if need.gpu_type is not None and not _is_type(slot.gpu, need.gpu_type):
        return f"has {slot.gpu.name if slot.gpu else 'no GPU'}, a {need.gpu_type} is needed"
    if need.memory_gib is None:
        return ""
    if memory_mib is None:
        return f"its driver does not say how much memory it has, {need.memory_gib:g} GiB are needed"
    if memory_mib < need.memory_gib * MIB_PER_GIB:
        return f"has {memory_mib / MIB_PER_GIB:.0f} GiB of memory, {need.memory_gib:g} are needed"
    return ""


def _is_type(gpu: Gpu | None, wanted: str) -> bool:
    return gpu is not None and wanted.casefold() in gpu.name.casefold()


def _is_crowded(state: PodState) -> bool:
    return any(slot.is_shared for slot in state.slots)


def _for(state: PodState, slot: Slot, free: int, floor: float | None) -> str:
    what = slot.gpu.name if slot.gpu else f"{state.host.cores} cores"
    parts = [f"{free} of {len(state.slots)} free ({what})"]
    parts += [f"A/A floor {100 * floor:.2g} %"] if floor is not None else ["A/A floor unknown"]
    parts += ["shared with others (little power at full utilisation)"] if _is_crowded(state) else []
    parts += [f"load {state.host.load_1min:.1f}"]
    parts += [f"{state.pod.price_per_hour:g} an hour"] if state.pod.price_per_hour is not None else []
    return ", ".join(parts)

"""`paceline pods leases`: who holds which slot of a pod, what is in quarantine, and how it is given back.

Changes something only by `--release`, where the job is dead, and by `--lift`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pods.fleet import Fleet
from pods.inventory import Pod
from pods.leases import Lease, give_back, leases_on, lift
from pods.shell import PodError

from agent.errors import TaskError
from agent.fleet import fleet_of
from agent.pods_command import pod_named

MINUTE_S, HOUR_S = 60.0, 3600.0


def leases(path: Path, name: str | None, release: str | None, lifted: str | None) -> Iterator[str]:
    """Lists who holds what; gives one back whose job is dead, or lifts a quarantine. Raises TaskError."""
    fleet = fleet_of(path)
    if release and lifted:
        raise TaskError("give a lease back, or take a slot out of quarantine: not both at once")
    if (release or lifted) and name is None:
        raise TaskError("name the pod whose slot it is: paceline pods leases POD --release SLOT")
    if name is not None and lifted:
        if not lift(fleet.shell(name), pod_named(fleet, name), lifted):
            raise TaskError(f"{name} {lifted} is not in quarantine")
        yield f"{name} {lifted}: out of quarantine"
    elif name is not None and release:
        yield _released(fleet, pod_named(fleet, name), release)
    else:
        chosen = [pod_named(fleet, name)] if name else list(fleet.inventory.pods)
        for pod in chosen:
            yield from _lease_lines(fleet, pod)
    fleet.close()


def lease_text(lease: Lease) -> str:
    """Whose it is and for how long, and why it stands."""
    age = f" for {_age(lease.age_s)}" if lease.age_s is not None else " since before a restart"
    whose = f"leased by {lease.job}{age}" if lease.job else "leased"
    return f"{whose}: {lease.held_because or 'its job is dead, it may be reclaimed'}"


def _lease_lines(fleet: Fleet, pod: Pod) -> Iterator[str]:
    try:
        found = leases_on(fleet.shell(pod.name), pod)
    except PodError as error:
        yield f"{pod.name}: {error}"
        return
    for lease in found.leases:
        yield f"{pod.name} {lease.slot}: {lease_text(lease)}"
    for slot, why in found.quarantine.items():
        yield f"{pod.name} {slot}: {why}"
    if not found.leases and not found.quarantine:
        yield f"{pod.name}: nothing is held"


def _age(seconds: float) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < HOUR_S else f"{seconds / HOUR_S:.1f} h"


def _released(fleet: Fleet, pod: Pod, slot: str) -> str:
    shell = fleet.shell(pod.name)
    lease = leases_on(shell, pod).of(slot)
    if lease is None:
        raise TaskError(f"{pod.name} {slot} is not held")
    if lease.held_because is not None:
        raise TaskError(f"{pod.name} {slot} is {lease_text(lease)}; only what is dead is given back")
    return f"{pod.name} {slot}: {give_back(shell, pod, lease) or 'released'}"

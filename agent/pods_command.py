"""`paceline pods`: what each machine is like now, which one would be chosen, and whose key it has.

Reads pods.toml; changes something only by `trust` (the file of pins) and `bootstrap`. Each answer is made by
a pure function from what the pods said.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pods import answers, throttle
from pods.archive import supervisor_archive
from pods.choose import Choice, Need, freest
from pods.fleet import Fleet
from pods.host_keys import HostKey, pin, read_pins
from pods.inventory import InventoryError, Pod
from pods.probe import PodState, Slot, Unusable
from pods.shell import PodError

from agent.blocks import table_text, width_told
from agent.errors import TaskError
from agent.fleet import fleet_of
from agent.floors import floors_on

SCHEMA = 1
BOOTSTRAP_S = 1300.0
"""Its programs may be installed meanwhile."""
GIB = 1 << 30
MIB_PER_GIB = 1024
HEADER = (
    *("pod", "class", "state", "free", "device", "memory", "used", "use", "power", "disk", "load"),
    *("held by", "price", "chosen"),
)
USUAL_MODES = ("", "default")
Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `paceline pods choose` asks for."""

    gpu_type: str | None = None
    memory_gib: float | None = None
    disk_gib: float | None = None
    tags: tuple[str, ...] = ()

    @property
    def need(self) -> Need:
        return Need(self.gpu_type, self.memory_gib, self.disk_gib, self.tags)


Warnings = Mapping[str, Sequence[str]]
"""By pod: what was not understood of the way to it."""


def show_pods(path: Path, *, as_json: bool) -> tuple[str, tuple[str, ...]]:
    """What to print, and a line for each warning."""
    fleet = fleet_of(path)
    states = fleet.probe()
    warnings = warnings_of(fleet)
    fleet.close()
    lines = tuple(f"{name}: {one}" for name, told in warnings.items() for one in told)
    choice = freest(states, Need())
    if as_json:
        pods = pods_dicts(states, choice, warnings, datetime.now(UTC))
        return json.dumps({"schema": SCHEMA, "pods": pods}, indent=1), lines
    return pods_text(states, choice, width_told()), lines


def warnings_of(fleet: Fleet) -> Warnings:
    """A pod that there is no way to says so itself, where it is asked."""
    found: dict[str, Sequence[str]] = {}
    for pod in fleet.inventory.pods:
        with contextlib.suppress(PodError):
            found[pod.name] = fleet.route(pod.name).warnings if pod.engine == "ssh" else ()
    return found


def choose(path: Path, wanted: Wanted, *, explain: bool, as_json: bool = False) -> tuple[str, bool]:
    """What to print, and whether there is a pod."""
    fleet = fleet_of(path)
    choice = freest(fleet.probe(), wanted.need)
    fleet.close()
    text = json.dumps(choice_dict(choice), indent=1) if as_json else choice_text(choice, explain=explain)
    return text, choice.best is not None


def trust(path: Path, name: str, ask: Ask) -> Iterator[str]:
    """Shows the fingerprints, asks, pins. Raises TaskError, PodError."""
    from pods.ssh.link import LIMITS, host_key_of

    fleet = fleet_of(path)
    pod = pod_named(fleet, name)
    if pod.engine == "local":
        raise TaskError(f"{name} is this machine: there is no host key")
    route = fleet.route(name)
    pins = read_pins(fleet.inventory.pins)
    hop, shown = host_key_of(name, route, pins, LIMITS)
    pinned = pins.get(hop.pin)
    yield from trust_lines(hop.pin, f"{hop.host}:{hop.port}", pinned, shown)
    if pinned == shown:
        return
    if ask("trust it? [y/N] ").strip().casefold() not in ("y", "yes"):
        raise TaskError("nothing was trusted")
    pin(fleet.inventory.pins, hop.pin, shown)
    yield f"pinned in {fleet.inventory.pins}"
    if hop is not route.hops[-1]:
        yield f"that was a machine on the way; again for the next: {route.trust}"


def bootstrap(path: Path, name: str) -> Iterator[str]:
    """Makes a pod ready and says what that changed. Raises TaskError, PodError where something is lacking."""
    fleet = fleet_of(path)
    pod = pod_named(fleet, name)
    argv = ["bootstrap", "--machine", str(pod.machine), "--workspace", str(pod.workspace)]
    answer = answers.bring(fleet.shell(name), supervisor_archive(), argv, timeout_s=BOOTSTRAP_S)
    fleet.close()
    yield from (f"{name}: {what}" for what in answer["changed"])
    if answer["lacks"]:
        raise PodError(f"{name} lacks {'; '.join(answer['lacks'])}")
    yield f"{name}: ready" if answer["changed"] else f"{name}: was ready, nothing changed"


def pod_named(fleet: Fleet, name: str) -> Pod:
    """Raises TaskError."""
    try:
        return fleet.inventory.pod(name)
    except InventoryError as error:
        raise TaskError(str(error)) from None


def pods_text(states: Sequence[PodState | Unusable], choice: Choice, width: int | None = None) -> str:
    """One row a pod, or a block where rows do not fit; then why each would or would not be chosen."""
    reasons = {one.pod: one.reason for one in choice.ranked}
    rows = [_row(state, choice) for state in states]
    why = "\n".join(f"{name}: {reason}" for name, reason in reasons.items())
    return f"{table_text(HEADER, rows, width)}\n\n{why}"


def pods_dicts(
    states: Sequence[PodState | Unusable], choice: Choice, warnings: Warnings, now: datetime
) -> list[dict[str, Any]]:
    ranked = {one.pod: (place, one) for place, one in enumerate(choice.ranked, 1)}
    found = []
    for state in states:
        place, one = ranked[state.pod.name]
        head: dict[str, Any] = {
            "name": state.pod.name,
            "is_reached": state.is_reached if isinstance(state, Unusable) else True,
            "warnings": list(warnings.get(state.pod.name, ())),
            "rank": place if one.slot else None,
            "slot": one.slot,
            "reason": one.reason,
            "price_per_hour": state.pod.price_per_hour,
            "class": state.pod.tenancy,
            "tags": list(state.pod.tags),
        }
        found.append(head | (_state_dict(state, now) if isinstance(state, PodState) else {"slots": []}))
    return found


def choice_text(choice: Choice, *, explain: bool) -> str:
    """The best slot, and with `explain` every pod in its order with its reason."""
    best = choice.best
    head = f"{best.pod} {best.slot}" if best else "no pod will do"
    if not explain and best is not None:
        return head
    lines = [f"{place}. {one.pod}: {one.reason}" for place, one in enumerate(choice.ranked, 1) if one.slot]
    lines += [f"-  {one.pod}: {one.reason}" for one in choice.ranked if not one.slot]
    return "\n".join([head, *lines])


def choice_dict(choice: Choice) -> dict[str, Any]:
    """Every pod, the freest first; those without a slot would not do."""
    return {"schema": SCHEMA, "ranked": [asdict(one) for one in choice.ranked]}


def trust_lines(pin: str, where: str, pinned: HostKey | None, shown: HostKey) -> Iterator[str]:
    if pinned == shown:
        yield f"{pin} ({where}) shows the key that is pinned: {shown}"
        return
    yield f"pinned: {pinned or 'none'}"
    yield f"shown:  {shown} by {where}"
    yield f"compare it with what {pin} itself says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


def _row(state: PodState | Unusable, choice: Choice) -> tuple[str, ...]:
    price = "" if state.pod.price_per_hour is None else f"{state.pod.price_per_hour:g}"
    place = next(
        (n for n, one in enumerate(choice.ranked, 1) if one.pod == state.pod.name and one.slot), None
    )
    chosen = "" if place is None else "first" if place == 1 else str(place)
    if isinstance(state, Unusable):
        return (state.pod.name, state.pod.tenancy, "unusable", *[""] * 9, price, chosen)
    gpus = [slot.gpu for slot in state.slots if slot.gpu]
    holders = [Path(slot.holder).name for slot in state.slots if slot.holder]
    disk = f"{state.disk.free_b / GIB:.0f} GiB" if state.disk else "?"
    return (
        state.pod.name,
        state.pod.tenancy,
        "free" if state.free else "busy",
        f"{len(state.free)}/{len(state.slots)}",
        ", ".join(dict.fromkeys(map(_device, state.slots))) if gpus else f"{state.host.cores} cores",
        _memory(state),
        _joined(_figure(gpu.memory_used_mib, MIB_PER_GIB) for gpu in gpus),
        _joined(_figure(gpu.utilization_pct) for gpu in gpus),
        _joined(_power(slot) for slot in state.slots if slot.gpu),
        disk,
        f"{state.host.load_1min:.1f}",
        ", ".join(holders),
        price,
        chosen,
    )


def _joined(parts: Iterator[str]) -> str:
    return " ".join(parts)


def _figure(number: float | None, unit: float = 1.0) -> str:
    return "?" if number is None else f"{number / unit:.0f}"


def _device(slot: Slot) -> str:
    """With its compute mode, where that is not the usual one."""
    name = slot.gpu.name if slot.gpu else slot.name
    return name if slot.compute_mode in USUAL_MODES else f"{name} ({slot.compute_mode})"


def _memory(state: PodState) -> str:
    """The largest GPU's, or the host's."""
    gpus = [slot.gpu for slot in state.slots if slot.gpu]
    told_mib = [gpu.memory_total_mib for gpu in gpus if gpu.memory_total_mib is not None]
    memory_mib = max(told_mib, default=None) if gpus else state.host.memory_mib
    return f"{_figure(memory_mib, MIB_PER_GIB)} GiB"


def _power(slot: Slot) -> str:
    """Of the limit, in per cent."""
    if slot.power_w is None or not slot.power_limit_w:
        return "?"
    return f"{100 * slot.power_w / slot.power_limit_w:.0f}%"


def _state_dict(state: PodState, now: datetime) -> dict[str, Any]:
    return {
        "host": {"hostname": state.host.hostname, "cores": state.host.cores, "boot_id": state.host.boot_id},
        "load_1min": state.host.load_1min,
        "disk_free_b": state.disk.free_b if state.disk else None,
        "versions": dict(state.versions),
        "slots": [
            {
                "name": slot.name,
                "device": slot.gpu.name if slot.gpu else None,
                "busy": slot.busy,
                "holder": slot.holder,
                "memory_total_mib": slot.gpu.memory_total_mib if slot.gpu else state.host.memory_mib,
                "memory_used_mib": slot.gpu.memory_used_mib if slot.gpu else None,
                "utilization_pct": slot.gpu.utilization_pct if slot.gpu else None,
                "power_w": slot.power_w,
                "power_limit_w": slot.power_limit_w,
                "is_shared": slot.is_shared,
                "compute_mode": slot.compute_mode,
                "throttle": list(throttle.reasons(slot.throttle)),
                "floors": [asdict(one) for one in floors_on(state.noise_of(slot.name), now)],
            }
            for slot in state.slots
        ],
    }

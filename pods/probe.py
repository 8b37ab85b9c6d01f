"""What a pod is like now: one question, one round trip, one answer.

Owns the types that a choice is made from and how the supervisor's answer becomes them. Unknown is busy: a
question that errs, hangs or says something unreadable leaves every GPU of the pod unusable, with the reason.
In a container the list of processes may be empty or hold the host's ids, so memory and utilisation are
judged too, as far as the driver says them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from pods import answers, facts
from pods.archive import supervisor_archive
from pods.inventory import Pod
from pods.noise import Stored, stored_in, unit_named
from pods.shell import Completed, PodError, Refused, Shell

T = TypeVar("T")
SCHEMA = 1
LIMIT_S = 10.0
"""For a pod's side of a probe, from the start of its interpreter on: what a hung driver may cost."""
DEADLINE_S = LIMIT_S + 1.5
"""For a whole probe, connecting included; a pod that has not answered by then was not reached."""
TIMEOUT_S = 20.0
"""For a look at job folders."""
ANSWER_LIMIT_B = 64 << 20
IDLE_MEMORY_MIB = 2048
"""As in `bench.conditions`: others' memory over this taints a run."""
IDLE_PCT = 10.0
PROHIBITED = "prohibited"
SHARED_POWER = 0.3
"""Of the limit: less, at full utilisation, is what one tenant of several sees."""
QUESTIONS: Mapping[str, facts.Question[Any]] = {
    "gpus": facts.GPUS,
    "apps": facts.APPS,
    "power": facts.POWER,
    "host": facts.HOST,
    "git": facts.GIT,
    "uv": facts.UV,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One GPU, by UUID, or `cpu` where there is none. `busy` says why it is not free now, "" where it is;
    `holder` is the folder of the job that has its lease. Power is in watts, None where it is not said."""

    name: str
    gpu: facts.Gpu | None
    busy: str = ""
    holder: str = ""
    power_w: float | None = None
    power_limit_w: float | None = None
    throttle: str = ""
    compute_mode: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether somebody else is on it whom nobody can see."""
        if self.gpu is None or self.power_w is None or not self.power_limit_w:
            return False
        is_full = (self.gpu.utilization_pct or 0.0) >= 100.0 - IDLE_PCT
        return is_full and self.power_w < SHARED_POWER * self.power_limit_w


@dataclass(frozen=True, slots=True)
class Disk:
    free_b: int
    total_b: int
    free_inodes: int | None  # None where the file system does not count them
    is_writable: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A job folder on the pod; `state` is the supervisor's word on a job that has not ended, `ended_s` how
    long ago one did that has."""

    name: str
    has_ended: bool
    ended_s: float | None = None
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Job folders by name, and the slots that nobody may take now: leased, or in quarantine."""

    jobs: Mapping[str, Found]
    held: frozenset[str]


@dataclass(frozen=True, slots=True)
class PodState:
    """`noise` is what was stored, by unit. `versions`: driver, git, Python, uv, where there is one."""

    pod: Pod
    slots: tuple[Slot, ...]
    host: facts.Host
    disk: Disk | None
    machine_id: str = ""
    jobs: tuple[Found, ...] = ()
    noise: Mapping[str, Stored] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def noise_of(self, slot: str) -> Stored:
        """What was stored of a slot."""
        unit = unit_named(slot, self.machine_id, asdict(self.host))
        return self.noise.get(unit, Stored({}, {}))

    @property
    def free(self) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if not slot.busy)


@dataclass(frozen=True, slots=True)
class Unusable:
    """Not reached, or its answer leaves open whether anything is free: `why` in one line."""

    pod: Pod
    why: str
    is_reached: bool = False


def probe(shell: Shell, pod: Pod, *, limit_s: float = LIMIT_S) -> PodState | Unusable:
    """One round trip. Never raises for what the machine or the network does."""
    asked = json.dumps({name: question.argv for name, question in QUESTIONS.items()})
    argv = ["probe", "--machine", str(pod.machine), "--workspace", str(pod.workspace)]
    argv += ["--ask", asked, "--limit-s", str(limit_s)]
    timeout_s = limit_s + DEADLINE_S - LIMIT_S
    try:
        answer = answers.bring(shell, supervisor_archive(), argv, timeout_s=timeout_s, limit_b=ANSWER_LIMIT_B)
        return state_of(pod, answer)
    except PodError as error:
        return Unusable(pod, str(error), is_reached=isinstance(error, Refused))


def probe_all(
    pods: Sequence[Pod], ask: Callable[[Pod], T | Unusable], *, within_s: float = DEADLINE_S
) -> tuple[T | Unusable, ...]:
    """All at once, each in a thread that nobody waits for past the deadline, or after Ctrl-C: it ends by its
    own time-outs."""
    told: dict[str, T | Unusable | Exception] = {}

    def one(pod: Pod) -> None:
        try:
            told[pod.name] = ask(pod)
        except Exception as error:  # raised where the answers are gathered
            told[pod.name] = error

    until = time.monotonic() + within_s
    threads = [threading.Thread(target=one, args=(pod,), name="probe", daemon=True) for pod in pods]
    for thread in threads:
        thread.start()
    found: list[T | Unusable] = []
    for pod, thread in zip(pods, threads, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        answer = told.get(pod.name, Unusable(pod, f"no answer within {within_s:g} s"))
        if isinstance(answer, Exception):
            raise answer
        found.append(answer)
    return tuple(found)


def under_way_on(shell: Shell, pod: Pod) -> UnderWay | Unusable:
    """Job folders and held slots: no driver is asked, so that nothing disturbs what is being measured."""
    argv = ["jobs", "--machine", str(pod.machine), "--workspace", str(pod.workspace)]
    try:
        answer = answers.bring(shell, supervisor_archive(), argv, timeout_s=TIMEOUT_S, limit_b=ANSWER_LIMIT_B)
    except PodError as error:
        return Unusable(pod, str(error))
    jobs = {name: _found(name, state) for name, state in answer["jobs"].items()}
    return UnderWay(jobs, frozenset(answer["held"]))


def state_of(pod: Pod, answer: Mapping[str, Any]) -> PodState | Unusable:
    """Raises PodError for an answer of another version."""
    if answer.get("schema") != SCHEMA:
        raise Refused(f"a probe of schema {answer.get('schema')!r}, this reads {SCHEMA}")
    said = {name: QUESTIONS[name].parse(_completed(one)) for name, one in answer["answers"].items()}
    host = said["host"]
    if isinstance(host, facts.Unknown):
        return Unusable(pod, host.why, is_reached=True)
    slots = _slots(pod, said, answer)
    if isinstance(slots, facts.Unknown):
        return Unusable(pod, f"counts as busy: {slots.why}", is_reached=True)
    drivers = [power.driver for power in _powers(said).values()]
    versions = {
        "driver": drivers[0] if drivers else "",
        "python": ".".join(map(str, answer["python"])),
        "git": said["git"],
        "uv": said["uv"],
    }
    return PodState(
        pod=pod,
        slots=slots,
        host=host,
        disk=_disk(answer["disk"]),
        machine_id=answer["machine_id"],
        jobs=tuple(_found(name, state) for name, state in answer["jobs"].items()),
        noise={unit: stored_in(one) for unit, one in answer["noise"].items()},
        versions={name: version for name, version in versions.items() if version},
    )


def _slots(pod: Pod, said: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[Slot, ...] | facts.Unknown:
    gpus, apps, powers = said["gpus"], said["apps"], _powers(said)
    held = {one["slot"]: one for one in answer["leases"] if one["held_because"] is not None}
    if isinstance(gpus, facts.Unknown):
        return gpus
    if absent := pod.absent([] if isinstance(gpus, facts.NoGpu) else [gpu.uuid for gpu in gpus]):
        return facts.Unknown(f"leave_gpus names {', '.join(absent)}, which is not there")
    if isinstance(gpus, facts.NoGpu):
        against = _against("cpu", pod, held, answer["quarantine"], index=None)
        return (Slot("cpu", None, against, _holder(held.get("cpu"))),)
    if isinstance(apps, facts.Unknown):
        return apps
    slots = []
    for index, gpu in enumerate(gpus):
        power = powers.get(gpu.uuid, facts.Power())
        slot = Slot(
            name=gpu.uuid,
            gpu=gpu,
            busy=_against(gpu.uuid, pod, held, answer["quarantine"], index=index)
            or _in_use(gpu, apps.get(gpu.uuid, ()), power.compute_mode),
            holder=_holder(held.get(gpu.uuid)),
            power_w=power.draw_w,
            power_limit_w=power.limit_w,
            throttle=power.throttle,
            compute_mode=power.compute_mode,
        )
        slots.append(slot)
    return tuple(slots)


def _against(
    slot: str, pod: Pod, held: Mapping[str, Any], quarantine: Mapping[str, str], *, index: int | None
) -> str:
    if pod.leaves(slot, index):
        return "to be left alone (pods.toml)"
    if slot in held:
        return f"leased: {held[slot]['held_because']}"
    return quarantine.get(slot, "")


def _in_use(gpu: facts.Gpu, apps: Sequence[str], compute_mode: str) -> str:
    if compute_mode == PROHIBITED:
        return "its compute mode is prohibited: nobody may compute there"
    if apps:
        return f"in use by {', '.join(apps[:3])}"
    if gpu.memory_used_mib is None and gpu.utilization_pct is None:
        return "neither its memory in use nor its utilisation is known"
    if gpu.memory_used_mib is not None and gpu.memory_used_mib > IDLE_MEMORY_MIB:
        return f"{gpu.memory_used_mib} MiB in use"
    if gpu.utilization_pct is not None and gpu.utilization_pct > IDLE_PCT:
        return f"{gpu.utilization_pct:.0f} % utilised"
    return ""


def _powers(said: Mapping[str, Any]) -> Mapping[str, facts.Power]:
    powers = said["power"]
    return powers if isinstance(powers, dict) else {}


def _holder(lease: Mapping[str, Any] | None) -> str:
    return str(((lease or {}).get("holder") or {}).get("job") or "")


def _disk(said: Mapping[str, Any] | None) -> Disk | None:
    if said is None:
        return None
    inodes = said["free_inodes"] if said["total_inodes"] else None
    return Disk(said["free_b"], said["total_b"], inodes, said["is_writable"])


def _found(name: str, state: Mapping[str, Any]) -> Found:
    return Found(name, bool(state["has_ended"]), state.get("ended_s"), state)


def _completed(said: Mapping[str, Any]) -> Completed:
    return Completed(said["status"], said["out"].encode(), said["err"].encode(), said["is_truncated"])

"""The pods as the agent works with them: which there are, what their jobs do, which slot comes next.

In one tick each pod is asked at most once what its jobs do, all that are in use at the same time; and at most
once for everything else, where a slot is looked for. What an effect changed is asked anew. Nothing here
outlives the agent but the copies of what was measured, which may be deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from bench.plan import Plan
from bench.worker.one_run import RAW_FILES
from pods import job
from pods.answers import Paths
from pods.choose import Choice, Floor, Need, freest
from pods.fetch import fetch
from pods.fleet import Fleet
from pods.inventory import InventoryError, Pod
from pods.job import Absent, Observation, Unreachable
from pods.paths import JobPaths
from pods.probe import PodState, Slot, UnderWay, Unusable, probe_all, under_way_on
from pods.shell import PodError, Shell

from agent.floors import known_in

PATIENCE_S = 120.0
"""With a look at job folders: longer than its own time-outs take together."""

RAW_DEPTH = 5


@dataclass(frozen=True)
class Bench:
    """One pod, for one job: how it is reached, where its job folders lie, where they are read from here."""

    shell: Shell
    machine: PurePosixPath | Path
    workspace: PurePosixPath | Path
    here: Path
    is_here: bool = True
    may_install: bool = False

    def paths(self, name: str) -> Paths:
        """On the pod."""
        if self.is_here:
            return JobPaths(Path(self.workspace) / "jobs" / name)
        return JobPaths(PurePosixPath(self.workspace) / "jobs" / name)

    def copy(self, name: str) -> JobPaths[Path]:
        """On this machine: the same folder where the pod is this machine."""
        return JobPaths((Path(self.workspace) if self.is_here else self.here) / "jobs" / name)

    def fetched(self, name: str) -> JobPaths[Path]:
        """The copy as the pod has it now. Raises PodError, also where a raw file could not be had: a copy
        that lacks one would be judged otherwise than the job."""
        copy = self.copy(name)
        if not self.is_here:
            fetched = fetch(self.shell, self.paths(name), copy.root)
            left = {file: why for file, why in fetched.left.items() if _is_raw(PurePosixPath(file))}
            if left:
                told = ", ".join(f"{file} ({why})" for file, why in left.items())
                raise PodError(f"not everything of job {name} can be had: {told}")
        return copy


def _is_raw(path: PurePosixPath) -> bool:
    """`runs/RECIPE/REPLICATE/ARM/FILE`: what lies deeper is the subject's own."""
    return len(path.parts) == RAW_DEPTH and path.name in (*RAW_FILES, "exit.json")


@dataclass
class Yard:
    """`here` is the agent's own workspace. `promised` are the slots that this tick has given away; `needs` is
    what plans were found to need, so that a wait for a slot reads no plan."""

    fleet: Fleet
    here: Path
    promised: set[tuple[str, str]] = field(default_factory=set)
    needs: dict[str, Need] = field(default_factory=dict)
    _under_way: dict[str, UnderWay | Unusable] = field(default_factory=dict)
    _states: dict[str, PodState | Unusable] = field(default_factory=dict)
    _in_use: set[str] = field(default_factory=set)
    _slots: dict[str, frozenset[str]] = field(default_factory=dict)  # by pod, as they were seen last

    def begin_tick(self) -> None:
        self._in_use = set(self._under_way)
        self._under_way.clear()
        self._states.clear()
        self.promised.clear()

    def bench(self, pod: str) -> Bench:
        """Raises PodError, also where the inventory has no such pod (any more)."""
        try:
            known = self.fleet.inventory.pod(pod)
        except InventoryError:
            raise PodError(f"pod {pod} is not one of this agent's") from None
        is_here = known.engine == "local"
        shell = self.fleet.shell(pod)
        return Bench(shell, known.machine, known.workspace, self.here, is_here, known.may_install)

    def observe(self, pod: str, name: str) -> Observation:
        """How a job is, by what its pod has said in this tick."""
        try:
            bench = self.bench(pod)
        except PodError as error:
            return Unreachable(str(error))
        told = self._told_by(pod)
        if isinstance(told, Unusable):
            return Unreachable(told.why)
        found = told.jobs.get(name)
        if found is None:
            return Absent()
        return job.observe(bench.shell, bench.paths(name)) if found.has_ended else job.observed(found.state)

    def living(self) -> dict[str, str]:
        """Job folder: pod, of all jobs that have not ended; of pods that are not reached nothing is known."""
        return {
            name: pod
            for pod, told in self._all_told().items()
            for name, found in told.jobs.items()
            if not found.has_ended
        }

    def recent(self, within_s: float) -> set[str]:
        """Job folders of all jobs that live, or ended no longer ago than that."""
        found = [one for told in self._all_told().values() for one in told.jobs.values()]
        return {one.name for one in found if one.ended_s is None or one.ended_s < within_s}

    def holder_of(self, name: str) -> str | None:
        """The pod that has a job folder of this name, ended or not."""
        return next((pod for pod, told in self._all_told().items() if name in told.jobs), None)

    def may_be_free(self) -> bool:
        """Whether some slot may be free: without a word to any driver, where all slots are known."""
        return any(
            self._slots.get(pod) is None or self._slots[pod] - told.held
            for pod, told in self._all_told().items()
        )

    def troubles(self) -> tuple[str, ...]:
        """Pods that could not be asked in this tick, and why."""
        told = {**self._under_way, **self._states}.values()
        return tuple(f"{one.pod.name}: {one.why}" for one in told if isinstance(one, Unusable))

    def is_free(self, plan: str = "") -> bool:
        """Whether a slot is free now, for a plan whose need is known or for anybody."""
        if not self.may_be_free():
            return False
        return self.choose(self.needs.get(plan, Need()), lambda _pod, _slot: None).best is not None

    def states(self) -> tuple[PodState | Unusable, ...]:
        """All pods, probed once in this tick."""
        pods = [pod.name for pod in self.fleet.inventory.pods]
        self._probe(pods)
        return tuple(self._states[pod] for pod in pods)

    def choose(self, need: Need, floor: Floor, avoid: Collection[tuple[str, str]] = ()) -> Choice:
        return freest(self.states(), need, floor=floor, taken=self.promised, avoid=avoid)

    def slot(self, pod: str, name: str) -> tuple[PodState, Slot] | None:
        """What is known of a slot now, None where the pod has no such one. Raises PodError."""
        self._probe([pod])
        state = self._states.get(pod)
        if isinstance(state, PodState):
            return next(((state, slot) for slot in state.slots if slot.name == name), None)
        raise PodError(state.why if state else f"pod {pod} is not one of this agent's")

    def forget(self, pod: str) -> None:
        """After an effect: what the pod said before it is stale."""
        self._under_way.pop(pod, None)
        self._states.pop(pod, None)

    def close(self) -> None:
        self.fleet.close()

    def _probe(self, pods: list[str]) -> None:
        missing = [pod for pod in pods if pod not in self._states]
        for state in self.fleet.probe(missing) if missing else ():
            self._states[state.pod.name] = state
            if isinstance(state, PodState):
                self._slots[state.pod.name] = frozenset(slot.name for slot in state.slots)

    def _all_told(self) -> dict[str, UnderWay]:
        self._ask([pod.name for pod in self.fleet.inventory.pods])
        return {pod: told for pod, told in self._under_way.items() if isinstance(told, UnderWay)}

    def _told_by(self, pod: str) -> UnderWay | Unusable:
        if pod not in self._under_way:
            self._ask([pod, *self._in_use])
            self._in_use.clear()
        return self._under_way[pod]

    def _ask(self, pods: list[str]) -> None:
        """Several pods at once: one that hangs costs its own time-out beside the others."""
        asked = [pod for pod in dict.fromkeys(pods) if pod not in self._under_way]
        found = probe_all(
            [self.fleet.inventory.pod(pod) for pod in asked], self._ask_one, within_s=PATIENCE_S
        )
        self._under_way |= dict(zip(asked, found, strict=True))

    def _ask_one(self, pod: Pod) -> UnderWay | Unusable:
        try:
            return under_way_on(self.fleet.shell(pod.name), pod)
        except PodError as error:
            return Unusable(pod, str(error))


def need_of(plan: Plan) -> Need:
    """What all recipes of a plan need together; of several GPU types the first."""
    needs = [recipe.need for recipe in plan.recipes]
    types = [need.gpu_type for need in needs if need.gpu_type]
    return Need(
        gpu_type=types[0] if types else None,
        memory_gib=max((need.memory_gib for need in needs if need.memory_gib), default=None),
        disk_gib=max((need.disk_gib for need in needs if need.disk_gib), default=None),
    )


def packages_of(plan: Plan) -> tuple[str, ...]:
    """What the pod's own interpreter has to have. What an environment that is built needs, its lock file
    says, and the worker checks."""
    recipes = [recipe for recipe in plan.recipes if recipe.env == "none"]
    return tuple(dict.fromkeys(name for recipe in recipes for name in recipe.need.packages))


def floor_by(plan: Plan, now: datetime) -> Floor:
    """The A/A floor of a slot for a plan: the largest that is known of the primary metrics of its recipes."""

    def floor(state: PodState, slot: Slot) -> float | None:
        known = known_in(state.noise_of(slot.name), plan, now)
        found = [known.of(recipe, plan.engine) for recipe in plan.recipes]
        floors = [one.floor(recipe.primary) for one, recipe in zip(found, plan.recipes, strict=True) if one]
        return max((value for value in floors if value is not None), default=None)

    return floor


def host_of(state: PodState, slot: Slot) -> dict[str, Any]:
    """What results say of the machine."""
    device = slot.gpu.name if slot.gpu else f"{state.host.cores} cores of {state.host.cpu_model}"
    return {**asdict(state.host), "pod": state.pod.name, "device": device, "slot": slot.name}

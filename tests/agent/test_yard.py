"""The pods as one tick sees them: who is asked how often, what an answer means, which slot comes next."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

import pytest

from agent.yard import Yard, floor_by, need_of, packages_of
from bench.plan import Need as RecipeNeed
from bench.plan import Recipe
from pods.choose import Need, freest
from pods.fleet import Fleet
from pods.inventory import Inventory, Pod
from pods.job import Absent, Running, Unreachable
from pods.noise import Stored, unit_named
from pods.shell import PodError
from tests.agent.made_job import made_plan
from tests.agent.test_floors import NOW, record
from tests.fakes.machine import FakeMachine


class World:
    def __init__(self, folder: Path, count: int) -> None:
        self.machines = {f"pod-{n}": FakeMachine(f"pod-{n}") for n in range(count)}
        pods = tuple(Pod(name, workspace=PurePosixPath(f"/work/{name}")) for name in self.machines)
        fleet = Fleet(Inventory(pods, folder / "pins"), dict(self.machines))
        self.yard = Yard(fleet, folder)

    def asked(self) -> dict[str, list[str]]:
        found = {
            name: list(machine.questions) for name, machine in self.machines.items() if machine.questions
        }
        for machine in self.machines.values():
            machine.questions.clear()
        return found


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, 10)


def test_a_steady_tick_of_twenty_jobs_on_ten_pods_asks_each_pod_once(world):
    jobs = [(f"pod-{n % 10}", f"job-{n}") for n in range(20)]
    for pod, job in jobs:
        world.machines[pod].runs(job, stage="run")
    for _ in range(3):
        world.yard.begin_tick()
        assert all(isinstance(world.yard.observe(*one), Running) for one in jobs)
        assert world.asked() == {f"pod-{n}": ["jobs"] for n in range(10)}


def test_a_tick_that_depends_on_no_pod_asks_none(world):
    world.yard.begin_tick()
    assert world.asked() == {}


def test_a_pod_that_is_not_reached_is_unknown_and_the_others_are_seen(world):
    world.machines["pod-1"].is_reached = False
    world.machines["pod-2"].runs("job")
    assert world.yard.observe("pod-1", "job") == Unreachable("pod-1 is not reached: no route to host")
    assert isinstance(world.yard.observe("pod-2", "job"), Running)
    assert world.yard.observe("pod-2", "other") == Absent()


def test_a_pod_of_another_inventory_is_unknown(world):
    assert world.yard.observe("pod-x", "job") == Unreachable("pod pod-x is not one of this agent's")
    with pytest.raises(PodError, match="pod-x is not one"):
        world.yard.bench("pod-x")


def test_after_an_effect_the_pod_is_asked_anew(world):
    assert world.yard.observe("pod-1", "job") == Absent()
    world.machines["pod-1"].runs("job")
    assert world.yard.observe("pod-1", "job") == Absent()
    world.yard.forget("pod-1")
    assert isinstance(world.yard.observe("pod-1", "job"), Running)


def test_jobs_that_live_are_found_on_all_pods(world):
    world.machines["pod-3"].runs("a")
    world.machines["pod-4"].has_ended("b")
    world.machines["pod-5"].is_reached = False
    assert world.yard.living() == {"a": "pod-3"}
    assert world.yard.holder_of("b") == "pod-4"
    assert world.yard.holder_of("c") is None


def test_a_wait_for_a_slot_asks_no_driver_once_slots_are_known(world):
    for machine in world.machines.values():
        machine.is_free = False
    assert not world.yard.is_free()
    world.asked()
    world.yard.begin_tick()
    assert not world.yard.is_free()
    assert {tuple(questions) for questions in world.asked().values()} == {("jobs",)}
    world.machines["pod-3"].is_free = True
    world.yard.begin_tick()
    assert world.yard.is_free()


def test_a_plan_whose_need_is_known_waits_for_a_slot_that_meets_it(world):
    world.yard.needs["plan"] = Need(gpu_type="H100")
    assert world.yard.is_free()
    assert not world.yard.is_free("plan")


def test_slots_are_promised_once_in_a_tick(world):
    def chosen():
        best = world.yard.choose(Need(), lambda *_: None).best
        if best is not None:
            world.yard.promised.add((best.pod, best.slot))
        return best and best.pod

    world.machines["pod-0"].is_free = False
    assert [chosen() for _ in range(10)] == [*(f"pod-{n}" for n in range(1, 10)), None]
    assert {tuple(questions) for questions in world.asked().values()} == {("probe",)}
    world.yard.begin_tick()
    assert chosen() == "pod-1"


def test_a_slot_that_is_gone_is_none_and_one_of_a_pod_that_is_gone_is_unknown(world):
    assert world.yard.slot("pod-1", "cpu")[1].name == "cpu"
    assert world.yard.slot("pod-1", "GPU-7") is None
    world.machines["pod-2"].is_reached = False
    with pytest.raises(PodError, match="pod-2 is not reached"):
        world.yard.slot("pod-2", "cpu")


def test_paths_are_those_of_the_pod_and_copies_lie_here(world, tmp_path):
    bench = world.yard.bench("pod-1")
    assert bench.paths("x").root == PurePosixPath("/work/pod-1/jobs/x")
    assert bench.copy("x").root == tmp_path / "jobs" / "x"


def test_a_plan_needs_what_its_recipes_need_together():
    needs = (
        RecipeNeed("H100", 60, None, ("flash_attn",)),
        RecipeNeed(None, 80, 40, ("flash_attn", "liger_kernel")),
    )
    recipes = tuple(Recipe(name=f"r{n}", run=("x",), need=need) for n, need in enumerate(needs))
    plan = made_plan(recipes=recipes)
    assert need_of(plan) == Need("H100", 80, 40)
    assert packages_of(plan) == ("flash_attn", "liger_kernel")


def test_the_floor_of_a_slot_is_what_was_stored_for_it(world):
    """Log 1.008: see `test_floors`."""
    state, slot = world.yard.slot("pod-0", "cpu")
    unit = unit_named("cpu", "m", asdict(state.host))
    known = replace(state, noise={unit: Stored({"a.json": record().to_dict()}, {})})
    floor = floor_by(made_plan(), NOW)
    assert floor(state, slot) is None
    assert floor(known, slot) == pytest.approx(0.0105, abs=0.003)
    best = freest([state, replace(known, pod=replace(known.pod, name="quiet"))], Need(), floor=floor).best
    assert best.pod == "quiet"

"""What differs between the runs that are held against each other, and what is near enough."""

from dataclasses import replace

import pytest

from bench.run import GpuTrace, HostTrace
from bench.sameness import unlike
from bench.sample import Pair
from tests.bench.made_runs import SFT, lost, made_run

GPU = GpuTrace(100, 80.0, 95.0, 1 << 30, uuid="GPU-1", driver="550.54", sm_mhz=1980.0)
HOST = HostTrace(samples=20, begin=0.0, end=10.0, longest_gap_s=0.5, mhz=2600.0)


def pairs(*changes, **of_all):
    """Two replicates alike, runs one after the other; `changes` are of each arm's run in the first."""
    made = []
    for replicate in (1, 2):
        both = []
        for place, arm in enumerate(("baseline", "optimized")):
            begin = 100.0 * replicate + 20.0 * place
            host = replace(HOST, begin=begin, end=begin + 10.0)
            run = made_run(arm, replicate, gpu=GPU, host=host, **of_all)
            both.append(replace(run, **changes[place]) if replicate == 1 and changes else run)
        made.append(Pair(replicate, *both))
    return made


def test_runs_of_the_same_conditions_are_alike():
    assert unlike(SFT, pairs()) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"uuid": "GPU-2"}, "the GPUs differ: GPU-1 in the baseline, GPU-2 in the arm"),
        ({"driver": "535.1"}, "the drivers differ: 550.54 in the baseline, 535.1 in the arm"),
        (
            {"sm_mhz": 1900.0},
            "the GPU's clock differs between the arms: 1,980 MHz in the baseline,"
            " 1,900 MHz in the arm (-4.0 %)",
        ),
        ({"sm_mhz": 1930.0}, None),  # 2.6 %
        ({"uuid": "", "driver": "", "sm_mhz": None}, None),
    ],
)
def test_gpu_driver_and_clock_are_held_against_each_other(change, told):
    assert unlike(SFT, pairs({}, {"gpu": replace(GPU, **change)})) == ((told,) if told else ())


def test_the_cpus_clock_is_too():
    slower = pairs({}, {"host": replace(HOST, begin=120.0, end=130.0, mhz=2400.0)})
    assert unlike(SFT, slower) == (
        "the CPU's clock differs between the arms: 2,600 MHz in the baseline, 2,400 MHz in the arm (-7.7 %)",
    )


def test_runs_side_by_side_shared_cpu_and_power():
    together = pairs({}, {"host": replace(HOST, begin=104.0, end=114.0)})
    assert unlike(SFT, together) == (
        "baseline and optimized ran side by side for 6.00 s: they shared CPU and power",
    )


def test_lockstep_takes_turns_and_is_not_side_by_side():
    together = pairs({}, {"host": replace(HOST, begin=104.0, end=114.0)}, engine="lockstep")
    assert unlike(SFT, together) == ()


def test_an_engine_that_fell_back_for_one_arm_is_said():
    assert unlike(SFT, pairs({"engine": "lockstep"}, {})) == (
        "replicate 1: the baseline ran in lockstep, the arm in abba",
    )


def test_a_first_replicate_that_prepared_for_longer_kept_something():
    phases_s = {**made_run().phases_s, "prep": 9.0}
    assert unlike(SFT, pairs({"phases_s": phases_s}, {})) == (
        "before its steps baseline took 9.00 s in replicate 1 and 1.00 s in later ones: something is kept"
        " between runs",
    )
    assert unlike(SFT, pairs({"phases_s": {**phases_s, "prep": 1.9}}, {})) == ()


def test_warm_caches_are_said():
    assert unlike(replace(SFT, cache="warm"), pairs()) == (
        "caches are warm by declaration: what filling them costs is in no figure",
    )


def test_runs_that_are_not_compared_are_not_held_against_each_other():
    broken = [Pair(1, made_run("baseline", gpu=GPU), lost(made_run("optimized", gpu=GPU)))]
    assert unlike(SFT, broken) == ()
    assert unlike(SFT, []) == ()

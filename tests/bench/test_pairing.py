"""Which windows of two lockstep runs are compared where others took the CPU in some of them."""

from dataclasses import replace

import pytest

from bench.compare import compare
from bench.metrics import metric
from bench.pairing import FEWEST_WINDOWS, is_disturbed, pairing
from bench.run import Load, Run, Window
from bench.sample import Pair, paired

QUIET, PUSHED = Load(0.01, 0.05, 0.0), Load(1.4, 1.9, 0.0)
TOKENS = 500


def lockstep(arm, seconds, disturbed=(), replicate=1):
    """Windows of 5 steps and 500 tokens behind a first one of one step."""
    loads = [PUSHED if number in disturbed else QUIET for number in range(1, len(seconds) + 1)]
    windows, at = [Window(0, 0.0, 1.0, 1, 100, QUIET)], 1.0
    for number, (length, load) in enumerate(zip(seconds, loads, strict=True), start=1):
        windows.append(Window(number, at, at + length, 5, TOKENS, load))
        at += length
    phases = {"train": sum(seconds)}
    return Run(
        "sft", arm, replicate, "ok", phases_s=phases, steps=1 + 5 * len(seconds), engine="lockstep",
        tokens=100 + TOKENS * len(seconds), train_tokens=TOKENS * len(seconds), windows=tuple(windows),
    )  # fmt: skip


STEADY = metric("tokens_per_s")


def test_on_a_quiet_machine_the_whole_runs_are_compared():
    one, other = lockstep("baseline", [1.0, 1.0, 2.0]), lockstep("optimized", [0.5, 0.5, 1.0])
    assert pairing(one.windows, other.windows) is None
    assert paired(STEADY, one, other) == (1500 / 4.0, 1500 / 2.0)


def test_a_pair_in_which_either_was_disturbed_is_left_out_of_both():
    one = lockstep("baseline", [1.0, 9.0, 1.0, 1.0, 1.0], disturbed={2})
    other = lockstep("optimized", [0.5, 0.5, 0.5, 7.0, 0.5], disturbed={4})
    assert pairing(one.windows, other.windows).left_out == 2
    assert paired(STEADY, one, other) == (1500 / 3.0, 1500 / 1.5)


def test_a_slow_window_that_nobody_disturbed_counts():
    one = lockstep("baseline", [1.0, 1.0, 1.0, 1.0, 1.0], disturbed={5})
    other = lockstep("optimized", [0.5, 8.0, 0.5, 0.5, 0.5])
    assert paired(STEADY, one, other) == (2000 / 4.0, 2000 / 9.5)


def test_where_hardly_a_pair_is_left_all_count():
    disturbed = set(range(FEWEST_WINDOWS, 6))
    one, other = lockstep("baseline", [1.0] * 5, disturbed), lockstep("optimized", [0.5] * 5)
    assert pairing(one.windows, other.windows) is None


@pytest.mark.parametrize("change", [{"steps": 4}, {"tokens": 499}, {"tokens": None}])
def test_windows_that_hold_other_work_are_never_paired(change):
    one, other = lockstep("baseline", [1.0] * 5, {2}), lockstep("optimized", [0.5] * 5)
    windows = (*other.windows[:3], replace(other.windows[3], **change), *other.windows[4:])
    assert pairing(one.windows, windows) is None


def test_runs_of_unlike_length_are_never_paired():
    assert (
        pairing(lockstep("baseline", [1.0] * 5, {2}).windows, lockstep("optimized", [0.5] * 4).windows)
        is None
    )


@pytest.mark.parametrize(
    ("load", "is_so"),
    [
        (None, False),
        (Load(1.5, 0.0, 0.0), False),  # it waits for its own processes
        (Load(0.0, 3.0, 0.0), False),  # others run, on cores that it does not need
        (Load(0.5, 0.5, 0.0), True),
        (Load(0.0, 0.0, 0.3), True),
    ],
)
def test_a_window_is_disturbed_by_others_that_take_what_it_needs(load, is_so):
    assert is_disturbed(Window(1, 0.0, 1.0, 5, 500, load)) is is_so


def test_only_steady_throughput_leaves_windows_out():
    one, other = lockstep("baseline", [1.0, 9.0, 1.0, 1.0], {2}), lockstep("optimized", [0.5] * 4)
    assert paired(metric("train_s"), one, other) == (12.0, 2.0)


def test_a_comparison_says_how_many_windows_it_left_out():
    pairs = [
        Pair(
            number,
            lockstep("baseline", [1.0, 9.0 + number, 1.0, 1.0], {2}, number),
            lockstep("optimized", [0.5] * 4, (), number),
        )
        for number in (1, 2, 3)
    ]
    found = compare("sft", STEADY, "optimized", pairs)
    assert (found.ratio, found.is_exact) == (2.0, True)
    assert "3 of 12 windows left out: other processes took the CPU" in found.warnings

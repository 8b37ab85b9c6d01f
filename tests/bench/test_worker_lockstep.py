"""Who is first in a window of a lockstep round, and how many steps a window has."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.worker.lockstep import MOST_STEPS, in_turn, steps_of


def orders(arms, windows):
    return " ".join("".join(in_turn(arms, window)) for window in range(windows))


def test_two_arms_go_first_in_pairs():
    assert orders("AB", 8) == "AB BA BA AB AB BA BA AB"


def test_three_arms_rotate_and_every_second_cycle_is_reversed():
    assert orders("ABC", 6) == "ABC BCA CAB CBA ACB BAC"


def test_one_arm_that_is_left_is_always_first():
    assert orders("A", 3) == "A A A"


@given(arms=st.integers(2, 6), cycles=st.integers(1, 6), first=st.integers(0, 5))
def test_over_whole_cycles_no_arm_is_earlier_than_another(arms, cycles, first):
    """From whatever cycle on: each is as often first, and has the same mean position."""
    names = "ABCDEF"[:arms]
    windows = [in_turn(names, window) for window in range(first * arms, (first + cycles) * arms)]
    assert {sum(order[0] == name for order in windows) for name in names} == {cycles}
    positions = {name: sum(order.index(name) for order in windows) for name in names}
    assert set(positions.values()) == {cycles * arms * (arms - 1) // 2}


@given(arms=st.integers(2, 6))
def test_two_cycles_cancel_a_linear_drift(arms):
    """Time goes on from turn to turn: the mean time of each arm is the same after a cycle and its reverse."""
    names = "ABCDEF"[:arms]
    turns = [name for window in range(2 * arms) for name in in_turn(names, window)]
    assert len({sum(at for at, name in enumerate(turns) if name == arm) for arm in names}) == 1


def test_the_first_window_is_one_step_however_fast_it_is():
    assert steps_of(0, 0.001, 5, 0.3) == 1


@pytest.mark.parametrize(
    ("fastest_s", "steps"),
    [
        (math.inf, 5),  # nobody has made two steps in a turn yet
        (0.0, 5),
        (1.0, 5),  # 5 s, long enough
        (0.06, 5),
        (0.05, 6),  # 0.3 s
        (0.031, 10),  # 9.68 steps would be 0.3 s
        (1e-6, MOST_STEPS),
    ],
)
def test_a_window_has_five_steps_and_lasts_0_3_s_at_least(fastest_s, steps):
    assert steps_of(1, fastest_s, 5, 0.3) == steps

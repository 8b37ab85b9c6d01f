"""Ratio axes: which changes are labelled, and that no two labels meet."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plots.axis import number, percent, percent_ticks, span_of
from bench.plots.canvas import settings


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1, "0"), (1.2, "+20 %"), (0.8, "-20 %"), (1.005, "+0.5 %"), (20, "+1,900 %"), (0.05, "-95 %")],
)
def test_a_ratio_is_labelled_as_a_change(ratio, text):
    assert percent(ratio) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.5, "0.5"), (2, "2"), (1500, "1,500"), (2.25, "2.25"), (-3, "-3")]
)
def test_a_number_has_no_more_digits_than_it_needs(value, text):
    assert number(value) == text


def test_a_span_holds_everything_and_the_ratio_1():
    low, high = span_of([1.5, 2.0])
    assert low < 1
    assert high > 2


def test_a_span_is_as_wide_on_both_sides_of_opposite_ratios():
    low, high = span_of([0.5, 2.0])
    assert low * high == pytest.approx(1)


def test_a_span_may_leave_out_the_ratio_1():
    assert span_of([1.9, 2.0], with_one=False)[0] > 1.8


def test_noise_of_a_thousandth_does_not_fill_an_axis():
    low, high = span_of([0.999, 1.001])
    assert high / low > 1.04


def test_values_that_are_no_ratios_are_passed_over():
    assert span_of([0.0, math.inf, math.nan, -1.0]) == span_of([])


def changes(low, high, length, room=None):
    with settings():
        return [percent(ratio) for ratio in percent_ticks(low, high, length, room)]


def test_a_narrow_axis_has_even_steps():
    assert changes(0.85, 1.25, 180) == ["-10 %", "0", "+10 %", "+20 %"]


def test_a_wide_axis_has_round_changes_on_both_sides():
    labels = changes(0.04, 25, 200)
    assert "0" in labels
    assert {label[0] for label in labels} == {"0", "+", "-"}


def test_an_axis_far_from_1_has_labels_all_the_same():
    assert changes(18.5, 21, 76, room=20) == ["+1,800 %", "+1,900 %", "+2,000 %"]


@given(st.floats(-3, 3), st.floats(0.02, 4), st.floats(60, 300))
def test_no_two_labels_meet_and_all_lie_on_the_axis(middle, half, length):
    low, high = math.exp(middle - half), math.exp(middle + half)
    ticks = percent_ticks(low, high, length, room=12)
    assert all(low <= tick <= high for tick in ticks)
    per_log = length / (2 * half)
    assert all(math.log(other / one) * per_log >= 12 - 1e-6 for one, other in pairwise(ticks))

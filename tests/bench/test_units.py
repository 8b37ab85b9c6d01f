import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.units import bound_text, change_text, figure, interval_text, value_text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.27 * 1024**3, "B", "1.27 GiB"),
        (512, "B", "512 B"),
        (0, "B", "0 B"),
        (1352.4, "tok/s", "1,352 tok/s"),
        (12.34, "row/s", "12.3 row/s"),
        (0.0123, "s", "12.3 ms"),
        (0.0000123, "s", "12.3 µs"),
        (0.9999, "s", "1.00 s"),
        (1234.5, "s", "1,234 s"),
        (0, "s", "0 s"),
        (19518, "count", "19,518"),
        (87.31, "percent", "87.3 %"),
        (5.68, "nat/tok", "5.6800 nat"),
        (0.00123, "h", "0.00123 h"),
        (math.nan, "s", "nan"),
        (None, "s", "-"),
    ],
)
def test_values_are_printed_in_units_that_people_read(value, unit, text):
    assert value_text(value, unit) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.293, "+29.3 %"),
        (0.974, "-2.6 %"),
        (1.026, "+2.6 %"),
        (2.737, "+174 %"),
        (1.0004, "+0.04 %"),
        (1, "0 %"),
    ],
)
def test_changes_keep_their_sign(ratio, text):
    assert change_text(ratio) == text


def test_minus_2_6_percent_never_prints_as_plus():
    assert change_text(0.974).startswith("-")


@pytest.mark.parametrize(
    ("ratio", "low", "high", "text"),
    [
        (1.9304, 1.7801, 2.0899, "1.93 [1.78, 2.09]"),
        (1.0041, 0.9981, 1.0091, "1.0041 [0.9981, 1.0091]"),
        (1.5, None, None, "1.50"),
        (1.0, 1.0, 1.0, "1.00"),
        (12.34, 9.02, 15.51, "12.34 [9.02, 15.51]"),
    ],
)
def test_an_interval_has_the_digits_that_it_can_carry(ratio, low, high, text):
    assert interval_text(ratio, low, high) == text


def test_rounding_never_moves_an_end_across_the_target():
    assert interval_text(1.45, 1.2996, 1.6, apart=(1.3,)) == "1.4500 [1.2996, 1.6000]"


def test_rounding_never_hides_on_which_side_of_1_an_end_lies():
    assert interval_text(1.3, 1.0004, 1.7) == "1.3000 [1.0004, 1.7000]"


@given(st.floats(1e-6, 1e12))
def test_figures_are_within_half_a_percent(value):
    assert math.isclose(float(figure(value).replace(",", "")), value, rel_tol=0.0051)


@given(st.floats(0.001, 1000))
def test_the_sign_of_a_change_is_the_side_of_1(ratio):
    text = change_text(ratio)
    assert text == "0 %" or text.startswith("+" if ratio > 1 else "-")


def test_bounds_have_no_sign():
    assert (bound_text(0.01), bound_text(0.125)) == ("1 %", "12.5 %")

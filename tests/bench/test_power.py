import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.power import detectable, half_width, more_replicates, more_text


def test_the_half_width_is_that_of_a_t_interval():
    assert half_width(0.1, 3) == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)


def test_a_result_nearly_decided_needs_one_more():
    # At n = 4 the half width is 3.182 * 0.1 / 2 = 0.159.
    assert more_replicates(0.16, 0.1, 3) == 1


def test_the_nearer_the_target_the_more_replicates():
    assert more_replicates(0.05, 0.1, 3) > more_replicates(0.1, 0.1, 3)


def test_more_than_a_hundred_is_not_counted():
    assert more_replicates(0.001, 0.1, 3) is None
    assert more_text(None) == "more than 100 more replicates would be needed"


def test_one_replicate_needs_two_more_to_have_an_interval_worth_reading():
    assert more_replicates(0.5, None, 1) == 2
    assert more_text(2) == "about 2 more replicates would decide"


@given(st.floats(0.01, 1), st.floats(0.01, 0.5), st.integers(2, 12))
@settings(max_examples=50, deadline=None)
def test_the_number_said_is_the_smallest_that_decides(distance, spread, n):
    more = more_replicates(distance, spread, n)
    if more is not None:
        assert half_width(spread, n + more) <= distance
        assert more == max(1, 3 - n) or half_width(spread, n + more - 1) > distance


def test_what_could_be_detected_lies_beyond_the_floor_and_the_interval():
    assert detectable(0.0, 3, 0.01) == pytest.approx(0.01)
    assert detectable(0.02, 3, 0.01) > 0.01 + half_width(0.02, 3)


def test_an_effect_as_large_as_said_is_proven_nine_times_in_ten():
    import numpy as np

    spread, n, threshold = 0.02, 5, 0.01
    draws = np.random.default_rng(7).normal(detectable(spread, n, threshold), spread, (20_000, n))
    half = np.array([half_width(float(s), n) for s in draws.std(axis=1, ddof=1)])
    assert (draws.mean(axis=1) - half > threshold).mean() == pytest.approx(0.9, abs=0.04)

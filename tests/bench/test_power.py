import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import PRACTICAL
from bench.power import (
    detectable,
    first_of,
    half_width,
    mean_replicates,
    more_replicates,
    more_text,
    power_of,
    replicates_for,
)

LOOKS, EACH_LOOK = (3, 5, 8, 12), 0.985


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


# The shift at which a noncentral t of n - 1 degrees lies beyond the central one's two-sided quantile nine
# times in ten; `scipy.stats.nct.sf` gives 0.9000 for each.
SHIFTS = {(3, 0.95): 6.79561, (5, 0.95): 4.39586, (12, 0.95): 3.56619, (3, 0.985): 12.39559}


@pytest.mark.parametrize(("n", "confidence"), SHIFTS)
def test_what_could_be_detected_is_the_threshold_and_a_shift_of_the_noncentral_t(n, confidence):
    expected = 0.01 + SHIFTS[n, confidence] * 0.02 / math.sqrt(n)
    assert detectable(0.02, n, 0.01, confidence) == pytest.approx(expected, rel=1e-5)


def test_without_spread_anything_beyond_the_threshold_is_detected():
    assert detectable(0.0, 3, 0.01) == pytest.approx(0.01)
    assert (power_of(0.0101, 0.0, 3, 0.01), power_of(0.0099, 0.0, 3, 0.01)) == (1.0, 0.0)


@given(st.floats(0.001, 0.1), st.integers(2, 20), st.floats(0.0, 0.05), st.floats(0.5, 0.99))
@settings(max_examples=50, deadline=None)
def test_what_is_detectable_is_proven_with_just_that_power(spread, n, threshold, power):
    effect = detectable(spread, n, threshold, power=power)
    assert power_of(effect, spread, n, threshold) == pytest.approx(power, abs=1e-4)


def test_at_the_threshold_one_in_forty_is_proven_by_chance():
    assert power_of(0.01, 0.02, 5, 0.01) == pytest.approx(0.025, abs=1e-9)


@pytest.mark.parametrize(("n", "confidence"), [(5, 0.95), (3, 0.985)])
def test_an_effect_as_large_as_said_is_proven_nine_times_in_ten(n, confidence):
    spread, threshold = 0.02, 0.01
    means, deviations = drawn(detectable(spread, n, threshold, confidence), spread, n)
    is_proven = means - deviations * half_width(1.0, n, confidence) > threshold
    assert is_proven.mean() == pytest.approx(0.9, abs=0.01)


def drawn(effect, spread, n, draws=20_000):
    """Means and standard deviations of `n` normal effects, one for each of `draws`."""
    import numpy as np

    effects = np.random.default_rng(7).normal(effect, spread, (draws, n))
    return effects.mean(axis=1), effects.std(axis=1, ddof=1)


@given(st.floats(0.03, 0.2), st.floats(0.002, 0.05), st.floats(0.0, 0.02))
@settings(max_examples=50, deadline=None)
def test_the_replicates_said_are_the_fewest_that_have_the_power(effect, spread, threshold):
    n = replicates_for(effect, spread, threshold)
    if n is None:
        assert power_of(effect, spread, 100, threshold) < 0.9
        return
    assert power_of(effect, spread, n, threshold) >= 0.9
    assert n == 3 or power_of(effect, spread, n - 1, threshold) < 0.9


def test_five_percent_at_a_spread_of_two_takes_six_replicates():
    # n = 5 detects log 1.01 + 4.396 * 0.02 / sqrt(5) = 0.0493, just over log 1.05 = 0.0488.
    assert replicates_for(math.log(1.05), 0.02, math.log1p(PRACTICAL)) == 6


def test_an_effect_within_the_threshold_is_never_shown():
    assert replicates_for(0.01, 0.001, 0.011) is None


def test_a_look_is_late_rather_than_early():
    effect, spread, threshold = math.log(1.05), 0.02, math.log1p(PRACTICAL)
    look = first_of(LOOKS, effect, spread, threshold, 0.9, EACH_LOOK)
    assert look == 8
    shown_by = sequential(effect, spread, threshold)
    assert (shown_by <= look).mean() >= 0.9


@pytest.mark.parametrize("effect", [0.03, 0.05, 0.1])
def test_on_average_no_more_replicates_are_made_than_said(effect):
    made = sequential(effect, 0.02, 0.01).clip(max=12)
    said = mean_replicates(LOOKS, effect, 0.02, 0.01, EACH_LOOK)
    assert made.mean() <= said + 0.05
    assert said < 1.15 * made.mean()


def sequential(effect, spread, threshold, draws=4_000):
    """At which look each of `draws` was proven, 99 where at none: the rule itself, on drawn effects."""
    import numpy as np

    effects = np.random.default_rng(3).normal(effect, spread, (draws, LOOKS[-1]))
    shown = np.full(draws, 99)
    for look in reversed(LOOKS):
        seen = effects[:, :look]
        low = seen.mean(axis=1) - seen.std(axis=1, ddof=1) * half_width(1.0, look, EACH_LOOK)
        shown[low > threshold] = look
    return shown


def test_what_is_sure_at_the_first_look_takes_no_more_and_what_never_shows_takes_all():
    assert mean_replicates(LOOKS, 0.05, 0.0, 0.01, EACH_LOOK) == 3
    assert mean_replicates(LOOKS, 0.005, 0.0, 0.01, EACH_LOOK) == 12

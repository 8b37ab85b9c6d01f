import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.compare import compare, holm, sign_flip_p, t_interval
from bench.metrics import METRICS, metric
from bench.sample import Pair
from tests.bench.made_runs import effects_of, lost, made_pair, made_run, pairs_with, swapped, without_trainer

JOB = metric("job_tokens_per_s")
PEAK = metric("peak_memory_b")
every_metric = pytest.mark.parametrize("entry", METRICS, ids=lambda entry: entry.name)


def compared(pairs, entry=JOB, **options):
    return compare("sft", entry, "optimized", pairs, **options)


def numbers(low=1e-3, high=1e6):
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


samples = st.lists(st.tuples(numbers(), numbers()), min_size=1, max_size=10)


def test_the_effect_is_the_mean_log_ratio_with_a_t_interval():
    comparison = compared(effects_of(0.4, 0.5, 0.6))
    half = 4.302653 * 0.1 / math.sqrt(3)  # t(0.975, 2 degrees of freedom)
    assert comparison.ratio == pytest.approx(math.exp(0.5))
    assert comparison.low == pytest.approx(math.exp(0.5 - half), rel=1e-5)
    assert comparison.high == pytest.approx(math.exp(0.5 + half), rel=1e-5)
    assert (comparison.n, comparison.p_kind, comparison.proven) == (3, "t", True)


def test_p_is_that_of_a_t_test():
    effects = (0.1, 0.3, 0.2, 0.15)
    assert compared(effects_of(*effects)).p == pytest.approx(stats.ttest_1samp(effects, 0.0).pvalue)


def test_from_eight_replicates_p_counts_all_signs():
    comparison = compared(effects_of(*(0.1 + 0.01 * k for k in range(8))))
    assert comparison.p_kind == "sign-flip"
    assert comparison.p == pytest.approx(2 / 2**8)  # of 256 choices only all plus and all minus reach the sum


@given(st.lists(st.floats(-1, 1), min_size=8, max_size=11))
@settings(max_examples=40, deadline=None)
def test_sign_flip_agrees_with_counting_every_choice(effects):
    seen = abs(sum(effects))
    slack = 1e-12 * max(1.0, sum(map(abs, effects)))
    sums = [0.0]
    for effect in effects:
        sums = [total + sign * effect for total in sums for sign in (1, -1)]
    assert sign_flip_p(effects) == pytest.approx(
        sum(abs(s) >= seen - slack for s in sums) / len(sums), abs=4 / 2**8
    )


def test_sign_flip_of_thirty_replicates_is_exact_and_quick():
    assert sign_flip_p([0.1 + 0.001 * k for k in range(30)]) == pytest.approx(2 / 2**30)


def test_beyond_thirty_replicates_p_says_that_it_is_of_a_t_test():
    assert compared(effects_of(*(0.1 + 0.001 * k for k in range(31)))).p_kind == "t"


def test_one_run_per_arm_is_never_a_win():
    comparison = compared(effects_of(5.0))
    assert (comparison.low, comparison.high, comparison.p, comparison.proven) == (None, None, None, False)
    assert comparison.ratio == pytest.approx(math.exp(5.0))
    assert "n = 1: no interval" in comparison.warnings
    assert comparison.text.startswith("~")


def test_one_run_per_arm_is_no_win_even_for_counts():
    comparison = compared(pairs_with("steps", [(50, 16)]), metric("steps"))
    assert not comparison.proven and not comparison.is_exact


def test_two_pairs_ask_for_a_third():
    assert "needs >= 3 pairs" in compared(effects_of(0.1, 0.2)).warnings
    assert "needs >= 3 pairs" not in compared(effects_of(0.1, 0.2, 0.15)).warnings


def test_a_value_that_does_not_vary_is_exact():
    comparison = compared(pairs_with("steps", [(50, 16)] * 3), metric("steps"))
    assert comparison.is_exact and comparison.proven
    assert comparison.low == comparison.ratio == comparison.high == 16 / 50
    assert (comparison.p, comparison.p_kind, comparison.warnings) == (None, "none", ())
    assert comparison.text == "0.32"


def test_an_exact_ratio_is_exact_to_the_last_bit():
    assert compared(pairs_with("peak_memory_b", [(100, 130)] * 3), PEAK).ratio == 1.3


def test_values_that_vary_over_seeds_but_agree_in_every_pair_are_exactly_1():
    comparison = compared(
        pairs_with("heldout_loss", [(2.0, 2.0), (2.1, 2.1), (1.9, 1.9)]), metric("heldout_loss")
    )
    assert (comparison.ratio, comparison.is_exact, comparison.proven) == (1.0, True, False)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_without_positive_finite_values_there_is_no_ratio(bad):
    comparison = compared(
        pairs_with("final_loss", [(1.0, 1.1), (1.0, bad), (1.0, 1.2)]), metric("final_loss")
    )
    assert (comparison.ratio, comparison.low, comparison.p, comparison.proven) == (None, None, None, False)
    assert comparison.warnings[0].startswith("no ratio: a value of")
    assert comparison.text == "-"


def test_final_losses_of_unlike_step_counts_have_no_ratio():
    pairs = [Pair(r, made_run(replicate=r), made_run("optimized", r, steps=4)) for r in (1, 2, 3)]
    comparison = compared(pairs, metric("final_loss"))
    assert comparison.ratio is None and "unlike step counts" in comparison.warnings[0]


def test_an_unknown_floor_is_said():
    assert "floor unknown" in compared(effects_of(0.1, 0.2, 0.15)).warnings
    assert "floor unknown" not in compared(effects_of(0.1, 0.2, 0.15), floor=0.02).warnings


@pytest.mark.parametrize(("floor", "is_proven"), [(None, True), (0.04, True), (0.05, False)])
def test_proven_means_wholly_beyond_the_larger_floor(floor, is_proven):
    # 0.05 +- 4.30 * 0.001 / sqrt(3) = [0.0475, 0.0525]
    assert compared(effects_of(0.049, 0.05, 0.051), floor=floor).proven is is_proven


def test_less_than_the_practical_floor_is_not_proven_however_sure():
    comparison = compared(effects_of(0.005, 0.005001, 0.004999))
    assert comparison.low > 1 and not comparison.proven


def test_replicates_without_a_pair_are_counted():
    pairs = (*effects_of(0.1, 0.2, 0.15), Pair(4, made_run(replicate=4), lost(made_run("optimized", 4))))
    assert "1 of 4 replicates give no pair" in compared(pairs).warnings


def test_no_pair_leaves_the_values_that_there_are():
    comparison = compared([Pair(1, made_run(), lost(made_run("optimized")))])
    assert (comparison.n, comparison.ratio, comparison.arm_value) == (0, None, None)
    assert comparison.baseline_value == pytest.approx(640.0)


def test_differing_packages_are_said():
    pairs = [Pair(r, made_run(replicate=r), made_run("optimized", r, environment="other")) for r in (1, 2, 3)]
    assert "installed packages differ between the arms" in compared(pairs).warnings


def test_figures_of_a_subject_that_measures_itself_are_labelled():
    pairs = [Pair(r, *(replace(run, is_self_reported=True) for run in made_pair(r, 1.5))) for r in (1, 2, 3)]
    assert "self-reported" in compared(pairs).warnings
    assert "self-reported" not in compared(pairs, metric("end_to_end_s")).warnings


def test_utilisation_of_a_short_run_is_doubted():
    comparison = compared([Pair(r, *made_pair(r, 1.0)) for r in (1, 2, 3)], metric("gpu_util_mean_pct"))
    assert "utilisation means little under 20 s" in comparison.warnings


def test_processes_without_a_trainer_are_compared_as_processes():
    pairs = [Pair(r, *map(without_trainer, made_pair(r, 1.5))) for r in (1, 2, 3)]
    assert compared(pairs, metric("end_to_end_s")).change == "better"
    assert compared(pairs).n == 0


def test_the_published_fall_of_16_percent_in_padded_tokens_is_no_loss_of_real_ones():
    # Of 9,600 computed positions 6,400 are real; the arm computes 6,400 and takes 10 s / 1.52.
    pairs = []
    for r in (1, 2, 3):
        before, after = made_pair(r, 1.52, padded_tokens=6_400)
        pairs.append(Pair(r, before, after))
    assert compared(pairs).change == "better"
    assert compared(pairs).ratio == pytest.approx(1.52, rel=0.01)


@every_metric
def test_twice_as_good_is_better_and_half_is_worse(entry):
    more = compared(pairs_with(entry.name, [(8, 16), (8, 16), (8, 16)]), entry)
    less = compared(pairs_with(entry.name, [(16, 8), (16, 8), (16, 8)]), entry)
    expected = {"higher": ("better", "worse"), "lower": ("worse", "better"), None: ("differs", "differs")}
    assert (more.change, less.change) == expected[entry.better]


@every_metric
@given(values=samples)
@settings(max_examples=25, deadline=None)
def test_swapping_the_arms_inverts_everything(entry, values):
    pairs = pairs_with(entry.name, values)
    one, other = compared(pairs, entry), compared(swapped(pairs), entry)
    assert one.ratio == pytest.approx(1 / other.ratio)
    if one.low is not None:
        assert (one.low, one.high) == pytest.approx((1 / other.high, 1 / other.low))
        assert one.low <= one.ratio <= one.high
    assert (one.p, one.proven) == (pytest.approx(other.p) if other.p is not None else None, other.proven)
    opposite = {"better": "worse", "worse": "better", "differs": "differs", "none": "none"}
    assert other.change == opposite[one.change]


@every_metric
@given(values=samples)
@settings(max_examples=10, deadline=None)
def test_the_quotient_of_the_values_is_the_ratio(entry, values):
    comparison = compared(pairs_with(entry.name, values), entry)
    assert comparison.arm_value / comparison.baseline_value == pytest.approx(comparison.ratio)


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=12), st.floats(0.001, 0.3))
@settings(max_examples=50, deadline=None)
def test_a_larger_floor_never_proves_more(effects, floor):
    pairs = effects_of(*effects)
    assert compared(pairs).proven or not compared(pairs, floor=floor).proven


@given(st.permutations([0.1, 0.2, 0.15, -0.1]))
@settings(deadline=None)
def test_the_order_of_replicates_changes_nothing(effects):
    ordered = compared(effects_of(0.1, 0.2, 0.15, -0.1))
    assert compared(effects_of(*effects)).ratio == pytest.approx(ordered.ratio)


def test_the_interval_covers_as_scipy_says():
    values = [1.0, 1.2, 0.9, 1.1, 1.05]
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    interval = t_interval(values, 0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high))


@pytest.mark.parametrize("confidence", [0.95, 0.985])
@pytest.mark.parametrize("tail", ["normal", "heavy"])
def test_over_many_replicates_a_bootstrap_gives_the_same_interval(confidence, tail):
    draw = np.random.default_rng(11)
    effects = draw.normal(size=60) if tail == "normal" else draw.standard_t(4, size=60)
    values = 0.05 + 0.01 * effects
    interval = t_interval(values.tolist(), confidence)
    resampled = stats.bootstrap(
        (values,), np.mean, confidence_level=confidence, n_resamples=9_999, method="BCa", rng=draw
    ).confidence_interval
    half = (interval.high - interval.low) / 2
    assert (interval.low, interval.high) == pytest.approx(tuple(resampled), abs=0.15 * half)


def test_over_few_replicates_the_t_interval_is_the_wider_and_the_honest_one():
    # A bootstrap of five draws its ends from those five; it leaves the truth out twice as often as it says.
    draw = np.random.default_rng(12)
    holds = {"t": 0, "bootstrap": 0}
    for values in draw.normal(size=(300, 5)):
        interval = t_interval(values.tolist(), 0.95)
        resampled = stats.bootstrap((values,), np.mean, n_resamples=999, method="BCa", rng=draw)
        low, high = resampled.confidence_interval
        holds["t"] += interval.low <= 0 <= interval.high
        holds["bootstrap"] += low <= 0 <= high
    assert holds["t"] / 300 == pytest.approx(0.95, abs=0.03)
    assert holds["bootstrap"] / 300 < 0.90


def test_the_spread_is_the_standard_deviation():
    assert t_interval([1.0, 2.0, 4.0], 0.95).spread == pytest.approx(math.sqrt(7 / 3))


def test_one_number_has_no_interval():
    assert t_interval([1.0], 0.95) is None


def test_holm_multiplies_the_smallest_most_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.6, 0.9]) == (1.0, 1.0)
    assert holm([None, 0.02]) == (None, 0.02)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_only_raises_and_keeps_the_order(ps):
    adjusted = holm(ps)
    assert all(a >= p for a, p in zip(adjusted, ps, strict=True))
    ranked = [a for _, a in sorted(zip(ps, adjusted, strict=True))]
    assert ranked == sorted(ranked)

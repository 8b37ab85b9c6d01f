import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compare import compare
from bench.metrics import METRICS, metric
from bench.plan import Arm, Criterion
from bench.score import GOOD, CriterionError, check_arms, parse_criterion, score, score_primary
from tests.bench.made_runs import DPO, SFT, asked, effects_of, made_plan, pairs_with

PLAN = made_plan(
    recipes=(replace(SFT, params={"rows": 64, "packing": False}), DPO),
    arms=(
        Arm("baseline", "a" * 40),
        Arm("optimized", "b" * 40),
        Arm("optimized+packing", "b" * 40, {"packing": True}),
    ),
)

RECIPES, ARMS = ("sft", "dpo"), ("baseline", "optimized", "optimized+packing")


def comparison(name, samples, **options):
    return compare("sft", metric(name), "optimized", pairs_with(name, samples), **options)


def around(ratio, width=0.001, n=3):
    """Samples whose log ratios lie `width` around log(ratio)."""
    return [(100.0, 100.0 * ratio * math.exp(width * (k % 3 - 1))) for k in range(n)]


def scored(text, samples, **options):
    criterion = asked(text)
    return score(criterion, comparison(criterion.metric, samples, **options))


@pytest.mark.parametrize(
    ("text", "samples", "expected"),
    [
        ("sft:job_tokens_per_s>=1.3", around(1.4), "MET"),
        ("sft:job_tokens_per_s>=1.3", around(1.2), "NOT MET"),
        ("sft:job_tokens_per_s>=1.3", around(1.3), "CANNOT TELL"),
        ("sft:job_tokens_per_s>=1.3", around(0.9), "REGRESSED"),
        ("sft:job_tokens_per_s>=1.3", around(0.999), "NOT MET"),  # slower, but within the practical floor
        ("sft:job_tokens_per_s>=1.3", around(1.4, 0.3), "CANNOT TELL"),
        ("sft:job_tokens_per_s>=1.005", around(1.008), "CANNOT TELL"),  # a gain asked for, within the floor
        ("sft:job_tokens_per_s>=0.95", around(1.0), "MET"),  # no gain asked for
        ("sft:job_tokens_per_s>=0.95", around(0.9), "REGRESSED"),
        ("sft:peak_memory_b<=1.1", around(1.05), "MET"),
        ("sft:peak_memory_b<=1.1", around(1.2), "REGRESSED"),
        ("sft:peak_memory_b<=0.8", around(0.9), "NOT MET"),
        ("sft:peak_memory_b<=0.8", around(0.7), "MET"),
        ("sft:peak_memory_b<=1.1", [(100, 110)] * 3, "MET"),  # exact, at the target
        ("sft:peak_memory_b<=1.1", [(100, 111)] * 3, "REGRESSED"),
        ("sft:steps<=0.5", [(50, 16)] * 3, "MET"),
        ("sft:job_tokens_per_s>=1.3", around(5.0, n=1), "CANNOT TELL"),
        ("sft:final_loss<=1.05", [(1.0, 0.0)] * 3, "NOT MEASURED"),
    ],
)
def test_the_first_score_that_holds(text, samples, expected):
    assert scored(text, samples).score == expected


def test_a_loss_of_plus_73_7_percent_is_never_met():
    assert scored("sft:final_loss<=1.05", around(1.737)).score == "REGRESSED"
    assert (
        score(asked("sft:final_loss>=1.05"), comparison("final_loss", around(1.737))).score == "NOT MEASURED"
    )


def test_minus_2_6_percent_is_printed_as_below_1():
    assert "0.9740 [0.9716, 0.9764]" in scored("sft:job_tokens_per_s>=1.2", around(0.974)).reason


def test_a_gain_within_the_noise_floor_is_not_met():
    assert scored("sft:job_tokens_per_s>=1.02", around(1.04), floor=0.05).score == "CANNOT TELL"
    assert scored("sft:job_tokens_per_s>=1.02", around(1.04), floor=0.03).score == "MET"


def test_a_reason_has_the_number_its_interval_n_and_the_target():
    assert (
        scored("sft:job_tokens_per_s>=1.3", around(1.4, 0.05)).reason
        == "1.40 [1.24, 1.59], n = 3, asked >= 1.3; about 2 more replicates would decide"
    )


def test_an_exact_value_is_said_to_be_exact():
    found = scored("sft:peak_memory_b<=1.1", [(100, 110)] * 3)
    assert found.is_exact and found.low == found.high == 1.1
    assert found.reason == "exactly 1.10, n = 3, asked <= 1.1"


def test_one_pair_cannot_tell_and_asks_for_two_more():
    found = scored("sft:job_tokens_per_s>=1.3", around(9.0, n=1))
    assert (found.score, found.more) == ("CANNOT TELL", 2)


def test_within_the_floor_more_replicates_would_not_help():
    found = scored("sft:job_tokens_per_s>=1.005", around(1.008))
    assert found.more is None and "within the floor of 1 %" in found.reason


def test_what_was_not_measured_says_why():
    assert (
        score(asked(), None, "no valid pair (optimized: crashed 3)").reason
        == "no valid pair (optimized: crashed 3)"
    )
    assert score(asked(), None).reason == "no run has this figure"
    assert score(replace(asked(), metric="speed"), None).reason == "no metric 'speed'"


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (around(1.2), "MET"),
        (around(0.8), "REGRESSED"),
        (around(1.0), "CANNOT TELL"),
        (around(1.2, n=1), "CANNOT TELL"),
    ],
)
def test_a_primary_metric_is_better_worse_or_no_difference_shown(samples, expected):
    found = score_primary("sft", "job_tokens_per_s", "optimized", comparison("job_tokens_per_s", samples))
    assert (found.score, found.is_declared) == (expected, False)


def test_no_difference_shown_says_what_could_have_been():
    found = score_primary(
        "sft", "job_tokens_per_s", "optimized", comparison("job_tokens_per_s", around(1.0, 0.02))
    )
    # log 1.01 + 6.7956 * 0.02 / sqrt(3) = 0.0884 log ratio; 6.7956 is the shift of a noncentral t of
    # 2 degrees that lies beyond 4.3027 nine times in ten.
    assert found.reason.endswith("this run could detect 9.24 %")


@pytest.mark.parametrize(
    ("text", "recipe", "arm", "relation", "target"),
    [
        ("sft:job_tokens_per_s>=1.3", "sft", "optimized", ">=", 1.3),
        ("dpo:peak_memory_b<=1.1", "dpo", "optimized", "<=", 1.1),
        ("sft/optimized+packing:tokens_per_s >= 1.2", "sft", "optimized+packing", ">=", 1.2),
    ],
)
def test_criteria_are_read(text, recipe, arm, relation, target):
    found = parse_criterion(text, recipes=RECIPES, arms=ARMS)
    assert (found.text, found.recipe, found.arm, found.relation, found.target) == (
        text,
        recipe,
        arm,
        relation,
        target,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("faster please", "cannot read criterion"),
        ("sfft:job_tokens_per_s>=1.3", "recipe 'sfft' of .* is not measured.*did you mean 'sft'"),
        ("sft:job_token_per_s>=1.3", "no metric.*did you mean 'job_tokens_per_s'"),
        ("sft/optimised:job_tokens_per_s>=1.3", "no arm 'optimised'.*did you mean 'optimized'"),
        ("sft/baseline:job_tokens_per_s>=1.3", "no arm 'baseline' to judge"),
        ("sft:job_tokens_per_s>=fast", "is no ratio"),
        ("sft:job_tokens_per_s>=-1", "is no ratio"),
        ("sft:job_tokens_per_s>=nan", "is no ratio"),
        ("sft:final_loss>=1.5", "lower is better, write <="),
        ("sft:job_tokens_per_s==1.3", "cannot read criterion"),
    ],
)
def test_criteria_that_nobody_can_score_are_refused(text, message):
    with pytest.raises(CriterionError, match=message):
        parse_criterion(text, recipes=RECIPES, arms=ARMS)


def test_a_criterion_on_an_arm_that_takes_no_part_is_refused_before_any_time_is_spent():
    check_arms(replace(PLAN, criteria=(asked("sft:job_tokens_per_s>=1.3", "optimized+packing"),)))
    with pytest.raises(CriterionError, match="takes no part"):
        check_arms(replace(PLAN, criteria=(asked("dpo:job_tokens_per_s>=1.3", "optimized+packing"),)))


@pytest.mark.parametrize("entry", METRICS, ids=lambda entry: entry.name)
@given(ratio=st.floats(0.3, 3), width=st.floats(0, 0.3), target=st.floats(0.5, 2), n=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_worse_is_never_a_gain_met_and_better_never_regressed(entry, ratio, width, target, n):
    found = comparison(entry.name, around(ratio, width, n))
    relation = GOOD.get(entry.better, ">=")
    criterion = Criterion("text", "sft", entry.name, relation, target, "optimized")
    outcome = score(criterion, found).score
    asks_for_gain = target > 1 if relation == ">=" else target < 1
    assert not (outcome == "MET" and asks_for_gain and found.change not in ("better", "differs"))
    assert not (outcome == "REGRESSED" and found.change not in ("worse", "differs"))
    assert n > 1 or outcome == "CANNOT TELL"


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=8), st.floats(0.5, 2), st.floats(0.5, 2))
@settings(max_examples=60, deadline=None)
def test_a_harder_target_is_never_easier_to_meet(effects, one, other):
    found = compare("sft", metric("job_tokens_per_s"), "optimized", effects_of(*effects))
    easy, hard = (
        score(Criterion("text", "sft", "job_tokens_per_s", ">=", target, "optimized"), found).score
        for target in sorted((one, other))
    )
    assert hard != "MET" or easy == "MET"

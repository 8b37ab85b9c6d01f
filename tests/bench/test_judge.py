import json
import math
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from bench.judge import judge
from bench.metrics import metric
from bench.plan import Arm
from bench.run import Choice, Eval
from bench.sequential import LOOKS
from tests.bench.made_runs import (
    DPO,
    SFT,
    asked,
    changed,
    faster,
    in_recipe,
    lost,
    made_plan,
    made_run,
    made_runs,
)

PACKING = Arm("optimized+packing", "b" * 40, {"packing": True})
THREE_ARMS = made_plan(
    recipes=(replace(SFT, params={"rows": 64, "packing": False}), DPO),
    arms=(Arm("baseline", "a" * 40), Arm("optimized", "b" * 40), PACKING),
)


AUTO = made_plan(replicates=12, looks=LOOKS)
# 98.5 %: 0.13 +- 8.07 * 0.03 / sqrt(3) = [-0.01, 0.27] after three, +- 4.09 * 0.0224 / sqrt(5) after five.
DECIDED_AT_FIVE = (0.10, 0.13, 0.16, 0.12, 0.14)


def with_effects(*effects, **changes):
    """A pair of runs for each log ratio of the job's tokens/s."""
    return [
        run
        for number, effect in enumerate(effects, start=1)
        for run in (
            made_run(replicate=number),
            faster(made_run("optimized", number, **changes), math.exp(effect)),
        )
    ]


def job_of(judgement):
    (job,) = (one for one in judgement.comparisons if one.metric == "job_tokens_per_s")
    return job


def three_arms(packing=1.7):
    packed = [run for run in made_runs(packing, arm=PACKING.name, steps=4) if run.arm == PACKING.name]
    return [*made_runs(), *packed, *in_recipe(made_runs(1.0), "dpo")]


def test_every_arm_is_compared_in_the_recipes_it_takes_part_in():
    judgement = judge(THREE_ARMS, three_arms())
    assert {(one.recipe, one.arm) for one in judgement.comparisons} == {
        ("sft", "optimized"),
        ("sft", "optimized+packing"),
        ("dpo", "optimized"),
    }
    assert list(judgement.arms) == ["optimized", "optimized+packing"]
    assert len(judgement.parities) == 3


def test_the_default_arm_decides_and_the_others_are_information():
    judgement = judge(THREE_ARMS, changed(three_arms(), PACKING.name, lost))
    assert judgement.arms[PACKING.name].outcome == "FAIL"
    assert (judgement.verdict.arm, judgement.verdict.outcome) == ("optimized", "PASS")


def test_criteria_name_the_arms_that_decide():
    plan = replace(THREE_ARMS, criteria=(asked("sft:job_tokens_per_s>=1.3", PACKING.name),))
    judgement = judge(plan, three_arms())
    assert judgement.verdict.arm == PACKING.name


def test_of_several_judged_arms_the_lowest_rule_is_the_tasks():
    plan = replace(
        THREE_ARMS,
        criteria=(asked("sft:job_tokens_per_s>=1.3"), asked("sft:job_tokens_per_s>=1.3", PACKING.name)),
    )
    judgement = judge(plan, three_arms(packing=0.8))
    assert judgement.arms["optimized"].outcome == "PASS"
    assert (judgement.verdict.arm, judgement.verdict.outcome) == (PACKING.name, "FAIL")


def test_a_criterion_in_a_recipe_without_the_arm_is_not_measured():
    plan = replace(THREE_ARMS, criteria=(asked("dpo:job_tokens_per_s>=1.3", PACKING.name),))
    (scored,) = judge(plan, three_arms()).criteria
    assert (scored.score, scored.reason) == ("NOT MEASURED", "optimized+packing takes no part in dpo")


def test_a_criterion_of_an_arm_that_is_not_in_the_plan_is_not_measured():
    plan = made_plan(asked(arm="gone"))
    judgement = judge(plan, made_runs())
    assert judgement.criteria[0].score == "NOT MEASURED"
    assert (judgement.verdict.arm, judgement.verdict.outcome) == ("gone", "CANNOT TELL")
    assert list(judgement.arms) == ["optimized"]


def test_without_any_run_nothing_is_told_and_nothing_breaks():
    judgement = judge(made_plan(asked()), [])
    assert judgement.comparisons == ()
    assert judgement.criteria[0].reason == "no valid pair (no run)"
    assert judgement.verdict.outcome == "CANNOT TELL"


def test_a_plan_with_the_baseline_alone_has_nothing_to_judge():
    plan = made_plan(arms=(Arm("baseline", "a" * 40),))
    assert judge(plan, [made_run()]).verdict.reasons[0].text == "too few valid pairs: no arm to judge"


def test_what_was_measured_before_a_cancel_is_kept():
    judgement = judge(made_plan(asked()), made_runs(replicates=3)[:5])
    (job,) = (one for one in judgement.comparisons if one.metric == "job_tokens_per_s")
    assert (job.n, judgement.verdict.outcome) == (2, "CANNOT TELL")
    assert "2 of 3 pairs are valid" in judgement.verdict.reasons[0].text


def test_floors_belong_to_a_recipe_and_a_metric():
    judgement = judge(made_plan(asked()), made_runs(), floors={("sft", "job_tokens_per_s"): 0.5})
    proven = {one.metric: one.proven for one in judgement.comparisons}
    floors = {one.metric: one.floor for one in judgement.comparisons}
    assert (proven["job_tokens_per_s"], proven["tokens_per_s"]) == (False, True)
    assert (floors["job_tokens_per_s"], floors["tokens_per_s"]) == (0.5, None)
    assert judgement.criteria[0].score == "CANNOT TELL"


def test_p_of_the_declared_criteria_is_adjusted_for_their_number():
    plan = made_plan(asked(), asked("sft:end_to_end_s<=0.9"))
    criteria = judge(plan, made_runs()).criteria
    smallest = min(criteria, key=lambda scored: scored.p)
    assert smallest.p_holm == pytest.approx(2 * smallest.p)


def test_claims_are_scored_and_decide_nothing():
    judgement = judge(made_plan(asked()), made_runs(), claims=(asked("sft:job_tokens_per_s>=3"),))
    assert judgement.claims[0].score == "NOT MET"
    assert judgement.verdict.outcome == "PASS"


def test_an_ignored_choice_is_a_warning_with_its_reason():
    choices = (
        Choice("attention", "flash_attention_2", "sdpa", "not installed"),
        Choice("optimizer", "auto", "adamw"),
        Choice("packing", "true", "true"),
    )
    judgement = judge(
        made_plan(asked()), changed(made_runs(), "optimized", lambda run: replace(run, choices=choices))
    )
    assert judgement.verdict.warnings == (
        "sft: optimized: attention flash_attention_2 was asked for, sdpa was used (not installed)",
    )


def test_tainted_runs_are_dropped_and_counted():
    runs = [lost(made_run("optimized", 1), "tainted"), *made_runs()]
    judgement = judge(made_plan(asked()), runs)
    assert "sft: 1 of 7 runs tainted and dropped" in judgement.verdict.warnings
    assert judgement.verdict.outcome == "PASS"


def test_the_same_runs_give_the_same_judgement_in_any_order():
    runs = three_arms()
    assert judge(THREE_ARMS, runs) == judge(THREE_ARMS, list(reversed(runs)))
    looked = with_effects(*DECIDED_AT_FIVE, 0.2)
    assert judge(AUTO, looked) == judge(AUTO, list(reversed(looked)))


def test_a_judgement_is_plain_data():
    judgement = judge(THREE_ARMS, three_arms())
    json.dumps(asdict(judgement), allow_nan=False)


def test_a_fixed_number_of_replicates_is_judged_on_all_of_them():
    judgement = judge(made_plan(), with_effects(*DECIDED_AT_FIVE[:3]))
    assert (judgement.look, judgement.confidence, judgement.is_decided) == (None, 0.95, True)
    assert (job_of(judgement).confidence, judgement.parities[0].confidence) == (0.95, 0.90)


def test_the_first_look_that_decides_everything_is_the_one_that_counts():
    judgement = judge(AUTO, with_effects(*DECIDED_AT_FIVE, 9.0, -9.0, 0.0))
    assert (judgement.look, judgement.is_decided, judgement.unused) == (5, True, 3)
    assert (job_of(judgement).n, judgement.verdict.outcome) == (5, "PASS")


def test_what_a_fixed_number_of_replicates_proves_a_look_need_not():
    runs = with_effects(*DECIDED_AT_FIVE[:3])
    assert job_of(judge(made_plan(), runs)).proven
    judgement = judge(AUTO, runs)
    assert (judgement.look, judgement.is_decided, job_of(judgement).proven) == (None, False, False)


def test_every_interval_of_a_plan_with_looks_is_adjusted():
    judgement = judge(AUTO, with_effects(*DECIDED_AT_FIVE))
    assert judgement.confidence == 0.985
    assert {one.confidence for one in judgement.comparisons} == {0.985}
    assert {one.confidence for one in judgement.parities} == {0.97}


def test_what_is_not_decided_at_the_last_look_cannot_be_told():
    judgement = judge(AUTO, made_runs(1.0, 12))
    assert (judgement.look, judgement.is_decided, judgement.unused) == (12, False, 0)
    assert (job_of(judgement).n, judgement.verdict.outcome) == (12, "CANNOT TELL")


def test_a_job_cut_short_between_two_looks_is_judged_on_what_there_is():
    judgement = judge(AUTO, made_runs(1.0, 5)[:9])
    assert (judgement.look, judgement.confidence, job_of(judgement).n) == (None, 0.985, 4)


def test_a_job_cut_short_after_a_look_that_decided_keeps_its_decision():
    judgement = judge(AUTO, made_runs(1.5, 5)[:9])
    assert (judgement.look, judgement.is_decided, job_of(judgement).n) == (3, True, 3)
    assert judgement.unused == 2


@pytest.mark.parametrize(
    ("criterion", "factor", "look"),
    [
        ("sft:job_tokens_per_s>=1.3", 1.5, 3),  # MET
        ("sft:job_tokens_per_s>=1.3", 1.2, 3),  # NOT MET
        ("sft:job_tokens_per_s>=1.3", 0.8, 3),  # REGRESSED
        ("sft:job_tokens_per_s>=1.3", 1.3, 12),  # CANNOT TELL
        ("sft:reward>=1.3", 1.3, 3),  # NOT MEASURED, and never will be
    ],
)
def test_a_criterion_is_decided_unless_it_cannot_be_told(criterion, factor, look):
    plan = replace(AUTO, criteria=(asked(criterion),))
    assert judge(plan, made_runs(factor, 12)).look == look


def test_every_criterion_has_to_be_decided():
    both = (asked("sft:job_tokens_per_s>=1.3"), asked("sft:job_tokens_per_s>=1.5"))
    assert judge(replace(AUTO, criteria=both), made_runs(1.5, 12)).look == 12


def test_of_two_recipes_both_have_to_be_decided():
    plan = made_plan(recipes=(SFT, DPO), replicates=12, looks=LOOKS)
    runs = [*made_runs(1.5, 12), *in_recipe(made_runs(1.0, 12), "dpo")]
    assert judge(plan, runs).look == 12


def test_arms_that_decide_nothing_are_not_waited_for():
    plan = replace(THREE_ARMS, replicates=12, looks=LOOKS, recipes=THREE_ARMS.recipes[:1])
    packed = [run for run in made_runs(1.0, 3, PACKING.name) if run.arm == PACKING.name]
    judgement = judge(plan, [*made_runs(1.5, 3), *packed])
    assert judgement.look == 3
    assert judgement.arms[PACKING.name].outcome == "CANNOT TELL"


# Of 2.0. 97 % is +- 5.64 * 1 % / sqrt(3) = 3.3 % after three, +- 3.30 * 0.86 % / sqrt(5) = 1.3 % after five;
# the band is 2 %.
SHARES = (-0.01, 0.0, 0.01, -0.007, 0.007)
CLOSE = (-0.001, 0.0, 0.001)


def with_shares(replicates, shares=SHARES, before=4.0):
    """Faster by half, with held-out losses that differ by `shares`, and over seeds by 0.001."""

    def evaluated(run):
        own = 2.0 * shares[run.replicate - 1] if run.arm == "optimized" else 0.0
        return replace(run, eval=Eval(2.0 + 0.001 * run.replicate + own, 8, 800, before))

    return [evaluated(run) for run in made_runs(1.5, replicates)]


def test_equivalence_has_to_be_decided_as_well():
    assert judge(AUTO, with_shares(3)).look is None
    judgement = judge(AUTO, with_shares(5))
    assert (judgement.look, judgement.parities[0].state) == (5, "equivalent")


def without_a_loss(runs):
    return [replace(runs[0], eval=None), *runs[1:]]


@pytest.mark.parametrize(
    ("recipe", "runs"),
    [
        (replace(SFT, run=("{python}", "train.py")), with_shares(3)),  # no seed
        (SFT, with_shares(3, CLOSE, before=None)),  # nobody knows what the baseline learns
        (SFT, without_a_loss(with_shares(3))),  # one pair has no held-out loss
    ],
)
def test_equivalence_that_stays_undecided_is_not_waited_for(recipe, runs):
    judgement = judge(replace(AUTO, recipes=(recipe,)), runs)
    assert (judgement.look, judgement.parities[0].state) == (3, "undecided")


def test_equivalence_that_may_yet_turn_out_to_be_none_is_waited_for():
    judgement = judge(AUTO, with_shares(3, before=None))
    assert (judgement.look, judgement.parities[0].state) == (None, "undecided")


def test_seeds_that_differ_by_more_than_is_learned_may_be_an_accident_of_three():
    judgement = judge(AUTO, with_shares(3, shares=(0.0, 0.0, 0.0), before=2.0025))
    assert (judgement.look, judgement.parities[0].state) == (None, "undecided")


def test_without_held_out_rows_there_is_no_equivalence_to_wait_for():
    plan = replace(AUTO, recipes=(replace(SFT, eval=None),))
    assert judge(plan, made_runs(1.5, 3)).look == 3


def test_a_crash_where_the_baseline_did_not_decides_at_once():
    plan = replace(AUTO, criteria=(asked("sft:job_tokens_per_s>=1.5"),))
    runs = [lost(run) if (run.arm, run.replicate) == ("optimized", 2) else run for run in made_runs(1.5, 3)]
    judgement = judge(plan, runs)
    assert (judgement.look, judgement.is_decided, judgement.verdict.outcome) == (3, True, "FAIL")
    assert judgement.criteria[0].score == "CANNOT TELL"


def test_a_tainted_run_leaves_too_few_pairs_and_the_next_look_has_them():
    runs = made_runs(1.5, 5)
    runs[1] = lost(runs[1], "tainted")
    assert judge(AUTO, runs[:6]).look is None
    judgement = judge(AUTO, runs)
    assert (judgement.look, job_of(judgement).n) == (5, 4)


def test_where_everything_fails_by_itself_more_of_the_same_is_not_asked_for():
    judgement = judge(AUTO, [lost(run) for run in made_runs(1.5, 3)])
    assert (judgement.look, judgement.is_decided, judgement.verdict.outcome) == (3, True, "CANNOT TELL")


def test_where_everything_was_tainted_more_is_asked_for():
    judgement = judge(AUTO, [lost(run, "tainted") for run in made_runs(1.5, 3)])
    assert not judgement.is_decided


def test_a_floor_that_nothing_passes_decides_nothing():
    assert judge(AUTO, made_runs(1.5, 3), floors={("sft", "job_tokens_per_s"): 0.5}).look is None


@pytest.mark.parametrize(
    ("plan", "factor", "replicates", "expected"),
    [
        (AUTO, 1.5, 2, False),
        (AUTO, 1.5, 3, True),
        (AUTO, 1.5, 4, True),
        (AUTO, 1.0, 5, False),
        (made_plan(replicates=12), 1.5, 3, False),  # of a fixed number all are made
    ],
)
def test_a_job_may_end_early_once_a_look_has_decided(plan, factor, replicates, expected):
    assert judge(plan, made_runs(factor, replicates)).is_enough is expected


def test_a_job_with_a_floor_ends_by_what_is_proven_beyond_it():
    assert not judge(AUTO, made_runs(1.5, 3), floors={("sft", "job_tokens_per_s"): 0.5}).is_enough


def test_what_ended_a_job_early_is_what_is_judged_later_whatever_was_made_meanwhile():
    then, later = judge(AUTO, made_runs(1.5, 3)), judge(AUTO, made_runs(1.5, 4))
    assert replace(later, unused=0) == then


def test_only_the_metrics_asked_for_are_compared():
    judgement = judge(AUTO, made_runs(1.5, 3), metrics=(metric("job_tokens_per_s"),))
    assert [one.metric for one in judgement.comparisons] == ["job_tokens_per_s"]


def test_importing_what_judges_imports_nothing_slow():
    code = (
        "import sys, bench.judge, bench.units, bench.power\n"
        "slow = {'scipy', 'numpy', 'torch', 'pydantic', 'pandas'} & set(sys.modules)\n"
        "ours = {name for name in sys.modules if name.partition('.')[0] in ('agent', 'pods', 'train')}\n"
        "raise SystemExit(str(slow | ours) if slow | ours else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

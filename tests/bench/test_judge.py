import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from bench.judge import judge
from bench.plan import Arm
from bench.run import Choice
from tests.bench.made_runs import DPO, SFT, asked, changed, in_recipe, lost, made_plan, made_run, made_runs

PACKING = Arm("optimized+packing", "b" * 40, {"packing": True})
THREE_ARMS = made_plan(
    recipes=(replace(SFT, params={"rows": 64, "packing": False}), DPO),
    arms=(Arm("baseline", "a" * 40), Arm("optimized", "b" * 40), PACKING),
)


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


def test_a_judgement_is_plain_data():
    judgement = judge(THREE_ARMS, three_arms())
    json.dumps(asdict(judgement), allow_nan=False)


def test_importing_what_judges_imports_nothing_slow():
    code = (
        "import sys, bench.judge, bench.units, bench.power\n"
        "slow = {'scipy', 'numpy', 'torch', 'pydantic', 'pandas'} & set(sys.modules)\n"
        "ours = {name for name in sys.modules if name.partition('.')[0] in ('agent', 'pods', 'train')}\n"
        "raise SystemExit(str(slow | ours) if slow | ours else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

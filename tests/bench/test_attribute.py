"""Attribution on runs whose log times are sums of what each change takes off: A 0.2, B 0.1, C 0 unless said.

The metric is end_to_end_s of a subject without a trainer, so less is better and a ratio is exp(-effect).
"""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.attribute import NotMeasured, Residual, attribution_arms, attributions
from bench.attribution_table import attribution_table
from bench.compare import Comparison
from bench.parity import Parity
from bench.plan import Change, Plan
from bench.run import Run
from tests.bench.made_runs import SFT, lost, made_plan, made_run

A, B, C = Change("A", ("a" * 40,)), Change("B", ("b" * 40, "c" * 40)), Change("C", ("d" * 40,))
CHANGES = (A, B, C)
PLAN = made_plan(arms=attribution_arms("0" * 40, CHANGES), changes=CHANGES)
HOLDS = {
    "baseline": "",
    "+A": "A",
    "+A+B": "AB",
    "optimized": "ABC",
    "without-A": "BC",
    "without-B": "AC",
}
"""Which changes each arm has in it."""
EFFECT = {"A": 0.2, "B": 0.1, "C": 0.0}
NOISE = (0.0, 0.002, -0.002)


def run(arm: str, replicate: int, log_s: float) -> Run:
    return Run("sft", arm, replicate, "no trainer", wall_s=10 * math.exp(log_s))


def log_of(arm: str, together: float = 0.0) -> float:
    """`together` is what A and B take off only where both are."""
    holds = HOLDS[arm]
    return -sum(EFFECT[one] for one in holds) - together * ({"A", "B"} <= set(holds))


def runs_of(together: float = 0.0, noise=NOISE) -> list[Run]:
    """Each replicate is slower or faster as a whole, and each arm a little by itself."""
    return [
        run(arm, number, log_of(arm, together) + 0.5 * number + own * (place - 2))
        for number, own in enumerate(noise, start=1)
        for place, arm in enumerate(HOLDS)
    ]


def attributed(runs=None, plan: Plan = PLAN, **options):
    [found] = attributions(plan, runs_of() if runs is None else runs, **options)
    return found


def of(found, name: str):
    return next(one for one in found.contributions if one.change == name)


def test_the_arms_are_the_ladder_and_the_whole_without_each():
    made = [(arm.name, arm.commit[0], "".join(one[0] for one in arm.reverts)) for arm in PLAN.arms]
    assert made == [
        ("baseline", "0", ""),
        ("optimized", "d", ""),
        ("+A", "a", ""),
        ("+A+B", "c", ""),
        ("without-A", "d", "a"),
        ("without-B", "d", "cb"),  # newest first
    ]


def test_of_two_changes_the_rung_before_the_last_is_the_whole_without_it():
    assert [arm.name for arm in attribution_arms("0" * 40, (A, C))] == [
        "baseline",
        "optimized",
        "+A",
        "without-A",
    ]


def test_the_name_of_a_long_ladder_is_that_of_its_last_rung():
    many = [Change(f"change-{number}", (str(number) * 40,)) for number in range(8)]
    names = [arm.name for arm in attribution_arms("f" * 40, many)][2:9]  # behind baseline and optimized
    assert names[:4] == [
        "+change-0",
        "+change-0+change-1",
        "+change-0+change-1+change-2",
        "+change-0+change-1+change-2+change-3",
    ]
    assert names[4:] == ["upto-change-4", "upto-change-5", "upto-change-6"]


def test_a_plan_with_changes_through_json_is_the_same_plan():
    assert Plan.from_dict(json.loads(json.dumps(PLAN.to_dict()))) == PLAN


def test_other_changes_are_another_hash():
    assert replace(PLAN, changes=(replace(A, name="X"), B, C)).hash != PLAN.hash


def test_a_plan_without_changes_attributes_nothing():
    assert attributions(made_plan(), []) == ()


def test_the_ladder_is_a_rung_over_the_one_before_it():
    found = attributed()
    ratios = [(one.change, one.ladder.baseline, one.ladder.arm) for one in found.contributions]
    assert ratios == [("A", "baseline", "+A"), ("B", "+A", "+A+B"), ("C", "+A+B", "optimized")]
    assert [one.ladder.ratio for one in found.contributions] == [
        pytest.approx(math.exp(-effect), rel=1e-9) for effect in (0.2, 0.1, 0.0)
    ]


def test_leave_one_out_is_the_whole_over_the_whole_without_it():
    found = attributed()
    ratios = [(one.change, one.without.baseline, one.without.arm) for one in found.contributions]
    assert ratios == [
        ("A", "without-A", "optimized"),
        ("B", "without-B", "optimized"),
        ("C", "+A+B", "optimized"),
    ]
    assert of(found, "B").without.ratio == pytest.approx(math.exp(-0.1), rel=1e-9)


def test_effects_are_paired_by_replicate():
    """The replicates differ by factors of e**0.5; the intervals know nothing of it."""
    ladder = of(attributed(), "A").ladder
    assert ladder.n == 3
    # The arm's own noise is 0.002 a place; the baseline is place 0 and +A place 1: effects -0.2 +- 0.002.
    half = 4.302653 * 0.002 / math.sqrt(3)
    assert math.log(ladder.high / ladder.low) == pytest.approx(2 * half, rel=1e-5)
    assert ladder.proven


def test_a_change_that_does_nothing_is_not_proven():
    found = attributed()
    assert (of(found, "C").ladder.proven, of(found, "C").without.proven) == (False, False)
    assert attribution_table(found).rows[2][2].startswith("~ [")


def test_changes_that_act_on_their_own_leave_no_residual():
    residual = attributed(runs_of(noise=(0.0, 0.0, 0.0))).residual
    assert (residual.ratio, residual.proven, residual.n) == (pytest.approx(1.0), False, 3)


def test_what_two_changes_only_do_together_is_residual():
    """Both leave-one-outs hold the 0.3 that A and B do together, the total holds it once."""
    found = attributed(runs_of(together=0.3))
    assert of(found, "A").ladder.ratio == pytest.approx(math.exp(-0.2), rel=1e-9)
    assert of(found, "A").without.ratio == pytest.approx(math.exp(-0.5), rel=1e-9)
    assert found.total.ratio == pytest.approx(math.exp(-0.6), rel=1e-9)
    assert found.residual.ratio == pytest.approx(math.exp(-0.6 + 0.5 + 0.4 + 0.0), rel=1e-9)
    assert found.residual.proven
    assert [one.depends for one in found.contributions] == [True, False, False]
    assert found.residual.low < math.exp(0.3) < found.residual.high


def test_a_change_that_gives_less_beside_another_depends_on_it_too():
    found = attributed(runs_of(together=-0.15))
    assert of(found, "A").ladder.ratio < of(found, "A").without.ratio
    assert [one.depends for one in found.contributions] == [True, False, False]


def test_the_interval_of_the_residual_is_that_of_its_replicates():
    """The arms have places 0 to 5, so (3 - 0) - (3 - 4) - (3 - 5) - (3 - 2) = 5 times the noise."""
    residual = attributed().residual
    half = 4.302653 * 5 * 0.002 / math.sqrt(3)
    assert math.log(residual.ratio) == pytest.approx(0.0, abs=1e-12)
    assert math.log(residual.high) == pytest.approx(half, rel=1e-5)
    assert math.log(residual.low) == pytest.approx(-half, rel=1e-5)


def test_a_residual_inside_the_floor_is_not_proven():
    plan = made_plan(arms=PLAN.arms, changes=CHANGES)
    runs = runs_of(together=0.03, noise=(0.0, 0.0001, -0.0001))
    assert attributed(runs, plan).residual.proven
    floors = {("sft", "end_to_end_s"): 0.05}
    found = attributed(runs, plan, floors=floors)
    assert (found.residual.proven, found.residual.floor) == (False, 0.05)
    assert of(found, "A").ladder.floor == 0.05


def test_an_arm_that_could_not_be_made_is_not_measured_with_its_reason_and_the_rest_is():
    runs = [one for one in runs_of() if one.arm != "without-A"]
    why = "does not revert cleanly: commit aaaaaaaaaaaa"
    found = attributed(runs, not_measured={"without-A": why})
    assert of(found, "A").without == NotMeasured(f"without-A: {why}")
    assert found.residual == NotMeasured(f"without-A: {why}")
    assert isinstance(of(found, "A").ladder, Comparison)
    assert isinstance(of(found, "B").without, Comparison)
    assert not of(found, "A").depends


def test_an_arm_that_crashed_is_not_measured_with_its_outcome():
    runs = [lost(one) if one.arm == "+A" else one for one in runs_of()]
    found = attributed(runs)
    assert of(found, "A").ladder == NotMeasured("no valid pair (baseline: no trainer 3; +A: crashed 3)")
    assert of(found, "B").ladder == NotMeasured("no valid pair (+A: crashed 3; +A+B: no trainer 3)")
    assert isinstance(of(found, "A").without, Comparison)
    assert isinstance(found.residual, Residual)


def test_without_any_run_everything_is_not_measured():
    found = attributed([])
    assert found.total == NotMeasured("no valid pair (no run)")
    assert all(isinstance(one.ladder, NotMeasured) for one in found.contributions)


def test_a_metric_that_no_run_has_is_named():
    runs = [replace(made_run(arm, number), tokens=None) for number in (1, 2, 3) for arm in HOLDS]
    assert attributed(runs).total == NotMeasured("no run has a job_tokens_per_s")


def test_a_value_that_no_ratio_can_be_made_of_is_refused():
    runs = [replace(made_run(arm, number), tokens=0) for number in (1, 2, 3) for arm in HOLDS]
    assert attributed(runs).total == NotMeasured(
        "no ratio: a value of 0; ratios need positive, finite values"
    )


def test_a_replicate_that_lacks_one_arm_is_left_out_of_the_residual_only():
    runs = [one for one in runs_of() if (one.arm, one.replicate) != ("without-B", 2)]
    found = attributed(runs)
    assert (found.residual.n, found.total.n, of(found, "B").without.n) == (2, 3, 2)


def test_one_replicate_has_no_interval_and_proves_nothing():
    found = attributed(runs_of(together=0.3, noise=(0.0,)))
    assert (found.residual.low, found.residual.proven) == (None, False)
    assert not any(one.depends for one in found.contributions)
    assert attribution_table(found).rows[-1][3] == "~ (n = 1)"


def test_the_metric_is_the_recipes_primary_where_the_subject_has_a_trainer():
    runs = [made_run(arm, number) for number in (1, 2, 3) for arm in HOLDS]
    assert attributed(runs).metric == SFT.primary == "job_tokens_per_s"


def test_every_recipe_is_attributed():
    plan = made_plan(recipes=(SFT, replace(SFT, name="dpo")), arms=PLAN.arms, changes=CHANGES)
    found = attributions(plan, [*runs_of(), *(replace(one, recipe="dpo") for one in runs_of())])
    assert [one.recipe for one in found] == ["sft", "dpo"]
    assert found[0].contributions[0].ladder.ratio == found[1].contributions[0].ladder.ratio


def test_a_rung_that_trains_something_else_says_so():
    parities = [Parity("sft", "+A+B", "not equivalent", ("rows",), 0.02)]
    found = attributed(parities=parities)
    assert [one.trains for one in found.contributions] == ["not measured", "not equivalent", "not measured"]


def test_the_table_has_a_row_a_change_and_two_more():
    found = attributed(runs_of(together=0.3), not_measured={"without-B": "does not revert cleanly: commit b"})
    rows = attribution_table(found).rows
    assert [row[0] for row in rows] == ["A", "B", "C", "all together", "interactions"]
    assert rows[0][1:3] == ("aaaaaaaaaaaa", "0.8187 [0.8147, 0.8228]")
    assert rows[0][-1] == "depends on the others"
    assert rows[1][1] == "bbbbbbbbbbbb to cccccccccccc (2)"
    assert rows[1][3:5] == ("NOT MEASURED: without-B: does not revert cleanly: commit b", "3 / 0")
    assert rows[4][3] == "NOT MEASURED: without-B: does not revert cleanly: commit b"


@given(
    st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=4),
    st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=2),
)
def test_the_ladder_multiplies_to_the_total(rungs, without):
    logs = dict(zip(HOLDS, rungs + without, strict=True))
    found = attributed([run(arm, number, log) for number in (1, 2, 3) for arm, log in logs.items()])
    product = math.prod(one.ladder.ratio for one in found.contributions)
    assert product == pytest.approx(found.total.ratio, rel=1e-9)
    left = math.prod(one.without.ratio for one in found.contributions)
    assert found.residual.ratio * left == pytest.approx(found.total.ratio, rel=1e-9)

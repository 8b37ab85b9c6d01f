import numpy as np
import pytest
from scipy.special import stdtrit

from bench.plan import Arm
from bench.sequential import EACH_LOOK, LOOKS, ONE_LOOK, levels_of, looks_at_hand
from tests.bench.made_runs import SFT, lost, made_plan, made_run, made_runs

AUTO = made_plan(replicates=12, looks=LOOKS)
TASKS = 40_000
DRAWS = {
    "normal": lambda draw, size: draw.normal(size=size),
    "heavy tails, no mean": lambda draw, size: draw.standard_cauchy(size),
    "heavy tails, no variance": lambda draw, size: draw.standard_t(2, size),
    "heavy tails": lambda draw, size: draw.laplace(size=size),
    "one in ten ten times as wide": lambda draw, size: (
        draw.normal(size=size) * np.where(draw.random(size) < 0.1, 10, 1)
    ),
    "difference of skewed times": lambda draw, size: draw.lognormal(0, 1, size) - draw.lognormal(0, 1, size),
}
"""Effects of an A/A task: whatever the times are like, their differences are as often up as down."""


def share_beyond(effects, confidence, *, is_one_sided=False):
    """Of tasks, (tasks, replicates), in how many the t interval leaves 0 out at one of the looks at least."""
    found = np.zeros(len(effects), bool)
    for look in LOOKS:
        seen = effects[:, :look]
        t = seen.mean(axis=1) / (seen.std(axis=1, ddof=1) / np.sqrt(look))
        found |= (t if is_one_sided else np.abs(t)) > stdtrit(look - 1, (1 + confidence) / 2)
    return found.mean()


@pytest.mark.parametrize("kind", DRAWS)
def test_four_looks_together_give_at_most_five_percent_false_alarms(kind):
    effects = DRAWS[kind](np.random.default_rng(4), (TASKS, LOOKS[-1]))
    assert share_beyond(effects, EACH_LOOK.ratio) <= 0.05


def test_four_looks_at_the_level_of_one_would_give_more_than_twice_as_many():
    effects = np.random.default_rng(4).normal(size=(TASKS, LOOKS[-1]))
    assert share_beyond(effects, ONE_LOOK.ratio) > 0.10


@pytest.mark.parametrize("kind", DRAWS)
def test_four_looks_call_an_arm_at_the_edge_of_the_band_equivalent_in_at_most_five_percent(kind):
    effects = DRAWS[kind](np.random.default_rng(4), (TASKS, LOOKS[-1]))
    assert share_beyond(effects, EACH_LOOK.equivalence, is_one_sided=True) <= 0.05


def test_a_fixed_number_of_replicates_is_one_look():
    assert levels_of(made_plan()) is ONE_LOOK
    assert (ONE_LOOK.ratio, ONE_LOOK.equivalence) == (0.95, 0.90)


def test_a_plan_with_looks_is_looked_at_more_strictly():
    assert levels_of(AUTO) is EACH_LOOK
    assert (EACH_LOOK.ratio, EACH_LOOK.equivalence) == (0.985, 0.97)


@pytest.mark.parametrize(
    ("replicates", "looks"),
    [(0, ()), (2, ()), (3, (3,)), (4, (3,)), (5, (3, 5)), (11, (3, 5, 8)), (12, LOOKS)],
)
def test_it_is_looked_after_whole_replicates(replicates, looks):
    assert looks_at_hand(AUTO, made_runs(replicates=replicates)) == looks


def test_a_replicate_without_one_of_its_runs_is_waited_for():
    assert looks_at_hand(AUTO, made_runs(replicates=5)[:-1]) == (3,)


def test_a_run_that_was_cancelled_has_not_ended():
    *runs, last = made_runs(replicates=3)
    assert looks_at_hand(AUTO, [*runs, lost(last, "cancelled")]) == ()


@pytest.mark.parametrize("outcome", ["crashed", "out of memory", "NaN", "timed out", "tainted", "no trainer"])
def test_a_run_that_ended_in_any_other_way_is_not_waited_for(outcome):
    *runs, last = made_runs(replicates=3)
    assert looks_at_hand(AUTO, [*runs, lost(last, outcome)]) == (3,)


def test_an_arm_is_not_waited_for_in_a_recipe_it_takes_no_part_in():
    plan = made_plan(
        recipes=(SFT,),
        arms=(*AUTO.arms, Arm("packed", "c" * 40, {"packing": True})),
        replicates=12,
        looks=LOOKS,
    )
    assert looks_at_hand(plan, made_runs(replicates=3)) == (3,)


def test_without_looks_there_is_none_to_take():
    assert looks_at_hand(made_plan(), [*made_runs(), made_run(replicate=4)]) == ()

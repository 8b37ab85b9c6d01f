"""What an epoch costs, on runs of 9 steps at 1 s: train 8 s, so 9 s of steps, 3 s an epoch; 7 s once.

Once: import 4, load 1, prep 1, save 0.5, other 0.5, and a first step that takes no longer than the others.
"""

from dataclasses import replace

import pytest

from bench.epochs import epoch_cost, epoch_costs
from bench.judge import judge
from bench.plan import Arm
from bench.run import Choice
from bench.sample import Pair
from tests.bench.made_runs import SFT, made_plan, made_run, made_runs

BASELINE, OPTIMIZED = Arm("baseline", "a" * 40), Arm("optimized", "b" * 40)
NOISE = (-0.1, 0.0, 0.1)
"""Half width at 95 % over three: 4.3027 * 0.1 / sqrt(3) = 0.2484."""


def choices(**used):
    return tuple(Choice(name, value, value) for name, value in used.items())


THREE = choices(num_train_epochs="3", max_steps="-1")


def pairs(once=0.0, epoch=0.0, n=3, noise=(0.0, 0.0, 0.0), **changes):
    """Pairs whose arm costs so much more once (in its import) and for each of the three epochs."""
    made = []
    for number in range(1, n + 1):
        one = made_run("baseline", number, steps=9, rows=96, choices=THREE)
        extra = once + noise[number - 1]
        steps_s = 3 * epoch  # over 9 steps: a third of an epoch's more each
        phases_s = {
            **one.phases_s,
            "import": 4.0 + extra,
            "first": 1.0 + steps_s / 9,
            "train": 8.0 + steps_s * 8 / 9,
        }
        fields = {"steps": 9, "rows": 96, "choices": THREE, **changes}
        made.append(Pair(number, one, made_run("optimized", number, phases_s=phases_s, **fields)))
    return made


def cost(made, recipe=SFT, arm=OPTIMIZED, floor=None):
    return epoch_cost(recipe, BASELINE, arm, made, floor=floor)


def test_what_is_paid_once_and_by_epoch():
    found = cost(pairs())
    assert (found.once.baseline_s, found.epoch.baseline_s) == pytest.approx((7.0, 3.0))
    assert (found.epochs, found.rows, found.is_epoch, found.n) == (3.0, 32.0, True, 3)


def test_a_first_step_that_takes_longer_is_paid_once():
    made = [
        Pair(p.replicate, p.baseline, replace(p.arm, phases_s={**p.arm.phases_s, "first": 6.0}))
        for p in pairs()
    ]
    found = cost(made)
    assert (found.once.change_s, found.epoch.change_s) == pytest.approx((5.0, 0.0))


def test_a_first_step_that_is_shorter_than_the_others_is_a_step():
    made = [
        Pair(p.replicate, p.baseline, replace(p.arm, phases_s={**p.arm.phases_s, "first": 0.4}))
        for p in pairs()
    ]
    found = cost(made)
    assert (found.once.change_s, found.epoch.change_s) == pytest.approx((0.0, -0.2))


def test_our_own_evaluation_is_in_no_cost():
    made = [
        Pair(p.replicate, p.baseline, replace(p.arm, phases_s={**p.arm.phases_s, "eval": 60.0}))
        for p in pairs()
    ]
    assert cost(made).once.change_s == pytest.approx(0.0)


def test_an_arm_that_saves_in_every_epoch_pays_from_the_first_that_makes_up_for_its_start():
    # +2.7 s once, -1 s an epoch: 2 epochs are 0.7 s dearer, 3 are 0.3 s cheaper, beyond 1 % of 7 + 9 s.
    found = cost(pairs(once=2.7, epoch=-1.0))
    assert (found.pays_from, found.lowest, found.highest) == (3, 3, 3)
    assert found.pays == "from 3 epochs on"


def test_noise_widens_the_number_of_epochs_to_bounds():
    # At 3 epochs the difference is -0.3 +- 0.25: not beyond 0.16 s; at 4 it is -1.3. At 2 it is +0.7 +- 0.25.
    found = cost(pairs(once=2.7, epoch=-1.0, noise=NOISE))
    assert (found.pays_from, found.lowest, found.highest) == (3, 3, 4)
    assert found.pays == "from 3 epochs on [3, 4]"


def test_an_arm_that_saves_at_once_and_in_every_epoch_pays_from_the_first():
    assert cost(pairs(once=-1.0, epoch=-1.0)).pays == "from the first"
    assert cost(pairs(once=-1.0)).pays == "from the first"


def test_an_arm_whose_epochs_are_slower_never_pays():
    found = cost(pairs(once=1.0, epoch=0.5))
    assert (found.pays_from, found.highest, found.pays) == (None, None, "never: each epoch is slower")


def test_an_arm_that_starts_faster_and_trains_slower_pays_for_short_runs_only():
    # -3.2 s once, +1 s an epoch: 3 epochs are 0.2 s cheaper, 4 are 0.8 s dearer. 1 % of 16 s is 0.16 s.
    assert cost(pairs(once=-3.2, epoch=1.0)).pays == "up to 3 epochs: each epoch is slower"
    noisy = cost(pairs(once=-3.2, epoch=1.0, noise=NOISE))
    assert noisy.pays == "up to 3 epochs [2, 3]: each epoch is slower"


def test_a_start_that_may_be_faster_before_slower_epochs_is_not_shown():
    found = cost(pairs(once=-0.6, epoch=0.5, noise=(-1.0, 0.0, 1.0)))
    assert found.pays == "~ not shown: each epoch is slower"


def test_no_difference_is_a_tilde():
    assert cost(pairs(noise=NOISE)).pays == "~ no difference shown"


def test_a_dearer_start_without_a_faster_epoch_is_not_shown_to_pay():
    assert cost(pairs(once=2.0, noise=NOISE)).pays == "~ not shown: no epoch is proven faster"


def test_one_pair_has_no_interval_and_says_so():
    assert cost(pairs(once=2.7, epoch=-1.0, n=1)).pays == "~ (n = 1)"


def test_a_gain_that_needs_more_epochs_than_anyone_trains_is_not_said():
    assert cost(pairs(once=200.0, epoch=-1.0)).pays == "~ not shown within 100 epochs"


def test_an_aa_floor_has_to_be_beaten_too():
    # 10 % of 16 s: at 3 epochs 0.3 s is not enough; at 4 it is 1.3 of 19 s, at 5 it is 2.3 of 22 s.
    assert cost(pairs(once=2.7, epoch=-1.0), floor=0.0953).pays == "from 3 epochs on [2, 5]"


def test_a_run_bounded_by_steps_has_as_many_epochs_as_its_rows_fill_the_data_set():
    made = [
        Pair(
            p.replicate,
            *(
                replace(run, choices=choices(num_train_epochs="3", max_steps="9"))
                for run in (p.baseline, p.arm)
            ),
        )
        for p in pairs()
    ]
    found = cost(made, replace(SFT, params={"rows": 48}))
    assert (found.epochs, found.rows, found.is_epoch) == (2.0, 48.0, True)


@pytest.mark.parametrize(
    "used", [{}, {"max_steps": "9"}, {"num_train_epochs": "many"}, {"num_train_epochs": "nan"}]
)
def test_where_epochs_are_not_known_a_run_stands_for_one(used):
    made = [
        Pair(p.replicate, *(replace(run, choices=choices(**used)) for run in (p.baseline, p.arm)))
        for p in pairs(once=2.0, epoch=-1.0)
    ]
    found = cost(made, replace(SFT, params={}))
    assert (found.is_epoch, found.epochs, found.rows) == (False, 1.0, 96.0)
    assert found.pays == "from the first"  # 3 s of steps saved, 2 s paid


def test_other_epochs_of_the_same_rows_are_compared():
    arm = replace(OPTIMIZED, params={"epochs": 6})
    twice = choices(num_train_epochs="6")
    made = pairs(rows=192, steps=18, choices=twice)
    assert cost(made, replace(SFT, params={"epochs": 3}), arm).rows == 32.0


def test_epochs_of_other_rows_are_not_compared():
    assert cost(pairs(rows=48)) is None


def test_a_run_of_one_step_has_no_steady_pace():
    assert cost(pairs(steps=1)) is None


def test_without_a_pair_there_is_no_cost():
    assert cost([]) is None


def test_every_compared_arm_has_its_cost():
    runs = [replace(run, choices=THREE) for run in made_runs()]
    plan = made_plan()
    [found] = epoch_costs(plan, runs, judge(plan, runs).comparisons)
    assert (found.recipe, found.arm, found.pays) == ("sft", "optimized", "from the first")

"""The phase ledger on made runs: 10 s of job (prep 1, first 1, train 8), 6 s outside, 1 s of evaluation."""

from dataclasses import replace

import pytest

from bench.judge import judge
from bench.metrics import BY_NAME
from bench.phases import change_of, phase_ledger, phase_ledgers, saving_not_shown, work_moved
from bench.plan import Arm
from bench.run import PHASES, Choice
from bench.sample import Pair
from tests.bench.made_runs import SFT, lost, made_plan, made_run, made_runs, without_trainer


def pairs(*, baseline=(), arm=(), n=3, **seconds):
    """Pairs whose arm spends `seconds` more in phases; a tuple gives one value a replicate."""

    def more(phase, number):
        added = seconds[phase]
        return added[number - 1] if isinstance(added, tuple) else added

    made = []
    for number in range(1, n + 1):
        one = made_run("baseline", number, choices=baseline)
        phases_s = {
            **one.phases_s,
            **{p.rstrip("_"): one.phases_s[p.rstrip("_")] + more(p, number) for p in seconds},
        }
        other = made_run("optimized", number, choices=arm, phases_s=phases_s)
        made.append(Pair(number, one, other))
    return made


def ledger(*args, floor=None, confidence=0.95, **seconds):
    return phase_ledger(SFT, "optimized", pairs(*args, **seconds), floor=floor, confidence=confidence)


def changes(found):
    return {change.name: change for change in (*found.phases, found.job, found.unseen, found.whole)}


def test_a_phase_has_the_means_of_both_arms_and_the_mean_difference():
    # Differences 1, 2, 3: mean 2, spread 1, t(0.975, 2) = 4.3027: +- 4.3027 / sqrt(3) = 2.4841.
    train = changes(ledger(train=(1.0, 2.0, 3.0)))["train"]
    assert (train.baseline_s, train.arm_s, train.change_s) == (8.0, 10.0, 2.0)
    assert (train.low_s, train.high_s) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert not train.is_proven


def test_another_confidence_is_another_width():
    wide = changes(ledger(train=(1.0, 2.0, 3.0), confidence=0.985))["train"]
    # t(0.9925, 2) = 8.0728: half width 8.0728 / sqrt(3) = 4.6608.
    assert wide.high_s == pytest.approx(2 + 4.6608, abs=1e-3)


def test_differences_of_the_phases_sum_to_those_of_the_job_and_the_whole_process():
    found = changes(ledger(prep=0.5, train=-2.0, import_=0.25, eval=3.0, save=0.125))
    assert found["job"].change_s == pytest.approx(-1.5)
    assert found["outside the job"].change_s == pytest.approx(0.375)
    assert found["whole process"].change_s == pytest.approx(0.5 - 2.0 + 0.25 + 3.0 + 0.125)
    assert found["whole process"].baseline_s == 17.0


def test_a_change_is_proven_beyond_one_percent_of_the_baselines_job():
    assert ledger().floor_s == pytest.approx(0.1)
    assert not changes(ledger(load=0.09))["load"].is_proven
    assert changes(ledger(load=0.11))["load"].is_longer
    assert changes(ledger(load=-0.11))["load"].is_shorter


def test_an_aa_floor_that_is_larger_takes_over():
    found = ledger(load=0.5, floor=0.0953)  # ln 1.1: 10 % of 10 s
    assert found.floor_s == pytest.approx(1.0, abs=1e-3)
    assert not changes(found)["load"].is_proven


def test_a_phase_that_no_run_spent_time_in_is_left_out():
    assert "reference" not in changes(ledger())
    assert "reference" in changes(ledger(reference=2.7))


def test_only_pairs_that_trained_count():
    ended = [*pairs(train=1.0), Pair(4, made_run(replicate=4), lost(made_run("optimized", 4)))]
    assert phase_ledger(SFT, "optimized", ended, floor=None).n == 3
    idle = [Pair(1, without_trainer(made_run()), without_trainer(made_run("optimized")))]
    assert phase_ledger(SFT, "optimized", idle, floor=None) is None


@pytest.mark.parametrize(
    ("samples", "text", "size"),
    [
        ([(8.0, 5.1), (8.0, 5.0), (8.0, 5.2)], "-2.90 [-3.15, -2.65]", "2.90 s [2.65, 3.15]"),
        ([(8.0, 5.0)] * 3, "-3.00", "3.00 s"),
        ([(8.0, 8.2), (8.0, 7.9), (8.0, 8.0)], "~ [-0.35, 0.41]", "~ 0.03 s [-0.35, 0.41]"),
        ([(8.0, 7.8), (8.0, 8.1), (8.0, 8.0)], "~ [-0.41, 0.35]", "~ 0.03 s [-0.35, 0.41]"),
        ([(8.0, 5.0)], "~ (n = 1)", "~ 3.00 s (n = 1)"),
        ([(8.0, 8.0)] * 3, "=", "~ 0.00 s"),
    ],
)
def test_a_change_as_text(samples, text, size):
    found = change_of("train", samples, 0.1)
    assert (found.text, found.size) == (text, size)


def test_a_reference_pass_that_left_the_loop_is_named():
    found = ledger(reference=(2.6, 2.7, 2.8), train=(-2.8, -2.9, -3.0))
    assert found.moved == (
        "reference pass moved out of the timed loop: 2.70 s [2.45, 2.95] before training,"
        " train got 2.90 s [2.65, 3.15] shorter"
    )


def test_a_reference_pass_that_was_there_before_has_not_moved():
    slower = [
        Pair(
            pair.replicate,
            replace(pair.baseline, phases_s={**pair.baseline.phases_s, "reference": 2.0}),
            pair.arm,
        )
        for pair in pairs(reference=4.7, train=-2.9)
    ]
    found = phase_ledger(SFT, "optimized", slower, floor=None)
    assert found.moved == "train got 2.90 s shorter, reference got 2.70 s longer"


def packing(used):
    return (Choice("packing", used, used),)


def test_packing_that_is_new_is_named_as_what_makes_preparation_longer():
    found = ledger(prep=0.5, train=-5.0, baseline=packing("False"), arm=packing("True"))
    assert found.moved == ("packing moved into preparation: 0.50 s before training, train got 5.00 s shorter")
    both = ledger(prep=0.5, train=-5.0, baseline=packing("True"), arm=packing("True"))
    assert both.moved == "train got 5.00 s shorter, prep got 0.50 s longer"


def test_any_other_phase_is_named_by_its_name():
    assert ledger(import_=3.0, train=-3.5).moved == "train got 3.50 s shorter, import got 3.00 s longer"


@pytest.mark.parametrize(
    "seconds",
    [
        {"train": -3.0},
        {"import_": 3.0},
        {"import_": (0.0, 6.0, 0.1), "train": -3.0},  # by chance
        {"eval": 3.0, "train": -3.0},  # ours
        {},
    ],
)
def test_nothing_moved_where_nothing_proven_reappears(seconds):
    assert ledger(**seconds).moved == ""


def throughput(found, name, runs):
    [one] = [c for c in judge(made_plan(), runs).comparisons if c.metric == name]
    return one


def test_half_of_the_gain_reappearing_outside_the_job_is_work_moved():
    made = pairs(train=-4.0, import_=2.0)
    found = phase_ledger(SFT, "optimized", made, floor=None)
    runs = [run for pair in made for run in (pair.baseline, pair.arm)]
    steady, job = (throughput(found, name, runs) for name in ("tokens_per_s", "job_tokens_per_s"))
    assert work_moved(found, steady, job) == (
        "of 4.00 s gained 2.00 s reappear outside the job: import 2.00 s (n = 3)"
    )
    less = phase_ledger(SFT, "optimized", pairs(train=-4.0, import_=1.9), floor=None)
    assert work_moved(less, steady, job) == ""


def said_of(**seconds):
    """(work moved, saving not shown) of an arm that spends so much more in phases."""
    made = pairs(**seconds)
    found = phase_ledger(SFT, "optimized", made, floor=None)
    runs = [run for pair in made for run in (pair.baseline, pair.arm)]
    both = [throughput(found, name, runs) for name in ("tokens_per_s", "job_tokens_per_s")]
    return work_moved(found, *both), saving_not_shown(found, *both)


def test_a_loop_that_is_faster_in_a_job_that_is_not_says_what_got_surely_longer_even_unproven():
    # Preparation 0.08, 0.09, 0.10: 0.09 +- 4.3027 * 0.01 / sqrt(3), above 0 and within the floor of 0.1 s.
    moved, not_shown = said_of(train=-0.15, prep=(0.08, 0.09, 0.10))
    assert moved.startswith("tokens_per_s 1.02 is proven better, job_tokens_per_s ~ 1.0060 [")
    assert moved.endswith(" is not: longer: prep ~ 0.090 s [0.065, 0.115] (n = 3)")
    assert not_shown == ""


def test_a_loop_that_is_faster_where_nothing_is_surely_longer_is_not_said_to_be_moved():
    # Differences 2, 4, 6: mean 4, spread 2, half width 4.3027 * 2 / sqrt(3) = 4.9683.
    moved, not_shown = said_of(train=-4.0, prep=(2.0, 4.0, 6.0))
    assert moved == ""
    assert not_shown.startswith("tokens_per_s 2.00 is proven better, job_tokens_per_s ~ ")
    assert not_shown.endswith(" is not; no phase is surely longer: more replicates would tell (n = 3)")


def test_more_replicates_do_not_tell_of_a_gain_that_is_small_beside_the_job():
    # 0.09 of 8 s of steps are 1.1 %, of 10 s of job 0.9 %.
    moved, not_shown = said_of(train=-0.09)
    assert moved == ""
    assert not_shown == (
        "tokens_per_s 1.01 is proven better, job_tokens_per_s 1.01 is not; no phase is surely longer:"
        " the job gains less than 1 % (n = 3)"
    )


def test_where_the_job_is_faster_too_nothing_is_said():
    assert said_of(train=-4.0) == ("", "")


def test_every_compared_arm_has_a_ledger_at_the_confidence_of_its_comparisons():
    plan = made_plan(arms=(*made_plan().arms, Arm("slow", "c" * 40)), looks=(3, 5), replicates=5)
    runs = [*made_runs(1.5, 3), *(run for run in made_runs(0.8, 3, "slow") if run.arm == "slow")]
    judgement = judge(plan, runs)
    found = phase_ledgers(plan, runs, judgement.comparisons)
    assert [(one.arm, one.n, one.confidence) for one in found] == [
        ("optimized", 3, judgement.confidence),
        ("slow", 3, judgement.confidence),
    ]


def test_an_arm_alone_whose_first_run_was_cold_met_another_cache():
    found = ledger(load=(11.0, 0.0, 0.1))
    assert found.cache_differs == (
        "load took optimized 12.00 s in its first run and 1.05 s in later ones, but baseline 1.00 s in its"
        " first run and 1.00 s in later ones",
    )


def test_first_runs_that_were_cold_in_both_arms_met_the_same_cache():
    cold = [
        Pair(
            p.replicate,
            *(
                replace(run, phases_s={**run.phases_s, "load": 12.0 if p.replicate == 1 else 1.0})
                for run in (p.baseline, p.arm)
            ),
        )
        for p in pairs()
    ]
    assert phase_ledger(SFT, "optimized", cold, floor=None).cache_differs == ()


def test_the_recipe_says_which_cache_was_measured():
    assert ledger().cache == "cold"
    warm = phase_ledger(replace(SFT, cache="warm"), "optimized", pairs(), floor=None)
    assert warm.cache == "warm"


def test_every_phase_has_a_metric_of_the_same_seconds():
    names = {"first": "first_step_s"}
    assert all(names.get(phase, f"{phase}_s") in BY_NAME for phase in PHASES)

"""Tables of a judgement: which rows there are, and what stands where nothing is proven or known."""

import re
from dataclasses import replace

import pytest

from bench.epochs import epoch_costs
from bench.judge import judge
from bench.phases import phase_ledgers
from bench.plan import Arm
from bench.run import Choice
from bench.tables import (
    choice_table,
    criteria_table,
    epoch_table,
    metric_table,
    parity_table,
    phase_table,
    ratio_text,
    run_table,
)
from tests.bench.made_runs import SFT, asked, changed, lost, made_plan, made_run, made_runs, without_trainer

TITLE_OF_JOB = "tokens/s of the job"


def metrics(runs, plan=None) -> dict[str, tuple[str, ...]]:
    plan = plan or made_plan()
    return {row[0]: row[1:] for row in metric_table(SFT, plan, judge(plan, runs)).rows}


def compared(runs, metric):
    [found] = [one for one in judge(made_plan(), runs).comparisons if one.metric == metric]
    return found


def same(*arms, **changes):
    """Runs without any jitter, so that every ratio is exact."""
    return [made_run(arm, number, **changes) for arm in arms for number in (1, 2, 3)]


def test_a_metric_has_the_baselines_value_then_value_and_ratio_of_each_arm():
    plan = made_plan()
    table = metric_table(SFT, plan, judge(plan, made_runs()))
    assert table.header == ("", "baseline", "optimized", "optimized / baseline")
    assert {len(row) for row in table.rows} == {4}


def test_a_proven_ratio_stands_with_its_interval():
    assert re.fullmatch(r"1\.\d+ \[1\.\d+, 1\.\d+\]", metrics(made_runs(1.5))[TITLE_OF_JOB][2])


def test_an_unproven_ratio_is_a_tilde_with_its_interval():
    assert metrics(made_runs(1.0))[TITLE_OF_JOB][2].startswith("~ [0.9")


def test_one_replicate_is_a_tilde_with_its_number():
    plan = made_plan(replicates=1)
    assert metrics(made_runs(1.5, 1), plan)[TITLE_OF_JOB][2] == "~ (n = 1)"


def test_equal_exact_values_are_an_equals_sign():
    assert metrics(same("baseline", "optimized"))["rows"] == ("64", "64", "=")


def test_unequal_exact_values_are_a_ratio_without_interval():
    runs = [*same("baseline"), *same("optimized", steps=8)]
    assert metrics(runs)["steps"] == ("16", "8", "0.50")


def test_an_arm_without_a_valid_run_is_a_dash():
    runs = changed(made_runs(), "optimized", lost)
    assert metrics(runs)[TITLE_OF_JOB][1:] == ("-", "-")


def test_a_metric_that_nobody_has_a_value_of_has_no_row():
    runs = [replace(run, gpu=None) for run in made_runs()]
    assert "GPU utilisation, mean" not in metrics(runs)


def test_host_memory_has_no_row_of_its_own_where_it_is_the_peak_memory():
    without_device = [replace(run, memory={}, gpu=None) for run in made_runs()]
    assert {"peak memory", "peak memory, host"} & set(metrics(without_device)) == {"peak memory"}


def test_host_memory_has_a_row_beside_that_of_a_device():
    assert {"peak memory", "peak memory, host"} <= set(metrics(made_runs()))


def test_an_arm_that_takes_no_part_has_no_column():
    plan = made_plan(arms=(*made_plan().arms, Arm("packed", "c" * 40, {"packing": True})))
    assert "packed" not in metric_table(SFT, plan, judge(plan, made_runs())).header


def test_of_many_arms_only_what_differs_is_shown():
    names = ("optimized", "second", "third")
    plan = made_plan(arms=(*made_plan().arms, Arm("second", "c" * 40), Arm("third", "d" * 40)))
    runs = same("baseline", *names)
    table = metric_table(SFT, plan, judge(plan, runs))
    assert table.header == ("", "baseline", *(f"{name} / baseline" for name in names))
    assert {len(row) for row in table.rows} == {5}
    assert next(row for row in table.rows if row[0] == TITLE_OF_JOB)[2:] == ("=",) * 3
    seconds = phases(runs, plan)
    assert seconds.header == ("", "baseline", *(f"{name} - baseline, n = 3" for name in names))
    assert {len(row) for row in seconds.rows} == {5}


def test_a_ratio_that_could_not_be_made_is_a_dash():
    comparison = compared(made_runs(), "job_tokens_per_s")
    assert ratio_text(replace(comparison, ratio=None)) == "-"


def phases(runs, plan=None):
    plan = plan or made_plan()
    ledgers = phase_ledgers(plan, runs, judge(plan, runs).comparisons)
    return phase_table(SFT, plan, runs, ledgers)


def of_baseline(table) -> dict[str, str]:
    return {row[0]: row[1] for row in table.rows}


def test_mean_seconds_of_the_phases_sum_to_job_and_whole_process():
    assert of_baseline(phases(same("baseline", "optimized"))) == {
        "import": "4.00",
        "load": "1.00",
        "prep": "1.00",
        "first": "1.00",
        "train": "8.00",
        "eval": "1.00",
        "save": "0.50",
        "other": "0.50",
        "job": "10.00",
        "whole process": "17.00",
    }


def test_means_of_phases_are_arithmetic_and_the_title_says_so():
    # 4 and 9 s: 6.5, where the geometric mean would be 6.
    runs = [made_run("baseline", 1), made_run("baseline", 2, phases_s={"import": 9.0})]
    assert of_baseline(phases(runs))["import"] == "6.50"
    assert phases(runs).title == "Seconds by phase, arithmetic means"


def test_each_arm_stands_with_its_change_the_number_of_pairs_and_the_interval():
    runs = [
        *same("baseline"),
        *(made_run("optimized", r, phases_s={"train": 5.0 + 0.1 * (r - 2)}) for r in (1, 2, 3)),
    ]
    table = phases(runs)
    assert table.header == ("", "baseline", "optimized", "optimized - baseline, n = 3")
    assert table.title.endswith("(differences: 95 % intervals)")
    [train] = [row for row in table.rows if row[0] == "train"]
    assert train == ("train", "8.00", "5.00", "-3.00 [-3.25, -2.75]")


def test_stricter_looks_are_named_by_their_confidence():
    assert "98.5 % intervals" in phases(made_runs(), made_plan(looks=(3, 5), replicates=5)).title


def test_a_phase_that_no_run_spent_time_in_has_no_row():
    assert "reference" not in of_baseline(phases(same("baseline")))


def test_phases_of_runs_that_went_wrong_do_not_count():
    runs = changed(same("baseline", "optimized"), "optimized", lost)
    assert {row[2:] for row in phases(runs).rows} == {("-", "-")}


def test_a_process_without_a_trainer_has_phases():
    runs = [without_trainer(run) for run in same("baseline")]
    assert of_baseline(phases(runs)) == {"import": "17.00", "whole process": "17.00"}


def epochs(runs, plan=None):
    plan = plan or made_plan()
    return epoch_table(SFT, epoch_costs(plan, runs, judge(plan, runs).comparisons))


TWO = (Choice("num_train_epochs", "2", "2"),)


def nine_steps(arm, **phases_s):
    """9 steps of 1 s: 9 s of steps, 4.5 s an epoch; 7 s once."""
    return [made_run(arm, r, steps=9, choices=TWO, phases_s=phases_s) for r in (1, 2, 3)]


def test_what_an_epoch_costs_has_a_row_an_arm_and_says_from_when_it_pays():
    table = epochs(
        [*nine_steps("baseline"), *nine_steps("optimized", **{"import": 6.0}, train=4.0, first=0.5)]
    )
    assert table.rows == (
        ("baseline", "7.00", "", "4.50", "", "", ""),
        ("optimized", "9.00", "+2.00", "2.25", "-2.25", "3", "from the first"),
    )
    assert table.header == ("", "once", "once - baseline", "an epoch", "an epoch - baseline", "n", "pays")
    assert "by epoch of 32 rows (measured over 2), arithmetic means" in table.title


def test_a_run_stands_for_an_epoch_where_their_number_is_not_known():
    table = epochs([replace(run, choices=()) for run in (*nine_steps("baseline"), *nine_steps("optimized"))])
    assert "by run of 64 rows (the number of epochs is not known)" in table.title
    assert table.header[3:5] == ("a run", "a run - baseline")


def test_without_a_cost_the_table_has_no_row():
    assert epochs(same("baseline")).rows == ()


def test_no_run_is_no_row():
    assert phase_table(SFT, made_plan(), [], []).rows == ()
    assert run_table(SFT, []).rows == ()


def test_a_run_is_a_row_with_its_figures():
    assert run_table(SFT, [made_run("baseline", 1)]).rows == (
        ("1", "baseline", "ok", "17.0 s", "16", "6,400", "5.0000 nat", "3.0000 nat", "2.0000 nat"),
    )


def test_a_run_that_went_wrong_says_why_and_shows_no_figure():
    [row] = run_table(SFT, [lost(made_run("baseline", 1), "NaN", "loss is nan at step 1")]).rows
    assert row == ("1", "baseline", "NaN: loss is nan at step 1", *["-"] * 6)


def test_runs_of_another_recipe_are_not_shown():
    assert run_table(SFT, [made_run(recipe="dpo")]).rows == ()


def test_declared_criteria_are_shown_with_score_and_reason():
    [row] = criteria_table(judge(made_plan(asked("sft:job_tokens_per_s>=1.3")), made_runs(1.5))).rows
    assert row[:3] == ("sft:job_tokens_per_s>=1.3", "optimized", "MET")


def test_without_declared_criteria_the_primary_metric_is_shown():
    [row] = criteria_table(judge(made_plan(), made_runs(1.5))).rows
    assert "job_tokens_per_s" in row[0]
    assert row[1:3] == ("optimized", "MET")


def test_equivalence_has_a_row_an_arm_with_its_reasons():
    [row] = parity_table(judge(made_plan(), made_runs())).rows
    assert row[:3] == ("sft", "optimized", "equivalent")


def chose(arm, **used):
    return [made_run(arm, choices=tuple(Choice(name, "", value) for name, value in used.items()))]


def test_settings_are_shown_only_where_they_differ():
    runs = [
        *chose("baseline", optim="adamw", attention="sdpa"),
        *chose("optimized", optim="adamw", attention="fa2"),
    ]
    assert choice_table(SFT, made_plan(), runs).rows == (("attention", "sdpa", "fa2"),)


def test_a_setting_that_one_arm_does_not_have_is_a_dash():
    runs = [*chose("baseline"), *chose("optimized", packing="True")]
    assert choice_table(SFT, made_plan(), runs).rows == (("packing", "-", "True"),)


@pytest.mark.parametrize("runs", [[], [made_run("baseline")]])
def test_without_choices_there_is_no_row(runs):
    assert choice_table(SFT, made_plan(), runs).rows == ()

"""The forest plot: every interval, estimate, floor and target stands where the judgement has it."""

import math
from dataclasses import replace

import pytest

from bench.judge import judge
from bench.plots.canvas import BLUE, GREY, VERMILLION, settings
from bench.plots.effects import effects, effects_text
from bench.tables import ratio_text
from tests.bench.awkward import CASES, Case, lockstep, one_arm, one_replicate, wide_open
from tests.bench.figures import band, lines, texts, xs
from tests.bench.made_runs import SFT, asked, changed, lost, made_plan, made_run, made_runs


def judged(case: Case):
    return judge(case.plan, case.runs, floors=case.floors)


def drawn(case: Case):
    with settings():
        return effects(case.recipe, case.plan, judged(case))


def compared(case: Case, metric: str, arm: str = "optimized"):
    [found] = [one for one in judged(case).comparisons if (one.metric, one.arm) == (metric, arm)]
    return found


def case_of(runs, *criteria, **changes) -> Case:
    return Case(made_plan(*criteria, **changes), tuple(runs))


METRICS = ("job_tokens_per_s", "tokens_per_s", "end_to_end_s", "peak_memory_b")


@pytest.mark.parametrize("metric", METRICS)
def test_an_interval_reaches_from_its_low_to_its_high_end(metric):
    case = one_arm()
    one = compared(case, metric)
    assert xs(drawn(case), f"interval {metric} optimized") == [one.low, one.high]


@pytest.mark.parametrize("metric", METRICS)
def test_the_estimate_stands_in_its_interval_in_the_same_row(metric):
    case = one_arm()
    figure = drawn(case)
    assert xs(figure, f"point {metric} optimized") == [compared(case, metric).ratio]
    found = lines(figure)
    [y] = found[f"point {metric} optimized"][1]
    assert found[f"interval {metric} optimized"][1] == [y, y]


def test_the_interval_is_thicker_than_the_dot():
    by_label = {line.get_label(): line for line in drawn(one_arm()).axes[0].get_lines()}
    bar = by_label["interval job_tokens_per_s optimized"].get_linewidth()
    assert bar > 2 * by_label["point job_tokens_per_s optimized"].get_markersize()


def test_a_target_stands_where_it_was_asked_for_beside_its_words():
    figure = drawn(one_arm())
    assert xs(figure, "target job_tokens_per_s optimized") == [1.3, 1.3]
    assert xs(figure, "target peak_memory_b optimized") == [1.1, 1.1]
    assert any(text.startswith("asked >= 1.3: ") for text in texts(figure))


def test_a_target_spans_the_row_of_its_arm_only():
    case = lockstep({"optimized": 1.3, "other": 1.1}, criteria=(asked("sft:job_tokens_per_s>=1.2", "other"),))
    found = lines(drawn(case))
    top, bottom = found["target job_tokens_per_s other"][1]
    assert top < found["point job_tokens_per_s other"][1][0] < bottom
    assert not top < found["point job_tokens_per_s optimized"][1][0] < bottom


def test_the_known_floor_is_the_band_where_it_is_the_larger_one():
    left, _, right, _ = band(drawn(one_arm()), "floor job_tokens_per_s")
    assert (left, right) == (pytest.approx(math.exp(-0.03)), pytest.approx(math.exp(0.03)))


def test_without_a_known_floor_the_practical_one_is_the_band_and_called_so():
    figure = drawn(one_arm())
    left, _, right, _ = band(figure, "floor peak_memory_b")
    assert (left, right) == (pytest.approx(1 / 1.01), pytest.approx(1.01))
    assert "practical floor ±1 %" in texts(figure)


def test_a_floor_spans_the_rows_of_its_metric():
    figure = drawn(one_arm())
    _, one, _, other = band(figure, "floor tokens_per_s")
    [y] = lines(figure)["point tokens_per_s optimized"][1]
    [below] = lines(figure)["point end_to_end_s optimized"][1]
    assert min(one, other) < y < max(one, other) < below


def colour(figure, metric, arm="optimized"):
    [line] = [one for one in figure.axes[0].get_lines() if one.get_label() == f"interval {metric} {arm}"]
    return line.get_color(), line.get_alpha()


def test_proven_better_is_blue_also_where_less_is_better():
    figure = drawn(case_of(made_runs(1.5)))
    assert colour(figure, "job_tokens_per_s") == (BLUE, 1.0)
    assert colour(figure, "end_to_end_s") == (BLUE, 1.0)


def test_proven_worse_is_vermillion():
    assert colour(drawn(case_of(made_runs(0.7))), "end_to_end_s") == (VERMILLION, 1.0)


def test_unproven_is_pale_and_written_with_a_tilde():
    figure = drawn(case_of(made_runs(1.0)))
    shade, alpha = colour(figure, "job_tokens_per_s")
    assert shade == GREY
    assert alpha < 0.5
    assert sum(text.startswith("~ [") for text in texts(figure)) >= 2


def test_the_figures_beside_the_bars_are_those_of_the_table():
    case = one_arm()
    figure = drawn(case)
    for metric in METRICS:
        assert ratio_text(compared(case, metric)) in texts(figure)


def test_one_replicate_has_a_dot_and_no_interval():
    found = lines(drawn(one_replicate()))
    assert not [label for label in found if label.startswith("interval")]
    assert len([label for label in found if label.startswith("point")]) == 4


def test_an_unproven_interval_is_cut_with_an_arrow_rather_than_to_squeeze_the_others():
    case = wide_open()
    figure = drawn(case)
    one = compared(case, "job_tokens_per_s", "noisy")
    left, right = figure.axes[0].get_xlim()
    assert one.low < left
    assert right < one.high
    assert {
        end for line in figure.axes[0].get_lines() if line.get_label() == "cut" for end in line.get_xdata()
    } == {
        left,
        right,
    }


@pytest.mark.parametrize("name", ["one_arm", "seven_long_arms", "huge_ratios", "wide_open", "hostile_names"])
def test_every_estimate_target_and_proven_interval_is_inside_the_frame(name):
    case = CASES[name]()
    figure = drawn(case)
    left, right = figure.axes[0].get_xlim()
    shown = [
        x
        for label, (found, _) in lines(figure).items()
        if label.startswith(("point", "target"))
        for x in found
    ]
    proven = [
        end
        for one in judged(case).comparisons
        if one.proven and f"interval {one.metric} {one.arm}" in lines(figure)
        for end in (one.low, one.high)
    ]
    assert shown
    assert all(left <= x <= right for x in (*shown, *proven))


def test_an_arm_that_crashed_has_a_row_without_any_mark():
    runs = changed(made_runs(), "optimized", lost)
    figure = drawn(case_of(runs))
    assert not [label for label in lines(figure) if label.startswith(("point", "interval"))]
    assert "no ratio" in texts(figure)


def test_the_metric_of_a_criterion_has_a_group_of_its_own():
    runs = [replace(run, losses=(5.0, 3.0 + run.replicate / 50)) for run in made_runs()]
    criterion = asked("sft:final_loss<=1.05")
    assert "final loss" in texts(drawn(case_of(runs, criterion)))
    assert "final loss" not in texts(drawn(case_of(runs)))


def test_an_exact_value_is_a_mark_at_its_ratio():
    runs = [made_run(arm, number) for arm in ("baseline", "optimized") for number in (1, 2, 3)]
    assert xs(drawn(case_of(runs)), "point peak_memory_b optimized") == [1.0]


def test_nothing_compared_is_no_figure():
    with settings():
        assert effects(SFT, made_plan(), judge(made_plan(), [])) is None


def test_the_words_of_the_chart_name_metric_arm_and_figures():
    case = one_arm()
    text = effects_text(case.recipe, case.plan, judged(case))
    assert f"tokens/s of the job: optimized {ratio_text(compared(case, 'job_tokens_per_s'))}" in text

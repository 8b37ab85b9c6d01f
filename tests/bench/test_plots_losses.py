"""Loss curves: mean, range, gaps, runs that did not end well, and what the caption has to say."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from bench.plots.canvas import settings
from bench.plots.losses import MOST_POINTS, curves_of, losses, losses_note, losses_text
from tests.bench.awkward import CASES, lockstep, nan_losses, unequal_steps
from tests.bench.figures import band, lines, texts, xs
from tests.bench.made_runs import SFT, lost, made_plan, made_run

PLAN = made_plan()


def run_of(*values, arm="baseline", replicate=1, **changes):
    return made_run(arm, replicate, losses=values, steps=len(values), **changes)


def drawn(*runs, plan=PLAN):
    with settings():
        return losses(SFT, plan, runs)


def test_the_curve_is_the_mean_over_replicates_by_step():
    figure = drawn(run_of(4.0, 2.0), run_of(6.0, 3.0, replicate=2))
    assert lines(figure)["mean baseline"] == ([1.0, 2.0], [5.0, 2.5])


def test_the_range_reaches_from_the_lowest_to_the_highest_replicate():
    _, bottom, _, top = band(drawn(run_of(4.0, 2.0), run_of(6.0, 3.0, replicate=2)), "range baseline")
    assert (bottom, top) == (2.0, 6.0)


def test_replicates_that_agree_have_no_range():
    with pytest.raises(KeyError):
        band(drawn(run_of(4.0, 2.0), run_of(4.0, 2.0, replicate=2)), "range baseline")


def test_a_loss_that_is_not_finite_is_a_gap():
    figure = drawn(run_of(4.0, math.nan, math.inf, 1.0))
    assert lines(figure)["mean baseline"] == ([1.0, 4.0], [4.0, 1.0])


def test_a_replicate_that_is_nan_at_a_step_does_not_hide_the_others():
    [curve] = curves_of(SFT, PLAN, [run_of(4.0, math.nan), run_of(6.0, 3.0, replicate=2)])
    assert curve.mean == (5.0, 3.0)


def test_a_longer_replicate_goes_on_alone():
    [curve] = curves_of(SFT, PLAN, [run_of(4.0), run_of(6.0, 3.0, replicate=2)])
    assert (curve.steps, curve.mean) == ((1.0, 2.0), (5.0, 3.0))


def test_of_very_many_steps_the_means_of_neighbours_are_drawn_with_the_range_of_all():
    values = [float(step % 2) for step in range(2 * MOST_POINTS)]
    [curve] = curves_of(SFT, PLAN, [run_of(*values)])
    assert len(curve.steps) == MOST_POINTS
    assert set(curve.mean) == {0.5}
    assert (set(curve.low), set(curve.high)) == ({0.0}, {1.0})
    assert (curve.steps[0], curve.steps[-1]) == (1.5, 2 * MOST_POINTS - 0.5)


def test_a_run_that_did_not_end_well_is_drawn_by_itself_to_a_cross():
    figure = drawn(run_of(4.0, 2.0), run_of(4.0, 3.0, math.nan, replicate=2, outcome="NaN"))
    found = lines(figure)
    assert found["mean baseline"] == ([1.0, 2.0], [4.0, 2.0])
    assert found["lost baseline"] == ([1.0, 2.0], [4.0, 3.0])
    assert found["end"] == ([2.0], [3.0])


def test_a_run_that_diverges_leaves_the_others_to_be_seen():
    figure = drawn(run_of(4.0, 2.0), run_of(4.0, 1e6, arm="optimized", outcome="NaN"))
    _, top = figure.axes[0].get_ylim()
    assert top < 7
    assert lines(figure)["end"][1] == [top]


def test_every_arm_is_named_once():
    case = nan_losses()
    names = texts(drawn(*case.runs, plan=case.plan))
    assert [names.count(name) for name in ("baseline", "optimized", "diverged")] == [1, 1, 1]


def test_one_step_is_a_point():
    figure = drawn(run_of(4.0))
    assert xs(figure, "mean baseline") == [1.0]
    [line] = [one for one in figure.axes[0].get_lines() if one.get_label() == "mean baseline"]
    assert line.get_marker() == "o"


@pytest.mark.parametrize("runs", [[], [run_of(math.nan)], [lost(made_run())], [run_of()]])
def test_without_a_finite_loss_there_is_no_chart(runs):
    assert drawn(*runs) is None


def test_unlike_step_counts_are_said():
    case = unequal_steps()
    note = losses_note(SFT, case.plan, case.runs)
    assert "Step counts differ (baseline 116, optimized 116, packed 58)" in note


def test_step_counts_that_differ_between_replicates_are_said_as_a_range():
    runs = [run_of(1.0, 1.0), run_of(1.0, replicate=2), run_of(1.0, arm="optimized")]
    assert "baseline 1 to 2, optimized 1" in losses_note(SFT, PLAN, runs)


def test_equal_step_counts_need_no_word():
    case = lockstep({"optimized": 1.3})
    assert losses_note(SFT, case.plan, case.runs) == ""


def test_curves_that_lie_on_each_other_are_said():
    runs = [run_of(4.0, 2.0), run_of(4.0, 2.0, arm="optimized")]
    assert losses_note(SFT, PLAN, runs) == " Equal to the baseline's to the last bit: optimized."


def test_one_replicate_that_differs_is_enough_not_to_be_equal():
    runs = [run_of(4.0), run_of(4.0, arm="optimized"), run_of(4.0, replicate=2)]
    runs.append(run_of(4.0000001, arm="optimized", replicate=2))
    assert losses_note(SFT, PLAN, runs) == ""


def test_the_words_of_the_chart_are_first_and_last_loss():
    assert losses_text(SFT, PLAN, [run_of(4.0, 2.0)]) == "baseline: 4 at step 1, 2 at step 2"


@pytest.mark.parametrize("name", ["seven_long_arms", "many_windows", "unequal_steps"])
def test_no_two_names_stand_in_one_line(name):
    case = CASES[name]()
    figure = drawn(*case.runs, plan=case.plan)
    height = figure.get_size_inches()[1] * 72
    names = sorted(text.get_position()[1] * height for text in figure.texts if text.get_ha() == "left")
    assert all(other - one >= 9 for one, other in pairwise(names))


def test_an_arm_of_another_recipe_is_not_drawn():
    assert drawn(replace(run_of(4.0), recipe="dpo")) is None

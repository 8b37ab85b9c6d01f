"""Window ratios: which windows are held against each other, and where their points stand."""

from dataclasses import replace

import pytest

from bench.judge import judge
from bench.plots.canvas import settings
from bench.plots.windows import MOST_POINTS, lines_of, why_none, windows, windows_note, windows_text
from bench.run import Window
from tests.bench.awkward import (
    Case,
    abba_without_any_interval,
    all_crashed,
    lockstep,
    many_windows,
    one_arm,
    unequal_steps,
)
from tests.bench.figures import band, lines, texts
from tests.bench.made_runs import SFT, made_plan, made_run


def run_of(arm, *windows, replicate=1, **changes):
    return made_run(arm, replicate, engine="lockstep", windows=windows, **changes)


FIRST = Window(0, 10.0, 11.0, 1)
BASELINE = (FIRST, Window(1, 12.0, 14.0, 5), Window(2, 15.0, 18.0, 5))
OPTIMIZED = (Window(0, 11.0, 12.0, 1), Window(1, 14.0, 15.0, 5), Window(2, 18.0, 20.0, 5))


def found(*runs):
    return lines_of(SFT, made_plan(), runs)


def test_a_ratio_is_seconds_of_the_baseline_over_seconds_of_the_arm():
    [line] = found(run_of("baseline", *BASELINE), run_of("optimized", *OPTIMIZED))["optimized"]
    assert line.ratios == (2.0, 1.5)


def test_a_point_stands_in_the_middle_of_its_two_windows_since_the_first_gate():
    [line] = found(run_of("baseline", *BASELINE), run_of("optimized", *OPTIMIZED))["optimized"]
    # (13 + 14.5) / 2 - 10 and (16.5 + 19) / 2 - 10
    assert line.at_s == (3.75, 7.75)


def test_windows_are_paired_by_number_not_by_place():
    ahead = (Window(0, 11.0, 12.0, 1), Window(2, 18.0, 20.0, 5))
    [line] = found(run_of("baseline", *BASELINE), run_of("optimized", *ahead))["optimized"]
    assert line.ratios == (1.5,)


def test_the_window_of_the_first_step_is_passed_over():
    assert found(run_of("baseline", FIRST), run_of("optimized", FIRST)) == {}


def test_windows_of_unlike_steps_are_not_held_against_each_other():
    other = (FIRST, Window(1, 14.0, 15.0, 4), Window(2, 18.0, 20.0, 5))
    [line] = found(run_of("baseline", *BASELINE), run_of("optimized", *other))["optimized"]
    assert line.ratios == (1.5,)


def test_a_window_without_length_gives_no_ratio():
    other = (FIRST, Window(1, 14.0, 14.0, 5), Window(2, 18.0, 20.0, 5))
    [line] = found(run_of("baseline", *BASELINE), run_of("optimized", *other))["optimized"]
    assert line.ratios == (1.5,)


def test_runs_that_did_not_end_well_give_no_line():
    assert found(run_of("baseline", *BASELINE), run_of("optimized", *OPTIMIZED, outcome="crashed")) == {}


def test_a_replicate_is_a_line_of_its_own():
    runs = [
        run_of(arm, *windows, replicate=replicate)
        for replicate in (1, 2)
        for arm, windows in (("baseline", BASELINE), ("optimized", OPTIMIZED))
    ]
    assert [line.replicate for line in found(*runs)["optimized"]] == [1, 2]


def test_of_very_many_windows_neighbours_are_added_up():
    [line, *_] = lines_of(SFT, many_windows().plan, many_windows().runs)["optimized"]
    assert line.size == 17  # 1,999 windows after the first in at most 120 points
    assert len(line.ratios) == 118 <= MOST_POINTS


def test_added_up_are_seconds_not_ratios():
    count = MOST_POINTS + 1  # so two windows a point; the last one stands alone
    slow = tuple(Window(n, 10.0 * n, 10.0 * n + (1.0 if n % 2 else 3.0), 5) for n in range(count + 1))
    fast = tuple(Window(n, 10.0 * n + 5, 10.0 * n + (6.0 if n % 2 else 7.0), 5) for n in range(count + 1))
    [line] = found(run_of("baseline", *slow), run_of("optimized", *fast))["optimized"]
    assert line.size == 2
    assert set(line.ratios[:-1]) == {4 / 3}  # (1 + 3) / (1 + 2); the mean of the ratios is 1.25


def drawn(case: Case):
    with settings():
        return windows(SFT, case.plan, case.runs, judge(case.plan, case.runs))


def test_the_lines_of_the_chart_are_the_ratios():
    case = one_arm()
    shown = lines(drawn(case))
    for line in lines_of(SFT, case.plan, case.runs)["optimized"]:
        assert shown[f"replicate {line.replicate}"] == (list(line.at_s), list(line.ratios))


def test_the_band_is_the_interval_of_whole_runs_turned_over():
    case = one_arm()
    [one] = [c for c in judge(case.plan, case.runs).comparisons if c.metric == "step_s"]
    _, bottom, _, top = band(drawn(case), "estimate")
    assert (bottom, top) == (pytest.approx(1 / one.high), pytest.approx(1 / one.low))


def test_a_panel_an_arm_with_its_name():
    figure = drawn(lockstep({"optimized": 1.3, "other": 1.1}))
    assert len(figure.axes) == 2
    assert {"optimized", "other"} <= set(texts(figure))


def test_an_unproven_speed_is_written_with_a_tilde():
    assert any(text.startswith("speed of a step ~ [") for text in texts(drawn(lockstep({"optimized": 1.0}))))


def test_a_single_replicate_has_no_band_and_no_number():
    figure = drawn(lockstep({"optimized": 1.3}, replicates=1))
    assert "speed of a step ~ (n = 1)" in texts(figure)
    with pytest.raises(KeyError):
        band(figure, "estimate")


def test_one_pause_does_not_flatten_everything_else():
    case = many_windows()
    figure = drawn(case)
    _, top = figure.axes[0].get_ylim()
    assert top < 1.6  # the paused window alone has a ratio of 1 / 17 of what is normal, or less
    assert "outside the frame" in windows_note(SFT, case.plan, case.runs)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (abba_without_any_interval(), "the runs were made one whole process after the other"),
        (all_crashed(), "in no replicate did both the baseline and another arm end well"),
    ],
)
def test_without_windows_there_is_no_chart_but_a_reason(case, why):
    assert drawn(case) is None
    assert why_none(SFT, case.plan, case.runs).startswith(why)


def test_unlike_steps_everywhere_are_a_reason():
    case = lockstep({"optimized": 1.3})
    runs = [
        replace(run, windows=tuple(replace(w, steps=9) for w in run.windows))
        if run.arm == "optimized"
        else run
        for run in case.runs
    ]
    assert "holds as many steps" in why_none(SFT, case.plan, runs)


def test_no_window_at_all_is_a_reason():
    case = lockstep({"optimized": 1.3})
    runs = [replace(run, windows=()) for run in case.runs]
    assert why_none(SFT, case.plan, runs) == "no run got as far as its first window"


def test_an_arm_of_other_steps_shows_what_it_can():
    case = unequal_steps()
    assert {arm: len(found[0].ratios) for arm, found in lines_of(SFT, case.plan, case.runs).items()} == {
        "optimized": 23,
        "packed": 2,
    }


def test_the_words_of_the_chart_name_how_many_windows():
    case = one_arm()
    assert windows_text(SFT, case.plan, case.runs).startswith("optimized: 69 windows in 3 replicates, median")

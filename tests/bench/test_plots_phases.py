"""Phase bars: they sum, begin where the last ended, and every phase has its label in a place of its own."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bench.plots.canvas import COLOUR_OF_PHASE, WIDTH, settings, width_of
from bench.plots.phases import bars_of, phases, phases_text
from tests.bench.awkward import CASES, nine_phases
from tests.bench.figures import bars, lines, texts
from tests.bench.made_runs import SFT, lost, made_plan, made_run, without_trainer

PLAN = made_plan()


def drawn(*runs, plan=PLAN):
    with settings():
        return phases(SFT, plan, runs)


def test_segments_stand_end_to_end_in_the_order_of_the_phases():
    found = bars(drawn(made_run()))
    begin_and_width = {label: (x, width) for label, (x, _, width, _) in found.items()}
    assert begin_and_width == {
        "baseline import": (0.0, 4.0),
        "baseline load": (4.0, 1.0),
        "baseline prep": (5.0, 1.0),
        "baseline first": (6.0, 1.0),
        "baseline train": (7.0, 8.0),
        "baseline eval": (15.0, 1.0),
        "baseline save": (16.0, 0.5),
        "baseline other": (16.5, 0.5),
    }


def test_seconds_are_the_mean_over_replicates():
    runs = [made_run(replicate=1), made_run(replicate=2, phases_s={"train": 10.0})]
    assert bars(drawn(*runs))["baseline train"][2] == 9.0


def test_a_run_without_a_phase_counts_as_no_seconds():
    runs = [made_run(replicate=1), made_run(replicate=2, phases_s={"reference": 3.0})]
    assert bars(drawn(*runs))["baseline reference"][2] == 1.5


def test_a_phase_that_took_no_time_has_no_segment():
    assert "baseline reference" not in bars(drawn(made_run()))


def test_the_job_line_spans_prep_to_train():
    assert lines(drawn(made_run()))["baseline job"][0] == [5.0, 15.0]


def test_all_bars_have_one_scale_as_long_as_the_longest():
    figure = drawn(made_run(), made_run("optimized", phases_s={"train": 4.0}))
    assert figure.axes[0].get_xlim() == (0, 17.0)


def test_runs_that_did_not_end_well_do_not_count():
    runs = [made_run(), replace(made_run(replicate=2, phases_s={"train": 99.0}), outcome="crashed")]
    assert bars(drawn(*runs))["baseline train"][2] == 8.0


def test_an_arm_without_any_good_run_says_how_its_runs_ended():
    figure = drawn(made_run(), lost(made_run("optimized")), lost(made_run("optimized", 2)))
    assert "no run ended well (crashed 2)" in texts(figure)


def test_a_process_without_a_trainer_has_a_bar():
    assert bars(drawn(without_trainer(made_run())))["baseline import"][2] == 17.0


def test_colours_are_those_of_the_phase_in_every_arm():
    figure = drawn(made_run(), made_run("optimized"))
    colours = {
        (box.get_label().split()[1], bar.get_facecolor()) for box in figure.axes[0].containers for bar in box
    }
    assert len(colours) == len({phase for phase, _ in colours}) == 8
    assert len(set(COLOUR_OF_PHASE.values())) == 9


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_segment_has_its_label_and_no_two_labels_meet(name):
    case = CASES[name]()
    figure = drawn(*case.runs, plan=case.plan)
    if figure is None:
        return
    wanted = [segment.text for bar in bars_of(SFT, case.plan, case.runs) for segment in bar.segments]
    height = figure.get_size_inches()[1] * 72
    edges: dict[float, list[tuple[float, float]]] = {}
    for text in figure.texts:
        if text.get_text() in wanted:
            x, y = text.get_position()
            half = width_of(text.get_text(), text.get_fontsize()) / 2
            edges.setdefault(round(y * height, 3), []).append((x * WIDTH - half, x * WIDTH + half))
    assert sorted(wanted) == sorted(text for text in texts(figure) if text in set(wanted))
    for row in edges.values():
        row.sort()
        assert row[0][0] >= 0
        assert row[-1][1] <= WIDTH
        assert all(one[1] <= other[0] for one, other in pairwise(row))


def test_short_phases_are_labelled_on_both_sides_where_one_has_no_room():
    case = nine_phases()
    figure = drawn(*case.runs, plan=case.plan)
    rows = {
        round(text.get_position()[1], 4)
        for text in figure.texts
        if text.get_text().startswith(("load", "prep"))
    }
    assert len(rows) == 6


@pytest.mark.parametrize("runs", [[], [lost(made_run())], [replace(made_run(), phases_s={}, wall_s=0.0)]])
def test_without_any_second_there_is_no_chart(runs):
    assert drawn(*runs) is None


def test_the_words_of_the_chart_are_its_labels():
    text = phases_text(SFT, PLAN, [made_run(), lost(made_run("optimized"))])
    assert text.startswith("baseline: import 4.00 s, load 1.00 s")
    assert text.endswith("optimized: no run ended well (crashed 1)")

"""Memory bars: peaks by phase and arm, in the unit of the largest, the device apart from the host."""

import pytest

from bench.plots.canvas import settings
from bench.plots.memory import memory, memory_text, panels_of
from bench.run import PhaseMemory
from tests.bench.awkward import host_only, one_arm
from tests.bench.figures import bars, texts
from tests.bench.made_runs import SFT, lost, made_plan, made_run

GIB = 1 << 30
PLAN = made_plan()


def run_of(arm="baseline", replicate=1, **memory):
    return made_run(arm, replicate, memory=memory)


def drawn(*runs, plan=PLAN):
    with settings():
        return memory(SFT, plan, runs)


def heights(figure):
    return {label: height for label, (_, _, _, height) in bars(figure).items()}


def test_a_bar_is_the_mean_of_the_peaks_in_the_unit_of_the_largest():
    runs = [run_of(train=PhaseMemory(GIB, 2 * GIB)), run_of(replicate=2, train=PhaseMemory(3 * GIB, 4 * GIB))]
    assert heights(drawn(*runs)) == {"peak baseline train": 2.0, "reserved baseline train": 3.0}


def test_a_small_peak_is_shown_in_smaller_units():
    figure = drawn(run_of(train=PhaseMemory(rss_b=512 << 20)))
    assert heights(figure) == {"peak baseline train": 512.0}
    assert "host: resident set so far, MiB" in texts(figure)


def test_replicates_that_differ_have_a_line_from_lowest_to_highest():
    runs = [run_of(train=PhaseMemory(GIB)), run_of(replicate=2, train=PhaseMemory(3 * GIB))]
    [line] = drawn(*runs).axes[0].get_lines()
    assert list(line.get_ydata()) == [1.0, 3.0]


def test_phases_stand_in_their_order():
    figure = drawn(run_of(train=PhaseMemory(GIB), load=PhaseMemory(GIB), save=PhaseMemory(GIB)))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["load", "train", "save"]


def test_arms_stand_side_by_side_around_their_phase():
    found = bars(drawn(run_of(train=PhaseMemory(GIB)), run_of("optimized", train=PhaseMemory(GIB))))
    middles = [x + width / 2 for x, _, width, _ in found.values()]
    assert middles == [pytest.approx(-0.205), pytest.approx(0.205)]


def test_device_and_host_have_panels_of_their_own():
    case = one_arm()
    assert len(drawn(*case.runs, plan=case.plan).axes) == 2
    assert len(panels_of(SFT, case.plan, case.runs)) == 2


def test_without_a_device_there_is_the_host_only():
    case = host_only()
    [panel] = panels_of(SFT, case.plan, case.runs)
    assert panel.title == "host: resident set so far"


def test_the_axis_begins_at_nothing():
    assert drawn(run_of(train=PhaseMemory(GIB))).axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize(
    "runs",
    [[], [lost(made_run())], [run_of()], [run_of(train=PhaseMemory(0, 0, 0))], [run_of(train=PhaseMemory())]],
)
def test_without_any_peak_there_is_no_chart(runs):
    assert drawn(*runs) is None


def test_runs_that_did_not_end_well_do_not_count():
    runs = [
        run_of(train=PhaseMemory(GIB)),
        made_run(replicate=2, outcome="crashed", memory={"train": PhaseMemory(9 * GIB)}),
    ]
    assert heights(drawn(*runs)) == {"peak baseline train": 1.0}


def test_the_words_of_the_chart_name_the_largest_peak_and_its_phase():
    runs = [run_of(load=PhaseMemory(GIB), train=PhaseMemory(2 * GIB))]
    assert memory_text(SFT, PLAN, runs).endswith("baseline 2.00 GiB in train")

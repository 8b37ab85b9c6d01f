"""The waterfall: bars that begin where the last ended, and a rest that is never hidden."""

import math

import pytest

from bench.metrics import BY_NAME
from bench.plots.canvas import BLUE, GREY, VERMILLION, settings
from bench.plots.waterfall import Part, parts_of, placed, waterfall, waterfall_text
from tests.bench.awkward import compared_job, made_attribution
from tests.bench.figures import lines, texts, xs

JOB = BY_NAME["job_tokens_per_s"]
DOUBLED = Part("A", math.log(2), math.log(1.8), math.log(2.2), 3, True)
HALF_MORE = Part("B", math.log(1.5), math.log(1.4), math.log(1.6), 3, True)
TRIPLED = Part("all", math.log(3), math.log(2.9), math.log(3.1), 3, True)


def drawn(*parts, total=TRIPLED, rest=None, metric=JOB):
    with settings():
        return waterfall(parts, total, metric, rest)


def test_each_bar_begins_where_the_last_one_ended():
    figure = drawn(DOUBLED, HALF_MORE)
    assert xs(figure, "part A") == [pytest.approx(1), pytest.approx(2)]
    assert xs(figure, "part B") == [pytest.approx(2), pytest.approx(3)]
    assert xs(figure, "part all") == [pytest.approx(1), pytest.approx(3)]


def test_an_interval_stands_around_the_end_of_its_bar():
    figure = drawn(DOUBLED, HALF_MORE)
    assert xs(figure, "interval A") == [pytest.approx(1.8), pytest.approx(2.2)]
    assert xs(figure, "interval B") == [pytest.approx(2 * 1.4), pytest.approx(2 * 1.6)]


def test_parts_that_make_the_whole_leave_nothing():
    assert [row.part.name for row in placed([DOUBLED, HALF_MORE], TRIPLED.effect, None)] == ["A", "B"]


def test_what_the_parts_leave_of_the_whole_is_a_bar_of_its_own():
    figure = drawn(DOUBLED)
    assert xs(figure, "part left over") == [pytest.approx(2), pytest.approx(3)]


def test_a_rest_that_was_measured_is_shown_with_its_interval():
    rest = Part("interactions", math.log(0.9), math.log(0.8), math.log(1.01), 3)
    figure = drawn(DOUBLED, rest=rest)
    assert xs(figure, "interval interactions") == [pytest.approx(1.6), pytest.approx(2.02)]
    assert "~ [0.80, 1.01]" in texts(figure)


def test_what_is_left_even_of_a_measured_rest_is_not_hidden():
    rest = Part("interactions", math.log(1.2), math.log(1.1), math.log(1.3), 3, True)
    figure = drawn(DOUBLED, rest=rest)
    assert xs(figure, "part left over") == [pytest.approx(2.4), pytest.approx(3)]
    assert "~ 1.25" in texts(figure)


def test_a_part_that_was_not_measured_says_so_and_moves_nothing():
    figure = drawn(DOUBLED, Part("B", None), total=TRIPLED)
    assert "NOT MEASURED" in texts(figure)
    assert "part B" not in lines(figure)
    assert xs(figure, "part left over") == [pytest.approx(2), pytest.approx(3)]


def test_a_whole_that_was_not_measured_is_no_chart():
    assert drawn(DOUBLED, total=Part("all", None)) is None


def colour(figure, name):
    [line] = [one for one in figure.axes[0].get_lines() if one.get_label() == f"part {name}"]
    return line.get_color()


def test_colours_say_what_is_proven_by_the_metrics_better_direction():
    unproven = Part("C", 0.0, -0.1, 0.1, 3)
    assert [colour(drawn(DOUBLED, unproven), name) for name in ("A", "C")] == [BLUE, GREY]
    assert colour(drawn(DOUBLED, metric=BY_NAME["end_to_end_s"]), "A") == VERMILLION


def test_everything_is_inside_the_frame():
    figure = drawn(DOUBLED, Part("B", math.log(0.1), math.log(0.05), math.log(0.2), 3, True))
    low, high = figure.axes[0].get_xlim()
    assert all(low <= x <= high for found, _ in lines(figure).values() for x in found)


def test_the_words_of_the_chart_are_its_figures():
    assert waterfall_text([DOUBLED, Part("B", None)], TRIPLED, Part("rest", None)) == (
        "A 2.00 [1.80, 2.20]; B NOT MEASURED; rest NOT MEASURED; left over ~ 1.50; all 3.00 [2.90, 3.10]"
    )


def test_an_attribution_gives_its_ladder_its_leave_one_out_its_total_and_its_interactions():
    ladder, taken, total, rest = parts_of(made_attribution())
    assert ladder[0].effect == pytest.approx(0.1)
    assert (ladder[0].low, ladder[0].high) == (
        pytest.approx(math.log(compared_job(0.1, 0.11, 0.09).low)),
        pytest.approx(math.log(compared_job(0.1, 0.11, 0.09).high)),
    )
    assert taken == (Part("A", None),)
    assert total.effect == pytest.approx(0.2)
    assert (rest.effect, rest.n, rest.is_proven) == (pytest.approx(math.log(1.02)), 3, False)

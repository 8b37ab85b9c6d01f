"""What all charts rest on: labels that keep apart, names that fit, colours that stay with their arm."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import Arm
from bench.plots.canvas import (
    COLOUR_OF_PHASE,
    apart,
    colour_of_arm,
    dash_of_arm,
    fitted,
    printable,
    settings,
    sheet,
    width_of,
)
from bench.run import PHASES
from tests.bench.made_runs import made_plan


def test_labels_that_do_not_touch_stay_where_they_are():
    assert apart([10, 50], [10, 10], 0, 100) == [10, 50]


def test_two_labels_at_one_place_share_the_way():
    assert apart([50, 50], [10, 10], 0, 100) == [45, 55]


def test_labels_at_the_edge_are_pushed_inside():
    assert apart([0, 100], [10, 20], 0, 100) == [5, 90]


def test_labels_come_back_in_the_order_in_which_they_were_given():
    assert apart([80, 20], [10, 10], 0, 100) == [80, 20]


def test_labels_without_room_overlap_evenly():
    assert apart([0, 0, 0], [100, 100, 100], 0, 150) == [25, 75, 125]


PLACES = st.lists(st.tuples(st.floats(-50, 150), st.floats(1, 10)), min_size=1, max_size=10)


@given(PLACES)
def test_no_two_labels_overlap_and_none_leaves_the_room(places):
    wanted, sizes = [one for one, _ in places], [size for _, size in places]
    found = sorted(zip(apart(wanted, sizes, 0, 100), sizes, strict=True))
    edges = [(middle - size / 2, middle + size / 2) for middle, size in found]
    assert edges[0][0] >= -1e-9
    assert edges[-1][1] <= 100 + 1e-9
    assert all(one[1] <= other[0] + 1e-9 for one, other in pairwise(edges))


def test_a_name_that_fits_is_left_alone():
    assert fitted("optimized", 200) == "optimized"


def test_a_long_name_keeps_its_beginning_and_its_end():
    shorter = fitted("optimized+packing-without-the-kernel", 90)
    assert shorter.startswith("optim")
    assert shorter.endswith("kernel")
    assert "…" in shorter
    assert width_of(shorter) <= 90


def test_a_sign_of_one_letter_is_not_cut():
    assert fitted("=", 20) == "="


def test_where_nothing_fits_an_ellipsis_stands():
    assert fitted("optimized", 1) == "…"


@pytest.mark.parametrize("text", ["a\nb", "a\t b", " a b "])
def test_text_is_one_line(text):
    assert printable(text) == "a b"


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\u202e", "\udce9"])
def test_characters_that_hide_or_turn_are_replaced(text):
    assert printable(text) == "\ufffd"


def test_a_dollar_is_no_formula():
    with settings():
        page = sheet(20)
        page.write(0, 10, "$x^2$")
        page.figure.canvas.draw()
        assert page.figure.texts[0].get_parse_math() is False


def test_the_users_own_settings_change_nothing_and_come_back():
    import matplotlib

    with matplotlib.rc_context({"font.size": 33.0, "svg.fonttype": "path"}):
        with settings():
            assert matplotlib.rcParams["font.size"] == 9
            assert matplotlib.rcParams["svg.fonttype"] == "none"
        assert matplotlib.rcParams["font.size"] == 33


def test_a_sheet_has_the_width_of_a_phone_and_its_own_height():
    with settings():
        assert [round(inches * 72) for inches in sheet(123).figure.get_size_inches()] == [360, 123]


def plan_of(count):
    return made_plan(arms=tuple(Arm(f"arm-{number}", "a" * 40) for number in range(count)))


def test_an_arm_is_told_by_colour_and_dash_from_all_others():
    plan = plan_of(20)
    looks = [(colour_of_arm(plan, arm.name), dash_of_arm(plan, arm.name)) for arm in plan.arms]
    assert len(set(looks)) == 20


def test_the_baseline_is_grey_and_the_next_arm_blue():
    plan = plan_of(2)
    assert [colour_of_arm(plan, arm.name) for arm in plan.arms] == ["#80868f", "#0072b2"]


def test_every_phase_has_a_colour_of_its_own():
    assert set(COLOUR_OF_PHASE) == set(PHASES)
    assert len(set(COLOUR_OF_PHASE.values())) == len(PHASES)

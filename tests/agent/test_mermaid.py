"""Charts in Mermaid: the stored runs' numbers, in a block that no name can leave."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import mermaid
from agent.mermaid import drawings_of, label, loss_drawing, window_drawings
from agent.result import result_of
from bench.plan import Arm
from bench.run import Window
from tests.agent.made_job import made_plan as job_plan
from tests.agent.made_job import write_job
from tests.bench.made_runs import SFT, made_plan, made_run

NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
TEXT = r"[^\"`#%;<>&@|:\[\]{}\x00-\x1f\x7f]{1,100}"
GRAMMAR = re.compile(
    rf"""```mermaid\n
    xychart-beta\n
    \ \ \ \ title\ "(?P<title>{TEXT})"\n
    \ \ \ \ x-axis\ "(?P<x>{TEXT})"\ (?P<begin>{NUMBER})\ -->\ (?P<end>{NUMBER})\n
    \ \ \ \ y-axis\ "(?P<y>{TEXT})"\ (?P<low>{NUMBER})\ -->\ (?P<high>{NUMBER})\n
    (?P<lines>(?:\ \ \ \ line\ \[{NUMBER}(?:,\ {NUMBER})*\]\n)+)
    ```\n""",
    re.VERBOSE,
)


def read(block):
    """Title, (x, begin, end), (y, low, high), lines of numbers. Fails where a block is not of the grammar."""
    found = GRAMMAR.fullmatch(block)
    assert found, block
    lines = [
        [float(one) for one in line.split(", ")] for line in re.findall(r"line \[(.*)\]", found["lines"])
    ]
    begin, end, low, high = (float(found[name]) for name in ("begin", "end", "low", "high"))
    assert begin < end
    assert low < high
    assert all(low <= value <= high for line in lines for value in line)
    assert len({len(line) for line in lines}) == 1
    return found["title"], (found["x"], begin, end), (found["y"], low, high), lines


def windows(*seconds, begin=10.0):
    """The first window with the first step, then one of 5 steps for each number of seconds."""
    made, at = [Window(0, begin, begin + 1, 1)], begin + 1
    for number, one in enumerate(seconds, 1):
        made.append(Window(number, at, at + one, 5))
        at += one
    return tuple(made)


def pair(ours, theirs, replicate=1):
    return [
        made_run("baseline", replicate, engine="lockstep", windows=windows(*ours)),
        made_run("optimized", replicate, engine="lockstep", windows=windows(*theirs)),
    ]


def test_windows_are_drawn_as_the_baselines_seconds_over_the_arms():
    runs = pair([2.0, 3.0, 4.0], [1.0, 2.0, 4.0]) + pair([2.0, 2.0, 3.0], [2.0, 1.0, 2.0], replicate=2)
    [drawing] = window_drawings(SFT, made_plan(), runs)
    title, x, (y, low, high), lines = read(drawing.block)
    assert (title, x, y) == ("sft - baseline / optimized", ("window", 1, 3), "ratio")
    assert lines == [[2.0, 1.5, 1.0], [1.0, 2.0, 1.5]]
    assert (low, high) == (0.9, 2.1)
    assert (drawing.lines, drawing.size, drawing.left_out) == (("replicate 1", "replicate 2"), 1, ())


def test_losses_of_the_baseline_and_its_arms_are_means_over_replicates():
    runs = [
        made_run("baseline", 1, losses=(2.0, 1.5)),
        made_run("baseline", 2, losses=(4.0, 2.5)),
        made_run("optimized", 1, losses=(2.5, 1.25)),
    ]
    drawing = loss_drawing(SFT, made_plan(), runs)
    title, x, y, lines = read(drawing.block)
    assert (title, x, y[0]) == ("sft - training loss", ("step", 1, 2), "nat")
    assert lines == [[3.0, 2.0], [2.5, 1.25]]
    assert drawing.lines == ("baseline", "optimized")


def test_an_arm_of_other_steps_is_named_and_not_drawn():
    runs = [made_run("baseline", 1, losses=(2.0, 1.5)), made_run("optimized", 1, losses=(2.0,))]
    drawing = loss_drawing(SFT, made_plan(), runs)
    assert (drawing.lines, drawing.left_out) == (("baseline",), ("optimized",))
    assert len(read(drawing.block)[3]) == 1


def test_where_there_is_nothing_to_draw_there_is_no_block():
    assert loss_drawing(SFT, made_plan(), []) is None
    assert loss_drawing(SFT, made_plan(), [made_run("baseline", 1, losses=(float("nan"),))]) is None
    assert window_drawings(SFT, made_plan(), []) == ()
    assert window_drawings(SFT, made_plan(), [made_run("baseline", 1), made_run("optimized", 1)]) == ()


def test_many_windows_are_means_of_neighbours():
    runs = pair([4.0] * 100, [1.0, 2.0, 4.0, *[2.0] * 97])
    [drawing] = window_drawings(SFT, made_plan(), runs)
    _, x, _, [line] = read(drawing.block)
    assert drawing.size == 3
    assert (len(line), x[2]) == (34, 100)
    assert line[0] == pytest.approx((4 * 2 * 1) ** (1 / 3), abs=5e-4), "the mean of ratios is geometric"
    assert set(line[1:]) == {2.0}


def test_a_replicate_that_ended_early_is_left_out_and_the_others_are_whole():
    runs = [
        *pair([2.0] * 6, [1.0] * 6),
        *pair([2.0] * 2, [1.0] * 2, replicate=2),
        *pair([2.0] * 5, [1.0] * 5, replicate=3),
    ]
    [drawing] = window_drawings(SFT, made_plan(), runs)
    assert (drawing.lines, drawing.left_out) == (("replicate 1", "replicate 3"), ("replicate 2",))
    assert [len(line) for line in read(drawing.block)[3]] == [5, 5]


def test_at_most_six_lines_are_drawn():
    runs = [one for n in range(1, 10) for one in pair([2.0] * 3, [1.0] * 3, replicate=n)]
    [drawing] = window_drawings(SFT, made_plan(), runs)
    assert len(read(drawing.block)[3]) == 6
    assert drawing.left_out == ("replicate 7", "replicate 8", "replicate 9")


def test_a_block_is_bounded_whatever_is_in_it():
    runs = [one for n in range(1, 7) for one in pair([0.1234567] * 500, [0.7654321] * 500, replicate=n)]
    [drawing] = window_drawings(SFT, made_plan(), runs)
    assert len(drawing.block) <= mermaid.BLOCK_LIMIT
    assert loss_drawing(SFT, made_plan(), [made_run("baseline", 1, losses=(1e300, 1.0) * 50)]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.0, "1"),
        (1.23456, "1.235"),
        (-0.00012345, "-0.0001234"),
        (123456.7, "123457"),
        (1e-9, "0.000000001"),
    ],
)
def test_numbers_have_four_digits_that_count_and_no_exponent(value, text):
    assert mermaid._number(value) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("optimized+packing", "optimized+packing"),
        ("", "?"),
        ('a"b', "a?b"),
        ("a\n```\n# heading", "a ??? ? heading"),
        ("%%{init: {}}%%", "???init? ?????"),
        ("<img src=x>", "?img src=x?"),
        ("x --> y", "x -? y"),
        ("@acme #1 &quot;", "?acme ?1 ?quot?"),
        ("\u202eevil", "?evil"),
        ("ü 日本", "ü 日本"),
        ("x" * 50, "x" * 37 + "..."),
    ],
)
def test_a_label_keeps_letters_digits_and_few_signs(name, shown):
    assert label(name) == shown


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_name_leaves_the_block(arm, recipe):
    title = f"{label(recipe)} - baseline / {label(arm)}"
    block = mermaid._block(title, ("window", 1, 3), "ratio", [[1.0, 2.0, 1.5]])
    assert read(block)[0] == title
    assert "--" not in title


def test_a_result_gives_its_drawings(tmp_path):
    plan = job_plan(arms=(Arm("baseline", "a" * 40), Arm("optimized", "b" * 40)))
    [drawing] = drawings_of(result_of(write_job(tmp_path / "job", plan)))
    assert read(drawing.block)[3] == [[2.0, 1.5], [2.0, 1.5]]
    assert drawing.recipe == "sft"

"""What a person sees of a running job: text of a glance, of a duration, and one line a stage."""

import json

import pytest

from agent import follow
from agent.follow import Glance, duration_text

RUN = {
    "stage": "run",
    "recipe": "sft",
    "replicate": 2,
    "arm": "optimized",
    "replicates": 3,
    "done": 3,
    "total": 6,
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "time left unknown"),
        (0, "0 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (3900, "1 h 05 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_a_duration_is_text_in_two_units_at_most(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize("text", [None, "", "{", '{"stage": "ru'])
def test_progress_that_is_not_there_or_half_written_is_starting(text):
    assert Glance.of(text) == Glance()
    assert Glance().where() == "starting"


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"'])
def test_progress_that_is_no_object_is_starting(text):
    assert Glance.of(text) == Glance()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "sft replicate 2/3, optimized"),
        ({"phase": "load"}, "sft replicate 2/3, optimized: load"),
        ({"phase": "train", "step": 7}, "sft replicate 2/3, optimized: train, step 7"),
        (
            {"phase": "train", "step": 7, "loss": 1.23456},
            "sft replicate 2/3, optimized: train, step 7, loss 1.235",
        ),
        ({"phase": "train", "step": 7, "loss": None}, "sft replicate 2/3, optimized: train, step 7"),
    ],
)
def test_a_glance_says_where_the_run_is(more, text):
    assert Glance.of(json.dumps({**RUN, **more})).where() == text


def test_a_glance_of_a_stage_outside_runs_says_the_stage():
    assert Glance.of('{"stage": "fetching 0123"}').where() == "fetching 0123"


def lines(monkeypatch, capsys, *looks: dict | None) -> list[str]:
    """Standard error of following a job that shows these progress files and then has ended."""
    monkeypatch.setattr(follow, "LOOK_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    texts = [None if look is None else json.dumps(look) for look in looks]
    ends = iter([*[False] * (len(texts) - 1), True])
    reads = iter(texts)
    follow.follow(lambda: next(reads), lambda: next(ends))
    seen = capsys.readouterr()
    assert seen.out == ""
    return seen.err.splitlines()


def test_a_line_is_printed_when_the_stage_changes_and_only_then(monkeypatch, capsys):
    steps = [{**RUN, "step": number} for number in (1, 2, 3)]
    assert lines(monkeypatch, capsys, None, *steps, {"stage": "done", "done": 6, "total": 6}) == [
        "[0 s] 0/0 starting",
        "[0 s] 3/6 sft replicate 2/3, optimized",
        "[0 s] 6/6 done",
    ]


def test_a_line_holds_the_time_left_where_it_is_known(monkeypatch, capsys):
    assert lines(monkeypatch, capsys, {**RUN, "eta_s": 90}) == [
        "[0 s] 3/6 sft replicate 2/3, optimized, 1 min 30 s left"
    ]


def test_what_was_written_just_before_the_end_is_shown(monkeypatch, capsys):
    assert lines(monkeypatch, capsys, RUN, {"stage": "done", "done": 6, "total": 6})[-1] == "[0 s] 6/6 done"

"""Windows of a lockstep run: what the hook says of its gates, held against the turns that the worker gave.

A run from 10 to 20 s by the owner's clock. It stood at its gates from 11 to 13 (before its first step), from
14 to 16, and from 18 to 19 (after its last); it made one step, then two.
"""

import pytest

from bench.events import read_events
from bench.record import read_run
from bench.run import Window
from bench.windows import FEWEST_WINDOWS, at_gates_s, contradictions, too_few, windows_of
from tests.bench.raw_run import START, RawRun, batch, lines_of, owner_record, phase, step, trained

TURNS = [[9.9, 11.0], [13.0, 14.0], [16.0, 18.0], [19.0, 20.1]]
STEPS = [step(1, 13.0, 14.0), step(2, 16.0, 17.0), step(3, 17.0, 18.0)]


def gate(window, begin, end):
    return {"kind": "gate", "window": window, "begin": begin, "end": end}


GATES = [gate(0, 11.0, 13.0), gate(1, 14.0, 16.0), gate(2, 18.0, 19.0)]


def read(*events):
    return read_events(lines_of([START, *events]).encode(), key="00112233445566ff")


def told(gates=GATES, turns=TURNS, end=20.0):
    record = {"turns": turns, "owner": owner_record(end=end)}
    return list(contradictions(record, read(*gates, *STEPS)))


def shifted(by_s, gates):
    return [gate(one["window"], one["begin"] + by_s, one["end"] + by_s) for one in gates]


def test_a_window_is_what_was_made_between_two_gates():
    events = read(*GATES, *STEPS, batch(1, real=100), batch(2, real=70), batch(2, real=30), batch(3, real=50))
    assert windows_of(events) == (Window(0, 13.0, 14.0, 1, 100), Window(1, 16.0, 18.0, 2, 150))


def test_the_time_at_gates_is_the_sum_over_all_of_them():
    assert at_gates_s(read(*GATES)) == 5.0


def test_steps_outside_the_gates_are_in_no_window():
    """As of a subject that lost its connection: it went on alone."""
    late = [*STEPS, step(4, 19.0, 19.5)]
    assert [window.steps for window in windows_of(read(*GATES, *late))] == [1, 2]


def test_tokens_are_not_known_where_one_batch_does_not_tell():
    events = read(*GATES, *STEPS, batch(1), batch(2, real=None), batch(3))
    assert [window.tokens for window in windows_of(events)] == [100, None]


def test_tokens_are_not_known_of_a_step_without_a_batch():
    assert [window.tokens for window in windows_of(read(*GATES, *STEPS, batch(1), batch(2)))] == [100, None]


def test_no_tokens_are_zero_tokens():
    events = read(*GATES, *STEPS, *(batch(n, real=0) for n in (1, 2, 3)))
    assert [window.tokens for window in windows_of(events)] == [0, 0]


def test_between_two_trainings_there_is_no_window():
    """The last gate of one training and the first of the next hold no step between them."""
    again = [gate(3, 20.0, 21.0), gate(4, 22.0, 23.0)]
    windows = windows_of(read(*GATES, *again, *STEPS, step(4, 21.0, 22.0)))
    assert [(window.number, window.steps) for window in windows] == [(0, 1), (1, 2), (3, 1)]


@pytest.mark.parametrize("gates", [[], GATES[:1]])
def test_without_two_gates_there_is_no_window(gates):
    assert windows_of(read(*gates, *STEPS)) == ()


def windows(number):
    return [Window(n, float(n), n + 0.5, 5) for n in range(number)]


def test_too_few_windows_are_named():
    assert FEWEST_WINDOWS == 5
    assert too_few(windows(4)) == "too few windows: 4, lockstep needs 5 for drift to cancel"
    assert too_few(windows(0)) == "too few windows: 0, lockstep needs 5 for drift to cancel"
    assert too_few(windows(5)) == ""


def test_gates_that_lie_between_the_turns_contradict_nothing():
    assert told() == []


def test_a_run_that_was_alone_has_neither_gates_nor_turns():
    assert told(gates=[], turns=[]) == []


@pytest.mark.parametrize(
    ("gates", "turns", "text"),
    [
        (GATES[:2], TURNS, "2 gates, but the worker gave 4 turns"),
        ([*GATES, gate(3, 19.5, 19.6)], TURNS, "4 gates, but the worker gave 4 turns"),
        (GATES, [], "3 gates, but the worker gave 0 turns"),
        ([], TURNS[:2], "0 gates, but the worker gave 2 turns"),
    ],
)
def test_a_gate_more_or_less_than_the_turns_is_a_contradiction(gates, turns, text):
    assert told(gates=gates, turns=turns) == [text]


BEYOND = "a window reaches beyond the time in which the run held the token by the worker's clock"


def test_a_message_takes_its_time_between_two_processes():
    assert told(gates=[gate(0, 11.04, 12.96), *GATES[1:]]) == []


@pytest.mark.parametrize("moved", [gate(1, 14.2, 16.0), gate(1, 14.0, 15.8)], ids=["too late", "too early"])
def test_a_step_outside_its_turn_is_a_contradiction(moved):
    assert told(gates=[GATES[0], moved, GATES[2]]) == [BEYOND]


@pytest.mark.parametrize("by_s", [0.5, -0.5])
def test_a_clock_that_jumps_is_a_contradiction(by_s):
    """Nobody can set CLOCK_MONOTONIC; a subject that had the hook read another clock would leave such events:
    all that comes after the jump is later, or earlier, than the worker saw it."""
    assert BEYOND in told(gates=[GATES[0], *shifted(by_s, GATES[1:])])


def test_a_gate_that_ends_before_it_begins_is_a_contradiction():
    assert BEYOND in told(gates=[GATES[0], gate(1, 14.0, 13.5), GATES[2]])


def test_time_with_the_token_that_the_hook_is_silent_about_is_a_contradiction():
    """The worker gave 20 s for the first step, the hook says that it took one: 19.1 of 24.1 s are missing."""
    gates = [GATES[0], *shifted(19.0, [gate(1, -5.0, 16.0), GATES[2]])]
    turns = [TURNS[0], [13.0, 33.0], [35.0, 37.0], [38.0, 39.1]]
    assert told(gates=gates, turns=turns, end=39.0) == [
        "the hook says nothing of 19.1 s of the time in which the run held the token"
    ]


def test_what_the_run_leaves_behind_may_take_its_time_to_end():
    """The main process has ended at 20.0; a daemon that ignores TERM is waited for until 30.1."""
    assert told(turns=[*TURNS[:3], [19.0, 30.1]]) == []


def lockstep(**record):
    """The run of `raw_run.py` in lockstep: it stands still for 10 s before and after each of its steps."""
    events = [
        START,
        phase("import", 10.1, 13.0),
        phase("load", 13.0, 13.5),
        phase("prep", 13.5, 15.0),
        gate(0, 15.0, 25.0),
        batch(1, digest="abcd"),
        step(1, 25.0, 26.0, 2.0),
        phase("first", 25.0, 26.0),
        gate(1, 26.0, 36.0),
        batch(2),
        step(2, 36.0, 38.0, 1.5),
        phase("train", 36.0, 38.0),
        gate(2, 38.0, 48.0),
        {"kind": "eval", "rows": 8, "tokens": 400, "loss": 1.6, "before": 2.1},
        phase("eval", 48.0, 49.0),
        phase("other", 49.0, 49.8),
        {"kind": "end", "at": 49.8, "steps": 2, "rows": 8, "tokens": 200},
    ]
    turns = [[9.9, 15.0], [25.0, 26.0], [36.0, 38.0], [48.0, 50.0]]
    fields = {"engine": "lockstep", "turns": turns, **record}
    return RawRun(events=lines_of(events), owner=owner_record(end=50.0), record=fields)


def test_a_lockstep_run_took_as_long_as_it_would_have_alone(tmp_path):
    alone = read_run(trained().write(tmp_path / "alone"))
    stood = read_run(lockstep().write(tmp_path / "stood"))
    assert (stood.outcome, stood.reason) == ("ok", "")
    assert stood.wall_s == alone.wall_s == 10.0
    assert stood.phases_s == pytest.approx(alone.phases_s)
    assert (alone.engine, stood.engine) == ("abba", "lockstep")
    assert [window.steps for window in stood.windows] == [1, 1]


def test_a_lockstep_run_warns_of_too_few_windows(tmp_path):
    run = read_run(lockstep().write(tmp_path))
    assert "too few windows: 2, lockstep needs 5 for drift to cancel" in run.warnings


def test_a_run_that_was_alone_does_not_warn_of_windows(tmp_path):
    assert not any("windows" in text for text in read_run(trained().write(tmp_path)).warnings)


def test_a_lockstep_run_whose_turns_do_not_fit_is_tainted(tmp_path):
    run = read_run(lockstep(turns=[[9.9, 15.0]]).write(tmp_path))
    assert (run.outcome, run.reason) == ("tainted", "3 gates, but the worker gave 1 turns")

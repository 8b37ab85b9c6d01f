"""Events: read back as written, and every kind of damage has its name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.events import read_events
from tests.bench.raw_run import KEY, START, batch, lines_of, phase, step, trained_events


def read(text, key=KEY):
    return read_events(text.encode(), key)


def test_events_are_read_in_order():
    events = read(lines_of(trained_events()))
    assert events.fault is None
    assert [event["n"] for event in events.of("step")] == [1, 2]


def test_last_line_without_end_is_cut_and_the_rest_is_kept():
    text = lines_of(trained_events())
    events = read(text[:-20])
    assert events.fault == "cut"
    assert len(events.lines) == len(trained_events()) - 1


def test_foreign_schema_is_named():
    events = read(lines_of([{**START, "schema": 2}]))
    assert (events.fault, events.why) == ("foreign schema", "schema 2, this reads 1")


def test_a_file_that_does_not_begin_with_start_is_foreign():
    assert read(lines_of([step(1, 1.0, 2.0)])).fault == "foreign schema"


def test_changed_digit_is_tampered_and_says_which_line():
    lines = lines_of(trained_events()).splitlines(keepends=True)
    lines[5] = lines[5].replace('"loss": 2.0', '"loss": 1.0')
    events = read("".join(lines))
    assert events.fault == "tampered"
    assert events.why == "line 6 was not written by the hook, or was changed"
    assert len(events.lines) == 5


def test_line_of_the_subject_is_tampered():
    text = lines_of([START]) + json.dumps(step(1, 10.2, 10.3)) + "\n"
    assert read(text).fault == "tampered"


def test_dropped_line_is_tampered():
    lines = lines_of(trained_events()).splitlines(keepends=True)
    del lines[4]
    assert read("".join(lines)).fault == "tampered"


def test_chain_of_another_run_is_tampered():
    assert read(lines_of(trained_events(), key="another")).fault == "tampered"


def test_self_reported_events_carry_no_chain():
    assert read(lines_of(trained_events(), key=None), key=None).fault is None


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "surprise"},
        {"kind": "step", "n": -1, "begin": 1.0, "end": 2.0, "loss": 1.0},
        {"kind": "step", "n": 1, "begin": "now", "end": 2.0, "loss": 1.0},
        {"kind": "phase", "name": 7, "begin": 1.0, "end": 2.0},
        batch(1, rows=1.5),
        phase("prep", float("nan"), 2.0),
    ],
)
def test_what_does_not_fit_schema_1_is_malformed(event):
    assert read(lines_of([START, event], key=None), key=None).fault == "malformed"


def test_line_that_is_not_json_is_malformed():
    events = read(lines_of([START], key=None) + "{\n", key=None)
    assert (events.fault, events.why) == ("malformed", "line 2 is not JSON")


@given(st.binary(max_size=300), st.sampled_from([KEY, None]))
def test_any_bytes_are_read_without_an_exception(data, key):
    read_events(data, key)


@given(st.integers(min_value=0, max_value=len(lines_of(trained_events())) - 1), st.integers(0, 255))
def test_any_changed_byte_of_a_chained_file_is_found(position, byte):
    data = bytearray(lines_of(trained_events()).encode())
    if data[position] == byte:
        return
    data[position] = byte
    assert read_events(bytes(data), KEY).fault is not None

"""What a run says of itself and cannot be true: steps unmade, batches that cannot be, files of others."""

import pytest

from bench.record import read_run
from tests.bench.raw_run import (
    START,
    RawRun,
    batch,
    lines_of,
    owner_record,
    phase,
    step,
    trained,
    trained_events,
)


def outcome(tmp_path, raw):
    run = read_run(raw.write(tmp_path / "run"))
    return run.outcome, run.reason


def with_events(events, **changes):
    return RawRun(events=lines_of(events), **changes)


def test_a_step_that_no_batch_went_through_was_not_made(tmp_path):
    events = trained_events()
    del events[7]  # the batch of step 2
    assert outcome(tmp_path, with_events(events)) == ("tainted", "no batch went through step 2")


def test_a_hundred_steps_without_a_batch_are_none(tmp_path):
    told = [step(n, 12.0 + n / 100, 12.0 + (n + 1) / 100) for n in range(1, 101)]
    events = [START, phase("prep", 10.1, 12.0), *told, {"kind": "end", "steps": 100}]
    assert outcome(tmp_path, with_events(events)) == ("tainted", "no batch went through step 1")


def test_who_writes_its_own_events_need_not_tell_of_batches(tmp_path):
    events = [event for event in trained_events() if event["kind"] != "batch"]
    raw = RawRun(events=lines_of(events, key=None), record={"events": "own"})
    assert outcome(tmp_path, raw) == ("ok", "")


@pytest.mark.parametrize(
    ("bent", "why"),
    [
        (batch(3), "a batch is of step 3, there are 2"),
        (batch(0), "a batch is of step 0, there are 2"),
        (batch(2, real=151), "a batch of step 2 holds 151 real tokens in 150 positions"),
        (batch(2, supervised=200), "a batch of step 2 holds 200 supervised tokens in 150 positions"),
    ],
)
def test_a_batch_that_cannot_be_taints(tmp_path, bent, why):
    assert outcome(tmp_path, with_events([*trained_events(), bent])) == ("tainted", why)


def test_batches_full_to_the_last_position_are_fine(tmp_path):
    events = trained_events()
    events[7] = batch(2, real=150, supervised=150)
    assert outcome(tmp_path, with_events(events)) == ("ok", "")


def test_a_batch_that_was_not_counted_is_fine(tmp_path):
    events = trained_events()
    events[7] = batch(2, real=None, padded=None, supervised=None)
    assert outcome(tmp_path, with_events(events)) == ("ok", "")


def test_who_changed_files_of_others_is_tainted_and_they_are_named(tmp_path):
    raw = trained(record={"touched": ["hook/a.py"]})
    assert outcome(tmp_path, raw) == (
        "tainted",
        "files that are not the run's were changed while it lasted: hook/a.py",
    )


def test_of_many_files_three_are_named(tmp_path):
    raw = trained(record={"touched": ["a", "b", "c", "d", "e"]})
    assert outcome(tmp_path, raw)[1].endswith(": a, b, c and 2 more")


def test_who_changed_files_of_others_and_crashed_is_tainted_all_the_same(tmp_path):
    raw = trained(record={"touched": ["a"]}, owner=owner_record(status=1))
    assert outcome(tmp_path, raw)[0] == "tainted"


def test_events_that_were_forged_with_the_runs_own_key_after_its_end_are_tampered(tmp_path):
    folder = trained().write(tmp_path / "run")
    events = trained_events()
    events[8] = step(2, 16.0, 16.5, 1.5)
    (folder / "events.jsonl").write_text(lines_of(events))
    run = read_run(folder)
    assert (run.outcome, run.reason) == (
        "tainted",
        "events tampered: the file is not the one that the worker kept",
    )


def test_events_that_are_gone_or_came_later_are_tampered(tmp_path):
    gone = trained().write(tmp_path / "gone")
    (gone / "events.jsonl").unlink()
    assert read_run(gone).outcome == "tainted"
    planted = RawRun().write(tmp_path / "planted")
    (planted / "events.jsonl").write_text(lines_of(trained_events()))
    assert read_run(planted).outcome == "tainted"

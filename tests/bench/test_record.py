"""A run from its raw files: figures, phases, and one named outcome for each way to end."""

import json

import pytest

from bench.outcome import outcome_of
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


def with_event(place, event):
    events = trained_events()
    events[place] = event
    return RawRun(events=lines_of(events))


def test_figures_of_a_run_that_trained(tmp_path):
    run = read_run(trained().write(tmp_path))
    assert run.outcome == "ok"
    assert (run.steps, run.rows, run.tokens, run.padded_tokens, run.train_tokens) == (2, 8, 200, 300, 100)
    assert run.losses == (2.0, 1.5)
    assert run.step_s == (1.0, 2.0)
    assert (run.eval.loss, run.eval.before) == (1.6, 2.1)
    assert run.batch_digests == (("abcd",),)


def digests_of(tmp_path, *batches):
    steps = [step(n, 10.0 + n, 11.0 + n) for n in (1, 2, 3)]
    return read_run(RawRun(events=lines_of([START, *batches, *steps])).write(tmp_path)).batch_digests


def test_digests_of_batches_stand_by_their_step(tmp_path):
    batches = [batch(1, digest="a"), batch(1, digest="b"), batch(2, digest="c"), batch(2, digest="d")]
    assert digests_of(tmp_path, *batches, batch(3)) == (("a", "b"), ("c", "d"))


def test_a_first_step_with_a_batch_that_nobody_knows_is_not_known(tmp_path):
    assert digests_of(tmp_path, batch(1, digest="a"), batch(1), batch(2, digest="c"), batch(3)) == ()


def test_phases_sum_to_the_owners_time(tmp_path):
    run = read_run(trained().write(tmp_path))
    assert run.wall_s == 10.0
    assert sum(run.phases_s.values()) == pytest.approx(10.0, abs=1e-9)
    assert run.phases_s["import"] == pytest.approx(3.0)  # interpreter start included
    assert run.phases_s["other"] == pytest.approx(1.0)  # interpreter end included


def test_job_seconds_are_prep_reference_first_and_train(tmp_path):
    assert read_run(trained().write(tmp_path)).job_s == pytest.approx(1.5 + 1.0 + 2.0)


def test_between_two_calls_of_train_nothing_is_other(tmp_path):
    events = [
        START,
        phase("prep", 10.1, 12.0),
        step(1, 12.0, 13.0),
        phase("first", 12.0, 13.0),
        phase("other", 13.0, 15.0),
        step(2, 15.0, 16.0),
        phase("train", 15.0, 16.0),
        {"kind": "end", "steps": 2},
    ]
    run = read_run(RawRun(events=lines_of(events)).write(tmp_path))
    assert run.phases_s["train"] == pytest.approx(3.0)
    assert run.phases_s["other"] == pytest.approx(4.0)


def test_command_that_does_not_exist_crashed(tmp_path):
    raw = RawRun(owner=owner_record(status=None, not_started="No such file or directory: 'pyhton'"))
    assert outcome(tmp_path, raw) == ("crashed", "did not start: No such file or directory: 'pyhton'")


def test_crash_shows_the_last_error_and_the_exit_status(tmp_path):
    events = [
        START,
        {"kind": "error", "type": "KeyError", "text": "'text'\nmore"},
        {"kind": "end", "steps": 0},
    ]
    raw = RawRun(events=lines_of(events), owner=owner_record(status=1))
    assert outcome(tmp_path, raw) == ("crashed", "KeyError: 'text' (exit status 1)")


def test_crash_without_the_hooks_word_shows_the_end_of_the_log(tmp_path):
    raw = RawRun(owner=owner_record(status=2), log="usage: train\ntrain: error: no such option\n\n")
    assert outcome(tmp_path, raw) == ("crashed", "train: error: no such option (exit status 2)")


def test_killed_by_a_signal_is_crashed(tmp_path):
    raw = RawRun(events=lines_of([START]), owner=owner_record(status=None, signal=11))
    assert outcome(tmp_path, raw) == ("crashed", "killed by signal 11")


@pytest.mark.parametrize(
    "raw",
    [
        RawRun(
            events=lines_of([START, {"kind": "error", "type": "OutOfMemoryError", "text": "CUDA"}]),
            owner=owner_record(status=1),
        ),
        RawRun(owner=owner_record(status=1), log="RuntimeError: CUDA error: out of memory\n"),
        RawRun(owner=owner_record(status=1), log="DefaultCPUAllocator: can't allocate memory\n"),
        RawRun(owner=owner_record(status=None, signal=9), record={"oom_kills": 1}),
    ],
)
def test_lack_of_memory_has_its_own_outcome(tmp_path, raw):
    assert outcome(tmp_path, raw)[0] == "out of memory"


def test_a_kill_elsewhere_is_not_ours(tmp_path):
    raw = RawRun(owner=owner_record(status=1), log="ValueError: no\n", record={"oom_kills": 1})
    assert outcome(tmp_path, raw)[0] == "crashed"


def test_limit_says_how_far_it_came(tmp_path):
    raw = RawRun(
        events=lines_of(trained_events()[:9]), owner=owner_record(timed_out=True, status=None, signal=15)
    )
    assert outcome(tmp_path, raw) == ("timed out", "ended at its limit after step 2")


def test_limit_before_the_first_step(tmp_path):
    raw = RawRun(events=lines_of([START]), owner=owner_record(timed_out=True))
    assert outcome(tmp_path, raw) == ("timed out", "ended at its limit before the first step")


def test_nan_names_the_step(tmp_path):
    assert outcome(tmp_path, with_event(8, step(2, 16.0, 18.0, float("nan")))) == (
        "NaN",
        "loss is nan at step 2",
    )


def test_no_events_is_hook_not_loaded(tmp_path):
    assert outcome(tmp_path, RawRun())[0] == "hook not loaded"


def test_events_without_a_step_is_no_trainer(tmp_path):
    raw = RawRun(events=lines_of([START, {"kind": "end", "steps": 0}]))
    assert outcome(tmp_path, raw)[0] == "no trainer"


def test_cancelled_is_cancelled(tmp_path):
    assert outcome(tmp_path, RawRun(owner=owner_record(cancelled=True)))[0] == "cancelled"


def test_lost_owner_is_unknown_not_failed(tmp_path):
    raw = RawRun(owner=None, record={"owner_error": "the owner ended with -9: no word"})
    assert outcome(tmp_path, raw)[0] == "tainted"


def test_events_cut_in_the_middle_of_a_run_that_ended_well_taint_it(tmp_path):
    raw = RawRun(events=lines_of(trained_events())[:-30])
    assert outcome(tmp_path, raw) == ("tainted", "events cut off: line 14 has no end")


def test_events_without_an_end_line_taint_it(tmp_path):
    raw = RawRun(events=lines_of(trained_events()[:-1]))
    assert outcome(tmp_path, raw) == ("tainted", "events cut off: no end line")


def test_tampered_events_taint_it(tmp_path):
    raw = RawRun(events=lines_of(trained_events()).replace('"loss": 1.6', '"loss": 1.2'))
    assert outcome(tmp_path, raw)[0] == "tainted"


@pytest.mark.parametrize(
    ("place", "event", "why"),
    [
        (8, step(3, 16.0, 18.0), "step 3 follows step 1"),
        (8, step(2, 16.0, 28.0), "a step lies outside the process's own time by the owner's clock"),
        (9, phase("train", 15.5, 18.0), "the phases first and train overlap"),
        (9, phase("lunch", 16.0, 18.0), "unknown phase 'lunch'"),
        (13, {"kind": "end", "steps": 9}, "the end counts 9 steps, there are 2"),
    ],
)
def test_what_cannot_be_true_taints_a_run(tmp_path, place, event, why):
    assert outcome(tmp_path, with_event(place, event)) == ("tainted", why)


def test_self_reported_is_said(tmp_path):
    raw = RawRun(events=lines_of(trained_events(), key=None), record={"events": "own"})
    run = read_run(raw.write(tmp_path))
    assert (run.outcome, run.is_self_reported) == ("ok", True)
    assert "self-reported: the subject wrote its own events" in run.warnings


def test_failed_evaluation_is_a_warning_not_an_outcome(tmp_path):
    run = read_run(with_event(10, {"kind": "eval", "failed": "ValueError: no rows"}).write(tmp_path))
    assert (run.outcome, run.eval) == ("ok", None)
    assert run.warnings == ("the held-out evaluation failed: ValueError: no rows",)


def test_tokens_of_an_unknown_batch_are_unknown_not_zero(tmp_path):
    run = read_run(with_event(7, batch(2, real=None)).write(tmp_path))
    assert (run.rows, run.tokens) == (8, None)


def test_choices_of_the_subject_are_read_and_other_lines_passed_over(tmp_path):
    line = json.dumps({"name": "kernel", "requested": "fa3", "used": "sdpa", "why": "not installed"})
    run = read_run(trained(choices=f"{line}\nnonsense\n[1]\n").write(tmp_path))
    assert [(c.name, c.used, c.why) for c in run.choices] == [("kernel", "sdpa", "not installed")]


def test_gpu_trace_is_read_and_bad_lines_passed_over(tmp_path):
    text = (
        "timestamp, uuid, utilization.gpu [%], memory.used [MiB]\n"
        "t, GPU-1, 50, 1000\nt, GPU-1, [N/A], 2000\nt, GPU-1, 100, 3000\nt, GP"
    )
    gpu = read_run(trained(gpu=text).write(tmp_path)).gpu
    assert (gpu.samples, gpu.utilisation_mean_pct, gpu.peak_memory_b) == (2, 75.0, 3000 * 1024**2)


def test_foreign_exit_record_is_refused(tmp_path):
    trained(record={"schema": 9}).write(tmp_path)
    with pytest.raises(ValueError, match="schema 9, this reads 1"):
        read_run(tmp_path)


def test_outcome_needs_only_the_owner_where_there_is_nothing_else():
    from bench.events import Events

    assert outcome_of({"owner_error": "gone"}, {}, Events(), "")[0] == "tainted"

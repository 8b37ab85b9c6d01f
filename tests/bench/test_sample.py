from dataclasses import replace

import pytest

from bench.metrics import METRICS, metric
from bench.run import PhaseMemory
from bench.sample import incomparable, outcomes_text, pairs_of, typical, valid, value
from tests.bench.made_runs import lost, made_run, with_value, without_trainer


def sample_of(name, run):
    return value(metric(name), run)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("job_tokens_per_s", 640.0),  # 6,400 tokens in 1 + 0 + 1 + 8 s
        ("tokens_per_s", 750.0),  # 6,000 tokens of the steps after the first in 8 s
        ("rows_per_s", 6.4),
        ("end_to_end_s", 17.0),
        ("step_s", 0.5),
        ("first_step_s", 1.0),
        ("prep_s", 1.0),
        ("peak_memory_b", 1 << 30),
        ("peak_rss_b", 3 << 30),
        ("final_loss", 3.0),
        ("gpu_hours", 17 / 3600),
        ("tokens", 6_400),
    ],
)
def test_values_that_can_be_worked_out_by_hand(name, expected):
    assert sample_of(name, made_run()) == pytest.approx(expected)


@pytest.mark.parametrize("entry", METRICS, ids=lambda entry: entry.name)
def test_every_metric_reads_what_was_made(entry):
    assert value(entry, with_value(entry.name, 7.0)) == pytest.approx(7.0)


@pytest.mark.parametrize("entry", METRICS, ids=lambda entry: entry.name)
def test_a_run_without_figures_has_no_sample(entry):
    assert value(entry, replace(lost(made_run()), outcome="ok")) is None


@pytest.mark.parametrize(
    "outcome", ["crashed", "tainted", "NaN", "timed out", "cancelled", "hook not loaded"]
)
def test_only_runs_that_are_ok_give_samples(outcome):
    assert all(value(entry, made_run(outcome=outcome)) is None for entry in METRICS)


def test_without_a_trainer_only_the_process_is_measured():
    run = made_run(outcome="no trainer")
    assert {entry.name for entry in METRICS if value(entry, run) is not None} == {
        "end_to_end_s",
        "peak_rss_b",
        "peak_device_b",
        "gpu_util_mean_pct",
        "gpu_util_p95_pct",
        "gpu_hours",
    }


def test_steady_throughput_leaves_out_the_first_step():
    slow_start = made_run(phases_s={"first": 100.0})
    assert sample_of("tokens_per_s", slow_start) == sample_of("tokens_per_s", made_run())


def test_job_throughput_counts_a_reference_pass_before_the_first_step():
    assert sample_of("job_tokens_per_s", made_run(phases_s={"reference": 10.0})) == 320.0


def test_throughput_counts_real_tokens_and_never_padding():
    assert sample_of("job_tokens_per_s", made_run(padded_tokens=99_999)) == 640.0


def test_host_memory_stands_in_where_no_device_tells():
    assert sample_of("peak_memory_b", made_run(memory={"train": PhaseMemory(rss_b=5)})) == 3 << 30


def test_the_memory_of_our_evaluation_is_not_the_subjects():
    memory = {"train": PhaseMemory(allocated_b=10), "eval": PhaseMemory(allocated_b=99)}
    assert sample_of("peak_memory_b", made_run(memory=memory)) == 10


def test_final_losses_are_compared_only_at_equal_steps():
    final_loss = metric("final_loss")
    assert incomparable(final_loss, made_run(), made_run(steps=4))
    assert not incomparable(final_loss, made_run(), made_run())


def test_device_memory_is_not_compared_with_host_memory():
    assert incomparable(metric("peak_memory_b"), made_run(), made_run(memory={}))


def test_pairs_go_by_replicate_and_name_what_is_missing():
    runs = [made_run("optimized", 2), made_run("baseline", 1), made_run("optimized", 1)]
    pairs = pairs_of(runs, "sft", "baseline", "optimized")
    assert [(pair.replicate, pair.baseline is not None, pair.arm is not None) for pair in pairs] == [
        (1, True, True),
        (2, False, True),
    ]
    assert len(valid(pairs)) == 1


def test_a_pair_of_one_trained_and_one_untrained_run_is_not_valid():
    runs = [made_run("baseline"), without_trainer(made_run("optimized"))]
    assert valid(pairs_of(runs, "sft", "baseline", "optimized")) == []


def test_a_tainted_run_is_replaced_by_its_repetition():
    runs = [
        made_run("optimized", outcome="tainted"),
        made_run("optimized", tokens=1),
        made_run("optimized", tokens=2),
    ]
    (pair,) = pairs_of(runs, "sft", "baseline", "optimized")
    assert pair.arm.tokens == 1


def test_a_crash_is_not_replaced_by_a_better_try():
    (pair,) = pairs_of([lost(made_run("optimized")), made_run("optimized")], "sft", "baseline", "optimized")
    assert pair.arm.outcome == "crashed"


def test_a_typical_value_is_the_geometric_mean():
    assert typical([1.0, 100.0]) == pytest.approx(10.0)
    assert typical([0.0, 1.0, 5.0]) == 1.0
    assert typical([]) is None


def test_values_that_do_not_vary_are_typical_to_the_last_bit():
    assert typical([19_518, 19_518, 19_518]) == 19_518


def test_outcomes_are_counted_by_arm():
    runs = [
        made_run("baseline", 1),
        made_run("baseline", 2),
        made_run("optimized", 1),
        lost(made_run("optimized", 2)),
    ]
    assert (
        outcomes_text(pairs_of(runs, "sft", "baseline", "optimized"))
        == "baseline: ok 2; optimized: ok 1, crashed 1"
    )

"""Each rule of the table: a run that it finds something in, and the nearest one in which it finds nothing."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.run import Choice, GpuTrace, HostTrace, PhaseMemory
from bench.validity import RULES, checked, gathered
from tests.bench.made_runs import lost, made_run, without_trainer

GIB = 1 << 30
HOST = HostTrace(samples=20, begin=0.0, end=10.0, longest_gap_s=0.5)
GPU = GpuTrace(100, 80.0, 95.0, 4 * GIB)


def choices(**used):
    return tuple(Choice(name, value, value) for name, value in used.items())


BATCH_4 = {
    "per_device_train_batch_size": "4",
    "gradient_accumulation_steps": "1",
    "num_train_epochs": "1.0",
    "max_length": "1024",
}
PACKED = choices(**BATCH_4, packing="True")
UNPACKED = choices(**BATCH_4, packing="False")


def steps(number, rows, padded, of):
    return {"steps": number, "rows": rows, "padded_tokens": padded, "choices": of}


# rule, what it finds, the nearest that it lets be
CASES = [
    ("events file", {"host": replace(HOST, events_moved="it was deleted")}, {"host": HOST}),
    # Steps of 0.5 s and a first one of 1 s: 1 s and two of the longest are allowed.
    ("outer clock", {"host": replace(HOST, late_s=3.1)}, {"host": replace(HOST, late_s=3.0)}),
    ("clocks disagree", {"host": replace(HOST, outside_s=1.1)}, {"host": replace(HOST, outside_s=1.0)}),
    (
        "clock stood still",
        {"host": replace(HOST, longest_gap_s=5.0)},
        {"host": replace(HOST, longest_gap_s=4.9)},
    ),
    ("others on the GPU", {"gpu": replace(GPU, others=("7 python",))}, {"gpu": GPU}),
    (
        "others' memory on the GPU",
        {"gpu": replace(GPU, begin_memory_b=2 * GIB + 1)},
        {"gpu": replace(GPU, begin_memory_b=2 * GIB)},
    ),
    ("GPU memory errors", {"gpu": replace(GPU, ecc_errors=1)}, {"gpu": GPU}),
    (
        "heavy load",
        {"host": replace(HOST, foreign_share=0.10, waiting_threads=0.20)},
        {"host": replace(HOST, foreign_share=0.09, waiting_threads=2.0)},
    ),
    ("heavy steal", {"host": replace(HOST, steal_share=0.10)}, {"host": replace(HOST, steal_share=0.09)}),
    ("GPU mostly slowed", {"gpu": replace(GPU, slowed_share=0.5)}, {"gpu": replace(GPU, slowed_share=0.49)}),
    (
        "load",
        {"host": replace(HOST, foreign_share=0.9, waiting_threads=0.19)},
        {"host": replace(HOST, foreign_share=0.09)},
    ),
    ("steal", {"host": replace(HOST, steal_share=0.02)}, {"host": replace(HOST, steal_share=0.01)}),
    (
        "throttled",
        {"host": replace(HOST, throttled_share=0.05)},
        {"host": replace(HOST, throttled_share=0.04)},
    ),
    (
        "short of memory",
        {"host": replace(HOST, free_memory_share=0.04)},
        {"host": replace(HOST, free_memory_share=0.05)},
    ),
    ("lower priority", {"host": replace(HOST, nicer=1)}, {"host": HOST}),
    ("wall clock set", {"host": replace(HOST, wall_jump_s=-1.0)}, {"host": replace(HOST, wall_jump_s=0.9)}),
    ("GPU slowed", {"gpu": replace(GPU, slowed_share=0.05)}, {"gpu": replace(GPU, slowed_share=0.04)}),
    (
        "GPU at its power limit",
        {"gpu": replace(GPU, capped_share=0.5)},
        {"gpu": replace(GPU, capped_share=0.4)},
    ),
    ("shared GPU", {"gpu": replace(GPU, power_share=0.29)}, {"gpu": replace(GPU, power_share=0.30)}),
    ("utilisation means little", {"gpu": GPU, "wall_s": 19.9}, {"gpu": GPU, "wall_s": 20.0}),
    (
        "memory out of order",
        {"memory": {"train": PhaseMemory(allocated_b=2 * GIB, reserved_b=GIB)}},
        {"memory": {"train": PhaseMemory(allocated_b=GIB, reserved_b=GIB)}},
    ),
    (
        "memory out of order",
        {"memory": {"train": PhaseMemory(allocated_b=GIB, reserved_b=5 * GIB)}, "gpu": GPU},
        {"memory": {"train": PhaseMemory(allocated_b=GIB, reserved_b=4 * GIB)}, "gpu": GPU},
    ),
    # 62 packs of 1,024 at batch 4 make 16 steps.
    (
        "steps do not follow from rows and batch",
        steps(15, 200, 62 * 1024, PACKED),
        steps(16, 200, 62 * 1024, PACKED),
    ),
    # 200 rows at batch 4 make 50.
    (
        "steps do not follow from rows and batch",
        steps(49, 200, 200 * 300, UNPACKED),
        steps(50, 200, 200 * 300, UNPACKED),
    ),
    (
        "steps do not follow from rows and batch",
        steps(100, 200, 200 * 300, UNPACKED),
        steps(52, 200, 200 * 300, UNPACKED),  # two trainings of 101 rows, say
    ),
    ("the same loss", {"losses": (0.5,) * 4}, {"losses": (0.5,) * 3}),
    ("the same loss", {"losses": (0.5,) * 16}, {"losses": (*(0.5,) * 15, 0.4)}),
    (
        "steps without work",
        {"host": replace(HOST, training_cpus=0.01), "gpu": None},
        {"host": replace(HOST, training_cpus=0.02), "gpu": None},
    ),
    (
        "steps without work",
        {"host": replace(HOST, training_cpus=0.01), "gpu": replace(GPU, utilisation_mean_pct=0.9)},
        {"host": replace(HOST, training_cpus=0.01), "gpu": replace(GPU, utilisation_mean_pct=1.0)},
    ),
]


def found_in(run):
    return {rule.name for rule in RULES if rule.finds(run)}


def long_run(**changes):
    return made_run(**{"gpu": None, "wall_s": 30.0, **changes})


@pytest.mark.parametrize(("name", "bad", "good"), CASES)
def test_a_rule_finds_what_it_is_for_and_nothing_less(name, bad, good):
    assert name in found_in(long_run(**bad))
    assert name not in found_in(long_run(**good))


def test_every_rule_has_a_case():
    assert {name for name, _, _ in CASES} == {rule.name for rule in RULES}


def test_a_made_run_is_free_of_findings():
    assert found_in(long_run(host=HOST, gpu=GPU)) == set()
    assert checked(long_run(host=HOST, gpu=GPU)) == long_run(host=HOST, gpu=GPU)


def test_heavy_load_taints_alone_and_warns_in_lockstep():
    host = replace(HOST, foreign_share=0.5, waiting_threads=0.9)
    told = (
        "heavy load: other processes took 50 % of the machine's CPU time,"
        " 0.90 threads of the job waited for a CPU"
    )
    alone = checked(long_run(host=host))
    assert (alone.outcome, alone.reason) == ("tainted", told)
    together = checked(long_run(host=host, engine="lockstep"))
    assert (together.outcome, together.warnings) == ("ok", (told,))


def test_load_that_the_run_did_not_feel_only_warns():
    run = checked(long_run(host=replace(HOST, foreign_share=0.5, waiting_threads=0.02)))
    assert run.outcome == "ok"
    assert run.warnings[0].startswith("load: other processes took 50 %")


def test_threads_that_wait_for_each_other_are_not_foreign_load():
    run = checked(long_run(host=replace(HOST, foreign_share=0.02, waiting_threads=6.0)))
    assert (run.outcome, run.warnings) == ("ok", ())


def test_a_short_run_is_not_tainted_for_load():
    host = replace(HOST, end=2.9, foreign_share=0.9, waiting_threads=1.0, steal_share=0.5)
    assert checked(long_run(host=host)).outcome == "ok"
    assert len(checked(long_run(host=host)).warnings) == 2


def test_an_outer_clock_is_none_for_what_the_subject_reports_itself():
    host = replace(HOST, late_s=60.0, events_moved="it was deleted")
    assert checked(long_run(host=host, is_self_reported=True)).outcome == "ok"


def test_a_run_without_trainer_is_tainted_too():
    run = replace(without_trainer(long_run()), host=replace(HOST, longest_gap_s=9.0))
    assert checked(run).outcome == "tainted"


@pytest.mark.parametrize("outcome", ["crashed", "out of memory", "NaN", "timed out", "cancelled"])
def test_a_run_that_failed_stays_failed(outcome):
    run = replace(lost(long_run(), outcome), host=replace(HOST, longest_gap_s=9.0))
    assert checked(run) == run


def test_warnings_come_after_those_of_the_record():
    run = checked(long_run(warnings=("the log is not whole",), losses=(1.0,) * 4))
    assert run.warnings == ("the log is not whole", "the same loss: 1.0 at each of 4 steps")


def test_warnings_of_many_runs_are_one_line_a_rule_and_arm():
    runs = [
        checked(long_run(arm=arm, replicate=n, host=replace(HOST, foreign_share=n / 10), warnings=("x: y",)))
        for arm in ("baseline", "optimized")
        for n in (1, 2)
    ]
    said = (
        "load: other processes took 10 % of the machine's CPU time, 0.00 threads of the job waited for a CPU"
    )
    assert gathered(runs) == (
        "baseline: x: y",
        f"baseline: {said} (the first of 2 runs)",
        "optimized: x: y",
        f"optimized: {said} (the first of 2 runs)",
    )


words = st.sampled_from(["4", "0", "-3", "1e400", "nan", "inf", "many", "", "True", "1.5"])


@given(st.dictionaries(st.sampled_from([*BATCH_4, "packing"]), words), st.integers(0, 10**20))
def test_whatever_a_subject_says_of_its_settings_is_survived(used, padded):
    checked(long_run(choices=choices(**used), padded_tokens=padded, steps=3, losses=(math.nan,) * 9))


def test_the_table_of_the_document_is_the_codes():
    text = (Path(__file__).parent.parent.parent / "docs" / "measurement.md").read_text()
    rows = "".join(f"| {rule.name} | {rule.limit} | {rule.abba} | {rule.lockstep} |\n" for rule in RULES)
    assert text.split("<!-- validity -->\n")[1].split("<!-- /validity -->")[0] == rows

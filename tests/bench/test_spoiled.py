"""Rounds that the machine spoiled: which are made again, how often; a set-aside run counts for nothing."""

import shutil

import pytest

from bench.judge import judge
from bench.record import read_runs
from bench.sample import pairs_of, valid
from bench.spoiled import MOST_TRIES, is_round_spoiled, next_place
from tests.agent.made_job import made_plan, made_raw, write_job
from tests.bench.raw_run import owner_record

CROWDED = "monotonic [s], utilization.gpu [%], memory.used [MiB]\n10.5, 50, 9000\n"
"""Somebody had 9 GiB of the GPU before the run began."""
PLAN = made_plan()


def ended(folder, **raws):
    """The folders of a round, `arm=changes` of its raw run."""
    return [made_raw(arm, 1, **changes).write(folder / arm) for arm, changes in raws.items()]


CRASHED = {"owner": owner_record(status=1)}
FORGED = {"gpu": CROWDED, "events": made_raw("baseline", 1).events.replace("2.0", "2.5")}


@pytest.mark.parametrize(
    ("baseline", "optimized", "is_spoiled"),
    [
        ({}, {}, False),
        ({"gpu": CROWDED}, {}, True),
        ({}, {"gpu": CROWDED}, True),
        ({"gpu": CROWDED}, {"gpu": CROWDED}, True),
        (CRASHED, {}, False),
        ({"gpu": CROWDED}, CRASHED, False),  # it would be hidden by a second try that goes well
        (FORGED, {}, False),
        ({"gpu": CROWDED}, FORGED, False),
    ],
)
def test_a_round_is_made_again_where_the_machine_and_nobody_else_is_to_blame(
    tmp_path, baseline, optimized, is_spoiled
):
    assert is_round_spoiled(ended(tmp_path, baseline=baseline, optimized=optimized)) == is_spoiled


def test_a_record_that_nobody_can_read_ends_no_job(tmp_path):
    [folder] = ended(tmp_path, baseline={"gpu": CROWDED})
    (folder / "exit.json").write_text("{}")
    assert not is_round_spoiled([folder])


def test_tries_are_numbered_and_end(tmp_path):
    [folder] = ended(tmp_path, baseline={})
    for number in range(1, MOST_TRIES):
        assert next_place(folder) == tmp_path / f"baseline~{number}"
        shutil.copytree(folder, tmp_path / f"baseline~{number}")
    assert next_place(folder) is None


@pytest.fixture
def job(tmp_path):
    """Its second round was spoiled by what the baseline met, and made again."""
    folder = write_job(tmp_path / "job", PLAN)
    for arm, changes in (("baseline", {"gpu": CROWDED}), ("optimized", {})):
        made_raw(arm, 2, **changes).write(folder / "runs" / "sft" / "2" / f"{arm}~1")
    (folder / "runs" / "sft" / "2" / "baseline~x").mkdir()
    return folder


def test_what_was_set_aside_is_read_before_what_took_its_place(job):
    runs = [run for run in read_runs(job / "runs", PLAN) if run.replicate == 2]
    assert [(run.place, run.outcome) for run in runs if run.arm == "optimized"] == [
        ("sft/2/optimized~1", "tainted"),
        ("sft/2/optimized", "ok"),
    ]
    assert [run.reason for run in runs if run.set_aside] == [
        "its round was made again",
        "others' memory on the GPU: 8.79 GiB were in use before the run began",
    ]


def test_it_counts_for_nothing_and_is_told(job):
    runs = read_runs(job / "runs", PLAN)
    counting = [run for run in runs if not run.set_aside]
    assert valid(pairs_of(runs, "sft", "baseline", "optimized")) == valid(
        pairs_of(counting, "sft", "baseline", "optimized")
    )
    one, other = judge(PLAN, runs), judge(PLAN, counting)
    assert one.comparisons == other.comparisons
    why = "others' memory on the GPU: 8.79 GiB were in use before the run began"
    told = f"sft: 2 runs set aside and made again: {why}"
    assert [text for text in one.verdict.warnings if text not in other.verdict.warnings] == [told]


def test_a_round_that_waits_for_its_second_try_is_no_look(job):
    plan = made_plan(looks=(2, 3))
    for arm in ("baseline", "optimized"):
        shutil.rmtree(job / "runs" / "sft" / "2" / arm)
    assert judge(plan, read_runs(job / "runs", plan)).look is None

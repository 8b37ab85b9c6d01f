"""`paceline noise`: the plan of two equal arms, what is kept of its job, what is printed."""

import pytest

from agent.errors import TaskError
from agent.floors import Known
from agent.noise_command import NoiseRequest, noise_plan, noise_text, records_from
from agent.result import result_of
from bench.noise import Noise, workload_of
from bench.plan import Arm
from tests.agent.made_job import made_plan, made_raw, write, write_job

CONFIG = """
[recipe.sft]
run = ["{python}", "train.py", "{rows}", "{packing}", "{seed}"]
[recipe.sft.params]
rows = 200
packing = false
[recipe.dpo]
run = ["{python}", "dpo.py", "{rows}"]
[recipe.dpo.params]
rows = 100
"""
AA = (Arm("baseline", "a" * 40), Arm("again", "a" * 40))
ENDED = {
    "schema": 1,
    "outcome": "finished",
    "begin_monotonic_s": 100.0,
    "end_monotonic_s": 180.0,
    "end": "2026-11-20T23:30:00-02:00",
}


class Tree:
    """A repository whose every revision is one commit."""

    name = "target"
    where = "here"

    def commit_of(self, revision: str) -> str:
        return {"HEAD": "a", "old": "b"}[revision] * 40

    def bytes_of(self, path: str) -> bytes:
        return CONFIG.encode()


def plan(*recipes, **fields):
    return noise_plan(NoiseRequest(recipes or ("sft",), **fields), Tree()).plan


def test_both_arms_are_the_same_commit_with_the_same_parameters():
    made = plan(baseline="old", params=("rows=7", "packing=true"))
    assert made.arms == (
        Arm("baseline", "b" * 40, {"rows": 7, "packing": True}),
        Arm("again", "b" * 40, {"rows": 7, "packing": True}),
    )


def test_the_number_of_replicates_is_fixed_and_six_where_nobody_says():
    assert (plan().replicates, plan().looks, plan().criteria) == (6, (), ())
    assert plan(replicates=2).replicates == 2


def test_noise_is_measured_by_the_engine_that_was_named():
    assert (plan().engine, plan(engine="abba").engine) == ("lockstep", "abba")


@pytest.mark.parametrize("replicates", [0, 101])
def test_no_replicate_and_too_many_are_refused(replicates):
    with pytest.raises(TaskError, match=f"--replicates {replicates}"):
        plan(replicates=replicates)


def test_noise_is_of_the_workload_that_a_bench_of_these_parameters_has():
    made = plan(params=("rows=200",))
    recipe = made.recipe("sft")
    assert workload_of(made, recipe, made.arms[0]) == workload_of(made, recipe, Arm("baseline", "c" * 40))


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (("rows",), "--param 'rows' is not one key=value"),
        (("rows=1,packing=true",), "is not one key=value"),
        (("rwos=1",), "did you mean 'rows'"),
        (("rows=many",), "takes a whole number"),
    ],
)
def test_a_parameter_that_is_none_is_refused(params, why):
    with pytest.raises(TaskError, match=why):
        plan(params=params)


def test_a_recipe_without_the_parameter_is_refused_rather_than_left_out():
    with pytest.raises(TaskError, match="recipe 'dpo' has no parameter 'packing'"):
        plan("sft", "dpo", params=("packing=true",))


def job(tmp_path, raws=None, **changes):
    folder = write_job(tmp_path / "job", made_plan(arms=AA, criteria=()), raws)
    write(folder / "exit.json", {**ENDED, **changes})
    return result_of(folder)


def test_what_an_ended_job_gives_is_recorded_with_its_day_in_utc(tmp_path):
    [record] = records_from(job(tmp_path), "h")
    assert (record.measured, record.job, record.harness) == ("2026-11-21", "job", "h")
    assert (record.engine, record.environment, record.commit) == ("abba", "e", "a" * 40)
    assert len(record.replicates) == 3
    # Of the two runs of replicate 1: 10 s and 9 s. All six: 10, 10.02, 9.98, 9, 9.02, 8.99 s of 80 s.
    assert record.replicates[0].run_s == pytest.approx(9.5)
    assert record.between_s == pytest.approx((80 - 57.01) / 6)
    assert record.replicates[0].effects["end_to_end_s"] == pytest.approx(-0.1053605)  # log 0.9


def test_a_job_without_any_pair_gives_nothing(tmp_path):
    raws = {("again", number): made_raw("again", number, owner=None) for number in (1, 2, 3)}
    assert records_from(job(tmp_path, raws), "h") == ()


def test_a_job_that_was_lost_gives_nothing(tmp_path):
    assert records_from(job(tmp_path, begin_monotonic_s=None), "h") == ()


def known(*effects, **more):
    return Known(
        (Noise("sft", "lockstep", "e", {"tokens_per_s": effects, **more}, len(effects), 9, 1, "2026-11-17"),),
        {},
    )


def test_what_is_known_is_printed_with_what_counts_as_proven(tmp_path):
    record = records_from(job(tmp_path), "h")
    text = noise_text(made_plan(arms=AA), record, known(*(0.01, -0.01) * 3, tokens=(0.0,) * 6))
    assert text.splitlines()[:3] == [
        "## sft: 3 A/A replicates added",
        "",
        "lockstep, 6 replicates known, the oldest of 2026-11-17:",
    ]
    # Spread 0.010954, floor 0.011496 log ratio, which is more than the practical floor of 1 %.
    assert [cell.strip() for cell in text.splitlines()[-1].split("|")[1:-1]] == [
        "tokens/s, steady",
        "1.1 %",
        "1.16 %",
        "1.16 %",
        "6",
    ]


def test_how_many_replicates_the_floor_still_needs_is_said():
    text = noise_text(made_plan(arms=AA), (), known(0.01, -0.01))
    assert "2 replicates known, the oldest of 2026-11-17: the floor needs 4 more.\n" in text
    assert [cell.strip() for cell in text.splitlines()[-1].split("|")[3:5]] == ["unknown", "1 %"]

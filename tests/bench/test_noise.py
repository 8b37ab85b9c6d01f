"""Noise: the floor by hand, what is recorded of an A/A plan, and which records belong together."""

import json
import math
from dataclasses import replace

import pytest

from bench.noise import NoiseRecord, Replicate, floor_of, pooled, records_of, workload_of
from bench.plan import Arm, Recipe
from tests.bench.made_runs import SFT, lost, made_plan, made_run, with_value

AA = (Arm("baseline", "a" * 40), Arm("again", "a" * 40))
PLAN = made_plan(arms=AA, replicates=2)
ALTERNATING = (0.01, -0.01) * 3


def record(**changes) -> NoiseRecord:
    fields = {
        "workload": "w" * 16,
        "recipe": "sft",
        "engine": "lockstep",
        "environment": "e1",
        "harness": "h1",
        "commit": "a" * 40,
        "job": "repo-local-0123456789ab-a1",
        "measured": "2026-11-20",
        "between_s": 1.0,
        "replicates": replicates(*ALTERNATING),
    }
    return NoiseRecord(**{**fields, **changes})


def replicates(*effects, run_s=10.0):
    return tuple(Replicate({"tokens_per_s": effect}, run_s) for effect in effects)


def pool(*records, since="2026-11-01", harness="h1"):
    return pooled(records, "w" * 16, harness=harness, fresh_since=since)


def test_the_floor_is_the_larger_end_of_the_interval_of_the_mean():
    # Standard deviation sqrt(6 * 0.0001 / 5) = 0.010954, over sqrt(6) 0.0044721, times t(5) = 2.570582.
    assert floor_of(ALTERNATING) == pytest.approx(0.0114960, abs=1e-7)


@pytest.mark.parametrize("shift", [0.02, -0.02])
def test_a_bias_adds_to_the_floor_whatever_its_sign(shift):
    assert floor_of([shift + effect for effect in ALTERNATING]) == pytest.approx(0.0314960, abs=1e-7)


def test_fewer_than_six_replicates_give_no_floor():
    assert floor_of(ALTERNATING[:5]) is None


def test_more_replicates_of_the_same_noise_narrow_the_floor():
    # Twelve: deviation sqrt(12 * 0.0001 / 11), t(11) = 2.200985.
    assert floor_of(ALTERNATING * 2) == pytest.approx(
        2.200985 * math.sqrt(0.0012 / 11) / math.sqrt(12), rel=1e-6
    )


def test_what_does_not_vary_has_a_floor_of_nothing():
    assert floor_of([0.0] * 6) == 0.0


def test_records_hold_the_effects_seconds_and_packages_of_every_pair():
    runs = [with_value("tokens_per_s", value, number, arm) for number, arm, value in four()]
    [found] = records_of(PLAN, runs, harness="h", job="j", measured="2026-11-20", elapsed_s=100.0)
    effects = [one.effects["tokens_per_s"] for one in found.replicates]
    assert effects == pytest.approx([math.log(1.01), math.log(0.98)])
    walls = [run.wall_s for run in runs]
    assert [one.run_s for one in found.replicates] == pytest.approx([walls[0], walls[2]])
    assert found.between_s == pytest.approx((100.0 - sum(walls)) / 4)
    assert (found.engine, found.environment, found.commit) == ("abba", runs[0].environment, "a" * 40)


def four():
    return [(1, "baseline", 100.0), (1, "again", 101.0), (2, "baseline", 100.0), (2, "again", 98.0)]


def a_run(arm, replicate=1, **changes):
    return replace(made_run(arm, replicate), **changes)


def test_replicates_of_two_engines_make_two_records():
    runs = [a_run(arm, n, engine=engine) for n, engine in ((1, "lockstep"), (2, "abba")) for arm in names()]
    found = records_of(PLAN, runs, harness="h", job="j", measured="2026-11-20", elapsed_s=100.0)
    assert {(one.engine, len(one.replicates)) for one in found} == {("lockstep", 1), ("abba", 1)}


def names():
    return [arm.name for arm in AA]


def test_a_pair_that_is_not_of_equals_is_not_recorded():
    runs = [
        a_run("baseline", 1, engine="lockstep"),
        a_run("again", 1, engine="abba"),
        a_run("baseline", 2, environment="e1"),
        a_run("again", 2, environment="e2"),
        a_run("baseline", 3),
        lost(a_run("again", 3)),
    ]
    plan = replace(PLAN, replicates=3)
    assert records_of(plan, runs, harness="h", job="j", measured="2026-11-20", elapsed_s=1.0) == ()


def test_a_record_comes_back_from_its_json_as_it_was():
    one = record()
    assert NoiseRecord.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"engine": "turns"},
        {"measured": "yesterday"},
        {"between_s": -1.0},
        {"between_s": None},
        {"commit": 7},
        {"replicates": []},
        {"replicates": [7]},
        {"replicates": [{"effects": {"tokens_per_s": math.nan}, "run_s": 1.0}]},
        {"replicates": [{"effects": {"tokens_per_s": True}, "run_s": 1.0}]},
        {"replicates": [{"effects": [], "run_s": 1.0}]},
        {"replicates": [{"effects": {}}]},
    ],
    ids=str,
)
def test_what_is_no_record_is_refused(change):
    with pytest.raises(ValueError, match=r"."):
        NoiseRecord.from_dict({**record().to_dict(), **change})


def test_a_missing_field_is_refused():
    data = record().to_dict()
    del data["harness"]
    with pytest.raises(ValueError, match="harness"):
        NoiseRecord.from_dict(data)


def test_a_metric_of_another_version_is_passed_over():
    data = {**record().to_dict(), "replicates": [{"effects": {"vibes": 1.0, "rows": 0.0}, "run_s": 1.0}]}
    assert NoiseRecord.from_dict(data).replicates == (Replicate({"rows": 0.0}, 1.0),)


def test_replicates_of_several_calls_add_up():
    first = record(replicates=replicates(0.01, 0.02), measured="2026-11-18")
    second = record(replicates=replicates(0.03, run_s=13.0), between_s=4.0)
    [noise] = pool(first, second)
    assert sorted(noise.effects["tokens_per_s"]) == [0.01, 0.02, 0.03]
    assert (noise.replicates, noise.run_s, noise.between_s) == (3, 11.0, 2.0)
    assert noise.measured == "2026-11-18"
    assert (noise.floor("tokens_per_s"), noise.floor("rows_per_s")) == (None, None)
    assert noise.spread("tokens_per_s") == pytest.approx(0.01)


def test_another_harness_or_workload_is_never_pooled():
    assert pool(record(harness="h2"), record(workload="x" * 16)) == ()


def test_each_engine_and_each_environment_stands_by_itself():
    found = pool(record(), record(engine="abba"), record(environment="e2"))
    assert {(one.engine, one.environment, one.replicates) for one in found} == {
        ("lockstep", "e1", 6),
        ("abba", "e1", 6),
        ("lockstep", "e2", 6),
    }


def test_old_replicates_are_left_out_where_there_are_enough_fresh_ones():
    old = record(measured="2026-10-01", replicates=replicates(*(0.5,) * 6))
    [noise] = pool(old, record())
    assert (noise.replicates, noise.measured) == (6, "2026-11-20")


def test_old_replicates_are_better_than_none_newest_first():
    older = record(measured="2026-08-01", replicates=replicates(0.3))
    old = record(measured="2026-10-01", replicates=replicates(0.1, 0.2, 0.1))
    [noise] = pool(older, old, record(replicates=replicates(0.0, 0.0, 0.0)))
    assert sorted(noise.effects["tokens_per_s"]) == [0.0, 0.0, 0.0, 0.1, 0.1, 0.2]
    assert noise.measured == "2026-10-01"


def workload(arm=None, repo="repo", **recipe) -> str:
    fields = {"run": ("python", "t.py", "{rows}", "{seed}"), "params": {"rows": 8}, **recipe}
    return workload_of(
        replace(PLAN, repo=repo), Recipe("sft", **fields), Arm("baseline", "a" * 40, arm or {})
    )


def test_a_parameter_counts_as_it_is_in_effect():
    assert workload(arm={"rows": 8}) == workload()
    assert workload(arm={"rows": 9}) == workload(params={"rows": 9}) != workload()


@pytest.mark.parametrize(
    "change", [{"run": ("python", "t.py", "{rows}")}, {"eval_sha256": "e" * 64}, {"repo": "other"}], ids=str
)
def test_another_command_other_rows_and_another_repository_are_another_workload(change):
    assert workload(**change) != workload()


def test_a_limit_is_no_part_of_a_workload():
    assert workload(limit_s=5.0) == workload()


def test_seeds_and_replicates_are_no_part_of_a_workload():
    assert workload_of(replace(PLAN, base_seed=7, replicates=9), SFT, AA[0]) == workload_of(PLAN, SFT, AA[0])


def test_the_commit_is_no_part_of_a_workload():
    assert workload_of(PLAN, SFT, AA[0]) == workload_of(PLAN, SFT, Arm("baseline", "b" * 40))

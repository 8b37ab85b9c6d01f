"""A/A floors of a job: looked up in a real store, written, read, applied for what the runs really were."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from agent import floors
from agent.dispatch import harness_digest
from agent.floors import Known, age_text, floors_text, known_noise, read_floors
from agent.report import report_text
from agent.result import result_of
from agent.verify import differences
from bench.noise import Noise, NoiseRecord, Replicate, workload_of
from pods import noise as store
from pods.shell_local import LocalShell
from tests.agent.made_job import SFT, made_plan, store_result, write, write_job

HOST = {"hostname": "pod-7", "cpu_model": "made", "cores": 2}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEGUN = {"schema": 1, "outcome": "finished", "begin": "2026-11-20T23:30:00+00:00"}
FLOOR = {
    "recipe": "sft",
    "metric": "job_tokens_per_s",
    "engine": "abba",
    "environment": "e",
    "floor": 0.00796817,  # log 1.008
    "n": 6,
    "measured": "2026-11-17",
}


def record(**changes) -> NoiseRecord:
    fields = {
        "workload": workload_of(made_plan(), SFT, made_plan().arms[0]),
        "recipe": "sft",
        "engine": "abba",
        "environment": "e",
        "harness": harness_digest(),
        "commit": "a" * 40,
        "job": "target-local-0123456789ab-a1",
        "measured": "2026-11-17",
        "between_s": 1.0,
        "replicates": tuple(Replicate({"job_tokens_per_s": sign * 0.01}, 9.0) for sign in (1, -1) * 3),
    }
    return NoiseRecord(**{**fields, **changes})


def look(machine: Path, plan=None) -> Known:
    return known_noise(LocalShell(), machine, "cpu", HOST, plan or made_plan(), NOW)


def add(machine: Path, *bodies) -> Path:
    unit = store.unit_of(LocalShell(), "cpu", HOST)
    for body in bodies:
        store.add(LocalShell(), machine, unit, "job", body)
    return machine / "noise" / unit


def job(tmp_path, *floors, **exits) -> Path:
    """A job that has ended, with these floors."""
    folder = write_job(tmp_path / "job")
    write(folder / "exit.json", {**BEGUN, **exits})
    write(folder / "floors.json", {"schema": 1, "floors": list(floors)})
    return folder


def comparison(folder):
    [found] = [one for one in result_of(folder).judgement.comparisons if one.metric == "job_tokens_per_s"]
    return found


def lines(folder) -> list[str]:
    return [line for line in report_text(result_of(folder)).splitlines() if "A/A floor" in line]


def test_nothing_is_known_where_nothing_was_stored(tmp_path):
    assert look(tmp_path) == Known((), {"sft": 0}, ())


def test_what_was_stored_for_the_baseline_is_known(tmp_path):
    add(tmp_path, record().to_dict())
    [noise] = look(tmp_path).noise
    assert (noise.recipe, noise.engine, noise.environment, noise.replicates) == ("sft", "abba", "e", 6)


def test_noise_of_another_harness_is_counted_and_not_used(tmp_path):
    add(tmp_path, record(harness="0" * 16).to_dict())
    assert look(tmp_path) == Known((), {"sft": 6}, ())


def test_noise_of_other_parameters_is_not_known(tmp_path):
    add(tmp_path, record(workload="0" * 16).to_dict())
    assert look(tmp_path) == Known((), {"sft": 0}, ())


def test_files_that_cannot_be_read_are_named_and_passed_over(tmp_path):
    folder = add(tmp_path, record().to_dict())
    (folder / "half.json").write_text('{"schema": 1, ')
    (folder / "older.json").write_text('{"schema": 0}')
    known = look(tmp_path)
    assert len(known.noise) == 1
    assert [text.partition(": ")[0] for text in known.warnings] == [
        "noise file 'half.json' is passed over",
        "noise file 'older.json' is passed over",
    ]
    assert known.warnings[1].endswith("noise of schema 0, this reads 1")


def test_the_floors_that_are_written_are_those_of_the_contract(tmp_path):
    add(tmp_path, record().to_dict())
    [written] = json.loads(floors_text(look(tmp_path).noise))["floors"]
    # 2.570582 * 0.010954 / sqrt(6), see tests/bench/test_noise.py
    assert written.pop("floor") == pytest.approx(0.0114960, abs=1e-7)
    assert written == {
        "recipe": "sft",
        "metric": "job_tokens_per_s",
        "engine": "abba",
        "n": 6,
        "measured": "2026-11-17",
        "environment": "e",
    }


def test_five_replicates_write_no_floor(tmp_path):
    add(tmp_path, record(replicates=record().replicates[:5]).to_dict())
    assert json.loads(floors_text(look(tmp_path).noise)) == {"schema": 1, "floors": []}


def test_the_newest_noise_of_the_engine_is_planned_with():
    def noise(engine, measured, replicates):
        return Noise("sft", engine, "e", {}, replicates, 1.0, 0.0, measured)

    known = Known(
        (
            noise("abba", "2026-11-19", 99),
            noise("lockstep", "2026-11-17", 12),
            noise("lockstep", "2026-11-18", 6),
        ),
        {},
    )
    assert known.of(SFT, "lockstep").measured == "2026-11-18"
    assert known.of(SFT, "abba").replicates == 99
    assert Known((), {}).of(SFT, "abba") is None


def test_a_floor_reaches_the_comparison_and_its_warning_is_gone(tmp_path):
    found = comparison(job(tmp_path, FLOOR))
    assert (found.floor, found.proven) == (0.00796817, True)
    assert "floor unknown" not in found.warnings


def test_what_does_not_reach_beyond_the_floor_is_not_proven(tmp_path):
    # The arm is 4.5 / 3.5 = 1.286 times as fast, log 0.251.
    assert not comparison(job(tmp_path, {**FLOOR, "floor": 0.26})).proven
    assert [one.score for one in result_of(tmp_path / "job").judgement.criteria] == ["CANNOT TELL"]


@pytest.mark.parametrize("change", [{"engine": "lockstep"}, {"environment": "x"}, {"metric": "rows_per_s"}])
def test_a_floor_of_something_else_is_no_floor(tmp_path, change):
    found = comparison(job(tmp_path, {**FLOOR, **change}))
    assert found.floor is None
    assert "floor unknown" in found.warnings


def mixed(folder, engine="lockstep") -> Path:
    """The job with its second replicate made by another engine."""
    for path in folder.glob("runs/sft/2/*/exit.json"):
        write(path, {**json.loads(path.read_text()), "engine": engine})
    return folder


def test_of_two_engines_the_larger_floor_counts(tmp_path):
    other = {**FLOOR, "engine": "lockstep", "floor": 0.02}
    assert comparison(mixed(job(tmp_path, FLOOR, other))).floor == 0.02


def test_of_two_engines_both_floors_must_be_known(tmp_path):
    assert comparison(mixed(job(tmp_path, FLOOR))).floor is None


def test_the_report_says_floor_replicates_and_age(tmp_path):
    assert lines(job(tmp_path, FLOOR)) == [
        "- A/A floor of sft on this machine: 0.8 % (tokens/s of the job, 6 replicates, abba, 3 days old)"
    ]


def test_the_age_is_counted_to_the_jobs_own_begin(tmp_path):
    assert lines(job(tmp_path, FLOOR, begin="2026-11-18T00:30:00+00:00"))[0].endswith("abba, 1 day old)")


@pytest.mark.parametrize(
    ("begun", "told"),
    [
        (date(2026, 11, 17), "measured the same day"),
        (date(2026, 11, 16), "measured the same day"),  # a clock that was set back
        (date(2026, 11, 18), "1 day old"),
        (date(2026, 12, 17), "30 days old"),
        (date(2026, 12, 18), "31 days old: measure it anew"),
        (None, "measured 2026-11-17"),
    ],
)
def test_an_age_reads_as_a_person_would_say_it(begun, told):
    assert age_text("2026-11-17", begun) == told


@pytest.mark.parametrize(
    ("log_ratio", "told"), [(0.00995033, "1 %"), (0.5, "64.9 %"), (0.693148, "100 %"), (2.5, "1,118 %")]
)
def test_a_log_ratio_is_told_as_a_share(log_ratio, told):
    assert floors.share_text(log_ratio) == told


def test_the_report_says_why_a_floor_is_unknown(tmp_path):
    assert lines(job(tmp_path)) == [
        "- A/A floor of sft on this machine: unknown (fewer than 6 fitting replicates of tokens/s of the job"
        " stored); paceline noise sft measures it"
    ]
    [line] = lines(job(tmp_path, {**FLOOR, "engine": "lockstep"}))
    assert "unknown (measured with another engine or other installed packages)" in line


def test_a_job_of_which_nobody_looked_up_the_noise_says_nothing(tmp_path):
    folder = job(tmp_path, FLOOR)
    (folder / "floors.json").unlink()
    assert lines(folder) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema": 2, "floors": []}',
        json.dumps({"schema": 1, "floors": [{**FLOOR, "floor": "high"}]}),
        json.dumps({"schema": 1, "floors": [{**FLOOR, "floor": -0.1}]}),
        json.dumps({"schema": 1, "floors": [{**FLOOR, "measured": "soon"}]}),
        json.dumps({"schema": 1, "floors": [{**FLOOR, "more": 1}]}),
        json.dumps({"schema": 1, "floors": [7]}),
    ],
)
def test_floors_that_cannot_be_read_are_unknown(tmp_path, text):
    folder = job(tmp_path)
    (folder / "floors.json").write_text(text)
    assert read_floors(folder) is None
    assert comparison(folder).floor is None


def test_a_job_with_a_floor_is_verified_and_a_changed_floor_is_named(tmp_path):
    folder = store_result(job(tmp_path, FLOOR))
    assert differences(folder) == []
    write(folder / "floors.json", {"schema": 1, "floors": [{**FLOOR, "floor": 0.0}]})
    assert any(line.startswith("result.json: comparisons[") for line in differences(folder))


def test_the_floor_of_a_foreign_recipe_is_nobodys(tmp_path):
    held = floors.floors_of(read_floors(job(tmp_path, {**FLOOR, "recipe": "dpo"})), made_plan(), [])
    assert held == {}

"""What was expected of a job, and what is said of it afterwards."""

import json
from dataclasses import replace

import pytest

from agent.floors import Known
from agent.forecast import forecast_lines, noise_files, read_forecasts, seconds_of
from agent.report import report_text
from agent.result import result_of
from agent.verify import differences
from bench.noise import Noise
from tests.agent.made_job import SFT, made_plan, store_result, write, write_job

FORECAST = {
    "recipe": "sft",
    "engine": "abba",
    "environment": "e",
    "run_s": 9.0,
    "between_s": 1.0,
    "spread": 0.01,
}
ENDED = {"schema": 1, "outcome": "finished", "begin_monotonic_s": 100.0, "end_monotonic_s": 170.0}
# Spread of a job_tokens_per_s: 0.010954; floor 0.011496.
NOISE = Noise("sft", "abba", "e", {"job_tokens_per_s": (0.01, -0.01) * 3}, 6, 9.0, 1.0, "2026-11-17")


def job(tmp_path, *forecasts, plan=None, **exits):
    folder = write_job(tmp_path / "job", plan)
    write(folder / "exit.json", {**ENDED, **exits})
    write(folder / "forecast.json", {"schema": 1, "forecasts": list(forecasts)})
    return folder


def lines(folder) -> list[str]:
    return [
        line for line in report_text(result_of(folder)).splitlines() if "expected" in line or "took" in line
    ]


def test_a_job_says_how_far_its_forecast_was_off(tmp_path):
    # Six runs of 9 + 1 s. Expected 4.302653 * 0.01 / sqrt(3) = 0.0248414. The log ratios are log(4.5 / 3.5),
    # log(4.52 / 3.52) and log(4.48 / 3.49): a spread of 0.00084093, a half width of 0.00208898.
    assert lines(job(tmp_path, FORECAST)) == [
        "- forecast 1 min 00 s, took 1 min 10 s (+16.7 %); sft: expected half width ±2.52 %, was ±0.209 %"
    ]


def test_a_job_that_ended_early_is_not_held_against_its_forecast_of_time(tmp_path):
    assert lines(job(tmp_path, FORECAST, outcome="cancelled")) == [
        "- sft: expected half width ±2.52 %, was ±0.209 %"
    ]


@pytest.mark.parametrize("change", [{"engine": "lockstep"}, {"environment": "x"}])
def test_a_forecast_of_something_else_is_none(tmp_path, change):
    assert lines(job(tmp_path, {**FORECAST, **change})) == []


def test_the_time_of_a_job_of_two_recipes_needs_both_forecasts(tmp_path):
    plan = made_plan(recipes=(SFT, replace(SFT, name="dpo")), criteria=())
    folder = job(tmp_path, FORECAST, plan=plan)
    for path in folder.glob("runs/dpo/*/*/exit.json"):
        write(path, {**json.loads(path.read_text()), "recipe": "dpo"})
    told = lines(folder)
    assert [line.partition(":")[0] for line in told] == ["- sft"]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schema": 1, "forecasts": [{}]}', '{"schema": 2, "forecasts": []}']
)
def test_a_forecast_that_cannot_be_read_is_none(tmp_path, text):
    folder = job(tmp_path)
    (folder / "forecast.json").write_text(text)
    assert read_forecasts(folder) == ()
    assert lines(folder) == []


def test_what_is_written_of_noise_comes_back(tmp_path):
    for name, data in noise_files([NOISE], made_plan()).items():
        (tmp_path / name).write_bytes(data)
    [forecast] = read_forecasts(tmp_path)
    assert (forecast.run_s, forecast.between_s) == (9.0, 1.0)
    assert forecast.spread == pytest.approx(0.0109545, abs=1e-7)


def test_without_noise_there_are_no_floors_and_no_forecast():
    [(name, data)] = noise_files([], made_plan()).items()
    assert (name, json.loads(data)) == ("floors.json", {"schema": 1, "floors": []})


def test_a_job_with_a_forecast_is_verified(tmp_path):
    assert differences(store_result(job(tmp_path, FORECAST))) == []


def test_the_seconds_of_a_job_are_those_of_all_its_runs():
    assert seconds_of(NOISE, 5, 2) == 100.0


def test_before_a_job_its_time_and_its_smallest_effect_are_said():
    # Three replicates of two arms, 10 s each. 0.011496 + 6.79561 * 0.0109545 / sqrt(3) = 0.0544754 log ratio.
    assert forecast_lines(made_plan(), Known((NOISE,), {})) == (
        "sft: about 1 min 00 s, smallest effect that would show: 5.6 %",
    )


def test_with_looks_time_and_effect_are_those_of_the_cap():
    # Twelve at 0.985: 0.011496 + 4.317151 * 0.0109545 / sqrt(12) = 0.0251479.
    plan = made_plan(replicates=12, looks=(3, 5, 8, 12))
    assert forecast_lines(plan, Known((NOISE,), {})) == (
        "sft: at most about 4 min 00 s, smallest effect that would show: 2.55 %",
    )


def test_without_noise_the_unknown_is_said():
    assert forecast_lines(made_plan(), Known((), {})) == (
        "sft: time and smallest effect are not known, paceline noise measures them",
    )
    bare = replace(NOISE, effects={})
    assert forecast_lines(made_plan(), Known((bare,), {})) == (
        "sft: about 1 min 00 s, smallest effect that would show: not known",
    )

"""The JSON document: the fields and types that were promised, and nothing that is not JSON."""

import json
import math

import pytest

from agent.errors import TaskError
from agent.result import document_of, json_text, result_of
from tests.agent.made_job import events_of, made_plan, made_raw, write, write_job
from tests.bench.raw_run import START, lines_of, owner_record, phase, step

NUMBER = (int, float)
# The example of issue 2, as field -> type.
TOP = {
    "schema": int,
    "plan": str,
    "verdict": dict,
    "arms": dict,
    "comparisons": list,
    "criteria": list,
    "claims": list,
    "runs": list,
}
COMPARISON = {
    "recipe": str,
    "metric": str,
    "baseline": str,
    "arm": str,
    "ratio": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "confidence": NUMBER,
    "p": NUMBER,
    "p_kind": str,
    "n": int,
    "floor": type(None),
    "proven": bool,
    "warnings": list,
}
CRITERION = {"text": str, "recipe": str, "metric": str, "arm": str, "target": NUMBER, "score": str}
RUN = {
    "recipe": str,
    "arm": str,
    "replicate": int,
    "outcome": str,
    "phases_s": dict,
    "rows": int,
    "steps": int,
    "tokens": int,
    "padded_tokens": int,
    "first_loss": NUMBER,
    "final_loss": NUMBER,
    "peak_memory_b": int,
}


def refuse(constant: str):
    raise AssertionError(f"{constant} is not JSON")


def document(folder) -> dict:
    return json.loads(json_text(result_of(folder)), parse_constant=refuse)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict:
    return document(write_job(tmp_path_factory.mktemp("result") / "job"))


def misfits(data: dict, fields: dict) -> list[str]:
    return [name for name, kind in fields.items() if name not in data or not isinstance(data[name], kind)]


def test_the_document_has_the_promised_fields(whole):
    assert misfits(whole, TOP) == []


def test_a_verdict_has_an_outcome_and_reasons(whole):
    assert misfits(whole["verdict"], {"outcome": str, "reasons": list}) == []
    assert misfits(whole["arms"]["optimized"], {"outcome": str, "reasons": list}) == []


def test_a_comparison_has_the_promised_fields(whole):
    [found] = [one for one in whole["comparisons"] if one["metric"] == "job_tokens_per_s"]
    assert misfits(found, COMPARISON) == []
    assert (found["n"], found["p_kind"], found["proven"]) == (3, "t", True)
    assert found["warnings"] == ["floor unknown"]


def test_a_criterion_has_the_promised_fields(whole):
    [found] = whole["criteria"]
    assert misfits(found, CRITERION) == []
    assert (found["text"], found["score"]) == ("sft:job_tokens_per_s>=1.1", "MET")


def test_a_run_has_the_promised_fields(whole):
    assert len(whole["runs"]) == 6
    assert [misfits(run, RUN) for run in whole["runs"]] == [[]] * 6


def test_a_runs_figures_are_those_of_its_raw_files(whole):
    [run] = [one for one in whole["runs"] if (one["arm"], one["replicate"]) == ("baseline", 1)]
    assert (run["rows"], run["steps"], run["tokens"], run["padded_tokens"]) == (8, 2, 200, 300)
    assert (run["first_loss"], run["final_loss"], run["peak_memory_b"]) == (2.0, 1.5, 5_000_000)
    assert run["phases_s"]["train"] == 2.0


def test_the_plans_hash_stands_in_the_document(whole):
    assert (whole["schema"], whole["plan"]) == (1, made_plan().hash)


def test_the_same_folder_gives_the_same_text(tmp_path):
    folder = write_job(tmp_path / "job")
    assert json_text(result_of(folder)) == json_text(result_of(folder))


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_losses_that_are_not_finite_are_null(tmp_path, loss):
    raws = {
        (arm, number): made_raw(
            arm, number, events=lines_of(events_of(1.0, number, (loss, loss))), owner=owner_record(end=19.0)
        )
        for arm in ("baseline", "optimized")
        for number in (1, 2, 3)
    }
    runs = document(write_job(tmp_path / "job", raws=raws))["runs"]
    assert {(run["outcome"], run["first_loss"], run["final_loss"]) for run in runs} == {("NaN", None, None)}


def test_a_held_out_loss_that_is_not_finite_is_null(tmp_path):
    events = lines_of(events_of(1.0, 1, heldout=math.nan))
    raws = {("optimized", 1): made_raw("optimized", 1, events=events, owner=owner_record(end=19.0))}
    runs = document(write_job(tmp_path / "job", raws=raws))["runs"]
    [run] = [one for one in runs if (one["arm"], one["replicate"]) == ("optimized", 1)]
    assert run["eval"]["loss"] is None


def test_held_out_losses_that_are_nowhere_finite_give_no_number(tmp_path):
    raws = {
        ("optimized", number): made_raw(
            "optimized",
            number,
            events=lines_of(events_of(1.0, number, heldout=math.inf)),
            owner=owner_record(end=19.0),
        )
        for number in (1, 2, 3)
    }
    compared = document(write_job(tmp_path / "job", raws=raws))["comparisons"]
    assert [one["ratio"] for one in compared if one["metric"] == "heldout_loss"] == [None]


def test_a_job_without_any_run_has_no_comparison_and_cannot_tell(tmp_path):
    folder = write_job(tmp_path / "job")
    for path in folder.glob("runs/*/*/*/exit.json"):
        path.unlink()
    found = document(folder)
    assert (found["verdict"]["outcome"], found["comparisons"], found["runs"]) == ("CANNOT TELL", [], [])


def test_a_job_that_has_not_ended_says_null(tmp_path):
    folder = write_job(tmp_path / "job")
    (folder / "exit.json").unlink()
    assert document(folder)["ended"] is None


def test_a_folder_of_something_else_is_no_job_folder(tmp_path):
    with pytest.raises(TaskError, match=r"is not a job folder: it has no plan\.json and job\.json"):
        result_of(tmp_path)


def test_a_plan_that_is_not_the_jobs_is_refused_with_both_hashes(tmp_path):
    folder = write_job(tmp_path / "job")
    other = made_plan(replicates=4)
    write(folder / "plan.json", other.to_dict())
    with pytest.raises(TaskError) as caught:
        result_of(folder)
    assert f"its hash is {other.hash[:12]}, the job's is {made_plan().hash[:12]}" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 2}'])
def test_a_plan_that_cannot_be_read_is_one_line(tmp_path, text):
    folder = write_job(tmp_path / "job")
    (folder / "plan.json").write_text(text)
    with pytest.raises(TaskError, match=r"^[^\n]*cannot be read[^\n]*$"):
        result_of(folder)


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "eval", "loss": 1.0},
        {"kind": []},
        phase("other", 18.0, 18.5, rss="much"),
    ],
)
def test_one_odd_line_of_a_self_reporting_subject_does_not_cost_the_whole_job(tmp_path, event):
    begun = [START, phase("other", 17.0, 18.0, rss=1), step(1, 15.0, 16.0), event]
    odd = made_raw("optimized", 1, events=lines_of(begun, None), record={"events": "own"})
    folder = write_job(tmp_path / "job", raws={("optimized", 1): odd})
    assert len(document_of(result_of(folder))["runs"]) == 6

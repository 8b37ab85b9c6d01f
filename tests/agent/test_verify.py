"""`paceline verify`: nothing to say of an untouched folder; one changed digit is named with its place."""

import json
import shutil
from pathlib import Path

import pytest

from agent.errors import TaskError
from agent.marker import Key, Marker, Place, render
from agent.result import result_of
from agent.result_bodies import results_payload, results_text
from agent.verify import MOST_LINES, differences
from bench.worker.files import sha256_of
from tests.agent.made_job import events_of, made_raw, store_result, write_job
from tests.bench.raw_run import lines_of, owner_record
from tests.bench.test_spoiled import CROWDED

RUN = "runs/sft/1/optimized"


@pytest.fixture
def job(tmp_path) -> Path:
    return store_result(write_job(tmp_path / "job"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_an_untouched_folder_is_identical(job):
    assert differences(job) == []


def test_a_folder_that_was_moved_is_identical(job, tmp_path):
    assert differences(job.rename(tmp_path / "elsewhere")) == []


def test_a_digit_in_an_event_is_named_with_its_file_and_line(job):
    change(job / RUN / "events.jsonl", '"loss": 1.5', '"loss": 1.4')
    said = differences(job)[0]
    assert said.startswith(f"{RUN}/events.jsonl: not the file that was measured: line 10 was not written by")


def test_a_digit_in_the_log_is_named_with_its_file(tmp_path):
    logged = {("optimized", 1): made_raw("optimized", 1, log="step 1\n")}
    folder = store_result(write_job(tmp_path / "job", raws=logged))
    change(folder / RUN / "log", "step 1", "step 2")
    assert differences(folder) == [f"{RUN}/log: not the file that was measured"]


def test_a_digit_in_the_stored_comparisons_is_named_with_both_values(job):
    stored = json.loads((job / "result.json").read_text())
    place = next(n for n, c in enumerate(stored["comparisons"]) if c["metric"] == "rows")
    stored["comparisons"][place]["arm_value"] = 9
    (job / "result.json").write_text(json.dumps(stored))
    assert differences(job) == [f"result.json: comparisons[{place}].arm_value is 9, the runs give 8"]


def test_a_field_that_does_not_belong_to_the_result_is_named(job):
    change(job / "result.json", '"schema": 1,', '"schema": 1, "more": 7,')
    assert differences(job) == ["result.json: more is 7, the runs give null"]


def test_a_digit_in_the_report_is_named_with_its_line(job):
    change(job / "report.md", "57.1 tok/s", "67.1 tok/s")
    [said] = differences(job)
    number = 1 + next(
        n for n, line in enumerate((job / "report.md").read_text().split("\n")) if "67.1" in line
    )
    assert said.startswith(f"report.md: line {number} is ")


def test_a_line_that_was_cut_off_the_report_is_counted(job):
    text = (job / "report.md").read_text()
    (job / "report.md").write_text(text + "bought\n")
    count = text.count("\n") + 1
    assert f"report.md: {count + 1} lines, the runs give {count}" in differences(job)


def test_a_digit_in_the_plan_refuses_the_folder(job):
    change(job / "plan.json", '"replicates": 3', '"replicates": 2')
    with pytest.raises(TaskError, match=r"plan\.json was changed: its hash is"):
        differences(job)


def test_a_digit_in_an_exit_record_is_named(job):
    change(job / RUN / "exit.json", '"user_s": 9.0', '"user_s": 8.0')
    [said] = differences(job)
    assert said.startswith("result.json: runs[1].files.exit.json is ")


def test_the_owners_time_is_covered_with_its_run(job):
    change(job / RUN / "exit.json", '"end": 19.0', '"end": 19.4')
    assert any(line.startswith("result.json: runs[1].wall_s is 9.0, ") for line in differences(job))


def test_a_digest_changed_along_with_its_file_still_shows(job):
    events = job / RUN / "events.jsonl"
    old = sha256_of(events)
    change(events, '"loss": 1.5', '"loss": 1.4')
    change(job / RUN / "exit.json", old, sha256_of(events))
    assert any(line.startswith("result.json: ") for line in differences(job))


def test_a_digit_in_what_the_machine_is_is_named(job):
    change(job / "host.json", '"cores": 2', '"cores": 4')
    assert differences(job) == ["result.json: host.cores is 2, the runs give 4"]


def test_a_comment_is_held_against_the_runs_of_the_job_that_it_names(tmp_path):
    """Two attempts at one plan: what was said of the first is not what the second gives."""
    jobs = [store_result(write_job(tmp_path / "jobs" / name)) for name in ("a1", "a2")]
    again = made_raw("optimized", 1, events=lines_of(events_of(1.5, 1)), owner=owner_record(end=19.5))
    again.write(jobs[1] / RUN)
    store_result(jobs[1])
    first = result_of(jobs[0])
    marker = Marker("results", 1, results_text(first, 1.0, 0.5), results_payload(first, 1.0, 0.5))
    body = render(marker, Place(42, 7), Key("0123abcd", b"k" * 32))
    comments = {"issue": {"body": ""}, "comments": [{"body": body}]}
    (tmp_path / "issue.json").write_text(json.dumps(comments))
    assert differences(tmp_path) == []
    shutil.rmtree(jobs[0])
    assert differences(tmp_path) == ["issue.json: results v1: no stored runs of its job"]


def test_missing_events_are_named(job):
    (job / RUN / "events.jsonl").unlink()
    assert f"{RUN}/events.jsonl: missing" in differences(job)


def test_a_missing_exit_record_is_named(job):
    (job / RUN / "exit.json").unlink()
    assert any(RUN in line and "missing" in line for line in differences(job))


def test_what_was_set_aside_is_held_against_its_files_too(tmp_path):
    folder = write_job(tmp_path / "job")
    made_raw("baseline", 2, gpu=CROWDED).write(folder / "runs/sft/2/baseline~1")
    store_result(folder)
    assert differences(folder) == []
    change(folder / "runs/sft/2/baseline~1/gpu.csv", "9000", "90")
    assert any(line.startswith("runs/sft/2/baseline~1/gpu.csv: not the file") for line in differences(folder))
    shutil.rmtree(folder / "runs/sft/2/baseline~1")
    assert differences(folder) != []


def test_a_missing_run_shows(job):
    (job / RUN / "exit.json").unlink()
    assert differences(job) != []


def test_a_missing_report_is_named(job):
    (job / "report.md").unlink()
    assert differences(job) == ["report.md: missing"]


def test_a_report_that_is_no_text_is_named(job):
    (job / "report.md").write_bytes(b"\xff")
    assert differences(job)[0].startswith("report.md: ")


def test_a_missing_result_says_that_the_job_was_never_summed_up(job):
    (job / "result.json").unlink()
    with pytest.raises(TaskError, match=r"has no result\.json: the job was never summed up"):
        differences(job)


def test_a_result_that_is_not_json_is_named(job):
    (job / "result.json").write_text("{")
    assert [line.partition(":")[0] for line in differences(job)] == ["result.json"]


def test_of_many_differences_the_first_stand_there_and_the_rest_is_counted(job):
    stored = json.loads((job / "result.json").read_text())
    for comparison in stored["comparisons"]:
        comparison.update(n=4, confidence=0.9)
    (job / "result.json").write_text(json.dumps(stored))
    more = 2 * len(stored["comparisons"]) - MOST_LINES
    assert differences(job)[MOST_LINES:] == [f"and {more} more"]

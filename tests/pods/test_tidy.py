"""What may go from a workspace: by name, only what has ended, and nothing outside it."""

from __future__ import annotations

import os

import pytest

from pods.supervisor import tidy


@pytest.fixture
def workspace(tmp_path):
    for name in ("ended-a1", "running-a1"):
        (tmp_path / "jobs" / name / "runs").mkdir(parents=True)
        (tmp_path / "jobs" / name / "runs" / "events.jsonl").write_bytes(b"x" * 10_000)
    (tmp_path / "jobs" / "ended-a1" / "exit.json").write_text("{}")
    (tmp_path / "environments" / "abc").mkdir(parents=True)
    (tmp_path / "environments" / "abc" / "complete").touch()
    return tmp_path


def test_what_there_is_comes_with_its_size_and_age(workspace):
    os.utime(workspace / "environments" / "abc" / "complete", (1, 1))
    found = tidy.listed(workspace)
    assert {name: job["has_ended"] for name, job in found["jobs"].items()} == {
        "ended-a1": True,
        "running-a1": False,
    }
    assert found["jobs"]["ended-a1"]["size_b"] >= 10_000
    assert found["environments"]["abc"]["age_s"] > 10**8
    assert tidy.listed(workspace / "nowhere") == {"jobs": {}, "environments": {}}


def test_only_what_has_ended_goes(workspace):
    told = tidy.remove(workspace, ["ended-a1", "running-a1", "gone"], ["abc"])
    assert told == {
        "removed": ["ended-a1", "abc"],
        "kept": {"running-a1": "has not ended", "gone": "not there"},
    }
    assert sorted(path.name for path in (workspace / "jobs").iterdir()) == ["running-a1"]


@pytest.mark.parametrize("name", ["..", "../environments", ".hidden", "a/b", ""])
def test_a_name_that_leads_elsewhere_is_none(workspace, name):
    assert list(tidy.remove(workspace, [name], [name])["kept"].values()) == ["not a name"]
    assert (workspace / "environments" / "abc").exists()


def test_a_link_is_not_followed(workspace, tmp_path):
    (workspace / "jobs" / "link").symlink_to(workspace / "jobs" / "ended-a1")
    assert tidy.remove(workspace, ["link"], [])["kept"] == {"link": "not there"}


def test_folders_that_a_subject_locked_go_too(workspace):
    locked = workspace / "jobs" / "ended-a1" / "runs"
    locked.chmod(0o500)
    assert tidy.remove(workspace, ["ended-a1"], [])["removed"] == ["ended-a1"]
    assert [path.name for path in (workspace / "jobs").iterdir()] == ["running-a1"]


def test_scratch_of_a_killed_process_goes_after_a_day(workspace):
    for name, age_s in ((".old.tmp", 2 * tidy.SCRATCH_S), (".new.tmp", 0.0)):
        (workspace / "jobs" / name).mkdir()
        moment = os.stat(workspace).st_mtime - age_s
        os.utime(workspace / "jobs" / name, (moment, moment))
    tidy.remove(workspace, [], [])
    assert sorted(path.name for path in (workspace / "jobs").glob(".*")) == [".new.tmp"]


def test_an_environment_that_a_job_may_use_stays(workspace):
    running = workspace / "jobs" / "running-a1" / "job.json"
    running.write_text("{}")
    os.utime(running, (100, 100))
    complete = workspace / "environments" / "abc" / "complete"
    os.utime(complete, (200, 200))
    assert tidy.remove(workspace, [], ["abc"])["kept"] == {"abc": "job running-a1 may use it"}
    os.utime(complete, (50, 50))
    assert tidy.remove(workspace, [], ["abc"])["removed"] == ["abc"]

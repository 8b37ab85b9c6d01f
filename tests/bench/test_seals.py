"""What the worker wrote stays: every way to change it is seen, named and mended."""

import os

import pytest

from bench.worker import seals
from bench.worker.seals import Seals


@pytest.fixture
def job(tmp_path):
    """A job folder with a hook and the record of one earlier run."""
    (tmp_path / "hook" / "inner").mkdir(parents=True)
    (tmp_path / "hook" / "inner" / "a.py").write_text("pass\n")
    run = tmp_path / "runs" / "sft" / "1" / "baseline"
    run.mkdir(parents=True)
    (run / "exit.json").write_text("{}\n")
    (run / "events.jsonl").write_text("x" * 50)
    return tmp_path


@pytest.fixture
def sealed(job):
    made = Seals(job, job / "runs")
    made.seal([job / "hook", job / "runs" / "sft" / "1" / "baseline" / "events.jsonl"])
    return made


HOOK = "hook/inner/a.py"
RECORD = "runs/sft/1/baseline/exit.json"


def test_nothing_is_said_of_what_nobody_touched(job, sealed):
    (job / HOOK).read_text()
    assert sealed.mend() == []
    assert sealed.mend() == []


def rewrite(path):
    path.write_text("evil\n")


def rewrite_with_the_times_it_had(path):
    stat = path.stat()
    path.write_text("evil\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def replace(path):
    other = path.with_name("other")
    other.write_text("evil\n")
    other.replace(path)


def link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def folder(path):
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


def delete_all(path):
    path.unlink()
    path.parent.rename(path.parent.with_name("away"))


@pytest.mark.parametrize(
    "change", [rewrite, rewrite_with_the_times_it_had, replace, link, folder, delete_all]
)
@pytest.mark.parametrize("name", [HOOK, RECORD])
def test_every_change_is_named_and_put_back(job, sealed, change, name):
    before = (job / name).read_text()
    change(job / name)
    assert name in sealed.mend()
    assert (job / name).read_text() == before
    assert not (job / name).is_symlink()
    assert sealed.mend() == []


def test_a_file_that_was_added_to_a_sealed_folder_is_named_and_removed(job, sealed):
    (job / "hook" / "sitecustomize.py").write_text("evil\n")
    assert sealed.mend() == ["hook/sitecustomize.py"]
    assert not (job / "hook" / "sitecustomize.py").exists()


def test_bytecode_goes_without_a_word(job, sealed):
    (job / "hook" / "__pycache__").mkdir()
    (job / "hook" / "__pycache__" / "a.cpython-312.pyc").write_bytes(b"whose?")
    assert sealed.mend() == []
    assert not list((job / "hook").rglob("*.pyc"))


def test_the_record_of_a_run_that_nobody_made_is_named_and_removed(job, sealed):
    planted = job / "runs" / "sft" / "2" / "optimized"
    planted.mkdir(parents=True)
    (planted / "exit.json").write_text("{}")
    assert not sealed.holds(planted / "exit.json")
    assert sealed.mend() == ["runs/sft/2/optimized/exit.json"]
    assert not (planted / "exit.json").exists()


def test_a_record_that_is_a_folder_is_removed(job, sealed):
    (job / "runs" / "sft" / "2" / "optimized" / "exit.json" / "x").mkdir(parents=True)
    assert sealed.mend() == ["runs/sft/2/optimized/exit.json"]
    assert not (job / "runs" / "sft" / "2" / "optimized" / "exit.json").exists()


def test_records_of_a_worker_before_this_one_hold(job):
    assert Seals(job, job / "runs").holds(job / RECORD)


def test_a_run_that_is_made_anew_may_change_its_files(job, sealed):
    sealed.open((job / RECORD).parent)
    (job / RECORD).unlink()
    (job / RECORD).with_name("events.jsonl").unlink()
    assert not sealed.holds(job / RECORD)
    assert sealed.mend() == []


def test_a_large_file_is_told_once_and_not_put_back(job, monkeypatch):
    monkeypatch.setattr(seals, "KEPT_B", 10)
    made = Seals(job, job / "runs")
    events = (job / RECORD).with_name("events.jsonl")
    made.seal([events])
    events.write_text("evil")
    assert made.mend() == ["runs/sft/1/baseline/events.jsonl"]
    assert events.read_text() == "evil"
    assert made.mend() == []

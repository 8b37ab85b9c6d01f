"""What a job left is taken away: whole, only once, and nothing that leads elsewhere."""

from __future__ import annotations

import hashlib
import os

import pytest

from pods import fetch as fetching
from pods import job
from pods.fetch import Fetched, fetch
from pods.job import JobSpec
from pods.paths import JobPaths
from pods.shell import PodError
from pods.supervisor import files

pytestmark = pytest.mark.ssh


@pytest.fixture
def there(daemon):
    """A prepared job on a real pod, with two runs in it."""
    paths = JobPaths(daemon.pod().workspace / "jobs" / "x-1-0123456789ab-a1")
    shell = daemon.shell()
    spec = JobSpec(paths, "x", "0123456789ab", "cpu", 60.0, ("true",))
    assert job.prepare(shell, spec, {"plan.json": b"{}", "worker.json": b"{}"}) == job.Prepared()
    for arm in ("baseline", "optimized"):
        folder = paths.runs / "sft" / "1" / arm
        folder.mkdir(parents=True)
        (folder / "events.jsonl").write_bytes(os.urandom(200_000))
        (folder / "exit.json").write_text("{}")
    return shell, paths


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_runs_and_records_arrive_as_they_are_and_a_repeat_takes_nothing(there, tmp_path):
    shell, paths = there
    assert fetch(shell, paths, tmp_path / "copy").taken == 7
    copy, original = tree(tmp_path / "copy"), tree(paths.root)
    assert copy == {name: original[name] for name in copy}
    assert set(copy) == {
        "job.json",
        "plan.json",
        "worker.json",
        *(
            f"runs/sft/1/{arm}/{name}"
            for arm in ("baseline", "optimized")
            for name in ("events.jsonl", "exit.json")
        ),
    }
    assert fetch(shell, paths, tmp_path / "copy") == Fetched(0, {}, ())


def test_only_what_has_changed_comes_again(there, tmp_path):
    shell, paths = there
    fetch(shell, paths, tmp_path / "copy")
    (paths.runs / "sft/1/baseline/exit.json").write_text('{"n": 2}')
    (tmp_path / "copy/runs/sft/1/optimized/events.jsonl").write_text("spoiled here")
    assert fetch(shell, paths, tmp_path / "copy").taken == 2
    assert tree(tmp_path / "copy/runs") == tree(paths.runs)


def test_many_files_come_in_several_bundles(there, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "BUNDLE_B", 250_000)
    shell, paths = there
    assert fetch(shell, paths, tmp_path / "copy").taken == 7
    assert tree(tmp_path / "copy/runs") == tree(paths.runs)


def test_links_and_pipes_are_left_where_they_are(there, tmp_path):
    shell, paths = there
    folder = paths.runs / "sft/1/baseline"
    (folder / "shadow").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    (folder / "elsewhere").symlink_to("/etc", target_is_directory=True)
    left = fetch(shell, paths, tmp_path / "copy").left
    assert set(left) == {"runs/sft/1/baseline/shadow", "runs/sft/1/baseline/pipe"}
    assert not (tmp_path / "copy/runs/sft/1/baseline/shadow").exists()
    assert not (tmp_path / "copy/runs/sft/1/baseline/elsewhere").exists()


def test_what_is_too_large_is_named(there, tmp_path):
    shell, paths = there
    with (paths.runs / "sft/1/baseline/log").open("wb") as file:
        file.truncate(files.LARGEST_B + 1)
    assert fetch(shell, paths, tmp_path / "copy").left == {"runs/sft/1/baseline/log": "2147483649 bytes"}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
def test_a_pod_cannot_write_outside_the_copy(name, tmp_path):
    with pytest.raises(PodError, match="a pod names a file"):
        fetching._inside(tmp_path, name)


def test_a_job_that_is_not_there_is_told(daemon, tmp_path):
    with pytest.raises(PodError, match="there is no job folder"):
        fetch(daemon.shell(), JobPaths(daemon.pod().workspace / "jobs" / "x"), tmp_path)


def test_a_large_file_comes_piece_by_piece_and_whole(there, tmp_path, monkeypatch):
    shell, paths = there
    monkeypatch.setattr(fetching, "BUNDLE_B", 1 << 20)
    large = paths.runs / "sft" / "1" / "baseline" / "events.jsonl"
    large.write_bytes(os.urandom(2_500_000))
    assert fetch(shell, paths, tmp_path / "copy").taken == 7
    copied = tmp_path / "copy" / large.relative_to(paths.root)
    assert copied.read_bytes() == large.read_bytes()
    assert not list(copied.parent.glob(".*"))
    assert fetch(shell, paths, tmp_path / "copy").taken == 0


def test_a_large_file_that_grows_meanwhile_is_told_and_taken_at_the_next_call(there, tmp_path, monkeypatch):
    shell, paths = there
    monkeypatch.setattr(fetching, "BUNDLE_B", 1 << 20)
    large = paths.runs / "sft" / "1" / "baseline" / "events.jsonl"
    large.write_bytes(os.urandom(2_500_000))
    piece = fetching._piece

    def changed(*arguments):
        large.write_bytes(bytes(2_500_000))
        return piece(*arguments)

    monkeypatch.setattr(fetching, "_piece", changed)
    assert fetch(shell, paths, tmp_path / "copy").moving == ("runs/sft/1/baseline/events.jsonl",)
    assert fetch(shell, paths, tmp_path / "copy").moving == ()

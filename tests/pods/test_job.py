"""Jobs from prepare to exit record, through this machine's shell and the packed supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pods import job
from pods.job import JobSpec
from pods.shell import Completed
from pods.shell_local import LocalShell
from pods.supervisor import process
from tests.pods.processes import HOSTILE_NAMES, eventually, is_alive, pid_in, stubborn, stubborn_child

Launch = Callable[..., JobSpec]


class Impatient(LocalShell):
    """Kills every command after a moment."""

    def __init__(self, patience_s: float) -> None:
        super().__init__()
        self.patience_s = patience_s

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        return super().run(argv, **{**options, "timeout_s": self.patience_s})


def ended(shell: LocalShell, spec: JobSpec) -> job.Exit:
    eventually(lambda: isinstance(job.observe(shell, spec.paths), job.Finished))
    seen = job.observe(shell, spec.paths)
    assert isinstance(seen, job.Finished)
    return seen.exit


def supervisor_pid(shell: LocalShell, spec: JobSpec) -> int:
    seen = job.observe(shell, spec.paths)
    assert isinstance(seen, job.Running)
    return seen.pid


def owner_pid(spec: JobSpec) -> int:
    """The process between the supervisor and the worker."""
    eventually(lambda: list(spec.paths.started.glob("*-*.json")))
    (path,) = spec.paths.started.glob("*-*.json")
    return json.loads(path.read_text())["owner"]["pid"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_job_runs_whatever_its_folder_is_called(
    shell: LocalShell, launched: Launch, tmp_path: Path, name: str
) -> None:
    command = ("sh", "-c", 'pwd; echo "$GREETING"')
    spec = launched(*command, name="job", root=tmp_path / name, env={"GREETING": "hello ; 'world'"})
    assert ended(shell, spec).outcome == "finished"
    assert spec.paths.log.read_text() == f"{spec.paths.root}\nhello ; 'world'\n"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_not_there_is_absent(shell: LocalShell, spec_of: Launch) -> None:
    assert job.observe(shell, spec_of("true").paths) == job.Absent()


def test_a_prepared_job_holds_its_files_and_has_not_run(shell: LocalShell, spec_of: Launch) -> None:
    spec = spec_of("touch", "ran")
    assert job.prepare(shell, spec, {"plan.json": b"{}", "runs/x/y": b"z"}) == job.Prepared()
    assert job.observe(shell, spec.paths) == job.Prepared()
    assert (spec.paths.runs / "x" / "y").read_bytes() == b"z"
    assert not (spec.paths.root / "ran").exists()


def test_preparing_twice_changes_nothing(shell: LocalShell, spec_of: Launch) -> None:
    spec = spec_of("true")
    job.prepare(shell, spec, {"plan.json": b"first"})
    assert job.prepare(shell, spec, {"plan.json": b"second"}) == job.AlreadyThere(is_same=True)
    assert job.prepare(shell, replace(spec, limit_s=1.0), {}) == job.AlreadyThere(is_same=False)
    assert spec.paths.plan.read_bytes() == b"first"
    assert [path.name for path in spec.paths.root.parent.iterdir()] == ["job"]


def test_a_prepare_killed_at_any_moment_leaves_all_or_nothing(shell: LocalShell, spec_of: Launch) -> None:
    spec = spec_of("true")
    files = {f"file{number}": bytes(1000) for number in range(20)}
    for patience_s in (0.03, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12):
        with contextlib.suppress(job.PodError):
            job.prepare(Impatient(patience_s), spec, files)
        seen = job.observe(shell, spec.paths)
        assert seen == job.Absent() or all((spec.paths.root / name).exists() for name in files)
    job.prepare(shell, spec, files)
    assert job.observe(shell, spec.paths) == job.Prepared()


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_a_file_that_would_leave_the_folder_is_refused(shell: LocalShell, spec_of: Launch, name: str) -> None:
    spec = spec_of("true")
    with pytest.raises(job.PodError, match="leaves the job folder"):
        job.prepare(shell, spec, {name: b""})
    assert list(spec.paths.root.parent.iterdir()) == []


def test_launching_what_is_not_prepared_is_an_error(shell: LocalShell, spec_of: Launch) -> None:
    with pytest.raises(job.PodError, match="no job folder"):
        job.launch(shell, spec_of("true").paths)


def test_many_launches_at_once_start_one(shell: LocalShell, spec_of: Launch) -> None:
    spec = spec_of("sh", "-c", "echo started >> starts; sleep 1000")
    job.prepare(shell, spec, {})
    answers: list[job.Launched | job.NotLaunched] = []
    threads = [
        threading.Thread(target=lambda: answers.append(job.launch(shell, spec.paths))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert set(answers) == {job.launch(shell, spec.paths)}
    assert isinstance(answers[0], job.Launched)
    eventually((spec.paths.root / "starts").exists)
    job.cancel(shell, spec.paths)
    assert (spec.paths.root / "starts").read_text() == "started\n"


def test_a_job_that_has_ended_is_not_launched_again(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sh", "-c", "echo started >> starts")
    ended(shell, spec)
    assert isinstance(job.launch(shell, spec.paths), job.NotLaunched)
    assert (spec.paths.root / "starts").read_text() == "started\n"


def test_the_supervisor_belongs_to_no_terminal_and_no_caller(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sleep", "1000")
    pid = supervisor_pid(shell, spec)
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert os.getpid() != int(fields[1])
    assert int(fields[3]) not in (os.getsid(0), 0)
    assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
    job.cancel(shell, spec.paths)


def test_a_worker_that_fails_is_a_crash_with_its_status(shell: LocalShell, launched: Launch) -> None:
    exit_record = ended(shell, launched("sh", "-c", "exit 4"))
    assert (exit_record.outcome, exit_record.status) == ("crashed", 4)


def test_a_worker_that_is_killed_is_a_crash_with_its_signal(shell: LocalShell, launched: Launch) -> None:
    exit_record = ended(shell, launched("sh", "-c", "kill -KILL $$"))
    assert (exit_record.outcome, exit_record.signal) == ("crashed", 9)


def test_a_worker_that_does_not_exist_is_not_started(shell: LocalShell, launched: Launch) -> None:
    exit_record = ended(shell, launched("no-such-worker"))
    assert exit_record.outcome == "not started"
    assert "no-such-worker" in str(exit_record.detail)


def test_a_job_past_its_hard_end_is_timed_out(shell: LocalShell, launched: Launch) -> None:
    assert ended(shell, launched("sleep", "1000", limit_s=0.5)).outcome == "timed out"


def test_a_job_without_a_readable_job_json_is_not_started(shell: LocalShell, spec_of: Launch) -> None:
    spec = spec_of("true")
    job.prepare(shell, spec, {})
    spec.paths.job.write_text('{"schema": 99}')
    job.launch(shell, spec.paths)
    exit_record = ended(shell, spec)
    assert exit_record.outcome == "not started"
    assert "schema 99" in str(exit_record.detail)


def test_what_the_worker_leaves_behind_is_ended_before_the_exit_record(
    shell: LocalShell, launched: Launch, tmp_path: Path, ids_to_end: list[int]
) -> None:
    spec = launched("sh", "-c", stubborn(tmp_path / "pid"))
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    exit_record = ended(shell, spec)
    assert not is_alive(pid)
    assert (exit_record.survivors, exit_record.left) == (1, ())


def test_progress_is_handed_on_as_it_stands(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sh", "-c", "echo '{not json' > progress.json")
    ended(shell, spec)
    seen = job.observe(shell, spec.paths)
    assert isinstance(seen, job.Finished)
    assert seen.progress == "{not json\n"


def test_the_heart_beats_while_the_worker_works(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sleep", "1000")

    def beat() -> int:
        return json.loads(spec.paths.heartbeat.read_text())["count"] if spec.paths.heartbeat.exists() else 0

    eventually(lambda: beat() >= 2)
    seen = job.observe(shell, spec.paths)
    assert isinstance(seen, job.Running)
    assert seen.heartbeat_age_s is not None
    assert 0 <= seen.heartbeat_age_s < 10
    job.cancel(shell, spec.paths)


def test_a_cancelled_worker_may_write_what_it_measured(shell: LocalShell, launched: Launch) -> None:
    spec = launched(
        "sh", "-c", "trap 'echo kept > result; exit 0' TERM; touch ready; sleep 1000 & wait", grace_s=20.0
    )
    eventually((spec.paths.root / "ready").exists)
    assert job.cancel(shell, spec.paths) == job.Cancelled(has_ended=True, left=())
    assert ended(shell, spec).outcome == "cancelled"
    assert (spec.paths.root / "result").read_text() == "kept\n"


def test_nothing_survives_a_cancel(
    shell: LocalShell, launched: Launch, tmp_path: Path, ids_to_end: list[int]
) -> None:
    script = (
        f"trap '' TERM; {stubborn_child(tmp_path / 'pid')}; echo $$ > worker; while :; do sleep 0.1; done"
    )
    spec = launched("sh", "-c", script)
    ids_to_end += [pid_in(tmp_path / "pid"), pid_in(spec.paths.root / "worker")]
    assert job.cancel(shell, spec.paths).has_ended
    assert not any(map(is_alive, ids_to_end))
    assert ended(shell, spec).outcome == "cancelled"


def test_a_stopped_supervisor_can_be_cancelled(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sleep", "1000")
    os.kill(supervisor_pid(shell, spec), signal.SIGSTOP)
    argv = [shell.python, str(spec.paths.supervisor), "cancel", str(spec.paths.root), "--wait-s", "0.2"]
    done = shell.run(argv, timeout_s=60)
    assert json.loads(done.out) == {"ended": True, "left": []}
    assert isinstance(job.observe(shell, spec.paths), job.Finished)


def test_the_file_stop_is_enough_to_cancel(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sleep", "1000")
    spec.paths.stop.touch()
    assert ended(shell, spec).outcome == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_supervisor_cancels(
    shell: LocalShell, launched: Launch, number: signal.Signals
) -> None:
    spec = launched("sleep", "1000")
    os.kill(supervisor_pid(shell, spec), number)
    assert ended(shell, spec).outcome == "cancelled"


def test_a_job_cancelled_before_its_launch_never_runs(shell: LocalShell, spec_of: Launch) -> None:
    spec = spec_of("touch", "ran")
    job.prepare(shell, spec, {})
    assert job.cancel(shell, spec.paths).has_ended
    assert isinstance(job.launch(shell, spec.paths), job.NotLaunched)
    assert ended(shell, spec).outcome == "cancelled"
    assert not (spec.paths.root / "ran").exists()


def test_cancelling_again_is_harmless(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sh", "-c", "exit 0")
    ended(shell, spec)
    assert job.cancel(shell, spec.paths) == job.Cancelled(has_ended=True, left=())
    assert ended(shell, spec).outcome == "finished"


def test_a_killed_supervisor_takes_its_worker_along_and_is_lost(
    shell: LocalShell, launched: Launch, tmp_path: Path, ids_to_end: list[int]
) -> None:
    script = f"{stubborn_child(tmp_path / 'pid')}; echo $$ > worker; while :; do sleep 0.1; done"
    spec = launched("sh", "-c", script)
    ids_to_end += [pid_in(tmp_path / "pid"), pid_in(spec.paths.root / "worker")]
    os.kill(supervisor_pid(shell, spec), signal.SIGKILL)
    eventually(lambda: isinstance(job.observe(shell, spec.paths), job.Lost))
    eventually(lambda: not any(map(is_alive, ids_to_end)))


def test_a_lost_job_is_buried_not_run_again(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sh", "-c", "echo started >> starts; exec sleep 1000")
    eventually((spec.paths.root / "starts").exists)
    os.kill(supervisor_pid(shell, spec), signal.SIGKILL)
    eventually(lambda: isinstance(job.observe(shell, spec.paths), job.Lost))
    assert isinstance(job.launch(shell, spec.paths), job.NotLaunched)
    assert job.cancel(shell, spec.paths).has_ended
    exit_record = ended(shell, spec)
    assert (exit_record.outcome, exit_record.detail) == ("crashed", "the supervisor was killed")
    assert (spec.paths.root / "starts").read_text() == "started\n"


def test_a_killed_owner_is_a_crash_and_leaves_nothing(
    shell: LocalShell, launched: Launch, tmp_path: Path, ids_to_end: list[int]
) -> None:
    spec = launched("sh", "-c", f"{stubborn_child(tmp_path / 'pid')}; echo $$ > worker; sleep 1000")
    ids_to_end += [pid_in(tmp_path / "pid"), pid_in(spec.paths.root / "worker")]
    os.kill(owner_pid(spec), signal.SIGKILL)
    exit_record = ended(shell, spec)
    assert (exit_record.outcome, exit_record.detail) == ("crashed", "the owner of the worker was killed")
    assert not any(map(is_alive, ids_to_end))


def test_supervisor_and_owner_killed_together_leave_nothing_after_a_cancel(
    shell: LocalShell, launched: Launch, tmp_path: Path, ids_to_end: list[int]
) -> None:
    spec = launched("sh", "-c", f"{stubborn_child(tmp_path / 'pid')}; sleep 1000")
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    owner, supervisor = owner_pid(spec), supervisor_pid(shell, spec)
    os.kill(supervisor, signal.SIGSTOP)
    os.kill(owner, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not is_alive(supervisor))
    assert is_alive(pid)
    assert job.cancel(shell, spec.paths).has_ended
    assert not is_alive(pid)


def test_orphans_of_a_killed_run_owner_are_ended_while_the_worker_goes_on(
    shell: LocalShell, launched: Launch, pyz: Path, tmp_path: Path, ids_to_end: list[int]
) -> None:
    options = "--log runlog --log-limit-b 9999 --started started"
    own = f"{shlex.quote(sys.executable)} -I -S {shlex.quote(str(pyz))} own {options} --"
    script = f'{own} sh -c "$SUBJECT" & echo $! > inner.tmp; mv inner.tmp inner; wait; exec sleep 1000'
    spec = launched("sh", "-c", script, env={"SUBJECT": f"{stubborn(tmp_path / 'pid')}; sleep 1000"})
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    os.kill(pid_in(spec.paths.root / "inner"), signal.SIGKILL)
    eventually(lambda: not is_alive(pid))
    assert isinstance(job.observe(shell, spec.paths), job.Running)
    job.cancel(shell, spec.paths)


def test_a_job_of_before_a_restart_of_the_machine_is_lost(shell: LocalShell, spec_of: Launch) -> None:
    spec = spec_of("touch", "ran")
    job.prepare(shell, spec, {})
    claim = {**process.myself().to_dict(), "boot": "another-boot"}  # this very process id lives again
    spec.paths.claim.mkdir()
    (spec.paths.claim / "record.json").write_text(json.dumps({"schema": 1, "supervisor": claim}))
    assert job.observe(shell, spec.paths) == job.Lost("the machine was restarted", None)
    assert job.cancel(shell, spec.paths).has_ended
    assert ended(shell, spec).detail == "the machine was restarted"
    assert not (spec.paths.root / "ran").exists()


def test_a_second_supervisor_is_refused(shell: LocalShell, launched: Launch) -> None:
    spec = launched("sleep", "1000")
    argv = [sys.executable, str(spec.paths.supervisor), "run", str(spec.paths.root)]
    second = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert second.returncode == 3
    assert "a supervisor that lives" in second.stderr
    job.cancel(shell, spec.paths)


def test_a_subject_that_fills_the_disk_gets_its_exit_record(
    shell: LocalShell, launched: Launch, small_disk: Path
) -> None:
    keep = "until ln started/[0-9]*.json kept; do sleep 0.01; done 2> /dev/null"  # removing it frees nothing
    spec = launched("sh", "-c", f"{keep}; cat /dev/zero > runs/fill; exit 6", root=small_disk)
    exit_record = ended(shell, spec)
    assert (exit_record.outcome, exit_record.status) == ("crashed", 6)


def test_a_job_on_a_full_disk_can_be_cancelled(shell: LocalShell, launched: Launch, small_disk: Path) -> None:
    script = "cat /dev/zero > runs/fill; : > runs/more; while :; do sleep 0.1; done"
    spec = launched("sh", "-c", script, root=small_disk)
    eventually((spec.paths.runs / "more").exists)
    assert job.cancel(shell, spec.paths).has_ended
    assert ended(shell, spec).outcome == "cancelled"


def test_a_full_disk_prepares_nothing(shell: LocalShell, spec_of: Launch, small_disk: Path) -> None:
    with pytest.raises(job.PodError, match="No space left"):
        job.prepare(shell, spec_of("true", root=small_disk), {"big": os.urandom(2 << 20)})
    assert list(small_disk.iterdir()) == []


def test_a_machine_that_does_not_answer_is_unreachable_not_lost(spec_of: Launch) -> None:
    seen = job.observe(LocalShell(python="no-such-python"), spec_of("true").paths)
    assert isinstance(seen, job.Unreachable)


def test_an_exit_record_that_cannot_be_read_is_unknown(shell: LocalShell, launched: Launch) -> None:
    spec = launched("true")
    ended(shell, spec)
    spec.paths.exit.write_text("{cut off")
    assert isinstance(job.observe(shell, spec.paths), job.Unreachable)

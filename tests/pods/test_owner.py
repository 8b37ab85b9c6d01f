"""The owner of a process tree, as the zipapp that runs on a pod."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pods.supervisor import process
from tests.pods.conftest import Owning
from tests.pods.processes import cpu_s, eventually, is_alive, pid_in, stubborn

QUICK = ("--grace-s", "0.3")


def test_the_exit_status_of_the_subject_is_reported(owning: Owning) -> None:
    report = owning.run("sh", "-c", "exit 7")
    assert (report["status"], report["signal"], report["not_started"]) == (7, None, None)


def test_the_signal_that_ended_the_subject_is_reported(owning: Owning) -> None:
    report = owning.run("sh", "-c", "kill -KILL $$")
    assert (report["status"], report["signal"]) == (None, 9)


def test_begin_and_end_enclose_the_life_of_the_subject(owning: Owning) -> None:
    before = time.monotonic()
    report = owning.run("sleep", "0.2")
    assert before < report["begin"] < report["end"] < time.monotonic()
    assert report["end"] - report["begin"] >= 0.2


@pytest.mark.parametrize("command", ["no-such-program", "/no/such/program", "/etc/passwd"])
def test_a_command_that_cannot_run_is_not_started(owning: Owning, command: str) -> None:
    report = owning.run(command)
    assert command in report["not_started"]
    assert (report["pid"], report["status"]) == (None, None)


def test_a_missing_working_folder_is_named(owning: Owning, tmp_path: Path) -> None:
    report = owning.run("true", options=("--cwd", str(tmp_path / "gone")))
    assert "gone" in report["not_started"]


def test_the_subject_inherits_nothing_but_its_three_streams(owning: Owning) -> None:
    read_end, write_end = os.pipe()
    owning.run("sh", "-c", "ls /proc/$$/fd; readlink /proc/$$/fd/0", pass_fds=(write_end,))
    os.close(read_end)
    os.close(write_end)
    streams = owning.log.read_text().split()
    assert streams == ["0", "1", "2", "/dev/null"]


def test_an_argument_arrives_as_it_was_given(owning: Owning) -> None:
    owning.run("printf", "%s|", "; echo x", "--", "new\nline", "$HOME", "")
    assert owning.log.read_text() == "; echo x|--|new\nline|$HOME||"


def test_daemons_that_ignore_term_do_not_outlive_the_subject(
    owning: Owning, tmp_path: Path, ids_to_end: list[int]
) -> None:
    report = owning.run("sh", "-c", stubborn(tmp_path / "pid"), options=QUICK)
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    assert report["status"] == 0
    assert report["survivors"] == 1
    assert report["left"] == []
    assert not is_alive(pid)


def test_the_subject_is_timed_without_its_survivors(owning: Owning, tmp_path: Path) -> None:
    report = owning.run("sh", "-c", stubborn(tmp_path / "pid"), options=("--grace-s", "3"))
    assert time.monotonic() - report["end"] >= 2.9


def test_a_stopped_child_is_ended_without_waiting_out_its_grace(
    owning: Owning, tmp_path: Path, ids_to_end: list[int]
) -> None:
    script = f"setsid sh -c 'echo $$ > {tmp_path}/p; mv {tmp_path}/p {tmp_path}/pid; kill -STOP $$' &"
    wait = f"while [ ! -e {tmp_path}/pid ]; do sleep 0.01; done"
    report = owning.run("sh", "-c", f"{script} {wait}", options=("--grace-s", "30"))
    assert time.monotonic() - report["end"] < 20
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    assert report["survivors"] >= 1
    assert not is_alive(pid)


def test_a_subject_killed_while_stopped_is_reaped(owning: Owning, tmp_path: Path) -> None:
    child = owning.begin("sh", "-c", f"echo $$ > {tmp_path}/pid; kill -STOP $$; exit 0")
    pid = pid_in(tmp_path / "pid")
    eventually(lambda: Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "T")
    os.kill(pid, signal.SIGKILL)
    assert owning.report(child)["signal"] == 9


def test_the_limit_ends_a_subject_that_ignores_term(owning: Owning) -> None:
    stubborn_main = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"
    report = owning.run(sys.executable, "-S", "-c", stubborn_main, options=(*QUICK, "--limit-s", "0.5"))
    assert (report["timed_out"], report["signal"], report["cancelled"]) == (True, 9, False)


def test_a_subject_that_only_prints_does_not_escape_its_limit(owning: Owning) -> None:
    report = owning.run("yes", options=(*QUICK, "--limit-s", "0.5"))
    assert report["timed_out"]


def test_a_gigabyte_of_output_costs_neither_disk_nor_memory(owning: Owning, tmp_path: Path) -> None:
    options = ("--log-limit-b", "1000000")
    wait = f"touch {tmp_path}/printed; while [ ! -e {tmp_path}/seen ]; do sleep 0.01; done"
    script = f"echo first; head -c 1000000000 /dev/zero; echo last; {wait}"
    child = owning.begin("sh", "-c", script, options=options)
    eventually((tmp_path / "printed").exists)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child.pid}/status").read_text())
    (tmp_path / "seen").touch()
    report = owning.report(child)
    log = owning.log.read_bytes()
    assert report["log_b"] == len(log) < 1_000_200
    assert report["log_dropped_b"] == 1_000_000_011 - 1_000_000
    assert f"[paceline: {report['log_dropped_b']} bytes left out here]".encode() in log
    assert log.startswith(b"first\n")
    assert log.endswith(b"last\n")
    assert int(peak) < 50 << 10


def test_output_within_the_limit_is_kept_whole(owning: Owning) -> None:
    report = owning.run("sh", "-c", "printf 0123456789", options=("--log-limit-b", "10"))
    assert owning.log.read_bytes() == b"0123456789"
    assert (report["log_b"], report["log_dropped_b"]) == (10, 0)


def test_a_full_disk_does_not_break_the_owner(owning: Owning, small_disk: Path) -> None:
    owning.log = small_disk / "log"
    report = owning.run("sh", "-c", "head -c 3000000 /dev/zero", options=("--log-limit-b", "9000000"))
    assert report["status"] == 0
    assert "No space left" in report["log_error"]
    assert report["log_b"] + report["log_dropped_b"] == 3_000_000


def test_a_log_that_cannot_be_made_does_not_break_the_owner(owning: Owning, tmp_path: Path) -> None:
    owning.log = tmp_path / "gone" / "log"
    report = owning.run("sh", "-c", "echo x; exit 3")
    assert report["status"] == 3
    assert "No such file" in report["log_error"]


def test_term_to_the_owner_ends_its_tree(owning: Owning, tmp_path: Path, ids_to_end: list[int]) -> None:
    child = owning.begin("sh", "-c", f"{stubborn(tmp_path / 'pid')}; sleep 1000", options=QUICK)
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    child.terminate()
    report = owning.report(child)
    assert report["cancelled"]
    assert not is_alive(pid)


def test_a_gentle_end_leaves_the_subject_time_for_its_own_children(owning: Owning, tmp_path: Path) -> None:
    trap = "trap 'kill -0 $! && echo mine lives; kill $!; exit 5' TERM"
    script = f"sleep 1000 & {trap}; touch {tmp_path}/ready; wait"
    child = owning.begin("sh", "-c", script, options=("--gentle-s", "20"))
    eventually((tmp_path / "ready").exists)
    child.terminate()
    assert owning.report(child)["status"] == 5
    assert owning.log.read_text() == "mine lives\n"


def test_the_tree_dies_with_the_parent_of_its_owner(
    owning: Owning, pyz: Path, tmp_path: Path, ids_to_end: list[int]
) -> None:
    owner = [sys.executable, "-I", "-S", str(pyz), "own", "--log", str(owning.log), "--log-limit-b", "9999"]
    command = [*owner, *QUICK, "--", "sh", "-c", f"{stubborn(tmp_path / 'pid')}; sleep 1000"]
    code = f"import subprocess, time; subprocess.Popen({command!r}); time.sleep(1000)"
    parent = subprocess.Popen([sys.executable, "-S", "-c", code])
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    parent.kill()
    parent.wait()
    eventually(lambda: not is_alive(pid))


def test_an_owner_whose_parent_is_gone_already_starts_nothing(owning: Owning, tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    report = owning.run("touch", str(tmp_path / "ran"), options=("--parent", str(gone.pid)))
    assert report["cancelled"]
    assert not (tmp_path / "ran").exists()


def test_the_subject_dies_with_a_killed_owner(owning: Owning, tmp_path: Path, ids_to_end: list[int]) -> None:
    child = owning.begin("sh", "-c", f"echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done")
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    child.kill()
    eventually(lambda: not is_alive(pid))


def test_the_record_of_a_start_stands_while_the_subject_runs(owning: Owning, tmp_path: Path) -> None:
    folder = tmp_path / "started"
    folder.mkdir()
    child = owning.begin("sleep", "1000", options=("--started", str(folder)))
    eventually(lambda: list(folder.glob("*.json")))
    (path,) = folder.glob("*.json")
    body = json.loads(path.read_text())
    assert path.name == f"{body['child']['pid']}-{body['child']['starttime']}.json"
    assert process.from_dict(body["owner"]) == process.process_of(child.pid)
    child.terminate()
    owning.report(child)
    eventually(lambda: not list(folder.iterdir()))


def test_waiting_costs_no_cpu_also_when_the_subject_closed_its_output(owning: Owning, tmp_path: Path) -> None:
    script = f"exec >&- 2>&-; touch {tmp_path}/ready; exec sleep 1000"
    child = owning.begin("sh", "-c", script, options=(*QUICK, "--limit-s", "500"))
    eventually((tmp_path / "ready").exists)
    time.sleep(0.1)
    before_s = cpu_s(child.pid)
    time.sleep(0.5)
    assert cpu_s(child.pid) - before_s <= 0.02
    child.terminate()
    assert owning.report(child)["cancelled"]


# Secrets. The token is made up, and in two halves so that no scanner takes it for a real one.

TOKEN = "gh" + "p_" + "aB3" * 13


def test_a_log_never_holds_a_token_nor_a_secret_of_the_environment(owning: Owning) -> None:
    script = f"echo password $DB_PASSWORD; printf gh; sleep 0.3; echo {TOKEN[2:]}"
    owning.run("sh", "-c", script, env={**os.environ, "DB_PASSWORD": "open sesame"})
    assert owning.log.read_text() == "password [redacted]\n[redacted]\n"


@pytest.mark.parametrize("before_b", [*range(495, 505), *range(455, 470)])
def test_a_token_at_an_end_of_what_is_kept_shows_no_part_of_itself(owning: Owning, before_b: int) -> None:
    """500 bytes of head and 500 of tail; the token is 43 bytes long."""
    print_it = f"head -c {before_b} /dev/zero; printf {TOKEN}; head -c {before_b} /dev/zero"
    wide = f"{print_it}; head -c 100000 /dev/zero; {print_it}"
    report = owning.run("sh", "-c", wide, options=("--log-limit-b", "1000"))
    log = owning.log.read_bytes()
    assert b"aB3" not in log
    assert report["log_b"] == len(log) <= 1000 + len("\n[paceline: 100000 bytes left out here]\n")


def test_the_mark_does_not_break_the_bound_of_a_log(owning: Owning) -> None:
    """`x://a:b@` is shorter than what stands for it."""
    report = owning.run("sh", "-c", "yes x://a:b@ | head -n 5000", options=("--log-limit-b", "10000"))
    log = owning.log.read_bytes()
    assert report["log_b"] == len(log) <= 10_000 + len("\n[paceline: 100000 bytes left out here]\n")
    assert b"a:b" not in log

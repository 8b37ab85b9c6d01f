"""This machine behind the shell port."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pods.shell import NoSuchFile, PodError
from pods.shell_local import LocalShell
from tests.pods.processes import HOSTILE_NAMES, eventually, is_alive, pid_in


def test_an_argument_arrives_as_it_was_given(shell: LocalShell) -> None:
    done = shell.run(["printf", "%s|", *HOSTILE_NAMES], timeout_s=20)
    assert done.out.decode() == "".join(f"{name}|" for name in HOSTILE_NAMES)


def test_status_and_both_outputs_come_back(shell: LocalShell) -> None:
    done = shell.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=20)
    assert (done.status, done.out, done.err, done.is_truncated) == (3, b"out\n", b"err\n", False)


def test_a_signal_is_told_as_a_shell_tells_it(shell: LocalShell) -> None:
    assert shell.run(["sh", "-c", "kill -KILL $$"], timeout_s=20).status == 137


def test_a_missing_program_is_127(shell: LocalShell) -> None:
    assert shell.run(["no-such-program"], timeout_s=20).status == 127


def test_a_program_that_may_not_run_is_126(shell: LocalShell) -> None:
    assert shell.run(["/etc/passwd"], timeout_s=20).status == 126


def test_megabytes_go_in_and_come_out(shell: LocalShell) -> None:
    data = os.urandom(3 << 20)
    assert shell.run(["cat"], stdin=data, timeout_s=20).out == data


def test_a_command_that_does_not_read_its_input_is_not_an_error(shell: LocalShell) -> None:
    assert shell.run(["true"], stdin=bytes(3 << 20), timeout_s=20).status == 0


def test_output_beyond_the_limit_is_cut_and_said(shell: LocalShell) -> None:
    done = shell.run(["head", "-c", "100000000", "/dev/zero"], timeout_s=20, limit_b=10)
    assert (done.status, done.out, done.is_truncated) == (0, bytes(10), True)


def test_a_timeout_is_unknown_and_ends_the_whole_group(
    shell: LocalShell, tmp_path: Path, ids_to_end: list[int]
) -> None:
    script = f"trap '' TERM; sh -c 'echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done' & wait"
    done = shell.run(["sh", "-c", script], timeout_s=1.0)
    ids_to_end.append(pid := pid_in(tmp_path / "pid"))
    assert done.status is None
    eventually(lambda: not is_alive(pid))


def test_a_child_that_holds_the_pipes_does_not_hold_the_caller(
    shell: LocalShell, tmp_path: Path, ids_to_end: list[int]
) -> None:
    done = shell.run(["sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid; echo x"], timeout_s=20)
    ids_to_end.append(pid_in(tmp_path / "pid"))
    assert (done.status, done.out) == (0, b"x\n")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_what_was_put_is_got(shell: LocalShell, tmp_path: Path, name: str) -> None:
    shell.put(tmp_path / name, b"\x00data", 0o700)
    assert shell.get(tmp_path / name, 5) == b"\x00data"
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_file_is_told_apart(shell: LocalShell, tmp_path: Path) -> None:
    with pytest.raises(NoSuchFile):
        shell.get(tmp_path / "gone", 10)


def test_a_file_is_never_got_in_part(shell: LocalShell, tmp_path: Path) -> None:
    shell.put(tmp_path / "long", bytes(11))
    with pytest.raises(PodError, match="longer than 10 bytes"):
        shell.get(tmp_path / "long", 10)

"""What comes back beside an answer: greetings of a login shell, and interpreters that will not do."""

from __future__ import annotations

import os
import pwd
import sys

import pytest

from pods import answers, job
from pods.archive import supervisor_archive
from pods.fetch import fetch
from pods.inventory import Pod
from pods.job import JobSpec
from pods.paths import JobPaths
from pods.probe import PodState, Unusable, probe
from pods.shell import NoSuchFile, PodError
from pods.shell_local import LocalShell

pytestmark = pytest.mark.ssh
READS_BASHRC = pwd.getpwuid(os.getuid()).pw_shell.endswith("bash")
GREETING = """echo 'Welcome to {"alpha": 1}'; echo 'last login' >&2; printf 'no end of line'\n"""
OLD = """
import sys
sys.version_info = (3, 8, 18, "final", 0)
at = sys.argv.index("-c")
script, sys.argv = sys.argv[at + 1], ["-c", *sys.argv[at + 2:]]
exec(script)
"""
SET = "set python in pods.toml to an interpreter of 3.10 or later"


@pytest.fixture
def greeting(daemon):
    """A pod whose login shell prints something of its own before each command."""
    if not READS_BASHRC:
        pytest.skip("the login shell here is not bash")
    (daemon.folder / ".bashrc").write_text(GREETING)
    return daemon


def test_what_the_login_shell_prints_is_no_part_of_an_answer(greeting):
    state = probe(greeting.shell(), greeting.pod())
    assert isinstance(state, PodState)
    done = greeting.shell().run(["printf", "%s", "ours"], timeout_s=20)
    assert (done.status, done.out) == (0, b"ours")


def test_what_the_login_shell_prints_is_no_part_of_a_file(greeting, tmp_path):
    shell, data = greeting.shell(), os.urandom(100_000)
    shell.put(greeting.folder / "file", data)
    assert (greeting.folder / "file").read_bytes() == data
    assert shell.get(greeting.folder / "file", 100_000) == data
    with pytest.raises(NoSuchFile):
        shell.get(greeting.folder / "other", 1)
    paths = JobPaths(greeting.pod().workspace / "jobs" / "x")
    spec = JobSpec(paths, "x", "0123456789ab", "cpu", 60.0, ("true",))
    assert job.prepare(shell, spec, {"plan.json": b"{}"}) == job.Prepared()
    assert fetch(shell, paths, tmp_path / "copy").taken == 2
    assert (tmp_path / "copy" / "plan.json").read_bytes() == b"{}"


def test_a_login_shell_that_runs_something_else_is_told_as_what_it_is(greeting):
    (greeting.folder / ".bashrc").write_text("echo 'Choose a menu'; exit 0\n")
    state = probe(greeting.shell(), greeting.pod())
    assert isinstance(state, Unusable)
    assert "the login shell did not run the command, it said 'Choose a menu'" in state.why
    (greeting.folder / "file").write_text("x")
    with pytest.raises(PodError, match="the login shell did not run the command"):
        greeting.shell().get(greeting.folder / "file", 10)


def test_a_long_greeting_costs_nothing_of_what_an_answer_may_be(greeting):
    (greeting.folder / ".bashrc").write_text("head -c 3000000 /dev/zero\n")
    done = greeting.shell().run(["printf", "ours"], timeout_s=60, limit_b=4)
    assert (done.status, done.out, done.is_truncated) == (0, b"ours", False)


def asked(shell):
    argv = ["jobs", "--machine", "/nowhere/m", "--workspace", "/nowhere/w"]
    return answers.bring(shell, supervisor_archive(), argv)


def test_an_interpreter_that_is_not_there_is_named(daemon):
    shell = daemon.shell()
    shell.python = "python9"
    with pytest.raises(PodError, match=f"^python9 is not there: {SET}$"):
        asked(shell)
    with pytest.raises(PodError, match=f"^python9 is not there: {SET}$"):
        asked(LocalShell("here", "python9"))


def test_a_program_that_is_not_there_and_no_interpreter_is_told_as_it_is(daemon):
    (daemon.programs / "timeout").write_text("#!/nowhere\n")
    (daemon.programs / "timeout").chmod(0o755)
    with pytest.raises(PodError, match="timeout"):
        asked(daemon.shell())


def test_an_interpreter_that_is_too_old_is_named_with_its_version(daemon):
    old = daemon.folder / "python3.8"
    (daemon.folder / "old.py").write_text(OLD)
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{daemon.folder / "old.py"}" "$@"\n')
    old.chmod(0o755)
    shell = daemon.shell()
    shell.python = str(old)
    with pytest.raises(PodError, match=f"python3.8 is Python 3.8: {SET}$"):
        asked(shell)


def test_a_pod_that_answered_was_reached_whatever_it_said(daemon):
    shell = daemon.shell()
    shell.python = "python9"
    assert probe(shell, Pod("x")).is_reached
    assert not probe(daemon.shell(port=1), Pod("x")).is_reached

"""A job on a pod over SSH goes on whatever its link does, is found again, and is never begun twice."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from pods import job
from pods.fetch import fetch
from pods.job import AlreadyThere, Finished, JobSpec, Launched, Lost, Running, Taken, Unreachable
from pods.paths import JobPaths
from pods.shell import PodError
from pods.supervisor import process, started
from tests.daemons.relay import Relay

pytestmark = pytest.mark.ssh
HOSTILE = "work 'of' \"ours\"\n; echo $HOME"
COUNTS = """
import os, sys, time
with open("starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
while not os.path.exists("go"):
    time.sleep(0.02)
open("runs/result", "w").write("measured")
"""


class Remote:
    """A job in a workspace with a hostile name; its command waits for the file `go` and counts its starts."""

    def __init__(self, daemon, port=None) -> None:
        self.daemon = daemon
        self.shell = daemon.shell(port=port)
        self.folder = daemon.folder / HOSTILE / "jobs" / "x-1-0123456789ab-a1"
        self.paths = JobPaths(PurePosixPath(self.folder))
        self.machine = daemon.folder / "machine"
        self.spec = JobSpec(
            self.paths,
            "x",
            "0123456789ab",
            "cpu",
            limit_s=120.0,
            command=(sys.executable, "-c", COUNTS),
            machine=self.machine,
            grace_s=0.5,
        )

    def begin(self) -> None:
        job.prepare(self.shell, self.spec, {})
        assert isinstance(job.take(self.shell, self.paths, self.machine, "cpu"), Taken)
        assert isinstance(job.launch(self.shell, self.paths), Launched)
        until = time.monotonic() + 30
        while not (self.folder / "starts").exists():
            assert time.monotonic() < until
            time.sleep(0.02)

    def go(self) -> None:
        (self.folder / "go").touch()

    def until(self, kind):
        until = time.monotonic() + 60
        while not isinstance(found := job.observe(self.shell, self.paths), kind):
            assert time.monotonic() < until, found
            time.sleep(0.05)
        return found

    def starts(self) -> int:
        return len((self.folder / "starts").read_text().split())

    def end(self) -> None:
        started.end_living(JobPaths(self.folder), 0.1)


@pytest.fixture
def remote(daemon):
    remote = Remote(daemon)
    yield remote
    remote.end()


@pytest.fixture
def relayed(daemon):
    relay = Relay(daemon.port)
    remote = Remote(daemon, relay.port)
    remote.relay = relay
    yield remote
    relay.close()
    remote.end()


def ended_once(remote, tmp_path) -> None:
    """The job comes to its end, was begun once, gave its lease back, and its result arrives."""
    remote.go()
    assert remote.until(Finished).exit.outcome == "finished"
    assert remote.starts() == 1
    assert job.is_free(remote.shell, remote.machine, "cpu")
    fetch(remote.shell, remote.paths, tmp_path / "copy")
    assert (tmp_path / "copy" / "runs" / "result").read_text() == "measured"


def test_a_job_lives_its_life_in_a_workspace_with_a_hostile_name(remote, tmp_path):
    remote.begin()
    assert isinstance(job.observe(remote.shell, remote.paths), Running)
    ended_once(remote, tmp_path)
    assert remote.shell.connects == 1


def test_the_connection_is_killed(remote, tmp_path):
    remote.begin()
    for pid in remote.daemon.connections():
        os.kill(pid, signal.SIGKILL)
    assert isinstance(remote.until(Running), Running)
    ended_once(remote, tmp_path)


def test_the_connection_is_frozen(remote, tmp_path):
    remote.begin()
    for pid in remote.daemon.connections():
        os.kill(pid, signal.SIGSTOP)
    assert isinstance(remote.until(Running), Running)
    ended_once(remote, tmp_path)


def test_the_daemon_is_restarted(remote, tmp_path):
    remote.begin()
    remote.daemon.stop()
    for pid in remote.daemon.orphans:
        os.kill(pid, signal.SIGKILL)
    assert isinstance(job.observe(remote.shell, remote.paths), Unreachable)
    remote.daemon.start()
    ended_once(remote, tmp_path)


def test_the_host_key_changes_and_comes_back(remote, tmp_path):
    remote.begin()
    key = (remote.daemon.folder / "host_key").read_bytes()
    remote.daemon.stop()
    for pid in remote.daemon.orphans:
        os.kill(pid, signal.SIGKILL)
    remote.daemon.make_key()
    remote.daemon.start()
    found = job.observe(remote.shell, remote.paths)
    assert isinstance(found, Unreachable)
    assert "its host key has changed" in found.why
    remote.daemon.stop()
    (remote.daemon.folder / "host_key").write_bytes(key)
    remote.daemon.start()
    ended_once(remote, tmp_path)


def test_the_link_is_slow_then_goes_nowhere_then_comes_back(relayed, tmp_path):
    relayed.relay.delay_s = 0.02
    relayed.begin()
    relayed.relay.delay_s = 0.0
    relayed.relay.is_black_hole = True
    assert isinstance(job.observe(relayed.shell, relayed.paths), Unreachable)
    relayed.relay.is_black_hole = False
    ended_once(relayed, tmp_path)


@pytest.mark.parametrize("step", ["prepare", "take", "launch"])
def test_a_step_whose_answer_was_cut_off_is_repeated_and_done_once(relayed, tmp_path, step):
    """The link is cut a moment after the step was sent: it may or may not have happened."""
    steps = {
        "prepare": lambda: job.prepare(relayed.shell, relayed.spec, {}),
        "take": lambda: job.take(relayed.shell, relayed.paths, relayed.machine, "cpu"),
        "launch": lambda: job.launch(relayed.shell, relayed.paths),
    }
    for name, do in steps.items():
        if name == step:
            relayed.shell.run(["true"], timeout_s=20)
            threading.Timer(0.12, relayed.relay.cut).start()
            with contextlib.suppress(PodError):
                do()
            time.sleep(0.3)
        do()
    assert job.prepare(relayed.shell, relayed.spec, {}) == AlreadyThere(is_same=True)
    ended_once(relayed, tmp_path)


def test_two_agents_race_for_the_last_slot_and_one_job_starts(daemon):
    one, other = Remote(daemon), Remote(daemon)
    other.folder = other.folder.with_name("x-2-0123456789ab-a1")
    other.paths = JobPaths(PurePosixPath(other.folder))
    other.spec = JobSpec(other.paths, "y", "0123456789ab", "cpu", 120.0, other.spec.command, other.machine)
    taken = []

    def race(remote):
        job.prepare(remote.shell, remote.spec, {})
        taken.append((job.take(remote.shell, remote.paths, remote.machine, "cpu"), remote))

    threads = [threading.Thread(target=race, args=(remote,)) for remote in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [remote for answer, remote in taken if isinstance(answer, Taken)]
    [loser] = [remote for answer, remote in taken if isinstance(answer, job.Held)]
    assert isinstance(
        job.launch(loser.shell, loser.paths), Launched
    )  # begun without its lease it does nothing
    assert loser.until(Finished).exit.outcome == "not started"
    winner.begin()
    winner.go()
    assert winner.until(Finished).exit.outcome == "finished"
    assert not (loser.folder / "starts").exists()


HUNGRY = """
import resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
bytearray(1 << 30)
"""


def test_a_job_that_runs_out_of_memory_has_its_end_and_leaves_nothing(daemon):
    remote = Remote(daemon)
    remote.spec = replace(remote.spec, command=(sys.executable, "-c", HUNGRY))
    job.prepare(remote.shell, remote.spec, {})
    job.take(remote.shell, remote.paths, remote.machine, "cpu")
    job.launch(remote.shell, remote.paths)
    ended = remote.until(Finished).exit
    assert (ended.outcome, ended.status, ended.left) == ("crashed", 1, ())
    assert "MemoryError" in (remote.folder / "log").read_text()
    assert started.living(JobPaths(remote.folder)) == set()
    assert job.is_free(remote.shell, remote.machine, "cpu")


def test_a_killed_supervisor_is_a_lost_job_and_a_cancel_leaves_nothing(remote):
    remote.begin()
    supervisor = started.supervisor_of(JobPaths(remote.folder))
    process.send(supervisor, signal.SIGKILL)
    assert isinstance(remote.until(Lost), Lost)
    assert job.cancel(remote.shell, remote.paths).has_ended
    assert started.living(JobPaths(remote.folder)) == set()
    assert job.is_free(remote.shell, remote.machine, "cpu")


def test_a_cancel_over_ssh_ends_everything_of_the_job(remote):
    remote.begin()
    cancelled = job.cancel(remote.shell, remote.paths)
    assert (cancelled.has_ended, cancelled.left) == (True, ())
    assert started.living(JobPaths(remote.folder)) == set()
    assert remote.until(Finished).exit.outcome == "cancelled"

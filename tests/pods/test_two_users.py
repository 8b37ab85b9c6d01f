"""Two users on one machine: what one cannot read of the other's is held, and costs no other answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pods.archive import supervisor_archive
from pods.supervisor import started

PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin")
"""Not ours: it may lie in a home that nobody else enters."""
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming two other users needs root"),
    pytest.mark.skipif(PYTHON is None, reason="needs a python3 that all users may run"),
]
ALICE, BOB = 61234, 61235
NOT_READ = "its job folder cannot be read: Permission denied"
NOT_OURS = (
    "user 61234's, whose processes we cannot see: "
    "61234 or root may give it back by paceline pods leases --release"
)


@dataclass
class Machine:
    """`folder` is open to everybody, as is the archive in it; each user has a home of their own."""

    folder: Path

    def home(self, uid: int) -> Path:
        return self.folder / str(uid)

    def asks(self, uid: int, *argv: str) -> dict[str, Any]:
        """What the supervisor answers to a user."""
        return json.loads(self.runs(uid, *argv).stdout)

    def runs(self, uid: int, *argv: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(PYTHON), "-I", "-S", str(self.folder / "supervisor.pyz"), *argv]
        done = subprocess.run(
            command, user=uid, group=uid, extra_groups=[], capture_output=True, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stderr
        return done

    def leases(self, uid: int) -> dict[str, str | None]:
        """Slot: why it is held, as a user is told."""
        shown = self.asks(uid, "lease", "show", "--machine", str(self.folder / "machine"), *LATE)
        return {one["slot"]: one["held_because"] for one in shown["leases"]}

    def takes(self, uid: int, slot: str, job: Path) -> dict[str, Any]:
        where = ("--machine", str(self.folder / "machine"), "--slot", slot)
        return self.asks(uid, "lease", "take", *where, "--job", str(job), *LATE)

    def makes_job(self, uid: int, folder: Path, mode: int) -> Path:
        folder.mkdir(mode=mode, parents=True)
        os.chown(folder, uid, uid)
        return folder


LATE = ("--start-within-s", "0")


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Not below pytest's folder: that is root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="paceline-users-"))
    folder.chmod(0o755)
    machine = Machine(folder)
    (folder / "supervisor.pyz").write_bytes(supervisor_archive())
    (folder / "machine").mkdir()
    (folder / "machine").chmod(0o777)
    for uid in (ALICE, BOB):
        home = machine.home(uid)
        home.mkdir(mode=0o700)
        os.chown(home, uid, uid)
    yield machine
    shutil.rmtree(folder)


def test_a_lease_whose_job_folder_cannot_be_read_is_held_and_costs_no_other_answer(machine):
    hidden = machine.makes_job(ALICE, machine.home(ALICE) / "work" / "jobs" / "a", 0o755)
    assert machine.takes(ALICE, "GPU-1", hidden)["taken"]
    assert machine.takes(BOB, "GPU-2", machine.home(BOB) / "b")["taken"]
    places = ("--machine", str(machine.folder / "machine"), "--workspace", str(machine.home(BOB) / "work"))
    probed = machine.asks(BOB, "probe", *places, "--ask", '{"two": ["echo", "2"]}')
    assert {one["slot"]: one["held_because"] for one in probed["leases"]}["GPU-1"] == NOT_READ
    assert probed["answers"]["two"]["out"] == "2\n"
    assert machine.asks(BOB, "jobs", *places) == {"jobs": {}, "held": ["GPU-1", "GPU-2"]}
    assert machine.leases(BOB) == {"GPU-1": NOT_READ, "GPU-2": None}
    assert machine.takes(BOB, "GPU-1", machine.home(BOB) / "b")["why"] == NOT_READ


def test_the_lease_of_another_user_is_never_reclaimed_and_it_is_said_who_may(machine):
    """A process of Alice's that is found by its environment alone: Bob cannot see it."""
    job = machine.makes_job(ALICE, machine.folder / "open", 0o755)
    assert machine.takes(ALICE, "GPU-1", job)["taken"]
    mark = {started.MARK: str(job)}
    with subprocess.Popen(["sleep", "60"], env=mark, user=ALICE, group=ALICE, extra_groups=[]) as living:
        told = {uid: machine.leases(uid) for uid in (ALICE, 0, BOB)}
        living.kill()
    assert told[ALICE] == told[0] == {"GPU-1": "processes of its job still live"}
    assert told[BOB] == {"GPU-1": NOT_OURS}
    taken = machine.takes(BOB, "GPU-1", machine.home(BOB) / "b")
    assert (taken["taken"], taken["why"]) == (False, NOT_OURS)
    assert machine.leases(ALICE) == machine.leases(0) == {"GPU-1": None}
    assert machine.takes(0, "GPU-1", machine.folder / "root's")["taken"]


def test_folders_of_another_user_in_one_workspace_are_unknown_and_stay(machine):
    work = machine.folder / "work"
    (work / "jobs").mkdir(parents=True)
    theirs = machine.makes_job(ALICE, work / "jobs" / "a", 0o700)
    (theirs / "exit.json").write_text("{}")
    mine = machine.makes_job(BOB, work / "jobs" / "b", 0o700)
    (mine / "exit.json").touch()
    places = ("--machine", str(machine.folder / "machine"), "--workspace", str(work))
    jobs = machine.asks(BOB, "jobs", *places)["jobs"]
    assert jobs["b"]["has_ended"]
    assert not jobs["a"]["has_ended"]
    assert "exit.json: Permission denied" in jobs["a"]["broken"]
    listed = machine.asks(BOB, "tidy", "--workspace", str(work))["jobs"]
    assert {name: one["has_ended"] for name, one in listed.items()} == {"a": False, "b": True}
    told = machine.asks(BOB, "tidy", "--workspace", str(work), "--job", "a", "--job", "b")
    assert told == {"removed": [], "kept": {"a": "has not ended", "b": "Permission denied"}}


def test_a_folder_of_leases_that_cannot_be_listed_is_no_folder_without_leases(machine):
    for name in ("leases", "quarantine"):
        folder = machine.folder / "machine" / name
        folder.mkdir(mode=0o700)
        with pytest.raises(AssertionError, match=f"Permission denied: .*{name}"):
            machine.runs(BOB, "jobs", "--machine", str(folder.parent), "--workspace", "/nowhere")
        folder.chmod(0o777)


def test_a_workspace_that_cannot_be_listed_is_no_workspace_without_jobs(machine):
    places = ("--machine", str(machine.folder / "machine"), "--workspace", str(machine.home(ALICE)))
    with pytest.raises(AssertionError, match="Permission denied"):
        machine.runs(BOB, "jobs", *places)

"""Leases: who may use a slot, decided between real processes in one machine-wide folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pods import job
from pods.job import JobSpec
from pods.shell_local import LocalShell
from pods.supervisor import lease
from pods.supervisor.paths import JobPaths, MachinePaths
from tests.pods.processes import eventually

GPU = "GPU-8f3a5c1e-0000-1111-2222-333344445555"
START_WITHIN_S = 60.0


@pytest.fixture
def machine(tmp_path: Path) -> MachinePaths[Path]:
    return MachinePaths(tmp_path / "machine")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "mine"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return tmp_path / "theirs"


def take(machine: MachinePaths[Path], who: Path, start_within_s: float = START_WITHIN_S) -> dict[str, Any]:
    return lease.take(machine, GPU, who, start_within_s)


def race(pyz: Path, machine: MachinePaths[Path], takers: list[Path], *options: str) -> list[dict[str, Any]]:
    head = [sys.executable, "-I", "-S", str(pyz), "lease", "take", "--machine", str(machine.root)]
    begun = [
        subprocess.Popen([*head, "--slot", GPU, "--job", str(taker), *options], stdout=subprocess.PIPE)
        for taker in takers
    ]
    return [json.loads(child.communicate(timeout=60)[0]) for child in begun]


def test_of_many_takers_exactly_one_wins(pyz: Path, machine: MachinePaths[Path], tmp_path: Path) -> None:
    answers = race(pyz, machine, [tmp_path / f"job{n}" for n in range(12)])
    winners = [answer for answer in answers if answer["taken"]]
    assert len(winners) == 1
    holders = {answer["holder"]["token"] for answer in answers if not answer["taken"]}
    assert holders == {winners[0]["token"]}


def test_of_many_that_reclaim_exactly_one_wins(
    pyz: Path, machine: MachinePaths[Path], tmp_path: Path, theirs: Path
) -> None:
    take(machine, theirs)
    theirs.mkdir()
    JobPaths(theirs).exit.write_text("{}")
    answers = race(pyz, machine, [tmp_path / f"job{n}" for n in range(12)])
    assert sum(answer["taken"] for answer in answers) == 1


def test_takers_that_are_killed_never_block_a_slot(
    pyz: Path, machine: MachinePaths[Path], tmp_path: Path, mine: Path
) -> None:
    for number in range(15):
        argv = ["lease", "take", "--machine", str(machine.root), "--slot", GPU, "--job", str(tmp_path / "x")]
        child = subprocess.Popen([sys.executable, "-I", "-S", str(pyz), *argv], stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.02 + number * 0.006)
        child.kill()
        child.wait()
    assert take(machine, mine, start_within_s=0.0)["taken"]
    assert [path.name for path in machine.leases.iterdir()] == [GPU]


def test_a_repeat_by_the_holder_gets_the_same_token(machine: MachinePaths[Path], mine: Path) -> None:
    assert take(machine, mine) == take(machine, mine)


def test_another_slot_is_another_lease(machine: MachinePaths[Path], mine: Path, theirs: Path) -> None:
    assert lease.take(machine, "GPU-1", mine, START_WITHIN_S)["taken"]
    assert lease.take(machine, "GPU-2", theirs, START_WITHIN_S)["taken"]


def test_a_released_slot_is_free(machine: MachinePaths[Path], mine: Path, theirs: Path) -> None:
    token = take(machine, mine)["token"]
    assert lease.release(machine, GPU, token) == {"released": True, "why": None}
    assert take(machine, theirs)["taken"]


def test_a_stale_token_releases_nothing(machine: MachinePaths[Path], mine: Path, theirs: Path) -> None:
    stale = take(machine, mine)["token"]
    lease.release(machine, GPU, stale)
    take(machine, theirs)
    assert lease.release(machine, GPU, stale) == {"released": False, "why": "held by somebody else"}
    assert not take(machine, mine)["taken"]


def test_a_lease_whose_job_may_still_start_stands(
    machine: MachinePaths[Path], mine: Path, theirs: Path
) -> None:
    take(machine, theirs)
    answer = take(machine, mine)
    assert answer["holder"]["job"] == str(theirs)
    assert "may start" in answer["why"]


def test_a_lease_whose_job_never_started_is_reclaimed(
    machine: MachinePaths[Path], mine: Path, theirs: Path
) -> None:
    take(machine, theirs)
    assert take(machine, mine, start_within_s=0.0)["taken"]


def test_a_lease_whose_job_has_ended_is_reclaimed(
    machine: MachinePaths[Path], mine: Path, theirs: Path
) -> None:
    take(machine, theirs)
    theirs.mkdir()
    JobPaths(theirs).exit.write_text("{}")
    assert take(machine, mine)["taken"]


def test_a_job_that_has_ended_takes_nothing(machine: MachinePaths[Path], mine: Path) -> None:
    mine.mkdir()
    JobPaths(mine).exit.write_text("{}")
    assert not take(machine, mine)["taken"]


def test_a_lease_of_before_a_restart_is_reclaimed(
    machine: MachinePaths[Path], mine: Path, theirs: Path
) -> None:
    take(machine, theirs)
    path = machine.lease(GPU) / lease.HOLDER
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another-boot"}))
    assert take(machine, mine)["taken"]


def test_a_lease_that_cannot_be_read_is_held(machine: MachinePaths[Path], mine: Path, theirs: Path) -> None:
    take(machine, theirs)
    (machine.lease(GPU) / lease.HOLDER).write_text("{cut off")
    answer = take(machine, mine, start_within_s=0.0)
    assert not answer["taken"]
    assert "unreadable" in answer["why"]


def test_an_empty_folder_in_its_place_is_no_lease(machine: MachinePaths[Path], mine: Path) -> None:
    machine.lease(GPU).mkdir(parents=True)
    assert take(machine, mine)["taken"]


@pytest.mark.parametrize("slot", ["", "..", "a/b", ".hidden", "x\ny"])
def test_a_slot_that_is_no_name_is_refused(machine: MachinePaths[Path], mine: Path, slot: str) -> None:
    with pytest.raises(ValueError, match="neither cpu nor"):
        lease.take(machine, slot, mine, START_WITHIN_S)


def test_a_job_runs_on_its_lease_and_gives_it_back(
    shell: LocalShell, spec_of: Callable[..., JobSpec], machine: MachinePaths[Path]
) -> None:
    spec = spec_of("sleep", "1000", slot=GPU, machine=machine.root)
    job.prepare(shell, spec, {})
    assert isinstance(job.take(shell, spec.paths, machine.root, GPU), job.Taken)
    launched = job.launch(shell, spec.paths)
    assert isinstance(launched, job.Launched)
    eventually(spec.paths.heartbeat.exists)
    (held,) = lease.show(machine, None, 0.0)["leases"]
    assert held["holder"]["supervisor"]["pid"] == launched.pid
    assert held["held_because"] == "its supervisor lives"
    job.cancel(shell, spec.paths)
    eventually(lambda: lease.show(machine, None, 0.0) == {"leases": []})


def test_a_job_without_its_lease_is_not_started(
    shell: LocalShell, spec_of: Callable[..., JobSpec], machine: MachinePaths[Path], theirs: Path
) -> None:
    token = take(machine, theirs)["token"]
    spec = spec_of("touch", "ran", slot=GPU, machine=machine.root)
    job.prepare(shell, spec, {})
    held = job.take(shell, spec.paths, machine.root, GPU)
    assert isinstance(held, job.Held)
    assert held.job == str(theirs)
    job.launch(shell, spec.paths)
    eventually(spec.paths.exit.exists)
    assert json.loads(spec.paths.exit.read_text())["outcome"] == "not started"
    assert not (spec.paths.root / "ran").exists()
    assert take(machine, theirs)["token"] == token


def test_the_agent_gives_a_lease_back_by_its_token(
    shell: LocalShell, spec_of: Callable[..., JobSpec], machine: MachinePaths[Path]
) -> None:
    spec = spec_of("true", slot=GPU, machine=machine.root)
    job.prepare(shell, spec, {})
    taken = job.take(shell, spec.paths, machine.root, GPU)
    assert isinstance(taken, job.Taken)
    assert job.release(shell, spec.paths, machine.root, GPU, taken.token) is None
    assert job.release(shell, spec.paths, machine.root, GPU, taken.token) == "not held"


def test_the_lease_of_a_killed_supervisor_is_reclaimed_when_nothing_of_its_job_lives(
    shell: LocalShell, spec_of: Callable[..., JobSpec], machine: MachinePaths[Path], mine: Path
) -> None:
    script = "trap '' TERM; touch ready; while :; do sleep 0.1; done"
    spec = spec_of("sh", "-c", script, slot=GPU, machine=machine.root, grace_s=1.5)
    job.prepare(shell, spec, {})
    job.take(shell, spec.paths, machine.root, GPU)
    launched = job.launch(shell, spec.paths)
    assert isinstance(launched, job.Launched)
    eventually((spec.paths.root / "ready").exists)
    os.kill(launched.pid, signal.SIGKILL)
    eventually(lambda: "processes of its job" in str(take(machine, mine, start_within_s=0.0).get("why")))
    eventually(lambda: take(machine, mine, start_within_s=0.0)["taken"])


def test_the_folder_of_a_machine_is_shared_by_its_users(machine: MachinePaths[Path], mine: Path) -> None:
    before = os.umask(0o077)
    try:
        assert lease.take(machine, "cpu", mine, 60.0)["taken"]
    finally:
        os.umask(before)
    assert machine.root.stat().st_mode & 0o777 == 0o777
    assert machine.leases.stat().st_mode & 0o777 == 0o777
    assert machine.lock.stat().st_mode & 0o777 == 0o666


def test_a_link_in_the_place_of_the_machine_folder_opens_nothing_up(tmp_path: Path, mine: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (tmp_path / "machine").symlink_to(private)
    lease.take(MachinePaths(tmp_path / "machine"), "cpu", mine, 60.0)
    assert private.stat().st_mode & 0o777 == 0o700

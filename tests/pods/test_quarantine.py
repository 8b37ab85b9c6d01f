"""A GPU whose memory does not come back after a job is not used again until somebody has looked."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from pods import job
from pods.supervisor import lease, quarantine
from pods.supervisor.paths import JobPaths, MachinePaths
from tests.daemons.nvidia import Card, install

GPU = "GPU-1"


@pytest.fixture
def machine(tmp_path: Path) -> MachinePaths[Path]:
    return MachinePaths(tmp_path / "machine")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """An `nvidia-smi` that says what the file `used` beside it says."""
    folder = tmp_path / "programs"
    install(folder, [Card(GPU)])
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def run_job(shell, spec_of, machine, script: str) -> job.Finished:
    spec = spec_of(sys.executable, "-c", script, slot=GPU, machine=machine.root)
    job.prepare(shell, spec, {})
    assert isinstance(job.take(shell, spec.paths, machine.root, GPU), job.Taken)
    job.launch(shell, spec.paths)
    while not isinstance(found := job.observe(shell, spec.paths), job.Finished):
        time.sleep(0.05)
    return found


def test_a_gpu_whose_memory_came_back_is_free_again(shell, spec_of, machine, programs, monkeypatch):
    assert run_job(shell, spec_of, machine, "").exit.outcome == "finished"
    assert quarantine.show(machine) == {}
    assert lease.show(machine, GPU, 0.0) == {"leases": []}


@pytest.mark.slow
def test_a_gpu_whose_memory_did_not_come_back_is_not_given_again(shell, spec_of, machine, programs):
    script = f"open({str(programs / 'used')!r}, 'w').write('60000')"
    run_job(shell, spec_of, machine, script)
    why = "60000 MiB in use after its last job, 4 MiB before"
    assert quarantine.show(machine) == {GPU: f"quarantined: {why}"}
    other = JobPaths(machine.root.parent / "other")
    taken = lease.take(machine, GPU, other.root, 120.0)
    assert taken == {"taken": False, "holder": None, "why": f"quarantined: {why}"}
    assert quarantine.lift(machine, GPU)
    assert lease.take(machine, GPU, other.root, 120.0)["taken"]


def test_lifting_what_is_in_no_quarantine_says_so(machine):
    assert not quarantine.lift(machine, GPU)


def test_a_record_that_cannot_be_read_stands(machine):
    machine.quarantine.mkdir(parents=True)
    (machine.quarantine / GPU).write_text("{cut")
    assert quarantine.show(machine)[GPU].startswith("quarantined, GPU-1: not JSON")
    assert not lease.take(machine, GPU, machine.root.parent / "job", 120.0)["taken"]


def test_a_slot_whose_name_is_a_path_is_refused(machine):
    with pytest.raises(ValueError, match="neither cpu nor"):
        quarantine.lift(machine, "../../etc")

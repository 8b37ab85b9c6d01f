"""What a pod lacks for a job, each by its name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from pods.preflight import Lack, Preflight, preflight, seen_lacks
from pods.probe import Disk, PodState, probe
from tests.daemons.nvidia import Card, install

pytestmark = pytest.mark.ssh


@pytest.fixture
def state(daemon) -> PodState:
    found = probe(daemon.shell(), daemon.pod())
    assert isinstance(found, PodState)
    return found


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repo"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(folder)]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    return str(folder)


def test_a_pod_that_has_everything_lacks_nothing(daemon, state, repository):
    assert preflight(daemon.shell(), state, "cpu", ["json", "zipfile"], repository) == Preflight((), True)


def test_a_package_that_does_not_import_comes_with_its_install_line(daemon, state, repository):
    [lack] = preflight(daemon.shell(), state, "cpu", ["json", "no_such_package"], repository).lacks
    assert lack == Lack(
        "package",
        "no_such_package ModuleNotFoundError No module named 'no_such_package'",
        f"{sys.executable} -m pip install no-such-package",
    )


def test_a_repository_that_cannot_be_fetched_is_no_lack(daemon, state):
    found = preflight(daemon.shell(), state, "cpu", [], "https://127.0.0.1:1/acme/private.git")
    assert found == Preflight((), False)


def test_a_gpu_that_is_not_visible_is_named(daemon, state, repository):
    install(daemon.programs, [Card("GPU-1")])
    [lack] = preflight(daemon.shell(), state, "GPU-1", [], repository).lacks
    assert (lack.what, lack.why) == ("gpu", "GPU-1 is not visible here")  # this driver knows no --id


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"disk": None}, "disk"),
        ({"disk": Disk(10**12, 10**12, 10**6, False)}, "disk"),
        ({"disk": Disk(10**6, 10**12, 10**6, True)}, "disk"),
        ({"disk": Disk(10**12, 10**12, 5, True)}, "inodes"),
        ({"disk": Disk(10**12, 10**12, None, True)}, ""),
    ],
)
def test_room_on_the_disk_is_judged_from_the_probe(state, changes, what):
    assert [lack.what for lack in seen_lacks(replace(state, **changes))] == [what] * bool(what)


def test_a_machine_with_hardly_any_memory_is_named(state):
    small = replace(state, host=replace(state.host, memory_mib=512))
    assert [str(lack) for lack in seen_lacks(small)] == ["memory: 512 MiB, 1024 are needed"]

"""What a pod lacks for a job, each by its name."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from pods import preflight as checks
from pods.preflight import Lack, Preflight, preflight, seen_lacks
from pods.probe import Disk, PodState, probe
from pods.shell import PodError
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
        "no_such_package",
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
    small = replace(state, host=replace(state.host, memory_mib=512, available_mib=None))
    assert [str(lack) for lack in seen_lacks(small)] == ["memory: 512 MiB available, 1024 are needed"]


def test_memory_that_others_hold_is_none_for_the_job(state):
    full = replace(state, host=replace(state.host, memory_mib=65_536, available_mib=300))
    assert [str(lack) for lack in seen_lacks(full)] == ["memory: 300 MiB available, 1024 are needed"]


WHEEL = {
    "tiny_kernel.py": "",
    "tiny_kernel-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-kernel\nVersion: 1.0\n",
    "tiny_kernel-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny_kernel-1.0.dist-info/RECORD": "",
}


@pytest.mark.slow
def test_a_package_that_is_lacking_is_installed_where_that_is_allowed(daemon, state, repository, tmp_path):
    """From a folder of wheels, into an environment of the pod's own."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    with zipfile.ZipFile(tmp_path / "tiny_kernel-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in WHEEL.items():
            wheel.writestr(name, text)
    (daemon.folder / ".config" / "pip").mkdir(parents=True)
    config = f"[global]\nno-index = true\nfind-links = {tmp_path}\n"
    (daemon.folder / ".config" / "pip" / "pip.conf").write_text(config)
    shell = daemon.shell()
    shell.python = str(tmp_path / "env" / "bin" / "python")
    [lack] = preflight(shell, state, "cpu", ["tiny_kernel"], repository).lacks
    assert lack.package == "tiny_kernel"
    assert checks.install(shell, ["tiny_kernel"]) == ("tiny-kernel",)
    assert preflight(shell, state, "cpu", ["tiny_kernel"], repository).lacks == ()
    with pytest.raises(PodError, match="no-such could not be installed: ERROR"):
        checks.install(shell, ["no_such"])

"""Real processes: the packed supervisor, this machine's shell, job folders whose processes are ended by
id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pods import job
from pods.archive import supervisor_archive
from pods.job import JobSpec
from pods.paths import JobPaths
from pods.shell_local import LocalShell
from pods.supervisor import started
from tests.pods.processes import is_alive


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zipapp") / "supervisor.pyz"
    path.write_bytes(supervisor_archive())
    return path


class Owning:
    """Starts owners of a subject and reads their one line."""

    def __init__(self, pyz: Path, folder: Path) -> None:
        self.pyz = pyz
        self.folder = folder
        self.log = folder / "log"
        self.begun: list[subprocess.Popen[bytes]] = []

    def begin(self, *argv: str, options: tuple[str, ...] = (), **popen: Any) -> subprocess.Popen[bytes]:
        head = [sys.executable, "-I", "-S", str(self.pyz), "own", "--log", str(self.log)]
        limit = () if "--log-limit-b" in options else ("--log-limit-b", "100000")
        child = subprocess.Popen([*head, *limit, *options, "--", *argv], stdout=subprocess.PIPE, **popen)
        self.begun.append(child)
        return child

    def report(self, child: subprocess.Popen[bytes]) -> dict[str, Any]:
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        assert out.count(b"\n") == 1
        return json.loads(out)

    def run(self, *argv: str, options: tuple[str, ...] = (), **popen: Any) -> dict[str, Any]:
        return self.report(self.begin(*argv, options=options, **popen))


@pytest.fixture
def owning(pyz: Path, tmp_path: Path) -> Iterator[Owning]:
    owning = Owning(pyz, tmp_path)
    yield owning
    for child in owning.begun:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.fixture
def shell() -> LocalShell:
    return LocalShell()


@pytest.fixture
def ids_to_end() -> Iterator[list[int]]:
    """Process ids that a test expects to be dead; a failing test leaves none behind."""
    ids: list[int] = []
    yield ids
    for pid in ids:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def spec_of(shell: LocalShell, tmp_path: Path) -> Iterator[Callable[..., JobSpec]]:
    """Makes specs of jobs in `tmp_path`; whatever they started is ended."""
    specs: list[JobSpec] = []

    def make(*command: str, name: str = "job", **changes: Any) -> JobSpec:
        paths = JobPaths(changes.pop("root", tmp_path) / name)
        values = {"limit_s": 60.0, "grace_s": 0.3, "plan": "0123456789ab", "slot": "cpu", **changes}
        spec = JobSpec(paths=paths, name=name, command=command, **values)
        specs.append(spec)
        return spec

    yield make
    for spec in specs:
        if isinstance(spec.paths.root, Path) and spec.paths.root.exists():
            started.end_living(JobPaths(spec.paths.root.resolve()), 0.1)


@pytest.fixture
def launched(shell: LocalShell, spec_of: Callable[..., JobSpec]) -> Callable[..., JobSpec]:
    """Prepares and launches a job of the given command."""

    def launch(*command: str, **changes: Any) -> JobSpec:
        spec = spec_of(*command, **changes)
        assert job.prepare(shell, spec, {}) == job.Prepared()
        assert isinstance(job.launch(shell, spec.paths), job.Launched)
        return spec

    return launch


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"]
    mounted = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount a tmpfs here: needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

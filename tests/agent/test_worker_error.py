"""Why a plan could not be worked off: the packed worker says whether another try could."""

import json
import subprocess
import sys

import pytest

from agent.dispatch import Place, files_of
from bench.plan import Arm
from pods.paths import JobPaths
from tests.agent.made_job import SFT, made_plan
from tests.e2e.conftest import git, make_repository


@pytest.fixture
def repository(tmp_path):
    return make_repository(tmp_path / "repository", {"README": "x"})


def error_of(folder, source, commit, **recipe) -> dict:
    """What a job leaves whose source is `source`."""
    sft = SFT.__class__("sft", ("{python}",), **recipe)
    plan = made_plan(recipes=(sft,), arms=(Arm("baseline", commit), Arm("optimized", commit)), criteria=())
    paths = JobPaths(folder / "job")
    paths.root.mkdir()
    place = Place(paths, "cpu", folder / "machine", folder, sys.executable)
    for name, data in files_of(plan, str(source), {}, place).items():
        (paths.root / name).write_bytes(data)
    command = [sys.executable, str(paths.worker), str(paths.root)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 3
    return json.loads((paths.runs / "error.json").read_text())


def test_a_commit_that_is_not_there_is_on_no_machine(tmp_path, repository):
    told = error_of(tmp_path, repository, "f" * 40)
    assert told["is_final"]
    assert "f" * 40 in told["text"]


def test_a_commit_without_its_lock_file_is_the_same_everywhere(tmp_path, repository):
    told = error_of(tmp_path, repository, git(repository, "rev-parse", "HEAD"), env="pip")
    assert told == {
        "text": "env = 'pip' needs requirements.lock or requirements.txt in the commit",
        "is_final": True,
    }


@pytest.mark.parametrize("source", ["http://127.0.0.1:9/nobody.git", "/nowhere"])
def test_a_source_that_is_not_reached_may_be_reached_later(tmp_path, source):
    assert not error_of(tmp_path, source, "f" * 40)["is_final"]

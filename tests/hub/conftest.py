"""A served hub with a small git repository, people in every role, and a check of every answer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import github
import pytest
from github import Auth

from agent.hub.faults import Faults, with_faults
from agent.hub.serve import Hub
from tests.hub.conformance import Conformance

ROLES = ("read", "triage", "write", "maintain", "admin")
NAME = "acme/target"
SECRET = "acme/secret"
# PyGithub waits 0.25 s between requests and 1 s between writes, and repeats what failed, unless told not to.
UNHURRIED = {"retry": None, "seconds_between_requests": None, "seconds_between_writes": None}


@dataclass(frozen=True)
class Git:
    """A git repository of a test, run with a fixed author."""

    path: Path

    def __call__(self, *arguments: str) -> str:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main")
        command = ["git", "-C", str(self.path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str, **files: str | bytes | None) -> str:
        """Write files (None removes one), commit, and return the id."""
        for name, content in files.items():
            file = self.path / name.replace("__", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content.encode() if isinstance(content, str) else content)
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message", message)
        return self("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    """Two commits on main; the path has a space, and letters that mean something in an address."""
    path = tmp_path / "a #folder" / "target"
    path.mkdir(parents=True)
    git = Git(path)
    git("init", "--quiet")
    git.commit("one", paceline__toml='[recipe.sft]\nrun = ["{python}"]\n', README="hello\n")
    git.commit("two", README="hello\nworld\n")
    return git


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def hub(tmp_path: Path, repository: Git, faults: Faults) -> Iterator[Hub]:
    conformance = Conformance()

    def around(app):
        return with_faults(conformance.around(app), faults)

    with Hub(tmp_path / "hub.db", around=around) as hub:
        hub.admin.repository(NAME, repository.path)
        hub.admin.repository(SECRET, repository.path, is_private=True)
        for role in ROLES:
            for name in (NAME, SECRET):
                hub.admin.role(name, role, role)
        yield hub
    assert conformance.problems == []


Connect = Callable[..., github.Github]


@pytest.fixture
def connect(hub: Hub) -> Iterator[Connect]:
    """PyGithub as somebody; without retries, so that a test sees what one request does."""
    made = []

    def connected(login: str | None = "write", **options) -> github.Github:
        auth = Auth.Token(hub.admin.token(login)) if login else None
        made.append(github.Github(base_url=hub.base_url, auth=auth, **{**UNHURRIED, **options}))
        return made[-1]

    yield connected
    for one in made:
        one.close()


@pytest.fixture
def repo(connect: Connect) -> github.Repository.Repository:
    """The public repository as somebody who may write."""
    return connect("write").get_repo(NAME)

"""In CI a skipped test is a failure: every program that a suite needs is installed there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemons.sshd import SSHD, Daemon, make_user_key, new_daemon


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") and skipped and exitstatus == 0:
        reporter.write_line(f"{len(skipped)} skipped, which is a failure in CI", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if SSHD is None:
        pytest.skip("needs openssh-server")
    return make_user_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def daemons(user_key: Path, tmp_path: Path) -> Iterator[Callable[[str], Daemon]]:
    """Starts SSH daemons by name, each in a folder with a space; all their processes are ended."""
    begun: list[Daemon] = []

    def start(name: str) -> Daemon:
        begun.append(new_daemon(tmp_path / f"pod {name}", name, user_key))
        return begun[-1]

    yield start
    for daemon in begun:
        daemon.end()


@pytest.fixture
def daemon(daemons: Callable[[str], Daemon]) -> Daemon:
    return daemons("alpha")

"""Opens what the agent works with: the tracker with its account, the keys, this machine as its bench."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

from pods.shell_local import LocalShell

from agent.bench_command import workplace_at
from agent.gather import Bench, Desk
from agent.here import MACHINE, look_around
from agent.key import key_path, load_keys
from agent.operator import Operator
from agent.tracker_github import GithubTracker


@contextlib.contextmanager
def open_desk(operator: Operator) -> Iterator[Desk]:
    """Raises TaskError (key), TrackerError (account), PodError (machine)."""
    keys = load_keys(operator.key or key_path())
    tracker = GithubTracker(base_url=operator.url, token=operator.token, repository=operator.repository)
    try:
        yield Desk(
            tracker=tracker,
            operator=operator,
            keys=tuple(keys),
            bench=bench_here(operator.workspace),
            me=tracker.me(),
            repository_id=tracker.repository_id(),
            agent=agent_name(operator.workspace),
        )
    finally:
        tracker.close()


def agent_name(workspace: Path) -> str:
    """Who works here, in few characters: this host and this workspace."""
    digest = hashlib.sha256(str(workspace.resolve()).encode()).hexdigest()[:8]
    return f"{socket.gethostname()}-{digest}"


def bench_here(workspace: Path) -> Bench:
    shell = LocalShell(name=socket.gethostname())
    here = look_around(shell)
    return Bench(shell, here.slot, MACHINE, workplace_at(workspace), here.host)

"""Opens what the agent works with: the tracker with its account, the keys, the pods."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pods.fleet import Fleet
from pods.inventory import Inventory

from agent.bench_command import workplace_at
from agent.branch import BRANCH
from agent.fleet import fleet_here, fleet_of
from agent.gather import Desk
from agent.key import VARIABLE, key_path, load_keys
from agent.operator import Operator
from agent.tracker_github import GithubTracker
from agent.yard import Yard

TRACKER_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
"""Variables that hold a token on many machines, whatever the operator's file names."""


@contextlib.contextmanager
def open_desk(operator: Operator, *, has_pods: bool = True) -> Iterator[Desk]:
    """Without pods for what asks none: a mistake in pods.toml keeps nobody from cancelling.

    Raises TaskError (key, inventory), TrackerError (account).
    """
    keys = load_keys(operator.key or key_path())
    hidden = (operator.token, *(key.secret.hex() for key in keys))
    # From here on nothing that is started inherits them: not the token of an earlier account either.
    for name in (operator.token_env, *TRACKER_TOKENS, VARIABLE):
        os.environ.pop(name, None)
    yard = yard_of(operator) if has_pods else Yard(Fleet(Inventory((), Path())), operator.workspace)
    tracker = GithubTracker(
        base_url=operator.url,
        token=operator.token,
        repository=operator.repository,
        results_branch=operator.results_branch or BRANCH,
    )
    try:
        yield Desk(
            tracker=tracker,
            operator=operator,
            keys=tuple(replace(key, hidden=hidden) for key in keys),
            yard=yard,
            me=tracker.me(),
            repository_id=tracker.repository_id(),
            agent=agent_name(operator.workspace),
        )
    finally:
        tracker.close()
        yard.close()


def agent_name(workspace: Path) -> str:
    """Who works here, in few characters: this host and this workspace."""
    digest = hashlib.sha256(str(workspace.resolve()).encode()).hexdigest()[:8]
    return f"{socket.gethostname()}-{digest}"


def yard_of(operator: Operator) -> Yard:
    """The pods of the inventory, or this machine alone. Raises TaskError."""
    workspace = workplace_at(operator.workspace)
    return Yard(fleet_of(operator.pods) if operator.pods else fleet_here(workspace), workspace)

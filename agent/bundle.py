"""The commits of a plan as one file, for a pod that cannot fetch the repository by itself.

A bare mirror in the agent's workspace fetches them with whatever credentials git has on this machine; what
goes to the pod holds these commits and their history, and no credentials.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from bench.plan import Plan
from bench.worker.source import LOCAL_LIMIT_S, Mirror, SourceError, git
from pods.shell import PodError

NAME = "repository.bundle"
BUNDLE_LIMIT_S = 5 * LOCAL_LIMIT_S


def bundle_of(plan: Plan, source: str, workspace: Path) -> bytes:
    """Raises PodError: that the commits cannot be had here says nothing of the change."""
    commits = sorted({commit for arm in plan.arms for commit in (arm.commit, *arm.reverts)})
    mirror = Mirror(workspace, source)
    path = workspace / f"{plan.hash[:12]}.bundle"
    try:
        for commit in commits:
            mirror.fetch(commit)
        names = [f"refs/paceline/{commit}" for commit in commits]
        where = ("--git-dir", str(mirror.path))
        git(*where, "bundle", "create", "--quiet", str(path), *names, limit_s=BUNDLE_LIMIT_S)
        return path.read_bytes()
    except (SourceError, OSError) as error:
        raise PodError(f"the commits cannot be had here either: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

"""The commits under test: one bare mirror per repository, one worktree per commit and job.

Nothing is ever checked out, pulled or written in somebody's own tree: the mirror fetches single commits from
it. A worktree is put back to its commit before every run, so that no run sees what another one left.
Hooks and filters that a repository or a user configured do not run here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from bench.worker.files import locked

FETCH_LIMIT_S = 600.0
LOCAL_LIMIT_S = 120.0


class SourceError(Exception):
    """A repository or commit that could not be had; the text is one line that says which and why."""


def git_environment() -> dict[str, str]:
    """The environment of git here: nothing inherited that points it elsewhere, never a prompt."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def git(*arguments: str, limit_s: float = LOCAL_LIMIT_S) -> str:
    """Run git and return what it prints. Raises SourceError with git's own last line."""
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *arguments]
    try:
        done = subprocess.run(
            command,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git {arguments[0]} did not end in {limit_s:.0f} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        raise SourceError(told[-1])
    return done.stdout.decode(errors="replace")


class Mirror:
    """The bare mirror of one source under `<workspace>/mirrors/`, shared by jobs under a lock."""

    def __init__(self, workspace: Path, source: str) -> None:
        key = hashlib.sha256(source.encode()).hexdigest()[:16]
        self.path = workspace / "mirrors" / f"{key}.git"
        self._lock = workspace / "mirrors" / f"{key}.lock"
        self._source = source

    def fetch(self, commit: str) -> None:
        """Have a commit (full id) with its tree; from the source only where it is not here yet."""
        with locked(self._lock):
            if not (self.path / "HEAD").exists():
                git("init", "--quiet", "--bare", str(self.path))
            if self._has(commit):
                return
            git(
                *("--git-dir", str(self.path), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"),
                *("--no-auto-maintenance", "--", self._source, f"{commit}:refs/paceline/{commit}"),
                limit_s=FETCH_LIMIT_S,
            )

    def _has(self, commit: str) -> bool:
        try:
            git("--git-dir", str(self.path), "cat-file", "-e", f"refs/paceline/{commit}^{{tree}}")
        except SourceError:
            return False
        return True

    def lay_worktree(self, commit: str, folder: Path) -> Worktree:
        """A worktree of `commit` at `folder`, made anew where one is there already."""
        with locked(self._lock):
            if folder.exists():
                shutil.rmtree(folder)
            git("--git-dir", str(self.path), "worktree", "prune")
            git("--git-dir", str(self.path), "worktree", "add", "--quiet", "--detach", str(folder), commit)
        return Worktree(folder, commit)

    def drop_worktree(self, worktree: Worktree) -> None:
        with locked(self._lock):
            shutil.rmtree(worktree.folder, ignore_errors=True)
            git("--git-dir", str(self.path), "worktree", "prune")


class Worktree:
    def __init__(self, folder: Path, commit: str) -> None:
        self.folder = folder
        self.commit = commit

    def restore(self) -> None:
        """Put every file back to the commit and delete every other, ignored ones too."""
        git("-C", str(self.folder), "reset", "--quiet", "--hard", self.commit)
        git("-C", str(self.folder), "clean", "-ffdxq")

    def value_of(self, protected: str) -> str:
        """The text of a protected value `path:key`, "" where file or key is missing.

        Read by line (`key: value`, `key = value`, `"key": value`): enough to see that it was touched.
        """
        path, _, key = protected.partition(":")
        file = self.folder / path
        if not file.is_file():
            return ""
        name = re.escape(key.rpartition(".")[2])
        pattern = re.compile(rf"""^\s*["']?{name}["']?\s*[:=]\s*(.*?)\s*,?\s*$""", re.MULTILINE)
        found = pattern.search(file.read_text(encoding="utf-8", errors="replace"))
        return found[1] if found else ""

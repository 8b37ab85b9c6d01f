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
from dataclasses import dataclass
from pathlib import Path

from bench.worker.files import locked

FETCH_LIMIT_S = 600.0
LOCAL_LIMIT_S = 120.0
MOST_LISTED = 200


class SourceError(Exception):
    """A repository or commit that could not be had; the text is one line that says which and why."""


NO_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
"""A worktree is what the commit says: no filters, line ends or attributes of this user or machine."""


def git_environment() -> dict[str, str]:
    """The environment of git here: nothing inherited that points it elsewhere, never a prompt."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def git(*arguments: str, limit_s: float = LOCAL_LIMIT_S, with_settings: bool = True) -> str:
    """Run git and return what it prints, with the user's settings (credentials, safe folders) or without.

    Raises SourceError with git's own first error: what follows it is advice as a rule.
    """
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *arguments]
    try:
        done = subprocess.run(
            command,
            env=git_environment() | ({} if with_settings else NO_SETTINGS),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git {_name_of(arguments)} did not end in {limit_s:.0f} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        raise SourceError(told[0])
    return done.stdout.decode(errors="replace")


def _name_of(arguments: tuple[str, ...]) -> str:
    """The command among git's arguments: behind the options that take a value."""
    rest = list(arguments)
    while rest and rest[0] in ("-C", "-c", "--git-dir", "--work-tree"):
        del rest[:2]
    return rest[0] if rest else ""


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
                git("init", "--quiet", "--bare", "--template=", str(self.path), with_settings=False)
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
            _delete(folder)
            self._git("worktree", "prune")
            self._git("worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
        link = (folder / ".git").read_text(encoding="utf-8")
        return Worktree(folder, commit, self, link)

    def history(self, base: str, tip: str) -> dict[str, object]:
        """The commits of `tip` that `base` does not have, oldest first, and the lines that differ by file.

        {"commits": [{"id", "subject"}], "files": [{"path", "added", "removed"}]}; lines are None for a
        binary file. Both lists are bounded.
        """
        where = ("--git-dir", str(self.path))
        log = git(*where, "log", "--reverse", "--format=%H%x09%s", f"{base}..{tip}", with_settings=False)
        stat = git(*where, "diff", "--numstat", "-z", "--no-renames", base, tip, with_settings=False)
        commits = [line.partition("\t") for line in log.splitlines()]
        files = [entry.split("\t", 2) for entry in stat.split("\0") if entry]
        return {
            "commits": [{"id": one, "subject": subject} for one, _, subject in commits[:MOST_LISTED]],
            "files": [
                {"path": path, "added": _count(added), "removed": _count(removed)}
                for added, removed, path in files[:MOST_LISTED]
            ],
        }

    def drop_worktree(self, worktree: Worktree) -> None:
        with locked(self._lock):
            _delete(worktree.folder)
            self._git("worktree", "prune")

    def _git(self, *arguments: str) -> None:
        git("--git-dir", str(self.path), *arguments, with_settings=False)


@dataclass(frozen=True)
class Worktree:
    """`link` is the content of its `.git` file: where git keeps the state of this worktree."""

    folder: Path
    commit: str
    mirror: Mirror | None = None
    link: str = ""

    def restore(self) -> None:
        """Put every file back to the commit and delete every other, ignored ones too.

        What a subject damaged beyond that (the `.git` file, the folder itself) is laid anew.
        """
        try:
            self._reset()
        except (SourceError, OSError):
            if self.mirror is None:
                raise
            self.mirror.lay_worktree(self.commit, self.folder)

    def _reset(self) -> None:
        # Never let git look for a repository: without its `.git` file this folder lies in the user's own.
        place = self.link.removeprefix("gitdir: ").rstrip("\n")
        if not place or (self.folder / ".git").read_text(encoding="utf-8") != self.link:
            raise SourceError(f"{self.folder} is not the worktree it was")
        where = ("-C", str(self.folder), "--git-dir", place, "--work-tree", str(self.folder))
        git(*where, "reset", "--quiet", "--hard", self.commit, with_settings=False)
        git(*where, "clean", "-ffdxq", with_settings=False)

    def value_of(self, protected: str) -> str:
        """The text of a protected value `path:key`, "" where file or key is missing.

        Read by line (`key: value`, `key = value`, `"key": value`): enough to see that it was touched.
        """
        path, _, key = protected.partition(":")
        file = self.folder / path
        if not file.is_file():
            return ""
        name = re.escape(key.rpartition(".")[2])
        pattern = re.compile(
            rf"""^[ \t]*["']?{name}["']?[ \t]*[:=][ \t]*(.*?)[ \t]*,?[ \t]*$""", re.MULTILINE
        )
        found = pattern.search(file.read_text(encoding="utf-8", errors="replace"))
        return found[1] if found else ""


def _count(lines: str) -> int | None:
    return None if lines == "-" else int(lines)


def _delete(folder: Path) -> None:
    """Delete a folder, whatever a subject left in it or in its place. Raises OSError where it cannot be."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if not folder.exists():
        return
    for root, names, _ in os.walk(folder):
        for path in [Path(root), *(Path(root, name) for name in names)]:
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)

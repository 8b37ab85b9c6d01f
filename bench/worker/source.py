"""The commits under test: one bare mirror per repository, one worktree per arm and job.

Nothing is ever checked out, pulled or written in somebody's own tree: the mirror fetches single commits from
it. A worktree is put back to its commit before every run, so that no run sees what another one left. What an
arm reverts is reverted here, under a name and at a time that are always the same, so that the same commit and
the same reverts are the same commit id on every machine.
Hooks and filters that a repository or a user configured do not run here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.worker.files import locked

FETCH_LIMIT_S = 600.0
LOCAL_LIMIT_S = 120.0
MOST_LISTED = 200


class SourceError(Exception):
    """A repository or commit that could not be had; the text is one line that says which and why.

    `is_final` where another try would come to the same: not where a network or a disk was to blame.
    """

    is_final = False


class MissingError(SourceError):
    """A commit that the source does not have."""

    is_final = True


class RevertError(SourceError):
    """One arm that cannot be had, because a commit of it cannot be reverted; the others can be."""

    is_final = True


NOT_THERE = re.compile(r"not our ref|unadvertised object|couldn't find remote ref")
"""What git says of a commit that the other side does not have, or does not give."""

NO_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
"""A worktree is what the commit says: no filters, line ends or attributes of this user or machine."""
IDENTITY = {
    f"GIT_{role}_{what}": text
    for role in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "paceline"), ("EMAIL", "paceline@localhost"), ("DATE", "@0 +0000"))
}
"""Who commits what was reverted, and when: nobody's name, and no clock."""


def git_environment() -> dict[str, str]:
    """The environment of git here: nothing inherited that points it elsewhere, never a prompt."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def git(
    *arguments: str,
    limit_s: float = LOCAL_LIMIT_S,
    with_settings: bool = True,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run git and return what it prints, with the user's settings (credentials, safe folders) or without.

    `variables` come on top of its environment. Raises SourceError with git's own first error: what follows it
    is advice as a rule.
    """
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *arguments]
    try:
        done = subprocess.run(
            command,
            env=git_environment() | ({} if with_settings else NO_SETTINGS) | dict(variables or {}),
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
            try:
                git(
                    *("--git-dir", str(self.path), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"),
                    *("--no-auto-maintenance", "--", self._source, f"{commit}:refs/paceline/{commit}"),
                    limit_s=FETCH_LIMIT_S,
                )
            except SourceError as error:
                raise (MissingError(str(error)) if NOT_THERE.search(str(error)) else error) from None

    def _has(self, commit: str) -> bool:
        try:
            git("--git-dir", str(self.path), "cat-file", "-e", f"refs/paceline/{commit}^{{tree}}")
        except SourceError:
            return False
        return True

    def lay_worktree(self, commit: str, folder: Path, reverts: Sequence[str] = ()) -> Worktree:
        """A worktree of `commit` at `folder`, made anew where one is there already.

        `reverts` are full ids of commits that are reverted on top of it, in this order. Raises RevertError,
        and leaves no worktree then, where one of them does not revert.
        """
        with locked(self._lock):
            self._drop(folder)
            self._git("worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
            try:
                head = self._reverted(commit, folder, reverts) if reverts else commit
            except SourceError:
                self._drop(folder)
                raise
            tree = self._git("rev-parse", f"{head}^{{tree}}")
        link = (folder / ".git").read_text(encoding="utf-8")
        return Worktree(folder, commit, self, link, tuple(reverts), head, tree)

    def _reverted(self, commit: str, folder: Path, reverts: Sequence[str]) -> str:
        """Revert in a fresh worktree; the id of the commit on top of `commit` that holds what comes of it."""
        where = ("-C", str(folder))
        for one in reverts:
            mainline = self._mainline(commit, one)
            try:
                git(*where, "revert", "--no-commit", *mainline, one, with_settings=False, variables=IDENTITY)
            except SourceError:
                if not git(*where, "ls-files", "--unmerged", with_settings=False):
                    raise
                raise RevertError(f"does not revert cleanly: commit {one[:12]}") from None
        tree = git(*where, "write-tree", with_settings=False).strip()
        named = f"without {' '.join(one[:12] for one in reverts)}"
        head = git(
            *("--git-dir", str(self.path), "commit-tree", tree, "-p", commit, "-m", named),
            with_settings=False,
            variables=IDENTITY,
        ).strip()
        git(*where, "reset", "--quiet", "--hard", head, with_settings=False)
        return head

    def _mainline(self, tip: str, commit: str) -> tuple[str, ...]:
        """The option that says which parent a merge is held against. Raises RevertError.

        Of a merge on the first-parent line of `tip` it is the first: what the merge brought into that line.
        Elsewhere nobody knows which side was meant.
        """
        try:
            self._git("merge-base", "--is-ancestor", commit, tip)
        except SourceError:
            raise RevertError(f"cannot be reverted: commit {commit[:12]} is no part of {tip[:12]}") from None
        _, *parents = self._git("rev-list", "--parents", "--max-count=1", commit).split()
        if len(parents) < 2:
            return ()
        line = self._git("rev-list", "--first-parent", tip, f"^{parents[0]}").split()
        if commit not in line:
            raise RevertError(
                f"cannot be reverted: commit {commit[:12]} is a merge beside the first-parent line of"
                f" {tip[:12]}, so it is not known which of its sides to keep"
            )
        return ("--mainline", "1")

    def history(self, base: str, tip: str) -> dict[str, object]:
        """The commits of `tip` that `base` does not have, oldest first, and the lines that differ by file.

        {"commits": [{"id", "subject"}], "files": [{"path", "added", "removed"}]}; lines are None for a
        binary file. Both lists are bounded. `tip` may be the head of a worktree: its reverts are one commit.
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
            self._drop(worktree.folder)

    def _drop(self, folder: Path) -> None:
        _delete(folder)
        self._git("worktree", "prune")

    def _git(self, *arguments: str) -> str:
        return git("--git-dir", str(self.path), *arguments, with_settings=False).strip()


@dataclass(frozen=True)
class Worktree:
    """`link` is the content of its `.git` file: where git keeps the state of this worktree.

    `head` is the commit that it is put back to: `commit`, or what came of reverting `reverts` on top of it.
    `tree` is the id of everything in it.
    """

    folder: Path
    commit: str
    mirror: Mirror | None = None
    link: str = ""
    reverts: tuple[str, ...] = ()
    head: str = ""
    tree: str = ""

    def restore(self) -> None:
        """Put every file back to the commit and delete every other, ignored ones too.

        What a subject damaged beyond that (the `.git` file, the folder itself) is laid anew.
        """
        try:
            self._reset()
        except (SourceError, OSError):
            if self.mirror is None:
                raise
            self.mirror.lay_worktree(self.commit, self.folder, self.reverts)

    def _reset(self) -> None:
        # Never let git look for a repository: without its `.git` file this folder lies in the user's own.
        place = self.link.removeprefix("gitdir: ").rstrip("\n")
        if not place or (self.folder / ".git").read_text(encoding="utf-8") != self.link:
            raise SourceError(f"{self.folder} is not the worktree it was")
        where = ("-C", str(self.folder), "--git-dir", place, "--work-tree", str(self.folder))
        git(*where, "reset", "--quiet", "--hard", self.head, with_settings=False)
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

"""Writes into a git repository: blobs, trees, commits, refs. Working trees are never touched.

Refs move by compare-and-swap; a branch that is checked out in a working tree is refused, because its files
would no longer belong to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.hub.git import GitError, git, look_up

ZERO = "0" * 40


@dataclass(frozen=True, slots=True)
class Leaf:
    """A file of a new tree; no `sha` takes the path out of the base."""

    path: str
    mode: str
    kind: str
    sha: str | None


class CheckedOut(Exception):
    """The branch belongs to a working tree."""


def write_blob(path: Path, content: bytes) -> str:
    return git(path, "hash-object", "-w", "--stdin", stdin=content).decode().strip()


def write_tree(path: Path, base: str | None, leaves: Sequence[Leaf]) -> str:
    """A tree of `base` with the leaves put over it. Raises GitError for paths and ids that git refuses."""
    with tempfile.TemporaryDirectory(prefix="hub-index-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        start = ("read-tree", base) if base else ("read-tree", "--empty")
        git(path, *start, environment=index)
        lines = []
        for leaf in leaves:
            if leaf.kind == "tree" and leaf.sha:
                _take_out(path, leaf.path, index)
                git(path, "read-tree", f"--prefix={leaf.path}/", leaf.sha, environment=index)
                continue
            mode = leaf.mode if leaf.sha else "0"
            lines.append(f"{mode} {leaf.sha or ZERO}\t{leaf.path}\0")
        told = "".join(lines).encode()
        git(path, "update-index", "-z", "--index-info", stdin=told, environment=index)
        made = git(path, "write-tree", environment=index).decode().strip()
    # git leaves out a path that it finds suspicious, with a warning only.
    wanted = [leaf for leaf in leaves if leaf.sha]
    for leaf, found in zip(wanted, look_up(path, [f"{made}:{leaf.path}" for leaf in wanted]), strict=True):
        if found is None and leaf.kind != "commit":
            raise GitError(f"path {leaf.path!r} cannot be in a tree")
    return made


def _take_out(path: Path, folder: str, index: dict[str, str]) -> None:
    """Everything at or below a path, which a tree replaces as a whole."""
    printed = git(path, "ls-files", "-z", "--cached", environment=index).decode(errors="surrogateescape")
    held = [name for name in printed.split("\0") if name == folder or name.startswith(f"{folder}/")]
    told = "".join(f"0 {ZERO}\t{name}\0" for name in held).encode(errors="surrogateescape")
    git(path, "update-index", "-z", "--index-info", stdin=told, environment=index)


def write_commit(path: Path, tree: str, parents: Sequence[str], message: str, people: dict[str, str]) -> str:
    """`people` holds git's own variables for author and committer."""
    flags = [part for parent in parents for part in ("-p", parent)]
    written = git(path, "commit-tree", *flags, "-F", "-", tree, stdin=message.encode(), environment=people)
    return written.decode().strip()


def is_ancestor(path: Path, old: str, new: str) -> bool:
    try:
        git(path, "merge-base", "--is-ancestor", old, new)
    except GitError:
        return False
    return True


def move_ref(path: Path, name: str, new: str | None, old: str | None) -> None:
    """Set, make (`old` is None) or delete (`new` is None) a ref. Raises CheckedOut, and GitError where the
    ref is no longer at `old`."""
    if old is not None and name in _checked_out(path):
        raise CheckedOut(name)
    if new is None:
        told = f"delete {name}\0{old or ''}\0"
    else:
        told = f"update {name}\0{new}\0{old or ZERO}\0"
    git(path, "update-ref", "--stdin", "-z", stdin=told.encode())


def _checked_out(path: Path) -> set[str]:
    printed = git(path, "worktree", "list", "--porcelain").decode(errors="replace")
    return {line.removeprefix("branch ") for line in printed.splitlines() if line.startswith("branch ")}

"""Reads a git repository: commits, differences with their numbers, trees, how two commits lie to each other.

Everything here takes full ids of objects that were looked up before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.hub.git import git, read

SIGNED = re.compile(r"(?P<name>.*?) ?<(?P<email>[^<>]*)> (?P<at>-?\d+) [+-]\d{4}")
CHANGES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
DIFF = ("diff-tree", "-r", "-z", "-M", "--no-commit-id", "--no-abbrev", "--raw", "--numstat")
SAFE = ("--no-ext-diff", "--no-textconv", "--end-of-options")


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    email: str
    date: str


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str
    is_signed: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A file between two trees. Lines are 0 for a binary file; `sha` is the blob, the old one if removed."""

    path: str
    status: str
    additions: int
    deletions: int
    sha: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    path: str
    mode: str
    kind: str
    sha: str
    size_b: int | None


@dataclass(frozen=True, slots=True)
class Distance:
    """`ahead` holds the commits of head that base lacks, oldest first."""

    merge_base: str
    ahead: Sequence[str]
    behind: int

    @property
    def status(self) -> str:
        if self.ahead:
            return "diverged" if self.behind else "ahead"
        return "behind" if self.behind else "identical"


def commits(path: Path, shas: Sequence[str]) -> list[Commit]:
    found = zip(shas, read(path, shas), strict=True) if shas else ()
    return [_commit(sha, content) for sha, (_, content) in found]


def changes(path: Path, before: str | None, after: str) -> list[Change]:
    """What differs; everything where there is no `before`."""
    if before is None:
        return _changes(git(path, *DIFF, "--root", *SAFE, after))
    return _changes(git(path, *DIFF, *SAFE, before, after))


def distance(path: Path, base: str, head: str) -> Distance | None:
    """None where the two have no common ancestor."""
    merge_base = git(path, "merge-base", "--end-of-options", base, head, accept=(0, 1)).decode().split()
    if not merge_base:
        return None
    ahead = git(path, "rev-list", "--reverse", "--topo-order", "--end-of-options", f"{base}..{head}").decode()
    behind = git(path, "rev-list", "--count", "--end-of-options", f"{head}..{base}").decode()
    return Distance(merge_base[0], ahead.split(), int(behind))


def log(path: Path, start: str, file: str | None) -> list[str]:
    """Ids of the commits that lead to `start`, newest first; of those that changed `file`, where given."""
    limit = ("--", f":(literal){file}") if file else ("--",)
    return git(path, "rev-list", "--end-of-options", start, *limit).decode().split()


def tree(path: Path, sha: str, *, recursive: bool = False) -> list[Entry]:
    flags = ("-r", "-t") if recursive else ()
    printed = git(path, "ls-tree", "-z", "-l", "--full-tree", *flags, "--end-of-options", sha)
    found = []
    for line in printed.decode(errors="replace").split("\0")[:-1]:
        facts, _, name = line.partition("\t")
        mode, kind, entry, size = facts.split()
        found.append(Entry(name, mode, kind, entry, int(size) if size.isdigit() else None))
    return found


def _commit(sha: str, content: bytes) -> Commit:
    head, _, message = content.partition(b"\n\n")
    lines = head.decode(errors="replace").splitlines()
    facts = [(key, value) for key, _, value in (line.partition(" ") for line in lines) if key]
    first = dict(reversed(facts))
    return Commit(
        sha,
        first["tree"],
        tuple(value for key, value in facts if key == "parent"),
        _signature(first.get("author", "")),
        _signature(first.get("committer", "")),
        message.decode(errors="replace").removesuffix("\n"),
        "gpgsig" in first or "gpgsig-sha256" in first,
    )


def _signature(line: str) -> Signature:
    found = SIGNED.fullmatch(line)
    seconds = int(found["at"]) if found else 0
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    date = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Signature(found["name"], found["email"], date) if found else Signature("", "", date)


def _changes(printed: bytes) -> list[Change]:
    """From `--raw --numstat -z`: first every file's raw record, then every file's numbers."""
    parts = printed.decode(errors="replace").split("\0")
    raw: dict[str, tuple[str, str, str | None]] = {}
    found = []
    while parts and parts[0]:
        record = parts.pop(0)
        if record.startswith(":"):
            _, _, before, after, letter = record.split(" ")
            name = parts.pop(0)
            previous, name = (name, parts.pop(0)) if letter[0] in "RC" else (None, name)
            raw[name] = (CHANGES.get(letter[0], "changed"), before if letter[0] == "D" else after, previous)
            continue
        plus, minus, name = record.split("\t", 2)
        if not name:
            parts.pop(0)
            name = parts.pop(0)
        status, sha, previous = raw[name]
        found.append(Change(name, status, _lines(plus), _lines(minus), sha, previous))
    return found


def _lines(text: str) -> int:
    return int(text) if text.isdigit() else 0

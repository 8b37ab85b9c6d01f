"""Which changes a range of commits is made of: their names, from trailer, subject or position.

A change is one commit, or several neighbours that carry the same name. Names become parts of arms' names,
so they hold letters, digits and . _ - only, and no two changes share one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.plan import Change

from agent.repository import LoggedCommit

LONGEST_NAME = 20
# `D: ...`, `D(loader): ...`, `D!: ...`; or `[D] ...`. A colon without a blank behind it is part of a name.
_TAG = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,19})(?:\([^()]*\))?!?:\s|\[([A-Za-z0-9][^\]]{0,39})\]")
# What kind of commit it is, by the convention of that name: seven `perf(train): ...` are seven changes.
_KIND = re.compile(
    r"(?:build|chore|ci|docs|feat|fix|perf|refactor|revert|style|tests?)(?:\([^()]*\))?!?:\s+", re.IGNORECASE
)
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


def changes_of(commits: Sequence[LoggedCommit]) -> tuple[Change, ...]:
    """The changes of a first-parent range, oldest first; a commit without a name is a change of its own."""
    found: list[tuple[str, list[str]]] = []
    before = ""
    for position, commit in enumerate(commits, start=1):
        told = _told_of(commit)
        name = _STRANGE.sub("-", told)[:LONGEST_NAME].strip("-._")
        if name and told == before:
            found[-1][1].append(commit.id)
        else:
            found.append((name or f"c{position}", [commit.id]))
        before = told
    names = _distinct([name for name, _ in found])
    return tuple(Change(name, tuple(ids)) for name, (_, ids) in zip(names, found, strict=True))


def _told_of(commit: LoggedCommit) -> str:
    """What the trailer says, else a leading tag of the subject behind its kind, else nothing."""
    kind = _KIND.match(commit.subject)
    tag = _TAG.match(commit.subject[kind.end() :] if kind else commit.subject)
    return commit.change or (tag and (tag[1] or tag[2])) or ""


def _distinct(names: Sequence[str]) -> list[str]:
    """D, E, D become D, E, D-2."""
    taken: list[str] = []
    for name in names:
        number, one = 1, name
        while one in taken:
            number += 1
            one = f"{name}-{number}"
        taken.append(one)
    return taken

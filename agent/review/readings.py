"""What is seen in a commit: which changes its message names, at whose lines it is, what it mends.

Pure. The lines that the issue names, and those that a commit of a change wrote, are followed from commit to
commit by the hunks of each diff, so that earlier commits may move them. `adherence.py` concludes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.review.history import Commit, History
from agent.review.places import NEAR, Place, places_of, resolved
from agent.task import AskedChange

MOST_MARKS = 1_000
"""Spans of lines that are followed; a range that writes more is followed no further."""
_FIX = re.compile(
    r"(?:fix|bugfix|hotfix|revert|reapply)\b|(?:fixup|squash|amend)!|.*\bfollow-?up\b", re.IGNORECASE
)
_TAG = re.compile(r"([A-Za-z0-9][\w.+-]*)(?:\([^()]*\))?!?:\s")
_BRACKETS = re.compile(r"[(\[]([^()\[\]]{1,80})[)\]]")
_CHANGES = re.compile(r"\bchanges?[\s:#-]+(.+)", re.IGNORECASE)
_LISTED = re.compile(r"\s*(?:,|&|\+|/|\band\b)\s*")
_IDENTIFIER = re.compile(r"\w+")
_WORD = re.compile(r"\b([A-Za-z]\w{2,})=(?!=)|\b([A-Za-z]+_\w+)")
_RANGE = re.compile(r"(.+?)\s?[-\u2013]\s?(.+)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is seen in one commit. `named` by its message, `near` by its lines, `amends` lines of a change.

    `likely` is what its words leave of `near`.
    """

    commit: Commit
    named: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    likely: tuple[str, ...] = ()
    amends: tuple[str, ...] = ()
    is_reverted: bool = False

    @property
    def is_fix(self) -> bool:
        return is_fix(self.commit)

    @property
    def by_lines(self) -> tuple[str, ...]:
        """Changes that it carries though its message names none; a fix or a merge carries none that way."""
        return () if self.named or self.is_fix or self.commit.is_merge else self.likely

    @property
    def mends(self) -> tuple[str, ...]:
        """Changes whose lines it changes again, where it calls itself a fix and names none."""
        return self.amends if self.is_fix and not self.named and not self.commit.reverts else ()

    @property
    def belongs_to(self) -> tuple[str, ...]:
        return self.named or self.by_lines or self.mends


@dataclass(frozen=True, slots=True)
class Plan:
    """The claimed changes with the places that were found for them, and why others were not."""

    changes: tuple[AskedChange, ...]
    places: Mapping[str, tuple[Place, ...]]
    unresolved: Mapping[str, tuple[str, ...]]

    def meet(self, name: str, other: str) -> bool:
        """Whether two changes are claimed at the same lines."""
        return any(one.meets(two) for one in self.places[name] for two in self.places[other])


@dataclass(frozen=True, slots=True)
class _Mark:
    """Lines that are followed: named by the issue for a change, or written by a commit of it."""

    change: str
    place: Place
    is_written: bool = False


def plan_of(changes: Sequence[AskedChange], paths: Collection[str], history: History) -> Plan:
    """`paths` are those of the baseline; a file that comes into being later can be named as well."""
    touched = {file.old_path for commit in history.commits for file in commit.files}
    later = {file.path for commit in history.commits for file in commit.files if file.status == "A"}
    places: dict[str, tuple[Place, ...]] = {}
    unresolved: dict[str, tuple[str, ...]] = {}
    for change in changes:
        found: list[Place] = []
        lost: list[str] = []
        for place in places_of(change.place):
            one = resolved(place, paths, touched)
            if isinstance(one, str):
                new = resolved(Place(place.path), later, later)
                one = one if isinstance(new, str) else new
            if isinstance(one, str):
                lost.append(one)
            else:
                found.append(one)
        places[change.name] = tuple(found)
        unresolved[change.name] = tuple(lost)
    return Plan(tuple(changes), places, unresolved)


def readings_of(plan: Plan, history: History) -> tuple[Reading, ...]:
    """One reading a commit, in the order of the history."""
    names = [change.name for change in plan.changes]
    asked = tuple(_Mark(name, place) for name, places in plan.places.items() for place in places)
    # A commit whose parent is neither the baseline nor in the range has no lines to follow.
    after: dict[str, tuple[_Mark, ...]] = {history.baseline: asked}
    reverted = _reverted(history.commits)
    readings = []
    for commit in history.commits:
        before = after.get(commit.parents[0], ()) if commit.parents else ()
        near = _touched(commit, (m for m in before if not m.is_written), NEAR)
        reading = Reading(
            commit,
            named=() if commit.reverts or commit.is_merge else names_in(commit.subject, commit.change, names),
            near=near,
            likely=_likely(near, plan, commit),
            amends=_touched(commit, (m for m in before if m.is_written), 0),
            is_reverted=commit.id in reverted,
        )
        readings.append(reading)
        after[commit.id] = (*_followed(before, commit), *_written(reading))[:MOST_MARKS]
    return tuple(readings)


def names_in(subject: str, trailer: str, names: Sequence[str]) -> tuple[str, ...]:
    """The changes that a message names: `Change: A` as a trailer; `A: ...`, `(A)`, `[A]`, `Change A`,
    `Changes A and B`, `Changes A-C` in its subject."""
    texts = [trailer]
    if tag := _TAG.match(subject):
        texts.append(tag[1])
    texts += _BRACKETS.findall(subject)
    found = [name for text in texts for name in _listed(_bare(text), names, is_whole=True)]
    if told := _CHANGES.search(subject):
        found += _listed(told[1], names, is_whole=False)
    return tuple(name for name in names if name in found)


def _bare(text: str) -> str:
    return re.sub(r"^changes?\b[\s:#-]*", "", text.strip(), flags=re.IGNORECASE)


def _listed(text: str, names: Sequence[str], *, is_whole: bool) -> list[str]:
    """The names of a list up to what is none; nothing where all of the text has to be names and is not."""
    found: list[str] = []
    for part in _LISTED.split(text):
        name = part.strip().rstrip(".:;)]")
        ends = _RANGE.fullmatch(name)
        first = re.split(r"[\s(),;:\u2014]", name, maxsplit=1)[0]
        if name in names:
            found.append(name)
        elif ends and ends[1] in names and ends[2] in names:
            found += names[names.index(ends[1]) : names.index(ends[2]) + 1]
        elif is_whole:
            return []
        else:
            # `Change A (loader)` ends its list here.
            return [*found, first] if first in names else found
    return found


def is_fix(commit: Commit) -> bool:
    return bool(commit.reverts or _FIX.match(commit.subject))


def _reverted(commits: Sequence[Commit]) -> set[str]:
    """The commits that a later one of the range takes back, and that none brings back."""
    reverted: set[str] = set()
    targets: dict[str, list[str]] = {}
    for commit in commits:
        targets[commit.id] = [one.id for told in commit.reverts for one in commits if one.id.startswith(told)]
        for target in targets[commit.id]:
            if targets.get(target):
                reverted.difference_update(targets[target])
            else:
                reverted.add(target)
    return reverted


def words_of(plan: Plan) -> dict[str, set[str]]:
    """The names of code by which each change can be told from the others: what is set (`packing=`), and names
    with an underscore, in the issue's words for it."""
    words = {
        change.name: {found[1] or found[2] for found in _WORD.finditer(change.change)}
        for change in plan.changes
    }
    return {
        name: own.difference(*(theirs for other, theirs in words.items() if other != name))
        for name, own in words.items()
    }


def _likely(near: tuple[str, ...], plan: Plan, commit: Commit) -> tuple[str, ...]:
    """Of changes that are claimed at the same lines those whose words the commit adds, if there are any."""
    if len(near) < 2:
        return near
    lines = (line for file in commit.files for _, line in file.added_lines)
    added = {word for line in lines for word in _IDENTIFIER.findall(line)}
    words = words_of(plan)
    worded = [name for name in near if words[name] & added]
    return tuple(
        name for name in near if name in worded or not any(plan.meet(name, other) for other in worded)
    )


def _touched(commit: Commit, marks: Iterator[_Mark], near: int) -> tuple[str, ...]:
    by_path = {file.old_path: file for file in commit.files}
    found = [
        mark.change
        for mark in marks
        if (file := by_path.get(mark.place.path)) and mark.place.is_touched(file, near)
    ]
    return tuple(dict.fromkeys(found))


def _followed(marks: Sequence[_Mark], commit: Commit) -> Iterator[_Mark]:
    paths = {file.old_path for file in commit.files}
    for mark in marks:
        place = mark.place.after(commit.files) if mark.place.path in paths else mark.place
        if place is not None:
            yield _Mark(mark.change, place, mark.is_written)


def _written(reading: Reading) -> Iterator[_Mark]:
    for name in reading.belongs_to:
        for file in reading.commit.files:
            for hunk in file.hunks:
                if hunk.added:
                    place = Place(file.path, hunk.new, hunk.new + len(hunk.added) - 1)
                    yield _Mark(name, place, is_written=True)

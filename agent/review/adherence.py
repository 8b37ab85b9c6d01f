"""Which commits carry which claimed change: the plan of the issue held against the history.

Pure; the rules are told in docs/review.md. Three things count, the strongest first: a commit's message names
the change; its diff is at the lines that the issue names, followed from commit to commit; a fix changes lines
that the change wrote. What none of them decides is CANNOT TELL, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.review.history import Commit
from agent.review.places import Place
from agent.review.readings import Plan, Reading
from agent.task import AskedChange

Status = Literal["LANDED", "NOT FOUND", "CANNOT TELL"]


@dataclass(frozen=True, slots=True)
class Adherence:
    """One claimed change. `commits` carry it, oldest first; `follow_ups` mend it; `how` says what decided."""

    change: AskedChange
    status: Status
    how: str
    commits: tuple[Commit, ...] = ()
    follow_ups: tuple[Commit, ...] = ()
    untouched: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(file.path for commit in self.commits for file in commit.files))


def adherence_of(plan: Plan, readings: Sequence[Reading], *, is_complete: bool) -> tuple[Adherence, ...]:
    """One row a claimed change. `is_complete`: every commit of the range was read, and none is a merge."""
    return tuple(_row(change, plan, readings, is_complete) for change in plan.changes)


def _row(change: AskedChange, plan: Plan, readings: Sequence[Reading], is_complete: bool) -> Adherence:
    name, places = change.name, plan.places[change.name]
    named = [one for one in readings if name in one.named]
    kept = [one for one in named if not one.is_reverted]
    if named and not kept:
        told = ", ".join(one.commit.id[:7] for one in named)
        return Adherence(change, "NOT FOUND", f"landed in {told} and was taken back")
    by_lines = [one for one in readings if name in one.by_lines and not one.is_reverted]
    carriers = kept or by_lines
    if not carriers:
        return _absent(change, plan, readings, is_complete)
    mending = tuple(one.commit for one in readings if name in one.mends)
    # What comes later and calls itself a fix mends the change; the first commit is the change.
    first, *later = carriers
    commits = (first.commit, *(one.commit for one in later if not one.is_fix))
    fixes = (*(one.commit for one in later if one.is_fix), *mending)
    touched = {file.old_path for commit in commits for file in commit.files}
    touched |= {file.path for commit in commits for file in commit.files}
    untouched = tuple(place.text for place in places if place.path not in touched)
    if not touched:
        return Adherence(change, "CANNOT TELL", "its commit changes no file", commits, fixes)
    if kept and places and len(untouched) == len(places):
        return Adherence(change, "CANNOT TELL", "its commit does not touch the named file", commits, fixes)
    how = _how(name, kept, by_lines, places)
    if not kept and (rivals := _rivals(name, plan, by_lines)):
        how = f"no message names it, and its lines are those of {' and '.join(rivals)} too"
        return Adherence(change, "CANNOT TELL", how, commits, fixes)
    return Adherence(change, "LANDED", how, commits, fixes, untouched)


def _how(name: str, kept: Sequence[Reading], by_lines: Sequence[Reading], places: Sequence[Place]) -> str:
    if not kept:
        is_told_apart = any(len(one.near) > len(one.likely) for one in by_lines)
        return f"found by its lines{' and words' if is_told_apart else ''}; no message names it"
    if not places:
        return "found by its message"
    is_near = any(name in one.near for one in kept)
    return "found by its message and its " + ("lines" if is_near and any(p.first for p in places) else "file")


def _rivals(name: str, plan: Plan, by_lines: Sequence[Reading]) -> tuple[str, ...]:
    """Other changes at the same lines that neither message nor words tell from this one."""
    others = dict.fromkeys(other for one in by_lines for other in one.by_lines if other != name)
    return tuple(other for other in others if plan.meet(name, other))


def _absent(change: AskedChange, plan: Plan, readings: Sequence[Reading], is_complete: bool) -> Adherence:
    """NOT FOUND needs a known place, a history that was read whole, and no commit left over."""
    name, places = change.name, plan.places[change.name]
    files = {place.path for place in places}
    near = [one for one in readings if name in one.near and not one.commit.is_merge]
    there = [one for one in readings if any(file.old_path in files for file in one.commit.files)]
    there = [one for one in there if not one.commit.is_merge]
    if not places:
        why = "; ".join(plan.unresolved[name]) or "the issue names no file for it"
        return Adherence(change, "CANNOT TELL", f"no message names it, and {why}")
    status: Status = "NOT FOUND"
    if unclear := [one for one in near if not any(plan.meet(name, other) for other in one.belongs_to)]:
        status, why = "CANNOT TELL", f"at its lines is {_told(unclear)}"
    elif unclear := [one for one in there if not one.belongs_to]:
        status, why = "CANNOT TELL", f"elsewhere in its file is {_told(unclear)}"
    elif not is_complete:
        status, why = "CANNOT TELL", "not every commit could be looked at alone"
    elif near:
        why = f"at its lines is only {_told(near)}"
    elif there:
        why = f"elsewhere in its file is only {_told(there)}"
    else:
        why = "its file is not changed"
    return Adherence(change, status, f"no message names it; {why}")


def _told(readings: Sequence[Reading]) -> str:
    told = [f"{one.commit.id[:7]} ({_role(one)})" for one in readings[:3]]
    more = f" and {len(readings) - 3} more" if len(readings) > 3 else ""
    return ", ".join(told) + more


def _role(reading: Reading) -> str:
    if reading.is_reverted:
        return "taken back"
    if reading.named or reading.by_lines:
        return f"for {' and '.join(reading.named or reading.by_lines)}"
    if reading.mends:
        return f"a fix of {' and '.join(reading.mends)}"
    return "a fix" if reading.is_fix else "for no claimed change"

"""`paceline pods gc`: what may go from a pod's workspace, and why the rest stays.

A job folder of this repository may go when the verdict of its plan stands on its issue, or when the issue is
gone; that of `paceline bench` never: its folder is its result. An environment may go when nothing has used it
for a while. Without `--yes` nothing is removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pods import answers
from pods.archive import supervisor_archive
from pods.inventory import Pod

from agent.gather import Desk, issue_of
from agent.ledger import Ledger, fold
from agent.tracker import Gone

DAY_S = 86_400.0
TIMEOUT_S = 600.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Tidied:
    """Names that may go, and why each of the others stays."""

    jobs: tuple[str, ...]
    environments: tuple[str, ...]
    kept: Mapping[str, str]


def gc(desk: Desk, name: str | None, *, days: float, is_meant: bool) -> Iterator[str]:
    """A line for everything. Raises TaskError, PodError."""
    inventory = desk.yard.fleet.inventory
    for pod in [inventory.pod(name)] if name else inventory.pods:
        listed = _asked(desk, pod)
        found = tidied(listed, lambda job: _why_kept(desk, job), days)
        for kind, names in (("job", found.jobs), ("environment", found.environments)):
            for one in names:
                size = listed["jobs" if kind == "job" else "environments"][one]["size_b"]
                yield f"{pod.name}: {kind} {one} may go, {size / MIB:.0f} MiB"
        for one, why in found.kept.items():
            yield f"{pod.name}: {one} stays: {why}"
        if is_meant and (found.jobs or found.environments):
            argv = [part for one in found.jobs for part in ("--job", one)]
            argv += [part for one in found.environments for part in ("--environment", one)]
            removed = _asked(desk, pod, *argv)
            yield f"{pod.name}: removed {', '.join(removed['removed']) or 'nothing'}"
            for one, why in removed["kept"].items():
                yield f"{pod.name}: {one} was not removed: {why}"


def tidied(listed: Mapping[str, Any], why_kept: Any, days: float) -> Tidied:
    """`why_kept` says of a job that has ended why it stays, "" where it may go."""
    jobs, environments, kept = [], [], {}
    for name, one in listed["jobs"].items():
        why = why_kept(name) if one["has_ended"] else "it has not ended"
        if why:
            kept[name] = why
        else:
            jobs.append(name)
    for name, one in listed["environments"].items():
        if one["age_s"] < days * DAY_S:
            kept[name] = f"used {one['age_s'] / DAY_S:.0f} days ago"
        else:
            environments.append(name)
    return Tidied(tuple(jobs), tuple(environments), kept)


def _why_kept(desk: Desk, name: str) -> str:
    found = issue_of(desk, name)
    if found is None:
        return "it is no job of this repository's issues"
    number, plan = found
    if isinstance(desk.tracker.issue(number), Gone):
        return ""
    ledger = fold(desk.tracker.comments(number), desk.me, desk.place(number), desk.keys)
    return "" if _has_verdict(ledger, plan) else f"#{number} has no verdict of its plan yet"


def _has_verdict(ledger: Ledger, plan: str) -> bool:
    verdicts = (str(said.marker.payload.get("plan", "")) for said in ledger.all_of("verdict"))
    return any(one.startswith(plan) for one in verdicts)


def _asked(desk: Desk, pod: Pod, *more: str) -> Mapping[str, Any]:
    argv = ["tidy", "--workspace", str(pod.workspace), *more]
    shell = desk.yard.fleet.shell(pod.name)
    return answers.bring(shell, supervisor_archive(), argv, timeout_s=TIMEOUT_S)

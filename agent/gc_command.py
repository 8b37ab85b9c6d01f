"""`paceline pods gc`: what may go from a pod's workspace, and why the rest stays.

A job folder of this repository may go when the verdict of its plan stands on its issue, when the issue is
gone, or a while after it ended where no verdict will come of it (the task was stopped, or asks for another
plan now); that of `paceline bench` never: its folder is its result. An environment may go when nothing has
used it for a while. Without `--yes` nothing is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pods import answers
from pods.archive import supervisor_archive
from pods.inventory import Pod
from pods.shell import PodError

from agent.gather import Desk, issue_of
from agent.ledger import Ledger, Stage
from agent.tracker import Gone

DAY_S = 86_400.0
TIMEOUT_S = 600.0
MIB = 1 << 20
OVER: tuple[Stage, ...] = ("blocked", "stopped", "done")
"""Nothing more comes of the plan that such a state tells of, unless somebody asks anew."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """Names that may go, and why each of the others stays."""

    jobs: tuple[str, ...]
    environments: tuple[str, ...]
    kept: Mapping[str, str]


def gc(desk: Desk, name: str | None, *, days: float, is_meant: bool) -> Iterator[str]:
    """A line for everything. Raises TaskError; PodError at the end where a pod could not be asked."""
    inventory = desk.yard.fleet.inventory
    lost = []
    for pod in [inventory.pod(name)] if name else inventory.pods:
        try:
            yield from _gc_on(desk, pod, days=days, is_meant=is_meant)
        except PodError as error:
            lost.append(f"{pod.name}: {error}")
    if lost:
        raise PodError("; ".join(lost))


def _gc_on(desk: Desk, pod: Pod, *, days: float, is_meant: bool) -> Iterator[str]:
    listed = _asked(desk, pod)
    found = tidied(listed, lambda job, age_s: _why_kept(desk, job, age_s, days), days)
    for kind, names in (("job", found.jobs), ("environment", found.environments)):
        for one in names:
            size = listed["jobs" if kind == "job" else "environments"][one]["size_b"]
            yield f"{pod.name}: {kind} {one} may go, {size / MIB:.0f} MiB"
    for one, why in found.kept.items():
        yield f"{pod.name}: {one} stays: {why}"
    if not (found.jobs or found.environments):
        yield f"{pod.name}: nothing may go"
    elif is_meant:
        argv = [part for one in found.jobs for part in ("--job", one)]
        argv += [part for one in found.environments for part in ("--environment", one)]
        removed = _asked(desk, pod, *argv)
        yield f"{pod.name}: removed {', '.join(removed['removed']) or 'nothing'}"
        for one, why in removed["kept"].items():
            yield f"{pod.name}: {one} was not removed: {why}"


def tidied(listed: Mapping[str, Any], why_kept: Callable[[str, float], str], days: float) -> Tidied:
    """`why_kept` says of a job that ended so many seconds ago why it stays, "" where it may go."""
    jobs, environments, kept = [], [], {}
    for name, one in listed["jobs"].items():
        why = why_kept(name, one["age_s"]) if one["has_ended"] else "it has not ended"
        if why:
            kept[name] = why
        else:
            jobs.append(name)
    for name, one in listed["environments"].items():
        if one["age_s"] < days * DAY_S:
            kept[name] = f"used {_days(one['age_s'])} ago"
        else:
            environments.append(name)
    return Tidied(tuple(jobs), tuple(environments), kept)


def _why_kept(desk: Desk, name: str, age_s: float, days: float) -> str:
    found = issue_of(desk, name)
    if found is None:
        return "it is no job of this repository's issues"
    number, plan = found
    if isinstance(desk.tracker.issue(number), Gone):
        return ""
    why = why_kept(desk.ledger(number), plan, age_s, days)
    return f"#{number} {why}" if why else ""


def why_kept(ledger: Ledger, plan: str, age_s: float, days: float) -> str:
    """Why a job that ended stays, "" where it may go; `plan` begins the hash of its plan."""
    verdicts = (str(said.marker.payload.get("plan", "")) for said in ledger.all_of("verdict"))
    if any(one.startswith(plan) for one in verdicts):
        return ""
    state = ledger.state
    if state is None or ledger.broken or (state.plan.startswith(plan) and state.stage not in OVER):
        return "has no verdict of its plan yet"
    if age_s < days * DAY_S:
        return f"has no verdict of its plan, and none is to come; it ended {_days(age_s)} ago"
    return ""


def _days(seconds: float) -> str:
    days = round(seconds / DAY_S)
    return "1 day" if days == 1 else f"{days} days"


def _asked(desk: Desk, pod: Pod, *more: str) -> Mapping[str, Any]:
    argv = ["tidy", "--workspace", str(pod.workspace), *more]
    shell = desk.yard.fleet.shell(pod.name)
    return answers.bring(shell, supervisor_archive(), argv, timeout_s=TIMEOUT_S)

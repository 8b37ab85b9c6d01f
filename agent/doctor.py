"""`paceline doctor`: what a working agent needs, a line each, with what to do where it is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pods.probe import PodState, Unusable
from pods.shell import PodError
from pods.shell_local import LocalShell

from agent.errors import TaskError
from agent.here import look_around
from agent.operator import Operator, read_operator
from agent.tracker import Tracker, TrackerError

LEAST_FREE_GIB = 10
GIB = 1 << 30
PERMISSIONS = "Issues: read and write, Contents: read"
ENOUGH_SCOPES = {"repo", "public_repo"}
"""Which of them a private repository needs is told by the tracker: without the first it is not there."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    what: str
    is_well: bool
    told: str

    @property
    def line(self) -> str:
        return f"{'ok  ' if self.is_well else 'FAIL'} {self.what}: {self.told}"


def diagnoses(config: Path) -> Iterator[Diagnosis]:
    yield _checked("python", _python)
    yield _checked("git", _git)
    yield _checked("disk", lambda: _disk(config.resolve().parent))
    yield _checked("machine", _machine)
    try:
        operator = read_operator(config)
    except TaskError as error:
        yield Diagnosis("configuration", False, str(error))
        return
    yield Diagnosis("configuration", True, str(config))
    yield _checked("key", lambda: _key(operator))
    yield _checked("pods", lambda: _pods(operator))
    yield from _of_tracker(operator)


def _checked(what: str, check: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(what, True, check())
    except (TaskError, TrackerError, PodError, OSError) as error:
        return Diagnosis(what, False, str(error))


def _python() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def _git() -> str:
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        raise TaskError("not found; install git") from None
    return done.stdout.strip()


def _disk(folder: Path) -> str:
    free = shutil.disk_usage(folder).free / GIB
    if free < LEAST_FREE_GIB:
        raise TaskError(f"{free:.1f} GiB free in {folder}; environments and models need {LEAST_FREE_GIB}")
    return f"{free:.0f} GiB free in {folder}"


def _machine() -> str:
    here = look_around(LocalShell())
    return f"{here.host.get('device')}, slot {here.slot}"


def _pods(operator: Operator) -> str:
    """Of the inventory, where there is one."""
    from agent.fleet import fleet_of
    from agent.pods_command import warnings_of

    if operator.pods is None:
        return "none named: this machine measures"
    fleet = fleet_of(operator.pods)
    states = fleet.probe()
    warnings = [f"; {name}: {one}" for name, told in warnings_of(fleet).items() for one in told]
    fleet.close()
    against = {state.pod.name: why for state in states if (why := why_unusable(state))}
    if against:
        told = ", ".join(f"{name} ({why})" for name, why in against.items())
        usable = f"{len(states) - len(against)} of {len(states)} usable"
        raise TaskError(f"{usable}; not {told}" + "".join(warnings))
    return f"{len(states)} usable" + "".join(warnings)


def why_unusable(state: PodState | Unusable) -> str:
    """Why no task can ever be measured there as it is, "" where one could: also where all is taken now."""
    if isinstance(state, Unusable):
        return state.why
    if state.disk is None or not state.disk.is_writable:
        key = f"pod.{state.pod.name}.workspace of pods.toml"
        return f"its workspace {state.pod.workspace} cannot be made or written to: {key}"
    return ""


def _key(operator: Operator) -> str:
    from agent.key import key_path, load_keys

    path = operator.key or key_path()
    return f"{path} ({', '.join(key.id for key in load_keys(path))})"


def _of_tracker(operator: Operator) -> Iterator[Diagnosis]:
    from agent.tracker_github import GithubTracker

    try:
        tracker = GithubTracker(base_url=operator.url, token=operator.token, repository=operator.repository)
    except TrackerError as error:
        yield Diagnosis("tracker", False, str(error))
        return
    try:
        yield _checked("tracker", lambda: _tracker(tracker, operator))
        yield _checked("token", lambda: token_told(tracker))
    finally:
        tracker.close()


def token_told(tracker: Tracker) -> str:
    """What kind of token it is, with what it may do as far as that can be read. Raises TaskError."""
    scopes = tracker.scopes()
    if scopes is None:
        return f"fine-grained or an app's: what it may do cannot be read; it needs {PERMISSIONS}"
    told = ", ".join(sorted(scopes)) or "none"
    if not scopes & ENOUGH_SCOPES:
        raise TaskError(
            f"classic, of scopes: {told}; give it repo, or public_repo where the repository is public"
        )
    return f"classic, of scopes: {told}"


def _tracker(tracker: Tracker, operator: Operator) -> str:
    me = tracker.me()
    role = tracker.role(me)
    tracker.tagged(operator.label)
    if role not in ("admin", "maintain", "write", "triage"):
        raise TaskError(
            f"{me.login} has {role or 'no readable role'} in {operator.repository}; give it triage or write"
        )
    return f"{operator.repository} as {me.login} ({role})"

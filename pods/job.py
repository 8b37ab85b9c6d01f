"""A job, seen from the agent: prepared, launched, observed, cancelled, each in one round trip through a
shell.

Owns job.json (schema 1) and the reading of what `supervisor.pyz` answers. Every step may be repeated.
Refuses to guess: an answer that did not come is `Unreachable` or a `PodError`, never "failed"; only the exit
record in the job folder says how a job ended. Sources are the answers of the supervisor, see
`pods/supervisor/__main__.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from pods import answers
from pods.answers import Paths
from pods.archive import pack, supervisor_archive
from pods.shell import PodError, Shell

SCHEMA = 1
CANCEL_TIMEOUT_S = 180.0

Outcome = Literal["finished", "crashed", "timed out", "cancelled", "not started"]


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What the supervisor is told. `limit_s` is the hard end, by the pod's clock from its own start;
    `grace_s` is the worker's to end its runs in when cancelled. `machine` is the machine-wide folder whose
    lease on `slot` the job must hold, None for a job that needs none. `env` is added to the supervisor's."""

    paths: Paths
    name: str
    plan: str
    slot: str
    limit_s: float
    command: tuple[str, ...]
    machine: PurePosixPath | Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 30.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "name": self.name,
            "plan": self.plan,
            "slot": self.slot,
            "machine": None if self.machine is None else str(self.machine),
            "limit_s": self.limit_s,
            "command": list(self.command),
            "env": dict(self.env),
            "grace_s": self.grace_s,
        }


@dataclass(frozen=True, slots=True)
class Exit:
    """How a job ended. `detail` is text for people; `survivors` were ended by force, `left` would not end."""

    outcome: Outcome
    status: int | None
    signal: int | None
    begin: datetime | None
    end: datetime
    survivors: int
    left: tuple[int, ...]
    detail: str | None


@dataclass(frozen=True, slots=True)
class Absent:
    pass


@dataclass(frozen=True, slots=True)
class Prepared:
    pass


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The folder was there; `is_same` says whether its job.json is the one that was to be put there."""

    is_same: bool


@dataclass(frozen=True, slots=True)
class Running:
    """`heartbeat_age_s` is None before the first beat. `progress` is the worker's file, unread; `quiet_s` is
    how long nothing of the job has written anything, None where that is unknown."""

    pid: int
    heartbeat_age_s: float | None
    progress: str | None
    is_stopping: bool
    quiet_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    exit: Exit
    progress: str | None


@dataclass(frozen=True, slots=True)
class Lost:
    """Launched, no supervisor, no exit record: it was killed, or the machine was restarted."""

    why: str
    progress: str | None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Unknown, not failed."""

    why: str


Observation = Absent | Prepared | Running | Finished | Lost | Unreachable


@dataclass(frozen=True, slots=True)
class Launched:
    pid: int
    starttime: int


@dataclass(frozen=True, slots=True)
class NotLaunched:
    why: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """`has_ended`: there is an exit record and no process; `left` are those that would not end."""

    has_ended: bool
    left: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    token: str


@dataclass(frozen=True, slots=True)
class Held:
    """`job` is the folder of the holder's job, None where the record cannot be read."""

    job: str | None
    why: str


def prepare(shell: Shell, spec: JobSpec, files: Mapping[str, bytes]) -> Prepared | AlreadyThere:
    """Makes the job folder out of `files` (plan.json, worker.pyz, ...), job.json and supervisor.pyz,
    atomically.

    Raises PodError; then the folder is there whole or not at all, and a repeat is harmless.
    """
    names = spec.paths
    body = json.dumps(spec.to_dict(), indent=1, sort_keys=True).encode() + b"\n"
    bundle = pack({**files, names.job.name: body, names.supervisor.name: supervisor_archive()})
    answer = answers.unpack(shell, names, bundle)
    return Prepared() if answer["prepared"] else AlreadyThere(bool(answer["is_same"]))


def take(
    shell: Shell,
    paths: Paths,
    machine: PurePosixPath | Path,
    slot: str,
    *,
    start_within_s: float | None = None,
) -> Taken | Held:
    """Takes the lease on a slot for a prepared job; a repeat gives the same token. Raises PodError."""
    argv = ["lease", "take", "--machine", str(machine), "--slot", slot, "--job", str(paths.root)]
    if start_within_s is not None:
        argv += ["--start-within-s", str(start_within_s)]
    answer = answers.ask(shell, paths, argv)
    if answer["taken"]:
        return Taken(answer["token"])
    return Held((answer["holder"] or {}).get("job"), answer["why"])


def release(shell: Shell, paths: Paths, machine: PurePosixPath | Path, slot: str, token: str) -> str | None:
    """Gives the lease back; None, or why this token has nothing to give back. Raises PodError."""
    argv = ["lease", "release", "--machine", str(machine), "--slot", slot, "--token", token]
    answer = answers.ask(shell, paths, argv)
    return None if answer["released"] else str(answer["why"])


def launch(shell: Shell, paths: Paths) -> Launched | NotLaunched:
    """Starts the supervisor, or finds the one that lives. Raises PodError: then look with `observe`."""
    answer = answers.ask(shell, paths, ["spawn", str(paths.root)])
    if answer["pid"] is None:
        return NotLaunched(answer["why"])
    return Launched(answer["pid"], answer["starttime"])


def observe(shell: Shell, paths: Paths) -> Observation:
    try:
        state = answers.look(shell, paths, ["state", str(paths.root)])
        return _observed(state)
    except PodError as error:
        return Unreachable(str(error))


def observed(state: Mapping[str, Any]) -> Observation:
    """What the state of a job says, as `supervisor.pyz` told it: also in the answer of a probe."""
    try:
        return _observed(state)
    except PodError as error:
        return Unreachable(str(error))


def cancel(shell: Shell, paths: Paths, *, timeout_s: float = CANCEL_TIMEOUT_S) -> Cancelled:
    """Ends the job and everything of it, launched or not. Raises PodError: then it may be repeated."""
    answer = answers.ask(shell, paths, ["cancel", str(paths.root)], timeout_s)
    return Cancelled(bool(answer["ended"]), tuple(answer["left"]))


def _observed(state: Mapping[str, Any]) -> Observation:
    """Raises PodError for a state in which something cannot be read: unknown is not lost."""
    if not state["exists"]:
        return Absent()
    if state["exit"] is not None:
        return Finished(_exit_of(state["exit"]), state["progress"])
    if state["broken"]:
        raise PodError("; ".join(state["broken"]))
    if not state["is_prepared"]:
        raise PodError("the folder is there and has no job.json: not one of ours")
    if not state["is_launched"]:
        return Prepared()
    if not state["is_alive"]:
        why = "the machine was restarted" if state["is_restarted"] else "its supervisor was killed"
        return Lost(why, state["progress"])
    beat = state["heartbeat"]
    return Running(
        pid=state["supervisor"]["pid"],
        heartbeat_age_s=None if beat is None else beat["age_s"],
        progress=state["progress"],
        is_stopping=state["is_stopping"],
        quiet_s=state.get("quiet_s"),
    )


def _exit_of(record: Mapping[str, Any]) -> Exit:
    if record.get("schema") != SCHEMA or record.get("outcome") not in get_args(Outcome):
        raise PodError(f"exit record of schema {record.get('schema')!r}, this reads {SCHEMA}")
    return Exit(
        outcome=record["outcome"],
        status=record["status"],
        signal=record["signal"],
        begin=None if record["begin"] is None else datetime.fromisoformat(record["begin"]),
        end=datetime.fromisoformat(record["end"]),
        survivors=record["survivors"],
        left=tuple(record["left"]),
        detail=record["detail"],
    )


def is_free(shell: Shell, machine: PurePosixPath | Path, slot: str) -> bool:
    """Whether nobody holds the slot now; only `take` decides. Raises PodError."""
    argv = ["lease", "show", "--machine", str(machine), "--slot", slot]
    leases = answers.bring(shell, supervisor_archive(), argv)["leases"]
    return all(lease["held_because"] is None for lease in leases)

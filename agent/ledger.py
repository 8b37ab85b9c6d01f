"""What was decided on an issue, folded from the agent's own markers: there is no other memory.

Pure. Markers of other accounts never count. Of two with the same kind and version the lowest comment id
wins, the other is to be minimised. A broken marker of our own account parks the task. Each progress marker
carries the whole state, so the newest one is the state.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

from bench.plan import Plan

from agent.marker import LIVE, Broken, Key, Kind, Marker, Place, parse
from agent.tracker import Comment, User

SCHEMA = 1

Stage = Literal["blocked", "waiting", "approved", "intent", "running", "stopped", "measured", "done"]


@dataclass(frozen=True, slots=True)
class Intent:
    """One attempt at a plan: which slot of which pod, in which job folder. `hard_end` is UTC, ISO."""

    attempt: int
    pod: str
    slot: str
    job: str
    hard_end: str


@dataclass(frozen=True, slots=True)
class State:
    """What a progress marker says. `task` is the digest of what was asked, `body` that of the issue's text.

    `approved_by` tells who approved the plan and how; `closed` counts attempts that have ended without a
    result; `note` is the last word about why the stage is what it is.
    """

    stage: Stage
    body: str
    task: str = ""
    plan: str = ""
    approved_by: str = ""
    intent: Intent | None = None
    closed: int = 0
    note: str = ""
    holder: str = ""  # the agent that works on it: others leave it alone while its word is fresh

    def to_payload(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> State:
        """Raises ValueError on a foreign schema."""
        data = dict(payload)
        for beside in ("answers", "planned"):  # of the marker, not of the state
            data.pop(beside, None)
        if data.pop("schema", None) != SCHEMA:
            raise ValueError("progress of a foreign schema")
        try:
            intent = data.pop("intent")
            state = cls(**data, intent=Intent(**intent) if intent else None)
            if state.intent is not None:
                datetime.fromisoformat(state.intent.hard_end)
        except (KeyError, TypeError) as error:
            raise ValueError(f"progress that this version cannot read: {error}") from None
        if state.stage not in get_args(Stage):
            raise ValueError(f"progress of an unknown stage {state.stage!r}")
        return state


@dataclass(frozen=True, slots=True)
class _Closed:
    """An attempt with what is known of its time, and what was said when it was closed."""

    intent: Intent
    begun_at: datetime
    seen_at: datetime
    closed_at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that somebody gave by `/set`; `by` is the person's id, which stays when the login changes."""

    key: str
    value: str
    login: str
    by: int


@dataclass(frozen=True, slots=True)
class Said:
    """A marker as it stands on the issue."""

    marker: Marker
    comment: Comment


@dataclass(frozen=True, slots=True)
class Ledger:
    """`said` is the winner of each kind and version, `doubles` the others, `broken` what parks the task."""

    said: Mapping[tuple[Kind, int], Said] = field(default_factory=dict)
    doubles: tuple[Comment, ...] = ()
    broken: tuple[str, ...] = ()
    state: State | None = None  # of the newest progress; None where there is none, or it is broken

    def newest(self, kind: Kind) -> Said | None:
        versions = [version for found, version in self.said if found == kind]
        return self.said[kind, max(versions)] if versions else None

    def all_of(self, kind: Kind) -> tuple[Said, ...]:
        keys = sorted(key for key in self.said if key[0] == kind)
        return tuple(self.said[key] for key in keys)

    def next_version(self, kind: Kind) -> int:
        return max((version for found, version in self.said if found == kind), default=0) + 1

    @property
    def superseded(self) -> tuple[Comment, ...]:
        """What a verdict leaves without a reader, and nobody has minimised yet."""
        old = (*(said.comment for said in self.all_of("progress")), *self.doubles)
        return tuple(comment for comment in old if not comment.is_minimised)

    @property
    def last_word(self) -> datetime | None:
        newest = self.newest("progress")
        return newest.comment.updated_at if newest else None

    @property
    def live(self) -> str:
        """What the live line says, as it stands there."""
        newest = self.newest("progress")
        lines = newest.comment.body.splitlines() if newest else []
        return next((line.removeprefix(LIVE).strip() for line in lines if line.startswith(LIVE)), "")

    def verdict_for(self, plan: str) -> Said | None:
        return self._of_plan("verdict", plan)

    def review_for(self, plan: str) -> Said | None:
        return self._of_plan("reviewer-verdict", plan)

    def is_told_stale(self, job: str) -> bool:
        return any(said.marker.payload.get("stale") == job for said in self.all_of("note"))

    def is_closed(self, verdict: Said) -> bool:
        """Whether the closing note of a verdict stands."""
        notes = (said.marker.payload for said in self.all_of("note"))
        return any(note.get("closes") == verdict.marker.version for note in notes)

    def results_for(self, plan: str) -> Said | None:
        return self._of_plan("results", plan)

    def job_of(self, results: Said) -> str:
        """The job that results were read from; older ones do not name it: it was under way when they came."""
        jobs = [
            state.intent.job
            for comment, state in self._states()
            if state.intent is not None and comment.id < results.comment.id
        ]
        return str(results.marker.payload.get("job") or (jobs[-1] if jobs else ""))

    def pod_of(self, job: str) -> str | None:
        """The pod that a job was intended for."""
        for _, state in self._states():
            if state.intent is not None and state.intent.job == job:
                return state.intent.pod
        return None

    def planned(self, plan: str) -> tuple[Plan, str] | None:
        """The plan with this hash as it was approved, and the commit that its rows come from."""
        for said in reversed(self.all_of("progress")):
            stored: Mapping[str, Any] = said.marker.payload.get("planned") or {}
            with contextlib.suppress(ValueError, KeyError, TypeError):
                found = Plan.from_dict(stored["plan"])
                if found.hash == plan:
                    return found, str(stored["source"])
        return None

    def intents(self, plan: str) -> tuple[Intent, ...]:
        """Of all attempts at a plan, oldest first."""
        found = [state.intent for _, state in self._states() if state.plan == plan and state.intent]
        return tuple(dict.fromkeys(found))

    def every_intent(self) -> tuple[Intent, ...]:
        """Of all attempts at all plans, oldest first."""
        return tuple(dict.fromkeys(state.intent for _, state in self._states() if state.intent))

    def attempts(self, plan: str) -> tuple[tuple[Intent, str], ...]:
        """The attempts at a plan that were closed, and what was said when each was, oldest first."""
        return tuple((one.intent, one.note) for one in self._closed(plan))

    def spent_s(self, plan: str) -> float:
        """The slot time that closed attempts at a plan have taken: from an intent to the word that closed it.
        Where that came after its hard end, to when it was last seen: a pod that is gone for good is no reason
        to try nowhere else."""
        spent_s = 0.0
        for one in self._closed(plan):
            is_late = one.closed_at > datetime.fromisoformat(one.intent.hard_end)
            end = one.seen_at if is_late else one.closed_at
            spent_s += max((end - one.begun_at).total_seconds(), 0.0)
        return spent_s

    def _closed(self, plan: str) -> Iterator[_Closed]:
        begun: tuple[Intent, datetime, datetime] | None = None  # the intent, since when, last seen when
        for comment, state in self._states():
            if begun is not None and (state.intent is None or state.intent.job != begun[0].job):
                yield _Closed(*begun, comment.created_at, state.note)
                begun = None
            if state.intent is not None and state.plan == plan:
                since = comment.created_at if begun is None else begun[1]
                begun = (state.intent, since, comment.updated_at)

    def _states(self) -> Iterator[tuple[Comment, State]]:
        """What progress has said, oldest first; what this version cannot read says nothing."""
        for said in self.all_of("progress"):
            with contextlib.suppress(ValueError):
                yield said.comment, State.from_payload(said.marker.payload)

    def _of_plan(self, kind: Kind, plan: str) -> Said | None:
        found = [said for said in self.all_of(kind) if said.marker.payload.get("plan") == plan]
        return found[-1] if found else None

    @property
    def answered(self) -> frozenset[int]:
        """The ids of comments whose commands some marker answers."""
        lists = (said.marker.payload.get("answers", ()) for said in self.said.values())
        return frozenset(one for ids in lists for one in ids)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What `/set` gave and nobody took back, by key; the last word on each counts."""
        found: dict[str, Setting] = {}
        for said in self.all_of("note"):
            for one in said.marker.payload.get("settings", ()):
                found[one["key"]] = Setting(**one)
        return tuple(found[key] for key in sorted(found) if found[key].value)

    def is_cancelled(self, body: str) -> bool:
        """Whether somebody cancelled the task in this wording, and nobody asked for it again since; a changed
        text asks anew."""
        notes = [said.marker.payload for said in self.all_of("note")]
        words = [one["command"] for one in notes if one.get("body") == body and "command" in one]
        return words[-1:] == ["cancel"]

    @property
    def is_retried(self) -> bool:
        """Whether somebody asked for another try after the last word about how it stands."""
        newest = self.newest("progress")
        notes = self.all_of("note")
        retries = [one.comment.id for one in notes if one.marker.payload.get("command") == "retry"]
        return newest is not None and any(one > newest.comment.id for one in retries)


def fold(comments: Sequence[Comment], me: User, place: Place, keys: Sequence[Key]) -> Ledger:
    said: dict[tuple[Kind, int], Said] = {}
    doubles: list[Comment] = []
    broken: list[str] = []
    for comment in sorted(comments, key=lambda one: one.id):
        if comment.author.id != me.id:
            continue
        marker = parse(comment.body, place, keys)
        if isinstance(marker, Broken):
            broken.append(f"comment {comment.id}: {marker.why}")
        elif marker is not None and (marker.kind, marker.version) in said:
            doubles.append(comment)
        elif marker is not None:
            said[marker.kind, marker.version] = Said(marker, comment)
    ledger = Ledger(said, tuple(doubles), tuple(broken))
    newest = ledger.newest("progress")
    if newest is None:
        return ledger
    try:
        return replace(ledger, state=State.from_payload(newest.marker.payload))
    except ValueError as error:
        return replace(ledger, broken=(*broken, f"comment {newest.comment.id}: {error}"))

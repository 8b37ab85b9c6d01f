"""Reads the events of one run (schema 1), and says by name what is wrong with a file that does not hold.

Lines of the hook are chained by digests from a key of the run: a line that was added, dropped or changed
breaks the chain. Lines that a subject wrote itself (`events = "own"`) carry no chain. Nothing here judges
the run; `record.py` makes the outcome.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 1
KINDS = frozenset({"start", "phase", "choice", "batch", "step", "gate", "eval", "end", "error"})
CHAIN = re.compile(r', "chain": "([0-9a-f]{16})"\}$')

Fault = Literal["cut", "foreign schema", "tampered", "malformed"]
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Events:
    """Events in the order they were written; `fault` says what is wrong with the file, and `why` where."""

    lines: tuple[Event, ...] = ()
    fault: Fault | None = None
    why: str = ""
    by_kind: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[Event, ...]:
        return self.by_kind.get(kind, ())

    def last(self, kind: str) -> Event | None:
        events = self.of(kind)
        return events[-1] if events else None


class _FaultyLine(Exception):
    def __init__(self, fault: Fault, why: str) -> None:
        super().__init__(why)
        self.fault = fault


def chained(previous: str, body: str) -> str:
    """The digest (16 hex digits) of a line, given that of the line before; the hook has its twin."""
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()[:16]


def read_events(data: bytes, key: str | None) -> Events:
    """Parse the bytes of an events file; `key` is where the chain starts, None for self-reported events.

    What stands before the first fault is kept.
    """
    text = data.decode("utf-8", errors="replace")
    whole, newline, rest = text.rpartition("\n")
    parsed: list[Event] = []
    try:
        for event in _parsed(whole.split("\n") if newline else [], key):
            parsed.append(event)  # noqa: PERF402 - what came before a fault is kept
        if rest:
            raise _FaultyLine("cut", f"line {len(parsed) + 1} has no end")
    except _FaultyLine as error:
        return _events(parsed, error.fault, str(error))
    return _events(parsed, None, "")


def _events(parsed: Sequence[Event], fault: Fault | None, why: str) -> Events:
    by_kind: dict[str, list[Event]] = {}
    for event in parsed:
        by_kind.setdefault(event["kind"], []).append(event)
    return Events(tuple(parsed), fault, why, {kind: tuple(events) for kind, events in by_kind.items()})


def _parsed(lines: Sequence[str], key: str | None) -> Iterator[Event]:
    previous = key
    for number, line in enumerate(lines, start=1):
        if previous is not None:
            previous = _checked(previous, line, number)
        event = _object(line, number)
        if number == 1 and (event["kind"] != "start" or event.get("schema") != SCHEMA):
            raise _FaultyLine("foreign schema", f"schema {event.get('schema')!r}, this reads {SCHEMA}")
        yield event


def _checked(previous: str, line: str, number: int) -> str:
    found = CHAIN.search(line)
    body = line[: found.start()] + "}" if found else ""
    if found is None or chained(previous, body) != found[1]:
        raise _FaultyLine("tampered", f"line {number} was not written by the hook, or was changed")
    return found[1]


def _object(line: str, number: int) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        raise _FaultyLine("malformed", f"line {number} is not JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str) or event["kind"] not in KINDS:
        raise _FaultyLine("malformed", f"line {number} is not an event of schema {SCHEMA}")
    for name, kind in _fields_of(event):
        if not _fits(event.get(name), kind):
            raise _FaultyLine("malformed", f"line {number}: {event['kind']} has {name} = {event.get(name)!r}")
    return event


_FIELDS: Mapping[str, Mapping[str, str]] = {
    "phase": {
        "name": "text",
        "begin": "time",
        "end": "time",
        **dict.fromkeys(("allocated", "reserved", "rss"), "count or none"),
    },
    "step": {"n": "count", "begin": "time", "end": "time", "loss": "number or none"},
    "batch": {"step": "count", **dict.fromkeys(("rows", "real", "padded", "supervised"), "count or none")},
    "choice": {"name": "text", "requested": "text", "used": "text"},
    "gate": {"window": "count", "begin": "time", "end": "time"},
    "error": {"type": "text", "text": "text"},
    "end": {"steps": "count or none"},
}
_EVALUATED = {"loss": "number", "rows": "count", "tokens": "count"} | dict.fromkeys(
    ("before", "reward_accuracy"), "number or none"
)


def _fields_of(event: Event) -> Iterable[tuple[str, str]]:
    """Name and kind of the fields that are read; an evaluation that failed has none of them."""
    if event["kind"] == "eval" and "failed" not in event:
        return _EVALUATED.items()
    return _FIELDS.get(event["kind"], {}).items()


def _fits(value: object, kind: str) -> bool:
    if value is None:
        return kind.endswith("or none")
    if kind == "text":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == "time":
        return math.isfinite(value)
    return kind.startswith("number") or (isinstance(value, int) and value >= 0)

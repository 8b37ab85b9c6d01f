"""Markers: the agent's own comments, versioned, signed, and readable by people.

Owns their form: first line `<!-- epm:KIND vN -->`, human text, one data line with the compressed payload and
its signature, last line. The signature covers the repository's id, issue, kind, version, payload and the text
without its live line, which only `progress` has, once and in its place. A comment of our own account that
looks like a marker, or like what is left of one, and does not verify is Broken: it is never read as "nothing
there". Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pods.supervisor.redact import MARK, redacted
from pods.supervisor.shapes import ALONE

from agent.foreign import in_html

Kind = Literal["progress", "results", "verdict", "reviewer-verdict", "note", "failure"]

PAYLOAD_LIMIT_B = 16 << 10
BODY_LIMIT = 60_000
LIVE = "<!-- epm:live -->"
_HEAD = re.compile(r"\A<!-- epm:([a-z-]+) v([1-9][0-9]{0,5}) -->\n")
_DATA = re.compile(r"^<!-- epm:data ([A-Za-z0-9+/=]+) ([0-9a-f]{8}):([A-Za-z0-9+/=]+) -->$", re.MULTILINE)
_PART = re.compile(r"^<!-- (?:epm:data|/epm:)", re.MULTILINE)
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(?s:.*?)^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE)
_INFLATED_LIMIT_B = 1 << 20


class MarkerError(ValueError):
    """A marker that must not be made: our bug, told before anything is posted."""


@dataclass(frozen=True, slots=True)
class Key:
    """`id` is what stands beside a signature; the secret never leaves this object's user. `hidden` is what
    nothing that is signed with it may say: what its user knows, as the tracker's token."""

    id: str
    secret: bytes
    hidden: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Key({self.id})"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a marker belongs: it verifies nowhere else."""

    repository_id: int
    issue: int


@dataclass(frozen=True, slots=True)
class Marker:
    kind: Kind
    version: int
    text: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """Looks like a marker of ours and does not hold."""

    why: str


def render(marker: Marker, place: Place, key: Key) -> str:
    """The body of a comment. Raises MarkerError for a payload or body too long, or a text with a marker.

    Every body comes through here, so that secrets are taken out here, of what is signed and before it is.
    """
    hidden = (key.secret.hex(), *key.hidden)
    # A token may have come past the filters of foreign.py. Behind all escaping the brackets of the mark could
    # be those of a link; and what only its surroundings give away is not looked for in surroundings of ours.
    text = redacted(marker.text.strip("\n"), hidden, ALONE)
    text = text if text == marker.text.strip("\n") else text.replace(MARK.decode(), "redacted")
    if "<!-- epm:" in text.replace(LIVE, "") or "<!-- /epm:" in text:
        raise MarkerError("the text of a marker holds a marker")
    if not _is_live_in_place(marker.kind, text):
        raise MarkerError(f"a live line where {marker.kind} has none")
    payload = _packed(_without(marker.payload, hidden))
    if len(payload) > PAYLOAD_LIMIT_B:
        raise MarkerError(f"a payload of {len(payload)} bytes, {PAYLOAD_LIMIT_B} are allowed")
    signature = _signature(marker.kind, marker.version, payload, text, place, key)
    body = (
        f"<!-- epm:{marker.kind} v{marker.version} -->\n{text}\n\n"
        f"<!-- epm:data {payload} {key.id}:{signature} -->\n<!-- /epm:{marker.kind} -->\n"
    )
    if len(body) > BODY_LIMIT:
        raise MarkerError(f"a body of {len(body)} characters, {BODY_LIMIT} are allowed")
    return body


def parse(body: str, place: Place, keys: Sequence[Key]) -> Marker | Broken | None:
    """None for a comment that is no marker, nor one that lost its first line."""
    body = body.replace("\r\n", "\n")
    head = _HEAD.match(body)
    if head is None:
        return Broken("a marker without its first line") if _holds_part(body) else None
    kind, version = head[1], int(head[2])
    if kind not in get_args(Kind):
        return Broken(f"unknown kind {kind!r}")
    found = list(_DATA.finditer(body))
    if len(found) != 1 or body[found[0].end() :].strip() != f"<!-- /epm:{kind} -->":
        return Broken(f"{kind} v{version} is not whole")
    data = found[0]
    key = next((key for key in keys if key.id == data[2]), None)
    if key is None:
        return Broken(f"{kind} v{version} is signed with a key that is not known here ({data[2]})")
    text = body[head.end() : data.start()].strip("\n")
    if not _is_live_in_place(kind, text):
        return Broken(f"{kind} v{version} was changed: it has a live line where none belongs")
    expected = _signature(kind, version, data[1], text, place, key)
    if not hmac.compare_digest(expected, data[3]):
        return Broken(f"{kind} v{version} was changed: its signature does not hold")
    try:
        payload = _unpacked(data[1])
    except ValueError as error:
        return Broken(f"{kind} v{version} cannot be read: {error}")
    return Marker(kind, version, text, payload)  # type: ignore[arg-type]


def unverified(body: str) -> Marker | None:
    """A marker whose signature nobody asks about: for holding its text against stored runs, nothing else."""
    body = body.replace("\r\n", "\n")
    head, data = _HEAD.match(body), _DATA.search(body)
    if head is None or data is None or head[1] not in get_args(Kind):
        return None
    try:
        payload = _unpacked(data[1])
    except ValueError:
        return None
    return Marker(head[1], int(head[2]), body[head.end() : data.start()].strip("\n"), payload)  # type: ignore[arg-type]


def with_live_line(body: str, line: str) -> str:
    """The body with its one live line replaced; it has to have one."""
    return re.sub(
        rf"^{re.escape(LIVE)}.*$", lambda _: f"{LIVE} {in_html(line)}", body, count=1, flags=re.MULTILINE
    )


def _holds_part(body: str) -> bool:
    """Whether a line of ours stands in it, and not as a quotation: behind `> `, or in a fence that ends."""
    return _PART.search(_FENCED.sub("", body)) is not None


def _is_live_in_place(kind: str, text: str) -> bool:
    """Whether a text has no live line, or `progress` its only one, between blank lines inside the text.

    Its place is signed with the rest: we write no other two blank lines that would meet without it.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    places = [number for number, line in enumerate(lines) if line.startswith(LIVE)]
    if not places:
        return True
    before, after = lines[: places[0]], lines[places[0] + 1 :]
    is_apart = before[-1:] == after[:1] == [""] and any(before) and any(after)
    return kind == "progress" and len(places) == 1 and is_apart


def _signature(kind: str, version: int, payload: str, text: str, place: Place, key: Key) -> str:
    signed = json.dumps([place.repository_id, place.issue, kind, version, payload, _digest_of(text)])
    digest = hmac.new(key.secret, signed.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _digest_of(text: str) -> str:
    """Of the text without its live line, and without the spaces that a server or editor may trim."""
    lines = [line.rstrip() for line in text.split("\n") if not line.startswith(LIVE)]
    return hashlib.sha256("\n".join(lines).strip("\n").encode()).hexdigest()


def _without(value: Any, hidden: Sequence[str]) -> Any:
    """A payload without secrets in any of its texts."""
    match value:
        case str():
            return redacted(value, hidden)
        case Mapping():
            return {key: _without(one, hidden) for key, one in value.items()}
        case list() | tuple():
            return [_without(one, hidden) for one in value]
        case _:
            return value


def _packed(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _unpacked(payload: str) -> dict[str, Any]:
    """Raises ValueError."""
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(base64.b64decode(payload, validate=True), _INFLATED_LIMIT_B)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("the payload is no object")
    return data

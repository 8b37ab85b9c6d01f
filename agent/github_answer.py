"""What a GitHub-compatible tracker answered, or that it did not: its pages, its troubles in one line.

Pure: no network, no clock, no token. What people write (a message, a name) stays data; a message is shortened
and kept on one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

from agent.tracker import TrackerError

WAITS_S = (0.5, 2.0)  # before the second and the third try of a read
RETRY_AFTER_LIMIT_S = 30.0  # who is asked to wait longer says so instead: the loop has other issues
TRANSIENT = (500, 502, 503, 504)
LINK = re.compile(r'<([^<>]*)>;\s*rel="(next|last)"')
T = TypeVar("T")


class Malformed(TrackerError):
    """An answer that is not GitHub's; the text says which part."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have names in small letters."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def data(self) -> Any:
        """Raises Malformed."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise Malformed("no JSON") from None

    @property
    def message(self) -> str:
        """What the tracker says of a refusal: one line, with the details of a 422."""
        try:
            told = json.loads(self.text)
            errors = told.get("errors") or ()
            parts = [told.get("message"), *(one.get("message") or one.get("code") for one in errors)]
        except (ValueError, RecursionError, AttributeError, TypeError):
            parts = []
        return " ".join(": ".join(str(part) for part in parts if part).split())[:300] or "no message"

    def link(self, relation: Literal["next", "last"]) -> dict[str, str]:
        """What to ask for that page with: its number, or where a list has cursors its cursor too; empty
        where there is no such page. Raises Malformed."""
        for address, name in LINK.findall(self.headers.get("link", "")):
            if name == relation:
                query = parse_qs(urlsplit(address).query)
                if found := {key: query[key][0] for key in ("page", "after") if key in query}:
                    return found
                raise Malformed(f"the address of the {relation} page of a list has no page in it")
        return {}

    @property
    def last_page(self) -> int | None:
        """The number of a list's last page, where it is told."""
        number = self.link("last").get("page", "")
        return int(number) if number.isdecimal() and len(number) < 7 else None


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer came. `was_sent` is false only where the request cannot have reached the tracker."""

    why: str
    was_sent: bool


def read(what: Callable[[Any], T], answer: Answer) -> T:
    """Raises Malformed where the answer has not the form that `what` reads."""
    data = answer.data
    try:
        return what(data)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Malformed(f"{what.__name__}: {type(error).__name__} {error}"[:200]) from None


def pause_s(answer: Answer | Silence, wait_s: float | None) -> float | None:
    """How long to wait before a read is tried again; None where its answer stands."""
    if wait_s is None or isinstance(answer, Silence):
        return wait_s
    told_s = asked_s(answer)
    if told_s is not None and answer.status in (403, 429, *TRANSIENT):
        return told_s if told_s <= RETRY_AFTER_LIMIT_S else None
    return wait_s if answer.status in TRANSIENT else None


def asked_s(answer: Answer) -> float | None:
    """The pause that `Retry-After` asks for; None where it does not."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() and len(text) < 7 else None


def is_limit(answer: Answer) -> bool:
    """Whether it was refused for the number of requests, and not for what was asked."""
    if answer.status == 429:
        return True
    says = "rate limit" in answer.message.lower()
    return answer.status == 403 and (says or is_used_up(answer) or asked_s(answer) is not None)


def is_used_up(answer: Answer) -> bool:
    """Whether the requests of the hour are, and not only those of the moment."""
    return answer.headers.get("x-ratelimit-remaining") == "0"


def is_locked(answer: Answer) -> bool:
    return answer.status == 403 and "locked" in answer.message.lower()


def trouble(answer: Answer | Silence) -> str:
    """What failed and what to do next, in one line."""
    return answer.why if isinstance(answer, Silence) else f"{answer.status}: {_advice(answer)}"


def _advice(answer: Answer) -> str:
    told, headers = answer.message, answer.headers
    match answer.status:
        case 401:
            return f"{told}: the token is wrong, expired or revoked: make a new one"
        case 403 | 429 if is_limit(answer):
            return _pause(answer)
        case 403 if is_locked(answer):
            return f"{told}: unlock the issue, or give this account the role write; tried again later"
        case 403:
            wants = headers.get("x-accepted-github-permissions", "issues=write, contents=read")
            return f"{told}: the token may not do this; it takes {wants}"
        case 404:
            return "not there, or hidden from this token: check the name and what the token covers"
        case 410:
            return f"{told}: it was deleted, or issues are switched off for the repository"
        case 422:
            return f"the tracker refuses what was sent: {told}"
        case 301 | 302 | 307 | 308:
            return f"it moved to {headers.get('location', 'nowhere')[:200]}: give the new name"
        case 200:
            return told  # of GraphQL, which answers 200 to what it refuses
        case status if status >= 500:
            return f"{told}: the tracker is in trouble; try again later"
        case _:
            return told


def _pause(answer: Answer) -> str:
    wait_s = asked_s(answer)
    if is_used_up(answer):
        until = _reset(answer.headers)
        return f"the account's rate limit is used up until {until}: nothing to do but wait"
    for_how_long = f"{wait_s:.0f} s" if wait_s is not None else "a minute or more"
    return f"{answer.message}: too many requests at once; wait {for_how_long}"


def _reset(headers: Mapping[str, str]) -> str:
    text = headers.get("x-ratelimit-reset", "")
    if not text.isdecimal() or len(text) > 11:
        return "the hour is over"
    return f"{datetime.fromtimestamp(int(text), UTC):%H:%M:%S} UTC"

"""How much the tracker may be asked, as its answers tell: pauses that it wants, and what is left of the hour.

Pure; times are aware UTC. A limit that names no time is waited out for a minute, and twice as long each time
it comes again, as GitHub asks for. The last requests of an hour are kept: what begins something new waits, so
that results and verdicts of what has run can still be told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.github_answer import Answer, asked_s, is_limit, is_used_up

UNNAMED_S, UNNAMED_LIMIT_S = 60.0, 900.0
RESERVE = 200  # of 5000 an hour: some tens of results, each with its reads, its files and its labels


@dataclass(frozen=True, slots=True)
class Pace:
    """`unnamed` counts limits without a time since the last request that went well; `left` of `limit`
    requests until `resets_at`."""

    quiet_until: datetime | None = None
    unnamed: int = 0
    left: int | None = None
    limit: int = 0
    resets_at: datetime | None = None

    def is_quiet(self, now: datetime) -> bool:
        return self.quiet_until is not None and now < self.quiet_until

    @property
    def reserve(self) -> int:
        return min(RESERVE, self.limit // 10)

    def is_at_reserve(self, now: datetime) -> bool:
        if self.left is None or self.resets_at is None:
            return False
        return self.left <= self.reserve and now < self.resets_at


def after(pace: Pace, answer: Answer, now: datetime) -> Pace:
    """What is known once this answer has come."""
    pace = _counted(pace, answer)
    if not is_limit(answer):
        return replace(pace, quiet_until=None, unnamed=0) if answer.status < 500 else pace
    wait_s = asked_s(answer)
    if wait_s is not None:
        return replace(pace, quiet_until=now + timedelta(seconds=wait_s))
    resets_at = _moment(answer)
    if is_used_up(answer) and resets_at is not None:
        return replace(pace, quiet_until=resets_at)
    wait_s = min(UNNAMED_S * 2**pace.unnamed, UNNAMED_LIMIT_S)
    return replace(pace, quiet_until=now + timedelta(seconds=wait_s), unnamed=pace.unnamed + 1)


def _counted(pace: Pace, answer: Answer) -> Pace:
    """Of the REST API: GraphQL and searches are counted apart."""
    headers = answer.headers
    if headers.get("x-ratelimit-resource", "core") != "core":
        return pace
    left, limit = (headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "limit"))
    resets_at = _moment(answer)
    if not left.isdecimal() or not limit.isdecimal() or resets_at is None:
        return pace
    return replace(pace, left=int(left), limit=int(limit), resets_at=resets_at)


def _moment(answer: Answer) -> datetime | None:
    text = answer.headers.get("x-ratelimit-reset", "")
    return datetime.fromtimestamp(int(text), UTC) if text.isdecimal() and len(text) < 12 else None

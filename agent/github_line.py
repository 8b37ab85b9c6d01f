"""The line to a GitHub-compatible tracker: every request leaves here, once, and every trouble gets its name.

No write is ever repeated, a read at most three times, and nothing is sent while the tracker wants a pause. A
redirect is an answer like any other: PyGithub would follow a 301 (without its query, so that a filtered list
comes back unfiltered) and repeat POSTs. No error text holds the token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Any, TypeVar

from agent.github_answer import (
    WAITS_S,
    Answer,
    Malformed,
    Silence,
    is_limit,
    is_locked,
    pause_s,
    read,
    trouble,
)
from agent.github_app import Installation
from agent.github_pace import Pace, after
from agent.tracker import Limited, Locked, Revoked, TrackerError, Unsure

CONNECT_LIMIT_S, ANSWER_LIMIT_S = 5.0, 30.0
PAGE = 100
FIRST = {"page": "1"}
T = TypeVar("T")
Clock = Callable[[], datetime]


class Line:
    """`requester` is PyGithub's, without a token; `account` is a token, or an app that has them made."""

    def __init__(
        self,
        requester: Any,
        connection: Any,
        account: str | Installation,
        now: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self.door = Door(connection)
        self.pace = Pace()
        self.sleep = sleep
        self._requester = requester
        self._account = account
        self._now = now
        self._secrets: set[str] = set()

    def get(
        self,
        path: str,
        *,
        accept: Sequence[int] = (200,),
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        page: Mapping[str, str] | None = None,
        is_spare: bool = False,
    ) -> Answer:
        """A read, tried again where that may help; one that is spare keeps off the reserve.

        Raises TrackerError.
        """
        asked = {**(query or {}), **({"per_page": PAGE, **page} if page else {})}
        self._check_pace(f"GET {path}", is_spare)
        for wait_s in (*WAITS_S, None):
            answer = self._send("GET", path, headers, asked)
            rest_s = pause_s(answer, wait_s)
            if rest_s is None:
                break
            self.sleep(rest_s)
        if isinstance(answer, Answer) and answer.status in accept:
            return answer
        raise self.refused(f"GET {path}", answer)

    def pages(self, path: str, first: Answer | None = None, *, is_spare: bool = False) -> Iterator[Answer]:
        answer = first or self.get(path, page=FIRST, is_spare=is_spare)
        yield answer
        while at := answer.link("next"):
            answer = self.get(path, page=at, is_spare=is_spare)
            yield answer

    def write(
        self,
        verb: str,
        path: str,
        body: object = None,
        *,
        accept: Sequence[int] = (),
        is_spare: bool = False,
    ) -> Answer:
        """A write, sent once. Raises Unsure where it may have happened, TrackerError where it has not."""
        self._check_pace(f"{verb} {path}", is_spare)
        return self._answered(verb, path, self._send(verb, path, body=body), accept)

    def graphql(self, query: str, variables: Mapping[str, object]) -> Answer:
        answer = self.write("POST", self._requester.graphql_url, {"query": query, "variables": variables})
        if "errors" in self.parsed("POST /graphql", dict, answer):
            raise self.refused("POST /graphql", answer)
        return answer

    def as_app(self, word: str, verb: str, path: str, body: object = None) -> Answer:
        """A request with an app's own word instead of a token, sent once.

        Raises TrackerError, and never Unsure: a token that nobody got to see changes nothing.
        """
        self._secrets = {word}
        self._check_pace(f"{verb} {path}", is_spare=False)
        answer = self._sent(f"Bearer {word}", verb, path, {}, {}, body)
        if isinstance(answer, Answer) and 200 <= answer.status < 300:
            return answer
        raise self.refused(f"{verb} {path}", answer)

    def parsed(
        self, request: str, what: Callable[[Any], T], answer: Answer, error: type[TrackerError] = TrackerError
    ) -> T:
        try:
            return read(what, answer)
        except Malformed as malformed:
            text = f"{request}: not GitHub's answer ({malformed}): is this the address of its REST API?"
            raise error(self.without_secrets(text)) from None

    def refused(
        self, request: str, answer: Answer | Silence, error: type[TrackerError] = TrackerError
    ) -> TrackerError:
        text = self.without_secrets(f"{request}: {trouble(answer)}")
        if error is not TrackerError or isinstance(answer, Silence):
            return error(text)
        if is_limit(answer) and self.pace.quiet_until is not None:
            return Limited(text, self.pace.quiet_until)
        if is_locked(answer):
            return Locked(text)
        return Revoked(text) if answer.status == 401 else error(text)

    def without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _check_pace(self, request: str, is_spare: bool) -> None:
        """Raises Limited for what had better not be sent now."""
        now, pace = self._now(), self.pace
        if pace.quiet_until is not None and pace.is_quiet(now):
            until = f"{pace.quiet_until:%H:%M:%S} UTC"
            text = f"{request}: not sent: the tracker wants no requests before {until}"
            raise Limited(self.without_secrets(text), pace.quiet_until)
        if is_spare and pace.resets_at is not None and pace.is_at_reserve(now):
            kept = f"the last {pace.reserve} requests of the hour are kept for results"
            text = f"{request}: not sent: {kept}; it ends at {pace.resets_at:%H:%M:%S} UTC"
            raise Limited(self.without_secrets(text), pace.resets_at)

    def _answered(self, verb: str, path: str, answer: Answer | Silence, accept: Sequence[int]) -> Answer:
        if isinstance(answer, Answer) and (200 <= answer.status < 300 or answer.status in accept):
            return answer
        is_unsure = answer.was_sent if isinstance(answer, Silence) else answer.status >= 500
        raise self.refused(f"{verb} {path}", answer, Unsure if is_unsure else TrackerError)

    def _send(
        self,
        verb: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        body: object = None,
    ) -> Answer | Silence:
        account = self._account
        token = account.token(self._now()) if isinstance(account, Installation) else account
        self._secrets = {token}
        if body is not None and (told := json.dumps(body)) != self.without_secrets(told):
            # Markers are made without it (marker.py); this is the last door.
            raise TrackerError(f"{verb} {path}: what is to be sent holds the token: nothing was sent")
        answer = self._sent(f"token {token}", verb, path, headers or {}, query or {}, body)
        if isinstance(account, Installation) and isinstance(answer, Answer) and answer.status == 401:
            account.forget()
        return answer

    def _sent(
        self,
        who: str,
        verb: str,
        path: str,
        headers: Mapping[str, str],
        query: Mapping[str, object],
        body: object,
    ) -> Answer | Silence:
        from urllib3.exceptions import HTTPError

        asked = {"Accept": "application/vnd.github+json", "Authorization": who, **headers}
        try:
            told = self._requester.requestJson(verb, path, dict(query), asked, body, cnx=self.door)
            answer = Answer(*told)
        except _Stopped as stopped:
            answer = stopped.answer
        except (OSError, HTTPException, HTTPError) as error:  # those of requests are OSErrors
            return _silence(error)
        self.pace = after(self.pace, answer, self._now())
        return answer


class _Stopped(Exception):
    """An answer that PyGithub would have acted on by itself."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Door:
    """PyGithub's connection: it would repeat a read at 202 without end, and go where 301 and 302 point."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.request = connection.request
        self.close = connection.close

    def getresponse(self) -> Any:
        response = self._connection.getresponse()
        if response.status in (202, 301, 302):
            headers = {name.lower(): value for name, value in response.getheaders()}
            raise _Stopped(Answer(response.status, headers, response.read()))
        return response


def _silence(error: Exception) -> Silence:
    """What happened, in our words: those of the libraries may quote headers."""
    import requests
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return Silence("no connection: is the tracker up, and is its address right?", was_sent=False)
    if isinstance(error, requests.Timeout):
        return Silence(f"no answer within {ANSWER_LIMIT_S:.0f} s", was_sent=True)
    if isinstance(error, requests.exceptions.SSLError):
        return Silence("TLS failed: does this machine trust the tracker's certificate?", was_sent=True)
    return Silence(f"the connection broke ({type(error).__name__})", was_sent=True)

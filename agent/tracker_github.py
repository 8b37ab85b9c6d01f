"""GitHub, or a tracker that speaks its REST API, as the agent's tracker: PyGithub's requester behind a door.

Every request leaves by `_send`, once: no write is ever repeated, a read at most three times. PyGithub would
also follow a 301 (without its query, so that a filtered list comes back unfiltered) and repeat POSTs; here a
redirect is an answer like any other. Plain HTTP goes to loopback only. No error text holds the token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from agent import github_reads as reads
from agent.github_reads import Answer, Facts, Malformed, Silence
from agent.tracker import Comment, Commit, Gone, Issue, Reaction, Role, TrackerError, Unsure, User

CONNECT_LIMIT_S, ANSWER_LIMIT_S = 5.0, 30.0
WRITE_PAUSE_S = 1.0  # what GitHub asks for between writes
PAGE = 100
FIRST = {"page": "1"}
TAGS_LIMIT = 100  # commits of tags that a commit is compared with, one request each
VIEWER = "query { viewer { login databaseId } }"
MINIMISE = (
    "mutation Mutation($input: MinimizeCommentInput!) "
    "{ minimizeComment(input: $input) { minimizedComment { isMinimized } } }"
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of a list as it was last read; `at` and `next` are what it and the next are asked for with."""

    at: Mapping[str, str]
    etag: str
    issues: tuple[Issue, ...]
    next: Mapping[str, str]


class GithubTracker:
    """See `agent.tracker.Tracker`. Not for several threads at once."""

    def __init__(
        self, base_url: str, token: str, repository: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Sends nothing yet. `base_url` is that of the REST API. Raises TrackerError."""
        import github
        from github.Requester import (
            HTTPRequestsConnectionClass,
            HTTPSRequestsConnectionClass,
        )

        base_url = reads.checked_address(base_url)
        if not reads.REPOSITORY.fullmatch(repository):
            raise TrackerError(f"{repository!r} is not a repository: give owner/name")
        if not reads.TOKEN.fullmatch(token):
            raise TrackerError("the token is empty or holds spaces or line breaks: give it as it was shown")
        parts = urlsplit(base_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        is_plain = parts.scheme == "http"
        limits: Any = (CONNECT_LIMIT_S, ANSWER_LIMIT_S)
        kind = HTTPRequestsConnectionClass if is_plain else HTTPSRequestsConnectionClass
        connection = kind(host, parts.port, timeout=limits, retry=None)
        connection.session.trust_env = not is_plain  # or a proxy of the environment would see the token
        self._door: Any = _Door(connection)
        self._github = github.Github(
            base_url=base_url,
            auth=github.Auth.Token(token),
            user_agent="paceline",
            retry=None,
            api_version="2022-11-28",
            seconds_between_requests=None,
            seconds_between_writes=None if is_plain else WRITE_PAUSE_S,
        )
        self._repository = repository
        self._path = f"/repos/{repository}"
        self._sleep = sleep
        self._facts: Facts | None = None
        self._me: User | None = None
        self._pages: dict[str, list[_Page]] = {}

    @property
    def repository(self) -> str:
        return self._repository

    def repository_id(self) -> int:
        return (self._facts or self._look()).id

    def clone_url(self) -> str:
        return (self._facts or self._look()).clone_url

    def page_of(self, number: int) -> str:
        return f"{(self._facts or self._look()).page}/issues/{number}"

    def default_branch(self) -> str:
        return self._look().default_branch

    def me(self) -> User:
        """The account of the token; kept, for a token does not change hands."""
        if self._me is None:
            answer = self._get("/user", accept=(200, 403))
            is_app = answer.status == 403  # the token of an app's installation has no /user
            answer = self._graphql(VIEWER, {}) if is_app else answer
            self._me = self._parsed("GET /user", reads.viewer if is_app else reads.user, answer)
        return self._me

    def scopes(self) -> frozenset[str] | None:
        """Of a classic token; the others come without this header. Of an app's, /user is refused."""
        told = self._get("/user", accept=(200, 403)).headers.get("x-oauth-scopes")
        return None if told is None else frozenset(told.replace(",", " ").split())

    def tagged(self, label: str) -> Sequence[Issue] | None:
        """Each page has its own ETag: an issue that leaves the second page does not touch the first."""
        known, pages = self._pages.get(label, []), list[_Page]()
        while not pages or pages[-1].next:
            at = pages[-1].next if pages else FIRST
            before = next((page for page in known if page.at == at), None)
            pages.append(self._page(label, at, before))
        if [id(page) for page in pages] == [id(page) for page in known]:
            return None
        self._pages[label] = pages
        found = {one.number: one for page in pages for one in page.issues}.values()
        return [one for one in found if one.is_open and reads.has_label(one, label)]

    def _page(self, label: str, at: Mapping[str, str], known: _Page | None) -> _Page:
        """`known` itself where it has not changed."""
        query = {"labels": label, "state": "open", "sort": "updated", "direction": "desc"}
        headers = {"If-None-Match": known.etag} if known and known.etag else {}
        path = f"{self._path}/issues"
        answer = self._get(path, accept=(200, 304), headers=headers, query=query, page=at)
        if answer.status == 304 and known:
            return known
        found = self._parsed(f"GET {path}", reads.issues, answer)
        return _Page(at, answer.headers.get("etag", ""), found, answer.link("next"))

    def issue(self, number: int) -> Issue | Gone:
        path = f"{self._path}/issues/{number}"
        answer = self._get(path, accept=(200, 301, 404, 410))
        match answer.status:
            case 200:
                [*found] = self._parsed(f"GET {path}", reads.issues_or_pull, answer)
                return found[0] if found else Gone("not found")
            case 301 if reads.moved_to(answer) not in (None, self.repository_id()):
                return Gone("transferred")
            case 404:
                self._look()  # a repository that is hidden from the token hides its issues too
                return Gone("not found")
            case 410 if "disabled" not in answer.message.lower():
                return Gone("deleted")
        raise self._refused(f"GET {path}", answer)

    def comments(self, number: int) -> Sequence[Comment]:
        """From the last page to the first: what is deleted meanwhile moves others to pages yet to come."""
        path = f"{self._path}/issues/{number}/comments"
        first = self._get(path, page=FIRST)
        numbers = range(first.last_page or 0, 0, -1)
        answers = (self._get(path, page={"page": str(number)}) for number in numbers)
        found: dict[int, Comment] = {}
        for answer in answers if numbers else self._all(path, first):
            found |= {one.id: one for one in self._parsed(f"GET {path}", reads.comments, answer)}
        return [found[key] for key in sorted(found)]

    def post(self, number: int, body: str) -> Comment:
        path = f"{self._path}/issues/{number}/comments"
        return self._parsed(f"POST {path}", reads.comment, self._write("POST", path, {"body": body}), Unsure)

    def edit(self, comment: int, body: str) -> None:
        self._write("PATCH", f"{self._path}/issues/comments/{comment}", {"body": body})

    def minimise(self, comment: Comment) -> None:
        self._graphql(MINIMISE, {"input": {"subjectId": comment.node_id, "classifier": "OUTDATED"}})

    def react(self, comment: int, content: Reaction) -> None:
        """200 where it was there, 201 where it is new."""
        self._write("POST", f"{self._path}/issues/comments/{comment}/reactions", {"content": content})

    def set_labels(self, number: int, add: Sequence[str], remove: Sequence[str]) -> None:
        path = f"{self._path}/issues/{number}/labels"
        there = {name for page in self._all(path) for name in self._parsed(f"GET {path}", reads.labels, page)}
        new = [name for name in dict.fromkeys(add) if name.casefold() not in there]
        if new:
            self._write("POST", path, {"labels": new})
        for name in dict.fromkeys(remove):
            if name.casefold() in there:
                # 404: somebody was faster.
                self._write("DELETE", f"{path}/{quote(name, safe='')}", accept=(404,))

    def role(self, user: User) -> Role | None:
        path = f"{self._path}/collaborators/{quote(user.login, safe='')}/permission"
        try:
            whose, role = self._parsed(f"GET {path}", reads.permission, self._get(path))
        except TrackerError:
            return None
        return role if whose.id == user.id else None

    def commit_of(self, revision: str) -> Commit | None:
        """An id that begins with the digits given, else a branch, else a tag: never any other ref."""
        for name in reads.meanings(revision):
            path = f"{self._path}/commits/{quote(name)}"
            answer = self._get(path, accept=(200, 404, 409, 422), query={"per_page": 1})
            if answer.status == 200:
                found = self._parsed(f"GET {path}", reads.commit, answer)
                if "/" in name or found.id.startswith(name):  # else it is a branch that looks like an id
                    return found
        self._look()  # "no such commit" is believed only of a repository that can be seen
        return None

    def is_reachable(self, commit: str, branches: Sequence[str]) -> bool:
        """Whether nothing of the commit is missing from a branch or a tag. GitHub finds the commits of forks
        by id too, so that being found says nothing.
        """
        if not reads.ID.fullmatch(commit):
            return False
        if any(self._holds(branch, commit) for branch in branches if reads.is_ref(branch)):
            return True
        path = f"{self._path}/tags"
        tips = [tip for page in self._all(path) for tip in self._parsed(f"GET {path}", reads.tags, page)]
        different = list(dict.fromkeys(tips))[:TAGS_LIMIT]
        if commit in tips or any(self._holds(tip, commit) for tip in different):
            return True
        self._look()
        return False

    def _holds(self, base: str, commit: str) -> bool:
        """404 is no such branch, no such commit or no common ancestor."""
        path = f"{self._path}/compare/{quote(base, safe='')}...{commit}"
        answer = self._get(path, accept=(200, 404), query={"per_page": 1})
        return answer.status == 200 and self._parsed(f"GET {path}", reads.contained, answer) == commit

    def file(self, path: str, commit: str) -> bytes | None:
        if not reads.PATH.fullmatch(path) or not reads.ID.fullmatch(commit):
            return None
        address = f"{self._path}/contents/{quote(path)}"
        answer = self._get(address, accept=(200, 404), query={"ref": commit})
        if answer.status == 404:
            self._look()
            return None
        found = self._parsed(f"GET {address}", reads.file, answer)
        if isinstance(found, reads.Blob):
            address = f"{self._path}/git/blobs/{found.id}"
            return self._parsed(f"GET {address}", reads.content, self._get(address))
        return found

    def ensure_labels(self, labels: Sequence[tuple[str, str, str]]) -> None:
        path = f"{self._path}/labels"
        known = {name for page in self._all(path) for name in self._parsed(f"GET {path}", reads.labels, page)}
        for name, colour, description in labels:
            if name.casefold() not in known:
                self._write("POST", path, {"name": name, "color": colour, "description": description})
                known.add(name.casefold())

    def close(self) -> None:
        self._door.close()
        self._github.close()

    def _look(self) -> Facts:
        """The repository as it is now. Raises TrackerError where it is hidden, moved or another one."""
        found = self._parsed(f"GET {self._path}", reads.facts, self._get(self._path))
        if self._facts and self._facts.id != found.id:
            raise TrackerError(f"{self._repository} is another repository than before: start the agent again")
        self._facts = found
        return found

    def _all(self, path: str, first: Answer | None = None) -> Iterator[Answer]:
        answer = first or self._get(path, page=FIRST)
        yield answer
        while at := answer.link("next"):
            answer = self._get(path, page=at)
            yield answer

    def _get(
        self,
        path: str,
        *,
        accept: Sequence[int] = (200,),
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        page: Mapping[str, str] | None = None,
    ) -> Answer:
        """A read, tried again where that may help. Raises TrackerError."""
        asked = {**(query or {}), **({"per_page": PAGE, **page} if page else {})}
        for wait_s in (*reads.WAITS_S, None):
            answer = self._send("GET", path, headers, asked)
            pause_s = reads.pause_s(answer, wait_s)
            if pause_s is None:
                break
            self._sleep(pause_s)
        if isinstance(answer, Answer) and answer.status in accept:
            return answer
        raise self._refused(f"GET {path}", answer)

    def _graphql(self, query: str, variables: Mapping[str, object]) -> Answer:
        url = self._github.requester.graphql_url
        answer = self._write("POST", url, {"query": query, "variables": variables})
        if "errors" in self._parsed("POST /graphql", dict, answer):
            raise self._refused("POST /graphql", answer)
        return answer

    def _write(self, verb: str, path: str, body: object = None, accept: Sequence[int] = ()) -> Answer:
        """A write, sent once. Raises Unsure where it may have happened, TrackerError where it has not."""
        answer = self._send(verb, path, body=body)
        if isinstance(answer, Answer) and (200 <= answer.status < 300 or answer.status in accept):
            return answer
        is_unsure = answer.was_sent if isinstance(answer, Silence) else answer.status >= 500
        raise self._refused(f"{verb} {path}", answer, Unsure if is_unsure else TrackerError)

    def _send(
        self,
        verb: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        body: object = None,
    ) -> Answer | Silence:
        from urllib3.exceptions import HTTPError

        asked = {"Accept": "application/vnd.github+json", **(headers or {})}  # PyGithub puts the token in it
        request = self._github.requester.requestJson
        try:
            return Answer(*request(verb, path, dict(query or {}), asked, body, cnx=self._door))
        except _Stopped as stopped:
            return stopped.answer
        except (OSError, HTTPException, HTTPError) as error:  # those of requests are OSErrors
            return _silence(error)

    def _parsed(
        self, request: str, what: Callable[[Any], T], answer: Answer, error: type[TrackerError] = TrackerError
    ) -> T:
        try:
            return reads.read(what, answer)
        except Malformed as malformed:
            text = f"{request}: not GitHub's answer ({malformed}): is this the address of its REST API?"
            raise error(self._without_token(text)) from None

    def _refused(
        self, request: str, answer: Answer | Silence, error: type[TrackerError] = TrackerError
    ) -> TrackerError:
        return error(self._without_token(f"{request}: {reads.trouble(answer)}"))

    def _without_token(self, text: str) -> str:
        auth = self._github.requester.auth
        return text.replace(auth.token, "***") if auth else text


class _Stopped(Exception):
    """An answer that PyGithub would have acted on by itself."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Door:
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

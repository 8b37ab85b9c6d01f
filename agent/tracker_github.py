"""GitHub, or a tracker that speaks its REST API, as the agent's tracker: PyGithub's requester behind a door.

Translates, and decides nothing: `github_line.py` sends (no write twice, a read at most three times), the
`github_*` modules read. Plain HTTP goes to loopback only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from agent import branch as results
from agent import github_line, github_names
from agent import github_shapes as shapes
from agent.github_app import App, Installation, Pass
from agent.github_branch import ResultsBranch
from agent.github_comments import Comments
from agent.github_line import Clock, Line
from agent.github_list import IssueList
from agent.github_shapes import Facts
from agent.tracker import Comment, Commit, Gone, Issue, Reaction, Role, TrackerError, User

WRITE_PAUSE_S = 1.0  # what GitHub asks for between writes
TAGS_LIMIT = 100  # commits of tags that a commit is compared with, one request each
VIEWER = "query { viewer { login databaseId } }"
MINIMISE = (
    "mutation Mutation($input: MinimizeCommentInput!) "
    "{ minimizeComment(input: $input) { minimizedComment { isMinimized } } }"
)


class GithubTracker:
    """See `agent.tracker.Tracker`. Not for several threads at once."""

    def __init__(
        self,
        base_url: str,
        token: str | App,
        repository: str,
        *,
        results_branch: str = results.BRANCH,
        sleep: Callable[[float], None] = time.sleep,
        now: Clock = lambda: datetime.now(UTC),
    ) -> None:
        """Sends nothing yet. `base_url` is that of the REST API, `token` may be an app that has tokens made.

        Raises TrackerError.
        """
        base_url = github_names.checked_address(base_url)
        if not github_names.REPOSITORY.fullmatch(repository):
            raise TrackerError(f"{repository!r} is not a repository: give owner/name")
        if isinstance(token, str) and not github_names.TOKEN.fullmatch(token):
            raise TrackerError("the token is empty or holds spaces or line breaks: give it as it was shown")
        self._repository = repository
        self._path = f"/repos/{repository}"
        self._results_branch = results_branch
        self._github, connection = _opened(base_url)
        who = Installation(lambda: self._pass(token)) if isinstance(token, App) else token
        self._line = Line(self._github.requester, connection, who, now, sleep)
        self._facts: Facts | None = None
        self._me: User | None = None
        self._list = IssueList(self._line, self._path)
        self._comments = Comments(self._line, self._path)

    @property
    def repository(self) -> str:
        return self._repository

    def repository_id(self) -> int:
        return (self._facts or self._look()).id

    def page(self) -> str:
        return (self._facts or self._look()).page

    def clone_url(self) -> str:
        return (self._facts or self._look()).clone_url

    def page_of(self, number: int) -> str:
        return f"{self.page()}/issues/{number}"

    def default_branch(self) -> str:
        return self._look().default_branch

    def me(self) -> User:
        """The account of the token; kept, for a token does not change hands."""
        if self._me is None:
            answer = self._line.get("/user", accept=(200, 403))
            is_app = answer.status == 403  # the token of an app's installation has no /user
            answer = self._line.graphql(VIEWER, {}) if is_app else answer
            self._me = self._line.parsed("GET /user", shapes.viewer if is_app else shapes.user, answer)
        return self._me

    def scopes(self) -> frozenset[str] | None:
        """Of a classic token; the others come without this header. Of an app's, /user is refused."""
        told = self._line.get("/user", accept=(200, 403)).headers.get("x-oauth-scopes")
        return None if told is None else frozenset(told.replace(",", " ").split())

    def tagged(self, label: str) -> Sequence[Issue] | None:
        return self._list.tagged(label)

    def issue(self, number: int) -> Issue | Gone:
        path = f"{self._path}/issues/{number}"
        answer = self._line.get(path, accept=(200, 301, 404, 410))
        match answer.status:
            case 200:
                [*found] = self._line.parsed(f"GET {path}", shapes.issues_or_pull, answer)
                return found[0] if found else Gone("not found")
            case 301 if shapes.moved_to(answer) not in (None, self.repository_id()):
                return Gone("transferred")
            case 404:
                self._look()  # a repository that is hidden from the token hides its issues too
                return Gone("not found")
            case 410 if "disabled" not in answer.message.lower():
                return Gone("deleted")
        raise self._line.refused(f"GET {path}", answer)

    def comments(self, number: int) -> Sequence[Comment]:
        return self._comments.of(number)

    def post(self, number: int, body: str) -> Comment:
        return self._comments.post(number, body)

    def edit(self, comment: int, body: str) -> None:
        self._line.write("PATCH", f"{self._path}/issues/comments/{comment}", {"body": body})

    def minimise(self, comment: Comment) -> None:
        self._line.graphql(MINIMISE, {"input": {"subjectId": comment.node_id, "classifier": "OUTDATED"}})

    def react(self, comment: int, content: Reaction) -> None:
        """200 where it was there, 201 where it is new."""
        path = f"{self._path}/issues/comments/{comment}/reactions"
        self._line.write("POST", path, {"content": content}, is_spare=True)

    def set_labels(self, number: int, add: Sequence[str], remove: Sequence[str]) -> None:
        path = f"{self._path}/issues/{number}/labels"
        there = self._labels(path)
        new = [name for name in dict.fromkeys(add) if name.casefold() not in there]
        if new:
            self._line.write("POST", path, {"labels": new}, is_spare=True)
        for name in dict.fromkeys(remove):
            if name.casefold() in there:
                # 404: somebody was faster.
                self._line.write("DELETE", f"{path}/{quote(name, safe='')}", accept=(404,), is_spare=True)

    def role(self, user: User) -> Role | None:
        path = f"{self._path}/collaborators/{quote(user.login, safe='')}/permission"
        try:
            whose, role = self._line.parsed(f"GET {path}", shapes.permission, self._line.get(path))
        except TrackerError:
            return None
        return role if whose.id == user.id else None

    def commit_of(self, revision: str) -> Commit | None:
        """An id that begins with the digits given, else a branch, else a tag: never any other ref."""
        for name in github_names.meanings(revision):
            path = f"{self._path}/commits/{quote(name)}"
            answer = self._line.get(path, accept=(200, 404, 409, 422), query={"per_page": 1}, is_spare=True)
            if answer.status == 200:
                found = self._line.parsed(f"GET {path}", shapes.commit, answer)
                if "/" in name or found.id.startswith(name):  # else it is a branch that looks like an id
                    return found
        self._look()  # "no such commit" is believed only of a repository that can be seen
        return None

    def is_reachable(self, commit: str, branches: Sequence[str]) -> bool:
        """Whether nothing of the commit is missing from a branch or a tag. GitHub finds the commits of forks
        by id too, so that being found says nothing.
        """
        if not github_names.ID.fullmatch(commit):
            return False
        if any(self._holds(branch, commit) for branch in branches if github_names.is_ref(branch)):
            return True
        path = f"{self._path}/tags"
        pages = self._line.pages(path, is_spare=True)
        tips = [tip for page in pages for tip in self._line.parsed(f"GET {path}", shapes.tags, page)]
        different = list(dict.fromkeys(tips))[:TAGS_LIMIT]
        if commit in tips or any(self._holds(tip, commit) for tip in different):
            return True
        self._look()
        return False

    def _holds(self, base: str, commit: str) -> bool:
        """404 is no such branch, no such commit or no common ancestor."""
        path = f"{self._path}/compare/{quote(base, safe='')}...{commit}"
        answer = self._line.get(path, accept=(200, 404), query={"per_page": 1}, is_spare=True)
        return answer.status == 200 and self._line.parsed(f"GET {path}", shapes.contained, answer) == commit

    def file(self, path: str, commit: str) -> bytes | None:
        if not github_names.PATH.fullmatch(path) or not github_names.ID.fullmatch(commit):
            return None
        address = f"{self._path}/contents/{quote(path)}"
        answer = self._line.get(address, accept=(200, 404), query={"ref": commit}, is_spare=True)
        if answer.status == 404:
            self._look()
            return None
        found = self._line.parsed(f"GET {address}", shapes.file, answer)
        if isinstance(found, shapes.Blob):
            address = f"{self._path}/git/blobs/{found.id}"
            return self._line.parsed(f"GET {address}", shapes.content, self._line.get(address))
        return found

    def write_files(self, branch: str, folder: str, files: Mapping[str, bytes], message: str) -> str:
        results.check(branch, self._results_branch, self.default_branch())
        results.check_files(folder, files)
        return ResultsBranch(self._line, self._path, branch).write(folder, files, message)

    def ensure_labels(self, labels: Sequence[tuple[str, str, str]]) -> None:
        path = f"{self._path}/labels"
        known = self._labels(path)
        for name, colour, description in labels:
            if name.casefold() not in known:
                self._line.write("POST", path, {"name": name, "color": colour, "description": description})
                known.add(name.casefold())

    def _labels(self, path: str) -> set[str]:
        pages = self._line.pages(path, is_spare=True)
        return {name for page in pages for name in self._line.parsed(f"GET {path}", shapes.labels, page)}

    def close(self) -> None:
        self._line.door.close()
        self._github.close()

    def _look(self) -> Facts:
        """The repository as it is now. Raises TrackerError where it is hidden, moved or another one."""
        found = self._line.parsed(f"GET {self._path}", shapes.facts, self._line.get(self._path))
        if self._facts and self._facts.id != found.id:
            raise TrackerError(f"{self._repository} is another repository than before: start the agent again")
        self._facts = found
        return found

    def _pass(self, app: App) -> Pass:
        """A new token for the app's installation in this repository, and for nothing else."""
        word = _word(app)
        path = f"{self._path}/installation"
        found = self._line.parsed(f"GET {path}", shapes.number, self._line.as_app(word, "GET", path))
        path = f"/app/installations/{found}/access_tokens"
        body = {"repositories": [self._repository.partition("/")[2]]}
        answer = self._line.as_app(word, "POST", path, body)
        return Pass(*self._line.parsed(f"POST {path}", shapes.token, answer))


def _opened(base_url: str) -> tuple[Any, Any]:
    """PyGithub without a token, and the connection for its requests."""
    import github
    from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass

    parts = urlsplit(base_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    is_plain = parts.scheme == "http"
    limits: Any = (github_line.CONNECT_LIMIT_S, github_line.ANSWER_LIMIT_S)
    kind = HTTPRequestsConnectionClass if is_plain else HTTPSRequestsConnectionClass
    connection = kind(host, parts.port, timeout=limits, retry=None)
    connection.session.trust_env = not is_plain  # or a proxy of the environment would see the token
    opened = github.Github(
        base_url=base_url,
        user_agent="paceline",
        retry=None,
        api_version="2022-11-28",
        seconds_between_requests=None,
        seconds_between_writes=None if is_plain else WRITE_PAUSE_S,
    )
    return opened, connection


def _word(app: App) -> str:
    """What the app proves itself with, for five minutes."""
    import github
    import jwt  # PyGithub's own

    try:
        word: str = github.Auth.AppAuth(app.id, app.key).create_jwt()
    except (jwt.PyJWTError, ValueError, TypeError, AssertionError) as error:
        raise TrackerError(
            f"the app's id or key is not what GitHub gave out ({type(error).__name__}): give the PEM file"
        ) from None
    return word

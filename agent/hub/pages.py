"""Plain pages: repositories, the issues of one, one issue with its comments. Read only, without a script.

They show what nobody in particular may read: public repositories. Templates lie in `templates/hub/` and
escape everything that is not rendered Markdown; the policy lets a page load our style sheet and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import anyio.to_thread
from anyio import CapacityLimiter
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent.hub.comments import comments_of
from agent.hub.database import Database
from agent.hub.issues import Filter, Gone, Issue, issue_numbered, list_issues
from agent.hub.labels import Label, labels_on
from agent.hub.markdown import rendered
from agent.hub.paging import Page, page_of
from agent.hub.people import user_of
from agent.hub.repositories import (
    Repository,
    open_issue_count,
    public_repositories,
    repository_named,
    repository_with,
)
from agent.hub.urls import Urls

TEMPLATES = Path(__file__).parents[2] / "templates" / "hub"
EVERYTHING = Page(1, 10_000)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
STATIC = {"style.css": "text/css", "avatar.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Said:
    """A body or comment as a page shows it; `folded` is why it is minimised, or empty."""

    anchor: str
    author: str
    at: str
    html: str
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    issue: Issue
    labels: list[Label]
    author: str


class Pages:
    def __init__(self, database: Database, urls: Urls) -> None:
        self._database = database
        self._urls = urls

    def routes(self, threads: CapacityLimiter) -> list[Route]:
        def web(path: str, page: Callable[[Request], Response]) -> Route:
            async def endpoint(request: Request) -> Response:
                response = await anyio.to_thread.run_sync(page, request, limiter=threads)
                response.headers.update(HEADERS)
                return response

            return Route(path, endpoint, methods=["GET"])

        return [
            web("/", self._home),
            web("/static/{name}", _static),
            web("/{owner}/{repo}", self._to_issues),
            web("/{owner}/{repo}/issues", self._issues),
            web("/{owner}/{repo}/issues/{number:int}", self._issue),
        ]

    def _home(self, _: Request) -> Response:
        with self._database.reading() as sql:
            found = [(one, open_issue_count(sql, one)) for one in public_repositories(sql)]
        return _page("home.html.j2", repositories=found)

    def _to_issues(self, request: Request) -> Response:
        repository = self._repository(request)
        if repository is None:
            return _missing()
        return RedirectResponse(f"/{repository.full_name}/issues")

    def _issues(self, request: Request) -> Response:
        repository = self._repository(request)
        if repository is None:
            return _missing()
        state = request.query_params.get("state", "open")
        state = state if state in ("open", "closed", "all") else "open"
        page = page_of(dict(request.query_params))
        with self._database.reading() as sql:
            issues, total = list_issues(sql, repository, Filter(state=state), page)
            rows = [Row(one, labels_on(sql, one.id), user_of(sql, one.author_id).login) for one in issues]
        pages = -(-total // page.size)
        return _page("issues.html.j2", repository=repository, rows=rows, state=state, page=page, pages=pages)

    def _issue(self, request: Request) -> Response:
        repository = self._repository(request)
        number = int(request.path_params["number"])
        if repository is None or number > 1 << 60:
            return _missing()
        with self._database.reading() as sql:
            issue = issue_numbered(sql, repository, number)
            if isinstance(issue, Gone) and issue.moved_to:
                target = repository_with(sql, issue.moved_to.repository_id)
                if target is not None and not target.is_private:
                    return RedirectResponse(f"/{target.full_name}/issues/{issue.moved_to.number}", 301)
            if not isinstance(issue, Issue):
                return _missing()
            labels = labels_on(sql, issue.id)
            comments, _ = comments_of(sql, issue, None, EVERYTHING)
            opening = ("issue", user_of(sql, issue.author_id).login, issue.created_at, issue.body or "", "")
            told = [
                (
                    f"issuecomment-{one.id}",
                    user_of(sql, one.author_id).login,
                    one.created_at,
                    one.body,
                    one.minimized,
                )
                for one in comments
            ]
        said = [
            Said(anchor, who, at, rendered(text), why or "")
            for anchor, who, at, text, why in (opening, *told)
        ]
        return _page("issue.html.j2", repository=repository, issue=issue, labels=labels, said=said)

    def _repository(self, request: Request) -> Repository | None:
        """A public one; what is private is not there for a page."""
        with self._database.reading() as sql:
            found = repository_named(sql, request.path_params["owner"], request.path_params["repo"])
        return None if found is None or found.is_private else found


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(name: str, status: int = 200, **values: object) -> Response:
    html = _environment().get_template(name).render(**values)
    return Response(html, status, media_type="text/html")


def _missing() -> Response:
    return _page("missing.html.j2", 404)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return _missing()
    return Response((TEMPLATES / name).read_bytes(), media_type=STATIC[name])

"""The application: routes to handlers, one transaction a request, and what surrounds every answer.

Handlers run on a few threads; the loop itself never waits for the disk. Around them, in this order: the
token, the rate limit, the transaction, the ETag with its 304. Whatever else goes wrong is logged with its
traceback and answered as GitHub answers 500, without a word about the inside.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as WebRoute

from agent.hub import api_comments, api_commits, api_git, api_issues, api_labels, api_repository, graphql
from agent.hub.call import Answer, Call, Handler, Json, Route, Trouble
from agent.hub.database import Database
from agent.hub.pages import Pages
from agent.hub.people import Viewer, viewer_with
from agent.hub.rate import Budget, Rates
from agent.hub.urls import GRAPHQL, REST, Urls

THREADS = 8
BODY_LIMIT_B = 64 << 20
DEPTH_LIMIT = 50
REPOSITORY_ROUTES = (
    *api_repository.REPOSITORY_ROUTES,
    *api_issues.ROUTES,
    *api_comments.ROUTES,
    *api_labels.ROUTES,
    *api_commits.ROUTES,
    *api_git.ROUTES,
)
log = logging.getLogger("agent.hub")


@dataclass(frozen=True, slots=True)
class Settings:
    """`hosts` are the names a browser may have for us: others are refused, against DNS rebinding."""

    urls: Urls
    hosts: tuple[str, ...]
    clock: Callable[[], datetime]


class Server:
    """What all requests share."""

    def __init__(self, database: Database, settings: Settings, rates: Rates) -> None:
        self._database = database
        self._settings = settings
        self._rates = rates
        self._threads = CapacityLimiter(THREADS)

    def application(self) -> Starlette:
        pages = Pages(self._database, self._settings.urls)
        return Starlette(
            routes=[*self._rest_routes(), *pages.routes(self._threads)],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(self._settings.hosts))],
            exception_handlers={HTTPException: self._no_route},
        )

    def _rest_routes(self) -> Iterable[WebRoute]:
        for route in (*_limit_route(), *api_repository.ROUTES):
            yield self._web(REST + route.path, route)
        for route in REPOSITORY_ROUTES:
            yield self._web(REST + "/repos/{owner}/{repo}" + route.path, route)
            yield self._web(REST + "/repositories/{repository_id}" + route.path, route)
        yield self._web(GRAPHQL, Route("POST", "", graphql.answer, writes=True), resource="graphql")

    def _web(self, path: str, route: Route, resource: str = "core") -> WebRoute:
        async def endpoint(request: Request) -> Response:
            body: Json | Trouble
            try:
                body = await _body(request)
            except Trouble as trouble:
                body = trouble
            except ClientDisconnect:
                return Response(status_code=400)
            return await anyio.to_thread.run_sync(
                self._respond, request, body, route, resource, limiter=self._threads
            )

        return WebRoute(path, endpoint, methods=[route.method])

    async def _no_route(self, request: Request, _: Exception) -> Response:
        """An address or method that is none of ours; GitHub says 404 to both."""
        if not request.url.path.startswith("/api/"):
            return Response("not found\n", 404, media_type="text/plain")
        return await anyio.to_thread.run_sync(
            self._respond, request, {}, Route(request.method, "", _nothing), "core", limiter=self._threads
        )

    def _respond(self, request: Request, body: Json | Trouble, route: Route, resource: str) -> Response:
        now = self._settings.clock()
        now_s = int(now.timestamp())
        who = ""
        scopes: str | None = None
        try:
            viewer = self._viewer(request)
            who, scopes = (str(viewer.user.id), viewer.scopes) if viewer else ("", None)
            if route.handler is _rate_limit:
                answer = Answer(_limits(self._rates, who, now_s))
                resource = "core"
                return _response(request, answer, self._rates.spend(who, resource, now_s, 0), scopes)
            if self._rates.is_spent(who, resource, now_s):
                raise Trouble(403, _spent(who))
            if isinstance(body, Trouble):
                raise body
            call = (self._settings.urls, viewer, request, body, now.strftime("%Y-%m-%dT%H:%M:%SZ"))
            answer = self._carried_out(route, *call)
        except Trouble as trouble:
            answer = Answer(trouble.data, trouble.status, trouble.headers)
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            answer = Answer({"message": "Server Error", "status": "500"}, 500)
        response = _response(request, answer, None, scopes)
        cost = 0 if response.status_code == 304 and who else 1
        response.headers.update(self._rates.spend(who, resource, now_s, cost).headers)
        return response

    def _carried_out(
        self, route: Route, urls: Urls, viewer: Viewer | None, request: Request, body: Json, now: str
    ) -> Answer:
        opened = self._database.writing() if route.writes else self._database.reading()
        with opened as sql:
            path = {name: str(value) for name, value in request.path_params.items()}
            return route.handler(Call(sql, urls, viewer, path, dict(request.query_params), body, now))

    def _viewer(self, request: Request) -> Viewer | None:
        """Raises Trouble 401 for a token that is none of ours."""
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() not in ("token", "bearer"):
            raise Trouble(401, "Bad credentials")
        with self._database.reading() as sql:
            viewer = viewer_with(sql, token.strip())
        if viewer is None:
            raise Trouble(401, "Bad credentials")
        return viewer


async def _body(request: Request) -> Json:
    """The JSON of a request; a bare list, as labels may be sent, becomes {"labels": list}.

    Raises Trouble 400 for no JSON, 413 for too much of it.
    """
    if request.method not in ("POST", "PATCH", "PUT", "DELETE"):
        return {}
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) > BODY_LIMIT_B:
            raise Trouble(413, "Payload too large")
    if not held.strip():
        return {}
    try:
        value = json.loads(held)
    except (ValueError, RecursionError):
        raise Trouble(400, "Problems parsing JSON") from None
    if isinstance(value, list):
        return {"labels": value}
    if not isinstance(value, dict):
        raise Trouble(400, "Body should be a JSON object")
    return value


def _response(request: Request, answer: Answer, budget: Budget | None, scopes: str | None) -> Response:
    headers = {
        **answer.headers,
        "X-GitHub-Media-Type": "github.v3; format=json",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'",
        "Cache-Control": "private, max-age=0, must-revalidate",
        "Vary": "Accept, Authorization",
    }
    if budget is not None:
        headers.update(budget.headers)
    if scopes is not None:
        headers["X-OAuth-Scopes"] = scopes
    if answer.data is None:
        return Response(status_code=answer.status, headers=headers)
    content = json.dumps(answer.data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if answer.status == 200 and request.method in ("GET", "HEAD"):
        seen = hashlib.sha256(content + answer.headers.get("Link", "").encode())
        headers["ETag"] = f'W/"{seen.hexdigest()}"'
        if _is_known(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
    return Response(content, answer.status, headers, media_type="application/json; charset=utf-8")


def _is_known(header: str, etag: str) -> bool:
    """Weak comparison, as If-None-Match asks for."""
    known = {one.strip().removeprefix("W/") for one in header.split(",")}
    return etag.removeprefix("W/") in known or "*" in known


def _limit_route() -> tuple[Route, ...]:
    return (Route("GET", "/rate_limit", _rate_limit),)


def _rate_limit(_: Call) -> Answer:
    raise AssertionError("answered before a transaction is opened")


def _nothing(_: Call) -> Answer:
    raise Trouble(404, "Not Found")


def _limits(rates: Rates, who: str, now_s: int) -> Json:
    core = rates.spend(who, "core", now_s, 0).shape
    told = {name: rates.spend(who, name, now_s, 0).shape for name in ("graphql", "search")}
    return {"resources": {"core": core, **told}, "rate": core}


def _spent(who: str) -> str:
    whose = f"user ID {who}" if who else "127.0.0.1"
    return f"API rate limit exceeded for {whose}."


def now_utc() -> datetime:
    return datetime.now(UTC)


__all__ = ["Handler", "Server", "Settings", "now_utc"]

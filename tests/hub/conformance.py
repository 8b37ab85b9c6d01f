"""Holds every answer of a hub against GitHub's published OpenAPI description.

`Conformance.around` wraps the application; what does not conform is collected in `problems`, which the
fixtures assert to be empty. Beyond the description: no field may have a name that it does not know, and
headers that clients live on (rate limit, Link, ETag, Location) must be there and well formed.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SLICE = Path(__file__).parent / "openapi" / "github.json.gz"
REST = "/api/v3"
MANY_PARTS = {"path", "ref", "basehead", "branch", "name"}
LINK = re.compile(r'<http[^<>]+[?&]page=\d+[^<>]*>; rel="(next|prev|first|last)"')
LIMITS = ("limit", "remaining", "used", "reset")

# GitHub sends these for every operation, though the description names them for some only.
EVERYWHERE = {"400": "basic-error", "401": "basic-error", "403": "basic-error", "404": "basic-error"}
NOT_MODIFIED = "304"
# Documented in prose ("Validation failed") or seen on GitHub, but not in the description.
ALSO = {
    ("get", "/repos/{owner}/{repo}/issues/{issue_number}/comments", "422"): "validation-error",
    ("get", "/repos/{owner}/{repo}/commits", "422"): "validation-error",
    ("delete", "/repos/{owner}/{repo}/git/refs/{ref}", "422"): "validation-error",
    ("patch", "/repos/{owner}/{repo}/labels/{name}", "422"): "validation-error",
}
ERROR = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string"},
        "type": {"type": "string"},
        "path": {"type": "array"},
        "locations": {"type": "array"},
    },
}
GRAPHQL = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "object"}, "errors": {"type": "array", "minItems": 1, "items": ERROR}},
}


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    slice_ = json.loads(gzip.decompress(SLICE.read_bytes()))
    schemas = slice_["components"]["schemas"]
    # GitHub answers with closed and reopened events here; the description has them in the timeline only.
    schemas["issue-event-for-issue"]["anyOf"].append(
        {"$ref": "#/components/schemas/state-change-issue-event"}
    )
    return slice_


def as_json_schema(value: Any, *, is_part: bool = False) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` becomes a type; unknown names are refused where that is safe."""
    if isinstance(value, list):
        return [as_json_schema(one, is_part=is_part) for one in value]
    if not isinstance(value, dict):
        return value
    made: dict[str, Any] = {}
    for key, one in value.items():
        if key in ("nullable", "discriminator"):
            continue
        if key in ("properties", "schemas"):
            made[key] = {name: as_json_schema(schema) for name, schema in one.items()}
        else:
            # GitHub means "one of" as "any of": an error without a list fits several of its forms.
            made["anyOf" if key == "oneOf" else key] = as_json_schema(one, is_part=key == "allOf")
    is_closed = "properties" in made and "additionalProperties" not in made and not is_part
    if is_closed and not {"anyOf", "allOf"} & made.keys():
        made["additionalProperties"] = False
    if value.get("nullable"):
        return {"anyOf": [made, {"type": "null"}]}
    return made


@lru_cache(maxsize=1)
def components() -> dict[str, Any]:
    return {"schemas": as_json_schema(description()["components"]["schemas"])}


@cache
def checker(schema: str) -> jsonschema_rs.Validator:
    """A checker for a schema given as JSON text (so that it can be a key)."""
    whole = {**as_json_schema(json.loads(schema)), "components": components()}
    return jsonschema_rs.Draft7Validator(whole, validate_formats=True)


@lru_cache(maxsize=1)
def patterns() -> list[tuple[re.Pattern[str], str]]:
    """Every path of the slice as a pattern; the more literal ones first."""

    def pattern(template: str) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", template)
        named = [".+" if name in MANY_PARTS else "[^/]+" for name in parts[1::2]]
        literal = [re.escape(part) for part in parts[0::2]]
        return re.compile("".join(a + b for a, b in zip(literal, [*named, ""], strict=True)), re.DOTALL)

    templates = sorted(description()["paths"], key=lambda one: (one.count("{"), -len(one)))
    return [(pattern(template), template) for template in templates]


def template_of(path: str, method: str) -> str | None:
    path = re.sub(r"^/repositories/\d+", "/repos/owner/repo", path)
    path = re.sub(r"(/contents|/matching-refs)/?$", r"\1/-", path)
    for pattern, template in patterns():
        if pattern.fullmatch(path) and method in description()["paths"][template]:
            return template
    return None


def schema_of(template: str, method: str, status: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The response's schema (None for one without a body) and its headers. Raises KeyError."""
    response = description()["paths"][template][method]["responses"].get(status)
    if response is None:
        name = ALSO.get((method, template, status)) or EVERYWHERE[status]
        return {"$ref": f"#/components/schemas/{name}"}, {}
    if "$ref" in response:
        response = description()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content", {}).get("application/json")
    schema = content["schema"] if content else ALSO.get((method, template, status))
    if isinstance(schema, str):
        schema = {"$ref": f"#/components/schemas/{schema}"}
    return schema, response.get("headers", {})


def problems_of(method: str, path: str, status: int, headers: dict[str, str], body: bytes) -> list[str]:
    if path == "/api/graphql":
        schema, wanted = (GRAPHQL if status == 200 else {"$ref": "#/components/schemas/basic-error"}), {}
        return [*_headers(method, status, headers, wanted, body), *_body(schema, body)]
    template = template_of(path.removeprefix(REST), method)
    if template is None:
        return ["GitHub's description has no such operation"]
    if str(status) == NOT_MODIFIED:
        return ["a 304 has a body"] if body else _headers(method, status, headers, {}, body)
    try:
        schema, wanted = schema_of(template, method, str(status))
    except KeyError:
        return [f"GitHub's description knows no status {status} here"]
    return [*_headers(method, status, headers, wanted, body), *_body(schema, body)]


def _body(schema: dict[str, Any] | None, body: bytes) -> list[str]:
    if schema is None:
        return ["there is a body where there should be none"] if body else []
    try:
        value = json.loads(body)
    except ValueError:
        return [f"the body is not JSON: {body[:80]!r}"]
    found = checker(json.dumps(schema, sort_keys=True)).iter_errors(value)
    return [f"{'/'.join(str(part) for part in one.instance_path)}: {one.message:.300}" for one in found]


def _headers(
    method: str, status: int, headers: dict[str, str], wanted: dict[str, Any], body: bytes
) -> list[str]:
    found = []
    for name in LIMITS:
        if not headers.get(f"x-ratelimit-{name}", "").isdigit():
            found.append(f"no x-ratelimit-{name}")
    if body and headers.get("content-type") != "application/json; charset=utf-8":
        found.append(f"content-type {headers.get('content-type')}")
    if "Location" in wanted and not headers.get("location", "").startswith("http"):
        found.append("no location")
    if status == 301 and json.loads(body).get("url") != headers.get("location"):
        found.append("the redirect's body and location differ")
    if (method == "get" and status in (200, 304)) and not headers.get("etag", "").startswith('W/"'):
        found.append("no etag")
    if "link" in headers:
        found += [f"link {one!r}" for one in headers["link"].split(", ") if not LINK.fullmatch(one)]
    return found


@dataclass
class Conformance:
    problems: list[str] = field(default_factory=list)
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    def around(self, app: ASGIApp) -> ASGIApp:
        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith("/api/"):
                await app(scope, receive, send)
                return
            start: dict[str, Any] = {}
            body = bytearray()

            async def copy(message: Message) -> None:
                if message["type"] == "http.response.start":
                    start.update(message)
                body.extend(message.get("body", b""))
                await send(message)

            await app(scope, receive, copy)
            headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
            method, path = scope["method"].lower(), scope["path"]
            self.seen.add((method, template_of(path.removeprefix(REST), method) or path, start["status"]))
            for problem in problems_of(method, path, start["status"], headers, bytes(body)):
                self.problems.append(f"{method} {path} {start['status']}: {problem}")

        return checked

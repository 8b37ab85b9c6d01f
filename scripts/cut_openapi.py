"""Cuts the paths that the hub serves out of GitHub's published OpenAPI description.

Reads `generated/api.github.com.json` of the npm package `@octokit/openapi` (MIT), keeps the responses of the
operations named below with every schema they refer to, drops prose and examples, and writes one gzip file
that is the same byte for byte for the same package. Nothing is downloaded: fetch the package with `npm pack`.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python scripts/cut_openapi.py package tests/hub/openapi/github.json.gz
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE = "generated/api.github.com.json"
PROSE = {"description", "example", "examples", "summary", "externalDocs", "title"}
NAMED = {"properties", "schemas", "responses", "headers", "paths"}  # here keys are names, not keywords

REPO = "/repos/{owner}/{repo}"
ISSUE = f"{REPO}/issues/{{issue_number}}"
COMMENT = f"{REPO}/issues/comments/{{comment_id}}"
OPERATIONS: dict[str, str] = {
    "/rate_limit": "get",
    "/user": "get",
    "/user/{account_id}": "get",
    "/users/{username}": "get",
    REPO: "get",
    f"{REPO}/issues": "get post",
    ISSUE: "get patch",
    f"{ISSUE}/comments": "get post",
    f"{ISSUE}/reactions": "get post",
    f"{ISSUE}/reactions/{{reaction_id}}": "delete",
    f"{ISSUE}/labels": "get post put delete",
    f"{ISSUE}/labels/{{name}}": "delete",
    f"{ISSUE}/events": "get",
    f"{ISSUE}/timeline": "get",
    f"{REPO}/issues/events/{{event_id}}": "get",
    f"{REPO}/issues/comments": "get",
    COMMENT: "get patch delete",
    f"{COMMENT}/reactions": "get post",
    f"{COMMENT}/reactions/{{reaction_id}}": "delete",
    f"{REPO}/labels": "get post",
    f"{REPO}/labels/{{name}}": "get patch delete",
    f"{REPO}/collaborators/{{username}}/permission": "get",
    f"{REPO}/commits": "get",
    f"{REPO}/commits/{{ref}}": "get",
    f"{REPO}/compare/{{basehead}}": "get",
    f"{REPO}/contents/{{path}}": "get",
    f"{REPO}/branches": "get",
    f"{REPO}/branches/{{branch}}": "get",
    f"{REPO}/tags": "get",
    f"{REPO}/git/ref/{{ref}}": "get",
    f"{REPO}/git/matching-refs/{{ref}}": "get",
    f"{REPO}/git/refs": "post",
    f"{REPO}/git/refs/{{ref}}": "patch delete",
    f"{REPO}/git/blobs": "post",
    f"{REPO}/git/blobs/{{file_sha}}": "get",
    f"{REPO}/git/trees": "post",
    f"{REPO}/git/trees/{{tree_sha}}": "get",
    f"{REPO}/git/commits": "post",
    f"{REPO}/git/commits/{{commit_sha}}": "get",
}


def cut(description: dict[str, Any], package: dict[str, Any], license_text: str) -> dict[str, Any]:
    """The slice: where it comes from, and the named operations with all that they refer to."""
    paths: dict[str, Any] = {}
    for path, methods in OPERATIONS.items():
        for method in methods.split():
            responses = description["paths"][path][method]["responses"]
            paths.setdefault(path, {})[method] = {"responses": _without_prose(responses, named=True)}
    components: dict[str, dict[str, Any]] = {}
    waiting = sorted(set(_references(paths)))
    while waiting:
        kind, name = waiting.pop().removeprefix("#/components/").split("/")
        if name in components.setdefault(kind, {}):
            continue
        components[kind][name] = _without_prose(description["components"][kind][name])
        waiting += sorted(set(_references(components[kind][name])))
    return {
        "openapi": description["openapi"],
        "source": {
            "package": f"{package['name']}@{package['version']}",
            "file": SOURCE,
            "license": package["license"],
            "license_text": license_text,
        },
        "paths": paths,
        "components": components,
    }


def _without_prose(value: Any, *, named: bool = False) -> Any:
    if isinstance(value, list):
        return [_without_prose(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_prose(one, named=key in NAMED and not named)
        for key, one in value.items()
        if named or not (key in PROSE or key.startswith("x-"))
    }


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def main(folder: Path, out: Path) -> None:
    description = json.loads((folder / SOURCE).read_bytes())
    package = json.loads((folder / "package.json").read_bytes())
    license_text = (folder / "LICENSE").read_text(encoding="utf-8")
    text = json.dumps(cut(description, package, license_text), separators=(",", ":"), sort_keys=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: cut_openapi.py PACKAGE_FOLDER OUT.json.gz")
    main(Path(sys.argv[1]), Path(sys.argv[2]))

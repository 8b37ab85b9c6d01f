"""What a repository holds, over REST: commits, comparisons, contents, branches, tags.

A commit that no branch reaches is found by its id, and compared, as on GitHub. An empty repository answers
409 where GitHub does.
"""

from __future__ import annotations

import base64

from agent.hub.call import Answer, Call, Json, Route, Trouble, not_found
from agent.hub.fields import refused
from agent.hub.git import default_branch, is_ref, look_up, read, refs, resolve
from agent.hub.git_shapes import change_shape, commit_shape, content_shape
from agent.hub.history import Change, changes, commits, distance, log, tree
from agent.hub.paging import Page, links, page_of
from agent.hub.place import Place, place_of
from agent.hub.urls import node_id

FILES_LIMIT = 300
COMPARED_COMMITS = 250
INLINE_LIMIT_B = 1 << 20
RAW_LIMIT_B = 100 << 20
SYMLINK, SUBMODULE = "120000", "160000"


def of_repository(call: Call) -> Answer:
    place = place_of(call)
    refused(call.query, "Commit", "author", "committer", "since", "until")
    path = place.repository.path
    name = call.query.get("sha") or default_branch(path)
    start = resolve(path, name)
    if start is None:
        raise Trouble(409, "Git Repository is empty.") if "sha" not in call.query else not_found()
    page = page_of(call.query)
    shas = log(path, start, call.query.get("path"))
    data = [commit_shape(call.urls, place, one) for one in commits(path, page.of(shas))]
    return Answer(data, headers=links(f"{place.url}/commits", call.query, page, len(shas)))


def get(call: Call) -> Answer:
    place = place_of(call)
    path = place.repository.path
    sha = resolve(path, call.path["ref"])
    if sha is None:
        raise Trouble(422, f"No commit found for SHA: {call.path['ref']}")
    [commit] = commits(path, [sha])
    found = changes(path, commit.parents[0] if commit.parents else None, sha)
    page = page_of(call.query, default_size=FILES_LIMIT)
    plus, minus = sum(one.additions for one in found), sum(one.deletions for one in found)
    data = commit_shape(call.urls, place, commit)
    data["stats"] = {"total": plus + minus, "additions": plus, "deletions": minus}
    data["files"] = _files(call, place, sha, list(page.of(found)))
    return Answer(data, headers=links(data["url"], call.query, page, len(found)))


def compare(call: Call) -> Answer:
    """`base...head`: how head lies to base, the commits it has more, the files since the common ancestor."""
    place = place_of(call)
    path = place.repository.path
    base_name, dots, head_name = call.path["basehead"].partition("...")
    base = resolve(path, _own_ref(place, base_name))
    head = resolve(path, _own_ref(place, head_name))
    if not dots or base is None or head is None:
        raise not_found()
    found = distance(path, base, head)
    if found is None:
        raise Trouble(404, f"No common ancestor between {base_name} and {head_name}.")
    is_paged = "page" in call.query or "per_page" in call.query
    page = page_of(call.query) if is_paged else Page(1, COMPARED_COMMITS)
    ahead = list(page.of(found.ahead))
    base_commit, merge_base, *told = commits(path, [base, found.merge_base, *ahead])
    files = changes(path, found.merge_base, head)[:FILES_LIMIT] if page.number == 1 else []
    url = f"{place.url}/compare/{base_name}...{head_name}"
    page_url = call.urls.page(place.repository.owner.login, place.repository.name, "compare")
    html = f"{page_url}/{base}...{head}"
    data = {
        "url": f"{place.url}/compare/{base}...{head}",
        "html_url": html,
        "permalink_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": commit_shape(call.urls, place, base_commit),
        "merge_base_commit": commit_shape(call.urls, place, merge_base),
        "status": found.status,
        "ahead_by": len(found.ahead),
        "behind_by": found.behind,
        "total_commits": len(found.ahead),
        "commits": [commit_shape(call.urls, place, one) for one in told],
        "files": _files(call, place, head, files),
    }
    return Answer(data, headers=links(url, call.query, page, len(found.ahead)))


def contents(call: Call) -> Answer:
    place = place_of(call)
    path = place.repository.path
    ref = call.query.get("ref") or default_branch(path)
    commit = resolve(path, ref)
    name = call.path.get("path", "").strip("/")
    if commit is None:
        raise Trouble(404, f"No commit found for the ref {ref}") if "ref" in call.query else not_found()
    if "\n" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/") if name):
        raise not_found()
    [found] = look_up(path, [f"{commit}:{name}"])
    if found is None:
        raise not_found()
    if found.kind == "tree":
        listed = [
            content_shape(
                call.urls, place, ref, f"{name}/{one.path}".lstrip("/"), kind, one.sha, one.size_b or 0
            )
            for one in tree(path, found.sha)
            if (kind := _kind(one.mode)) is not None
        ]
        return Answer(listed)
    if found.size_b > RAW_LIMIT_B:
        raise Trouble(403, "This API returns blobs up to 100 MB in size.")
    shape = content_shape(call.urls, place, ref, name, "file", found.sha, found.size_b)
    if found.size_b > INLINE_LIMIT_B:
        return Answer({**shape, "content": "", "encoding": "none"})
    [(_, content)] = read(path, [found.sha])
    return Answer({**shape, "content": base64.encodebytes(content).decode(), "encoding": "base64"})


def branches(call: Call) -> Answer:
    place = place_of(call)
    found = refs(place.repository.path, "refs/heads")
    page = page_of(call.query)
    data = [
        {
            "name": name.removeprefix("refs/heads/"),
            "commit": {"sha": sha, "url": f"{place.url}/commits/{sha}"},
            "protected": False,
        }
        for name, sha, _ in page.of(found)
    ]
    return Answer(data, headers=links(f"{place.url}/branches", call.query, page, len(found)))


def branch(call: Call) -> Answer:
    place = place_of(call)
    path, name = place.repository.path, call.path["branch"]
    [found] = look_up(path, [f"refs/heads/{name}"]) if is_ref(name) else [None]
    if found is None:
        raise Trouble(404, "Branch not found")
    [commit] = commits(path, [found.sha])
    url = f"{place.url}/branches/{name}"
    html = call.urls.page(place.repository.owner.login, place.repository.name, "tree", name)
    data = {
        "name": name,
        "commit": commit_shape(call.urls, place, commit),
        "_links": {"self": url, "html": html},
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{url}/protection",
    }
    return Answer(data)


def tags(call: Call) -> Answer:
    place = place_of(call)
    found = refs(place.repository.path, "refs/tags")
    page = page_of(call.query)
    shown = page.of(found)
    peeled = look_up(place.repository.path, [f"{name}^{{commit}}" for name, _, _ in shown])
    data = [
        _tag(place, name.removeprefix("refs/tags/"), commit.sha)
        for (name, _, _), commit in zip(shown, peeled, strict=True)
        if commit is not None
    ]
    return Answer(data, headers=links(f"{place.url}/tags", call.query, page, len(found)))


def _tag(place: Place, name: str, sha: str) -> Json:
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{place.url}/commits/{sha}"},
        "zipball_url": f"{place.url}/zipball/refs/tags/{name}",
        "tarball_url": f"{place.url}/tarball/refs/tags/{name}",
        "node_id": node_id("TAG", f"{place.repository.id}:{name.encode().hex()}"),
    }


def _files(call: Call, place: Place, sha: str, found: list[Change]) -> list[Json]:
    return [change_shape(call.urls, place, sha, one) for one in found]


def _own_ref(place: Place, name: str) -> str:
    """`owner:ref` without its owner, where that is ours: there are no forks here."""
    owner, colon, ref = name.rpartition(":")
    names = (place.repository.owner.login.lower(), place.repository.full_name.replace("/", ":").lower())
    return ref if colon and owner.lower() in names else name


def _kind(mode: str) -> str | None:
    kinds = {SYMLINK: "symlink", SUBMODULE: "submodule", "040000": "dir"}
    return kinds.get(mode, "file")


ROUTES = (
    Route("GET", "/commits", of_repository),
    Route("GET", "/commits/{ref:path}", get),
    Route("GET", "/compare/{basehead:path}", compare),
    Route("GET", "/contents", contents),
    Route("GET", "/contents/{path:path}", contents),
    Route("GET", "/branches", branches),
    Route("GET", "/branches/{branch:path}", branch),
    Route("GET", "/tags", tags),
)

"""git's own objects over REST: refs, blobs, trees, commits. Enough to write a branch in one commit.

Reading needs read, writing needs write. Nothing here waits for the database's writer: git has its own locks.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import quote

from agent.hub.building import CheckedOut, Leaf, is_ancestor, move_ref, write_blob, write_commit, write_tree
from agent.hub.call import Answer, Call, Json, Route, Trouble, invalid, not_found
from agent.hub.fields import STAMP, optional_text, required_text
from agent.hub.git import SHA, GitError, is_ref, look_up, read, refs, resolve
from agent.hub.git_shapes import git_commit_shape, ref_shape
from agent.hub.history import Entry, commits, tree
from agent.hub.paging import links, page_of
from agent.hub.people import User
from agent.hub.place import Place, place_of
from agent.hub.roles import Role
from agent.hub.urls import node_id

BLOB_LIMIT = 40 << 20
MESSAGE_LIMIT = 1 << 20
MODES = {"100644": "blob", "100755": "blob", "120000": "blob", "040000": "tree", "160000": "commit"}
PATH = re.compile(r"(?!/)[^\x00-\x1f\x7f]{1,4096}(?<!/)")
OUTSIDE = {"", ".", "..", ".git"}


def get_ref(call: Call) -> Answer:
    place = place_of(call)
    name = f"refs/{call.path['ref']}"
    for found, sha, kind in refs(place.repository.path, name) if is_ref(name) else ():
        if found == name:
            return Answer(ref_shape(place, found, sha, kind))
    raise not_found()


def matching_refs(call: Call) -> Answer:
    place = place_of(call)
    start = f"refs/{call.path.get('ref', '')}"
    found = [one for one in refs(place.repository.path, "refs") if one[0].startswith(start)]
    page = page_of(call.query)
    address = f"{place.url}/git/matching-{quote(start)}"
    return Answer(
        [ref_shape(place, *one) for one in page.of(found)],
        headers=links(address, call.query, page, len(found)),
    )


def create_ref(call: Call) -> Answer:
    place = place_of(call)
    place.need(call, Role.WRITE)
    name = required_text(call.body, "ref", "Reference", 256)
    sha, kind = _object(call, place, "Reference")
    if not (is_ref(name) and re.match(r"refs/(heads|tags|[^/]+)/.", name)):
        raise Trouble(422, "Reference name must start with 'refs/' and have at least two slashes.")
    if kind != "commit" and name.startswith("refs/heads/"):
        raise Trouble(422, "Object is not a commit")
    if any(found == name for found, _, _ in refs(place.repository.path, name)):
        raise Trouble(422, "Reference already exists")
    _move(place, name, sha, None)
    told = ref_shape(place, name, sha, kind)
    return Answer(told, status=201, headers={"Location": told["url"]})


def update_ref(call: Call) -> Answer:
    place = place_of(call)
    place.need(call, Role.WRITE)
    name, old = _ref_at(call, place)
    sha, kind = _object(call, place, "Reference")
    if call.body.get("force") is not True and not is_ancestor(place.repository.path, old, sha):
        raise Trouble(422, "Update is not a fast forward")
    _move(place, name, sha, old)
    return Answer(ref_shape(place, name, sha, kind))


def delete_ref(call: Call) -> Answer:
    place = place_of(call)
    place.need(call, Role.WRITE)
    name, old = _ref_at(call, place)
    _move(place, name, None, old)
    return Answer(None, status=204)


def create_blob(call: Call) -> Answer:
    place = place_of(call)
    place.need(call, Role.WRITE)
    text = optional_text(call.body, "content", "Blob", BLOB_LIMIT)
    encoding = call.body.get("encoding", "utf-8")
    if text is None or encoding not in ("utf-8", "base64"):
        raise invalid("Blob", "content" if text is None else "encoding")
    try:
        content = base64.b64decode(text, validate=False) if encoding == "base64" else text.encode()
    except (binascii.Error, ValueError):
        raise Trouble(422, "content is not valid Base64") from None
    sha = write_blob(place.repository.path, content)
    url = f"{place.url}/git/blobs/{sha}"
    return Answer({"url": url, "sha": sha}, status=201, headers={"Location": url})


def get_blob(call: Call) -> Answer:
    place = place_of(call)
    sha = _found(place, call.path["sha"], "blob")
    [(_, content)] = read(place.repository.path, [sha])
    data = {
        "sha": sha,
        "node_id": node_id("B", sha),
        "url": f"{place.url}/git/blobs/{sha}",
        "size": len(content),
        "content": base64.encodebytes(content).decode(),
        "encoding": "base64",
    }
    return Answer(data)


def create_tree(call: Call) -> Answer:
    place = place_of(call)
    place.need(call, Role.WRITE)
    path = place.repository.path
    base = optional_text(call.body, "base_tree", "Tree", 64)
    base_sha = resolve(path, base, "tree") if base else None
    if base and base_sha is None:
        raise Trouble(422, "base_tree is not a valid tree sha")
    wanted = call.body.get("tree")
    if not isinstance(wanted, list) or not wanted:
        raise Trouble(422, "Invalid tree info")
    try:
        sha = write_tree(path, base_sha, [_leaf(place, entry) for entry in wanted])
    except GitError as error:
        raise Trouble(422, f"Invalid tree info: {error}") from None
    told = _tree_shape(place, sha, tree(path, sha))
    return Answer(told, status=201, headers={"Location": told["url"]})


def get_tree(call: Call) -> Answer:
    place = place_of(call)
    sha = resolve(place.repository.path, call.path["sha"], "tree")
    if sha is None:
        raise not_found()
    entries = tree(place.repository.path, sha, recursive="recursive" in call.query)
    return Answer(_tree_shape(place, sha, entries))


def create_commit(call: Call) -> Answer:
    place = place_of(call)
    user = place.need(call, Role.WRITE)
    path = place.repository.path
    message = required_text(call.body, "message", "Commit", MESSAGE_LIMIT)
    tree_sha = call.body.get("tree")
    parents = call.body.get("parents", [])
    if (
        not isinstance(tree_sha, str)
        or not isinstance(parents, list)
        or not all(isinstance(p, str) for p in parents)
    ):
        raise invalid("Commit", "tree")
    tree_id = _known(place, tree_sha, "tree", "Tree SHA does not exist")
    parent_ids = [_known(place, parent, "commit", "Parent SHA does not exist") for parent in parents]
    author = _person(call, "author", user)
    committer = _person(call, "committer", user) if "committer" in call.body else author
    people = {f"GIT_AUTHOR_{key}": value for key, value in author.items()}
    people |= {f"GIT_COMMITTER_{key}": value for key, value in committer.items()}
    try:
        sha = write_commit(path, tree_id, parent_ids, message, people)
    except GitError as error:
        raise Trouble(422, str(error)) from None
    [commit] = commits(path, [sha])
    told = git_commit_shape(call.urls, place, commit)
    return Answer(told, status=201, headers={"Location": told["url"]})


def get_commit(call: Call) -> Answer:
    place = place_of(call)
    [commit] = commits(place.repository.path, [_found(place, call.path["sha"], "commit")])
    return Answer(git_commit_shape(call.urls, place, commit))


def _ref_at(call: Call, place: Place) -> tuple[str, str]:
    name = f"refs/{call.path['ref']}"
    for found, sha, _ in refs(place.repository.path, name) if is_ref(name) else ():
        if found == name:
            return name, sha
    raise Trouble(422, "Reference does not exist")


def _object(call: Call, place: Place, resource: str) -> tuple[str, str]:
    sha = required_text(call.body, "sha", resource, 64)
    [found] = look_up(place.repository.path, [sha]) if SHA.fullmatch(sha) else [None]
    if found is None:
        raise Trouble(422, "Object does not exist")
    return found.sha, found.kind


def _found(place: Place, sha: str, kind: str) -> str:
    try:
        return _known(place, sha, kind, "")
    except Trouble:
        raise not_found() from None


def _known(place: Place, sha: str, kind: str, message: str) -> str:
    """The id, if it is one of an object of that kind."""
    [found] = look_up(place.repository.path, [sha]) if SHA.fullmatch(sha) else [None]
    if found is None or found.kind != kind:
        raise Trouble(422, message)
    return found.sha


def _leaf(place: Place, entry: object) -> Leaf:
    if not isinstance(entry, dict):
        raise Trouble(422, "Invalid tree info")
    path, mode = entry.get("path"), entry.get("mode")
    if not isinstance(path, str) or not _is_inside(path) or not isinstance(mode, str) or mode not in MODES:
        raise Trouble(422, "tree.path or tree.mode is not valid")
    if isinstance(content := entry.get("content"), str):
        text = optional_text({"content": content}, "content", "Tree", BLOB_LIMIT) or ""
        return Leaf(path, mode, MODES[mode], write_blob(place.repository.path, text.encode()))
    sha = entry.get("sha")
    if sha is None and "sha" in entry:
        return Leaf(path, mode, MODES[mode], None)
    if not isinstance(sha, str):
        raise Trouble(422, "tree.sha or tree.content is missing")
    return Leaf(path, mode, MODES[mode], _known(place, sha, MODES[mode], "tree.sha is not a valid object"))


def _is_inside(path: str) -> bool:
    return bool(PATH.fullmatch(path)) and not OUTSIDE & set(path.lower().split("/"))


def _tree_shape(place: Place, sha: str, entries: list[Entry]) -> Json:
    told = []
    for entry in entries:
        shape: Json = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
        if entry.kind != "commit":
            shape["url"] = f"{place.url}/git/{entry.kind}s/{entry.sha}"
        if entry.size_b is not None:
            shape["size"] = entry.size_b
        told.append(shape)
    return {"sha": sha, "url": f"{place.url}/git/trees/{sha}", "tree": told, "truncated": False}


def _person(call: Call, field: str, user: User) -> dict[str, str]:
    """git's variables for somebody; the caller, now, where nothing is given."""
    given = call.body.get(field) or {}
    if not isinstance(given, dict):
        raise invalid("Commit", field)
    name = optional_text(given, "name", "Commit", 200) or user.name or user.login
    email = optional_text(given, "email", "Commit", 200) or f"{user.id}+{user.login}@users.noreply.invalid"
    date = optional_text(given, "date", "Commit", 40) or call.now
    if any(letter in "\n\r<>" for letter in name + email) or not STAMP.fullmatch(date):
        raise invalid("Commit", field)
    return {"NAME": name, "EMAIL": email, "DATE": date}


def _move(place: Place, name: str, new: str | None, old: str | None) -> None:
    try:
        move_ref(place.repository.path, name, new, old)
    except CheckedOut:
        raise Trouble(422, f"{name} is checked out in a working tree of {place.repository.name}") from None
    except GitError as error:
        raise Trouble(409, f"Reference cannot be updated: {error}") from None


ROUTES = (
    Route("GET", "/git/ref/{ref:path}", get_ref),
    Route("GET", "/git/matching-refs", matching_refs),
    Route("GET", "/git/matching-refs/{ref:path}", matching_refs),
    Route("POST", "/git/refs", create_ref),
    Route("PATCH", "/git/refs/{ref:path}", update_ref),
    Route("DELETE", "/git/refs/{ref:path}", delete_ref),
    Route("POST", "/git/blobs", create_blob),
    Route("GET", "/git/blobs/{sha}", get_blob),
    Route("POST", "/git/trees", create_tree),
    Route("GET", "/git/trees/{sha:path}", get_tree),
    Route("POST", "/git/commits", create_commit),
    Route("GET", "/git/commits/{sha}", get_commit),
)

"""Commits, differences, files and refs as GitHub's JSON."""

from __future__ import annotations

from urllib.parse import quote

from agent.hub.call import Json
from agent.hub.history import Change, Commit, Signature
from agent.hub.place import Place
from agent.hub.urls import Urls, node_id


def commit_shape(urls: Urls, place: Place, commit: Commit) -> Json:
    """A commit as in a list. No user is known by an e-mail address here, so `author` is empty."""
    return {
        "sha": commit.sha,
        "node_id": node_id("C", commit.sha),
        "url": f"{place.url}/commits/{commit.sha}",
        "html_url": _page(urls, place, "commit", commit.sha),
        "comments_url": f"{place.url}/commits/{commit.sha}/comments",
        "commit": {
            "url": f"{place.url}/git/commits/{commit.sha}",
            "author": _signature(commit.author),
            "committer": _signature(commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": f"{place.url}/git/trees/{commit.tree}"},
            "comment_count": 0,
            "verification": _verification(commit),
        },
        "author": None,
        "committer": None,
        "parents": [
            {
                "sha": sha,
                "url": f"{place.url}/commits/{sha}",
                "html_url": _page(urls, place, "commit", sha),
            }
            for sha in commit.parents
        ],
    }


def git_commit_shape(urls: Urls, place: Place, commit: Commit) -> Json:
    """A commit as an object of git."""
    return {
        "sha": commit.sha,
        "node_id": node_id("C", commit.sha),
        "url": f"{place.url}/git/commits/{commit.sha}",
        "html_url": _page(urls, place, "commit", commit.sha),
        "author": _signature(commit.author),
        "committer": _signature(commit.committer),
        "message": commit.message,
        "tree": {"sha": commit.tree, "url": f"{place.url}/git/trees/{commit.tree}"},
        "parents": [
            {
                "sha": sha,
                "url": f"{place.url}/git/commits/{sha}",
                "html_url": _page(urls, place, "commit", sha),
            }
            for sha in commit.parents
        ],
        "verification": _verification(commit),
    }


def change_shape(urls: Urls, place: Place, commit: str, change: Change) -> Json:
    """Without `patch`: who wants the text of a difference has the repository."""
    file = quote(change.path)
    shape: Json = {
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": _page(urls, place, "blob", commit, change.path),
        "raw_url": _page(urls, place, "raw", commit, change.path),
        "contents_url": f"{place.url}/contents/{file}?ref={commit}",
    }
    return {**shape, "previous_filename": change.previous} if change.previous else shape


def ref_shape(place: Place, name: str, sha: str, kind: str) -> Json:
    return {
        "ref": name,
        "node_id": node_id("REF", f"{place.repository.id}:{name.encode().hex()}"),
        "url": f"{place.url}/git/{quote(name)}",
        "object": {"sha": sha, "type": kind, "url": f"{place.url}/git/{kind}s/{sha}"},
    }


def content_shape(urls: Urls, place: Place, ref: str, path: str, kind: str, sha: str, size_b: int) -> Json:
    """A file or folder without its content."""
    name = path.rpartition("/")[2]
    file = quote(path)
    url = f"{place.url}/contents/{file}?ref={quote(ref, safe='')}"
    word = "tree" if kind == "dir" else "blob"
    git_url = f"{place.url}/git/{word}s/{sha}"
    page = _page(urls, place, word, ref, path)
    return {
        "type": kind,
        "size": size_b,
        "name": name,
        "path": path,
        "sha": sha,
        "url": url,
        "git_url": git_url,
        "html_url": page,
        "download_url": _page(urls, place, "raw", ref, path) if kind == "file" else None,
        "_links": {"self": url, "git": git_url, "html": page},
    }


def _page(urls: Urls, place: Place, *parts: str) -> str:
    return urls.page(place.repository.owner.login, place.repository.name, *parts)


def _signature(signature: Signature) -> Json:
    return {"name": signature.name, "email": signature.email, "date": signature.date}


def _verification(commit: Commit) -> Json:
    """Signatures are not checked here, and said not to be."""
    return {
        "verified": False,
        "reason": "gpgverify_unavailable" if commit.is_signed else "unsigned",
        "signature": None,
        "payload": None,
        "verified_at": None,
    }

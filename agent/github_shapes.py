"""GitHub's JSON as the port's data: issues, comments, people, labels, commits, git's objects.

Pure: no network, no clock, no token. What does not have GitHub's form raises one of the errors that
`github_answer.read` turns into a `Malformed`: it is never guessed. What people write stays data.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from agent.github_answer import Answer
from agent.github_names import ID
from agent.tracker import Comment, Commit, Issue, Role, User

GHOST = User("ghost", 0)  # whose account is gone: an id that nobody has
MOVED = re.compile(r"/repositories/(\d{1,18})/issues/\d+$")
BASES = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that was too large for the answer (1 MiB), by the id of its blob."""

    id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Of a folder in git: `kind` is tree, blob or commit."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a repository. `page` is its address for people."""

    id: int
    page: str
    clone_url: str
    default_branch: str


def facts(data: Any) -> Facts:
    return Facts(
        _id(data["id"]), _text(data["html_url"]), _text(data["clone_url"]), _text(data["default_branch"])
    )


def user(data: Any) -> User:
    if data is None:
        return GHOST
    return User(_text(data["login"]), _id(data["id"]), data.get("type") == "Bot")


def issue(data: Any) -> Issue:
    return Issue(
        number=_id(data["number"]),
        title=_text(data["title"]),
        body=_text(data["body"] or ""),
        author=user(data["user"]),
        labels=tuple(_text(one if isinstance(one, str) else one["name"]) for one in data["labels"]),
        is_open=_text(data["state"]) == "open",
        updated_at=_moment(data["updated_at"]),
        comments=_id(data["comments"]),
    )


def issues(data: Any) -> tuple[Issue, ...]:
    """Pull requests are listed among the issues; they are none."""
    return tuple(issue(one) for one in _list(data) if "pull_request" not in one)


def issues_or_pull(data: Any) -> tuple[Issue, ...]:
    """One issue, or nothing for a pull request."""
    return issues([data])


def has_label(found: Issue, label: str) -> bool:
    """Names of labels differ by more than their case."""
    return label.casefold() in {name.casefold() for name in found.labels}


def comment(data: Any) -> Comment:
    return Comment(
        id=_id(data["id"]),
        node_id=_text(data["node_id"]),
        author=user(data["user"]),
        body=_text(data["body"] or ""),
        created_at=_moment(data["created_at"]),
        updated_at=_moment(data["updated_at"]),
        is_minimised=bool(data.get("minimized")),  # older servers do not tell
    )


def comments(data: Any) -> tuple[Comment, ...]:
    return tuple(comment(one) for one in _list(data))


def commit(data: Any) -> Commit:
    return Commit(_object_id(data["sha"]), (_text(data["commit"]["message"]).splitlines() or [""])[0])


def tags(data: Any) -> tuple[str, ...]:
    """The commits that tags stand for."""
    return tuple(_object_id(one["commit"]["sha"]) for one in _list(data))


def contained(data: Any) -> str | None:
    """The common ancestor of a comparison whose head has nothing that its base lacks: the head itself."""
    is_inside = data["status"] in ("behind", "identical") and data["ahead_by"] == 0
    return _object_id(data["merge_base_commit"]["sha"]) if is_inside else None


def labels(data: Any) -> frozenset[str]:
    """Names as GitHub compares them."""
    return frozenset(_text(one["name"]).casefold() for one in _list(data))


def file(data: Any) -> bytes | Blob | None:
    """What lies at a path: None for a folder, a submodule, a link that leads nowhere."""
    if isinstance(data, list) or data["type"] != "file":
        return None
    return content(data) if data["encoding"] == "base64" else Blob(_object_id(data["sha"]))


def content(data: Any) -> bytes:
    return base64.b64decode(_text(data["content"]), validate=False)


def ref(data: Any) -> str:
    """The commit that a branch stands for."""
    if data["object"]["type"] != "commit":
        raise ValueError("a branch that is no commit")
    return _object_id(data["object"]["sha"])


def tree_of(data: Any) -> str:
    """Of a commit of git's."""
    return _object_id(data["tree"]["sha"])


def entries(data: Any) -> Mapping[str, Entry]:
    """What lies in a folder, by name."""
    if data["truncated"]:
        raise ValueError("a folder that is too long to be listed")
    return {_text(one["path"]): Entry(_text(one["type"]), _object_id(one["sha"])) for one in data["tree"]}


def made(data: Any) -> str:
    """The id of an object that was just made."""
    return _object_id(data["sha"])


def number(data: Any) -> int:
    """Of an app's installation."""
    return _id(data["id"])


def token(data: Any) -> tuple[str, datetime]:
    """Of an app's installation, and when it ends."""
    return _text(data["token"]), _moment(data["expires_at"])


def viewer(data: Any) -> User:
    told = data["data"]["viewer"]
    return User(_text(told["login"]), _id(told["databaseId"]))


def permission(data: Any) -> tuple[User, Role | None]:
    """Whose, and the role. A role that the repository made up counts as the one that it is based on."""
    base, name = data["permission"], data.get("role_name")
    known = [role for role in get_args(Role) if role == name and BASES.get(role, role) == base]
    found = known or [role for role in get_args(Role) if role == base]
    return user(data["user"]), (found[0] if found else None)


def moved_to(answer: Answer) -> int | None:
    """The id of the repository that a redirect names."""
    found = MOVED.search(answer.headers.get("location", ""))
    return int(found[1]) if found else None


def _id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} is no id or count")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no list")
    return value


def _object_id(value: object) -> str:
    text = _text(value)
    if not ID.fullmatch(text):
        raise ValueError(f"{text!r:.80} is no object id")
    return text


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"{value!r:.40} has no time zone")
    return moment.astimezone(UTC)

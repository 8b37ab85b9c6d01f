"""Reads what a GitHub-compatible tracker answers: shapes into the port's data, troubles into one line.

Pure: no network, no clock, no token. What does not have GitHub's form is a `Malformed`, never a guess. What
people write (a label, a login, a message) stays data; a message is shortened and kept on one line.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import parse_qs, urlsplit

from agent.tracker import Comment, Commit, Issue, Role, TrackerError, User

GHOST = User("ghost", 0)  # whose account is gone: an id that nobody has
ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
DIGITS = re.compile(r"[0-9a-f]{7,64}")
# What git refuses in a ref, less what only looks odd: no option, no range, no path out, no expression.
REVISION = re.compile(
    r"(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\s\x00-\x20\x7f~^:?*\[\\/.-][^\x00-\x20\x7f~^:?*\[\\]{0,199}"
)
PATH = re.compile(r"(?!.*(^|/)\.{0,2}(/|$))[^\x00-\x1f\x7f\\]{1,1024}")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
MOVED = re.compile(r"/repositories/(\d{1,18})/issues/\d+$")
TOKEN = re.compile(r"[!-~]+")
WAITS_S = (0.5, 2.0)  # before the second and the third try of a read
RETRY_AFTER_LIMIT_S = 30.0  # who is asked to wait longer says so instead: the loop has other issues
TRANSIENT = (500, 502, 503, 504)
LINK = re.compile(r'<([^<>]*)>;\s*rel="(next|last)"')
BASES = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}
T = TypeVar("T")


class Malformed(TrackerError):
    """An answer that is not GitHub's; the text says which part."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have names in small letters."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def data(self) -> Any:
        """Raises Malformed."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise Malformed("no JSON") from None

    @property
    def message(self) -> str:
        """What the tracker says of a refusal: one line, with the details of a 422."""
        try:
            told = json.loads(self.text)
            errors = told.get("errors") or ()
            parts = [told.get("message"), *(one.get("message") or one.get("code") for one in errors)]
        except (ValueError, RecursionError, AttributeError, TypeError):
            parts = []
        return " ".join(": ".join(str(part) for part in parts if part).split())[:300] or "no message"

    def link(self, relation: Literal["next", "last"]) -> dict[str, str]:
        """What to ask for that page with: its number, or where a list has cursors its cursor too; empty
        where there is no such page. Raises Malformed."""
        for address, name in LINK.findall(self.headers.get("link", "")):
            if name == relation:
                query = parse_qs(urlsplit(address).query)
                if found := {key: query[key][0] for key in ("page", "after") if key in query}:
                    return found
                raise Malformed(f"the address of the {relation} page of a list has no page in it")
        return {}

    @property
    def last_page(self) -> int | None:
        """The number of a list's last page, where it is told."""
        number = self.link("last").get("page", "")
        return int(number) if number.isdecimal() and len(number) < 7 else None


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer came. `was_sent` is false only where the request cannot have reached the tracker."""

    why: str
    was_sent: bool


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that was too large for the answer (1 MiB), by the id of its blob."""

    id: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a repository. `page` is its address for people."""

    id: int
    page: str
    clone_url: str
    default_branch: str


def read(what: Callable[[Any], T], answer: Answer) -> T:
    """Raises Malformed where the answer has not the form that `what` reads."""
    data = answer.data
    try:
        return what(data)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Malformed(f"{what.__name__}: {type(error).__name__} {error}"[:200]) from None


def facts(data: Any) -> Facts:
    return Facts(
        _id(data["id"]), _text(data["html_url"]), _text(data["clone_url"]), _text(data["default_branch"])
    )


def user(data: Any) -> User:
    return User(_text(data["login"]), _id(data["id"])) if data is not None else GHOST


def issue(data: Any) -> Issue:
    return Issue(
        number=_id(data["number"]),
        title=_text(data["title"]),
        body=_text(data["body"] or ""),
        author=user(data["user"]),
        labels=tuple(_text(one if isinstance(one, str) else one["name"]) for one in data["labels"]),
        is_open=_text(data["state"]) == "open",
        updated_at=_moment(data["updated_at"]),
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


def checked_address(url: str) -> str:
    """Raises TrackerError for an address that a token must not be sent to."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise TrackerError(f"{url!r} is not an address; GitHub's is https://api.github.com") from None
    if "@" in parts.netloc or parts.query or parts.fragment or not host:
        raise TrackerError("the tracker's address is https://HOST/PATH and nothing else: no user, no query")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise TrackerError(f"{parts.scheme}://{host} would show the token to everybody on the way: use https")
    if host in ("github.com", "www.github.com"):
        raise TrackerError("github.com is for people; the address of its REST API is https://api.github.com")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_ref(name: str) -> bool:
    return bool(REVISION.fullmatch(name)) and not name.endswith(("/", "."))


def meanings(revision: str) -> list[str]:
    """What to look for, in this order: an id, a branch, a tag. Nothing for what can be none of them."""
    if not is_ref(revision):
        return []
    digits = revision.lower()
    if ID.fullmatch(digits):
        return [digits]
    names = [f"heads/{revision}", f"tags/{revision}"]
    return [digits, *names] if DIGITS.fullmatch(digits) else names


def pause_s(answer: Answer | Silence, wait_s: float | None) -> float | None:
    """How long to wait before a read is tried again; None where its answer stands."""
    if wait_s is None or isinstance(answer, Silence):
        return wait_s
    asked_s = _asked_s(answer)
    if asked_s is not None and answer.status in (403, 429, *TRANSIENT):
        return asked_s if asked_s <= RETRY_AFTER_LIMIT_S else None
    return wait_s if answer.status in TRANSIENT else None


def _asked_s(answer: Answer) -> float | None:
    """The pause that `Retry-After` asks for; None where it does not."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() and len(text) < 7 else None


def trouble(answer: Answer | Silence) -> str:
    """What failed and what to do next, in one line."""
    return answer.why if isinstance(answer, Silence) else f"{answer.status}: {_advice(answer)}"


def _advice(answer: Answer) -> str:
    told, headers = answer.message, answer.headers
    wait_s = _asked_s(answer)
    match answer.status:
        case 401:
            return f"{told}: the token is wrong, expired or revoked: make a new one"
        case 403 | 429 if headers.get("x-ratelimit-remaining") == "0":
            return f"the account's rate limit is used up until {_reset(headers)}: nothing to do but wait"
        case 403 | 429 if wait_s is not None:
            return f"{told}: too many requests at once; wait {wait_s:.0f} s"
        case 403:
            wants = headers.get("x-accepted-github-permissions", "issues=write, contents=read")
            return f"{told}: the token may not do this; it takes {wants}"
        case 404:
            return "not there, or hidden from this token: check the name and what the token covers"
        case 410:
            return f"{told}: it was deleted, or issues are switched off for the repository"
        case 422:
            return f"the tracker refuses what was sent: {told}"
        case 301 | 302 | 307 | 308:
            return f"it moved to {headers.get('location', 'nowhere')[:200]}: give the new name"
        case 200:
            return told  # of GraphQL, which answers 200 to what it refuses
        case status if status >= 500:
            return f"{told}: the tracker is in trouble; try again later"
        case _:
            return told


def _reset(headers: Mapping[str, str]) -> str:
    text = headers.get("x-ratelimit-reset", "")
    if not text.isdecimal() or len(text) > 11:
        return "the hour is over"
    return f"{datetime.fromtimestamp(int(text), UTC):%H:%M:%S} UTC"


def _id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} is no id")
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

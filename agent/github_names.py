"""Names, addresses and tokens as a GitHub-compatible tracker takes them, and what must never be sent.

Pure. A name that could be an option, a range, a path out or an expression of git is none of ours; a token
goes to HTTPS and to loopback only.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from agent.tracker import TrackerError

ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
DIGITS = re.compile(r"[0-9a-f]{7,64}")
# What git refuses in a ref, less what only looks odd: no option, no range, no path out, no expression.
REVISION = re.compile(
    r"(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)))[^\s\x00-\x20\x7f~^:?*\[\\/.-][^\x00-\x20\x7f~^:?*\[\\]{0,199}"
)
PATH = re.compile(r"(?!.*(^|/)\.{0,2}(/|$))[^\x00-\x1f\x7f\\]{1,1024}")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
TOKEN = re.compile(r"[!-~]+")


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

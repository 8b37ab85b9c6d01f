"""Addresses: pages at the root, REST under `/api/v3`, as GitHub Enterprise lays them out."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

REST = "/api/v3"
GRAPHQL = "/api/graphql"


@dataclass(frozen=True, slots=True)
class Urls:
    """`root` is how clients reach the server, without a slash at its end."""

    root: str

    @property
    def rest(self) -> str:
        return self.root + REST

    def user(self, login: str) -> str:
        return f"{self.rest}/users/{quote(login, safe='')}"

    def repository(self, full_name: str) -> str:
        return f"{self.rest}/repos/{full_name}"

    def page(self, *parts: str) -> str:
        return "/".join((self.root, *(quote(part) for part in parts)))


def node_id(kind: str, number: int | str) -> str:
    """Opaque to clients, as on GitHub: the kind and the id, in an alphabet that needs no quoting."""
    return f"{kind}_{str(number).encode().hex()}"


def node_number(kind: str, node: str) -> int | None:
    """The id of a node of this kind, None for anything else."""
    found, _, coded = node.partition("_")
    try:
        text = bytes.fromhex(coded).decode("ascii")
    except ValueError:
        return None
    return int(text) if found == kind and text.isdigit() and len(text) <= 18 else None

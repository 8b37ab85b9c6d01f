"""The ids that git gives to files and folders, from their content alone: what is there is not sent again.

For repositories with SHA-1 ids, which is all that GitHub has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

FILE, FOLDER = "100644", "040000"


def blob_id(content: bytes) -> str:
    return _id("blob", content)


def tree_id(files: Mapping[str, str]) -> str:
    """Of a folder with these files, ids by path; folders in it are part of the paths."""
    inner: dict[str, dict[str, str]] = {}
    lines: dict[str, bytes] = {}
    for path, key in files.items():
        name, slash, rest = path.partition("/")
        if slash:
            inner.setdefault(name, {})[rest] = key
        else:
            lines[name] = _line("100644", name, key)
    for name, held in inner.items():
        lines[f"{name}/"] = _line("40000", name, tree_id(held))  # git sorts a folder as if it had its slash
    return _id("tree", b"".join(lines[name] for name in sorted(lines, key=str.encode)))


def _line(mode: str, name: str, key: str) -> bytes:
    return f"{mode} {name}".encode() + b"\0" + bytes.fromhex(key)


def _id(kind: str, content: bytes) -> str:
    # An id, not a proof: whoever could forge one could as well write to the branch.
    return hashlib.sha1(
        f"{kind} {len(content)}".encode() + b"\0" + content, usedforsecurity=False
    ).hexdigest()

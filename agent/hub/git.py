"""Runs git on a repository of this disk: argument lists, no hooks, no filters of its configuration, bounded.

Names from outside reach git on standard input (`cat-file --batch-check`) or behind `--end-of-options` as
full object ids, so that none can be read as an option or as a revision expression.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 60.0
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",  # a program's name otherwise, which even diff-tree runs
    "core.fsync=objects,reference",
    "core.quotePath=false",
    "gc.auto=0",
)
SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SHORT = re.compile(r"[0-9a-f]{4,64}")
REFUSED = r"\x00-\x20\x7f~^:?*\[\\\ud800-\udfff"
REF = re.compile(rf"(?!.*(\.\.|@\{{|//|/\.|/-|\.lock(/|$)))[^{REFUSED}/.-][^{REFUSED}]{{0,250}}")


class GitError(Exception):
    """git said no; the text is its last line."""


@dataclass(frozen=True, slots=True)
class Object:
    """What a name stands for: `kind` is commit, tree, blob or tag."""

    sha: str
    kind: str
    size_b: int


def git(
    path: Path,
    *arguments: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    accept: Sequence[int] = (0,),
) -> bytes:
    """What git prints. Raises GitError."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    fixed = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
    }
    command = [
        "git",
        "-C",
        str(path),
        *(part for setting in SETTINGS for part in ("-c", setting)),
        *arguments,
    ]
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env={**kept, **fixed, **(environment or {})},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} did not end in {LIMIT_S:.0f} s") from None
    if done.returncode not in accept:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise GitError(lines[-1])
    return done.stdout


def is_ref(name: str) -> bool:
    """A name that git would have for a branch or tag, and nothing cleverer."""
    return bool(REF.fullmatch(name)) and not name.endswith(("/", ".")) and name != "@"


def resolve(path: Path, name: str, kind: str = "commit") -> str | None:
    """The full id of a branch, a tag, `heads/x`, `tags/x`, HEAD or an id (4 digits are enough), peeled to
    `kind`; None for anything else."""
    if not is_ref(name):
        return None
    tried = [f"refs/heads/{name}", f"refs/tags/{name}"]
    if name.startswith(("heads/", "tags/")):
        tried.append(f"refs/{name}")
    if name == "HEAD" or name.startswith("refs/"):
        tried.append(name)
    if SHORT.fullmatch(name):
        tried.insert(0 if SHA.fullmatch(name) else len(tried), name)
    found = look_up(path, [f"{one}^{{{kind}}}" for one in tried])
    return next((one.sha for one in found if one), None)


def look_up(path: Path, names: Sequence[str]) -> list[Object | None]:
    """What each name stands for. The names hold no line breaks."""
    printed = git(path, "cat-file", "--batch-check", stdin="".join(f"{name}\n" for name in names).encode())
    found: list[Object | None] = []
    for line in printed.decode(errors="replace").splitlines():
        parts = line.rsplit(" ", 2)
        is_there = len(parts) == 3 and SHA.fullmatch(parts[0]) and parts[2].isdigit()
        found.append(Object(parts[0], parts[1], int(parts[2])) if is_there else None)
    return found


def read(path: Path, shas: Sequence[str]) -> list[tuple[str, bytes]]:
    """Kind and content of objects that are there, by full id."""
    printed = git(path, "cat-file", "--batch", stdin="".join(f"{sha}\n" for sha in shas).encode())
    found: list[tuple[str, bytes]] = []
    at = 0
    for sha in shas:
        end = printed.index(b"\n", at)
        parts = printed[at:end].decode().split(" ")
        if len(parts) != 3:
            raise GitError(f"no object {sha}")
        size_b = int(parts[2])
        found.append((parts[1], printed[end + 1 : end + 1 + size_b]))
        at = end + 2 + size_b
    return found


def default_branch(path: Path) -> str:
    """The branch that HEAD names; it need not have a commit yet."""
    printed = git(path, "symbolic-ref", "--quiet", "--short", "HEAD", accept=(0, 1)).decode(errors="replace")
    return printed.strip() or "HEAD"


def refs(path: Path, *prefixes: str) -> list[tuple[str, str, str]]:
    """Name, id and kind of every ref under the prefixes, in git's order."""
    form = "--format=%(objectname) %(objecttype) %(refname)"
    printed = git(path, "for-each-ref", form, "--", *prefixes).decode(errors="replace")
    found = [line.split(" ", 2) for line in printed.splitlines()]
    return [(name, sha, kind) for sha, kind, name in found]

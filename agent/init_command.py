"""`paceline init`: what a repository and its operator need before the first issue.

Writes a commented `paceline.toml` and the issue form into the repository and the signing key below the user's
configuration. Overwrites nothing, so that a second run changes nothing. Talks to no tracker: the label is
made by the agent. Refuses a folder without a working tree of git.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from agent.errors import TaskError
from agent.key import VARIABLE, key_path, make_key
from agent.operator import LABEL
from agent.repository import CONFIG, open_repository

FORM = ".github/ISSUE_TEMPLATE/infra.yml"

_FILES = (
    (CONFIG, "paceline.toml", "fit it to your workloads and commit it"),
    (FORM, "infra.yml", "commit it"),
)


def init_here(folder: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """What was made and what was there, a line each. Raises TaskError."""
    repository = open_repository(folder)
    if repository.is_bare:
        raise TaskError(f"{folder} is a bare repository: run `paceline init` in a clone with a working tree")
    lines = [_written(repository.root, name, source, then) for name, source, then in _FILES]
    lines.append(_key_made(key_path(environment), environment))
    lines.append(f"the agent makes the label: {LABEL[0]}")
    return lines


def _written(root: Path, name: str, source: str, then: str) -> str:
    data = (resources.files("templates") / "init" / source).read_bytes()
    path = root / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = _write_new(path, data)
    except OSError as error:
        raise TaskError(f"cannot write {path}: {error.strerror}") from None
    return f"made {name}: {then}" if is_new else f"{name} was there"


def _key_made(path: Path, environment: Mapping[str, str]) -> str:
    if environment.get(VARIABLE, "").strip():
        return f"the signing key was there, in {VARIABLE}"
    key = make_key(path)
    if key is None:
        return f"the signing key {path} was there"
    return f"made the signing key {path} (id {key.id}): every agent of this account needs the same"


def _write_new(path: Path, data: bytes) -> bool:
    """False where anything is there. The file appears whole or not at all."""
    if os.path.lexists(path):
        return False
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        beside.write_bytes(data)
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True

"""The interpreter that runs an arm: the given one, or an environment built once per lock file.

`pip` builds from `requirements.txt` (or `requirements.lock` where there is one), with uv where that is
installed; `uv` from `uv.lock`. Built
once under a lock in its final place; a file `complete` is written last, and a build without it starts anew.
The project itself is not installed: its worktree is the working folder of the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from bench.worker.files import locked

BUILD_LIMIT_S = 3600.0
LIST_LIMIT_S = 60.0
MOST_TOLD = 300
"""Characters of a failure."""
LINKED = {"UV_LINK_MODE": "hardlink"}
"""Environments share what they have in common; uv copies by itself where its cache is on another disk."""
LOCK_FILES = {"pip": ("requirements.lock", "requirements.txt"), "uv": ("uv.lock",)}
HOOK_LINE = (
    "import os, sys; "
    "os.environ.get('_paceline_run') and (sys.path.insert(0, os.environ['_paceline_hook']), "
    "__import__('_paceline_hook').start(), sys.path.remove(os.environ['_paceline_hook']))\n"
)
"""A `.pth` line: lets the hook in under `-I`, where PYTHONPATH is not read, and only in a measured run."""

LIST_PACKAGES = """
import importlib.metadata, json, platform, sys
packages = sorted({f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions()})
host = {"python": platform.python_version(), "platform": platform.platform()}
print(json.dumps({**host, "packages": packages}))
"""


MISSING = """
import importlib.util, sys
print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])
"""


class EnvironmentError_(Exception):
    """An environment that could not be built; the text is one line, its cause the last line of the tool.

    `is_final` where another try would come to the same: an index may be down, a package not yet be there.
    """

    is_final = False


class UnlockedError(EnvironmentError_):
    """A commit without the file that its environment is built from."""

    is_final = True


@dataclass(frozen=True)
class Environment:
    """`digest` is that of the installed packages; arms with equal digests run the same software."""

    python: str
    packages: dict[str, object]

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.packages, sort_keys=True).encode()).hexdigest()[:16]


def environment_for(kind: str, tree: Path, workspace: Path, given_python: str) -> Environment:
    """Raises EnvironmentError_ where the lock file is missing or the build fails."""
    python = given_python if kind == "none" else _built(kind, tree, workspace, given_python)
    return Environment(python, describe(python))


def describe(python: str) -> dict[str, object]:
    """The interpreter's version, platform and installed packages."""
    done = _run([python, "-c", LIST_PACKAGES], limit_s=LIST_LIMIT_S)
    described: dict[str, object] = json.loads(done)
    return described


def check_packages(python: str, packages: tuple[str, ...]) -> None:
    """Raises EnvironmentError_ naming the packages that cannot be imported there."""
    if packages and (missing := _run([python, "-c", MISSING, *packages], limit_s=LIST_LIMIT_S).split()):
        names = " ".join(missing)
        raise EnvironmentError_(f"needed but not importable: {names}; try {python} -m pip install {names}")


def _built(kind: str, tree: Path, workspace: Path, python: str) -> str:
    lock = next((tree / name for name in LOCK_FILES[kind] if (tree / name).is_file()), None)
    if lock is None:
        raise UnlockedError(f"env = {kind!r} needs {' or '.join(LOCK_FILES[kind])} in the commit")
    digest = hashlib.sha256(lock.read_bytes() + kind.encode() + python.encode()).hexdigest()[:16]
    folder = workspace / "environments" / digest
    with locked(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _build_with_uv(tree, folder, python) if kind == "uv" else _build_with_pip(lock, folder, python)
            _let_hook_in(folder)
            (folder / "complete").write_text(f"{lock.name} {digest}\n", encoding="utf-8")
        (folder / "complete").touch()  # when it was used last: what is long unused may go
    return str(folder / "bin" / "python")


def _build_with_pip(lock: Path, folder: Path, python: str) -> None:
    if (uv := _uv(python)) is not None:  # it links from its cache what pip would download and unpack again
        _run([uv, "venv", "--quiet", "--python", python, str(folder)])
        into = ["--quiet", "--python", str(folder / "bin" / "python")]
        _run([uv, "pip", "install", *into, "-r", lock.name], cwd=lock.parent, extra=LINKED)
        return
    _run([python, "-m", "venv", str(folder)])
    options = ["--disable-pip-version-check", "--no-input", "--quiet"]
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", *options, "-r", lock.name], cwd=lock.parent)


def _build_with_uv(tree: Path, folder: Path, python: str) -> None:
    uv = _uv(python)
    if uv is None:
        raise EnvironmentError_("env = 'uv' needs the program uv on this machine: pip install uv")
    _run(
        [uv, "sync", "--frozen", "--no-install-project", "--python", python, "--quiet"],
        cwd=tree,
        extra={**LINKED, "UV_PROJECT_ENVIRONMENT": str(folder)},
    )


def _uv(python: str) -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(Path(python).parent))


def _let_hook_in(folder: Path) -> None:
    for site in folder.glob("lib/python*/site-packages"):
        (site / "_paceline_hook.pth").write_text(HOOK_LINE, encoding="utf-8")


def _cause(program: str, told: str) -> str:
    """In one line: pip says it in its last one, uv in all before its hints."""
    lines = [line.strip() for line in told.strip().splitlines()] or ["no message"]
    if program != "uv":
        return lines[-1]
    words = " ".join(takewhile(lambda line: not line.startswith("hint:"), filter(None, lines)))
    return words if len(words) <= MOST_TOLD else f"{words[: MOST_TOLD - 1]}\u2026"


def _run(
    command: list[str],
    *,
    cwd: Path | None = None,
    extra: dict[str, str] | None = None,
    limit_s: float = BUILD_LIMIT_S,
) -> str:
    unset = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "_paceline_run", "_paceline_hook")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**environment, **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except OSError as error:
        raise EnvironmentError_(f"{command[0]} cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise EnvironmentError_(f"{Path(command[0]).name} did not end in {limit_s:.0f} s") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace")
        print(told, file=sys.stderr)
        name = Path(command[0]).name
        raise EnvironmentError_(f"{name} failed: {_cause(name, told)}")
    return done.stdout.decode(errors="replace")

"""Whether a job can do its work here, asked before anything is measured; each lack has a name of its own.

What the probe has seen (disk, memory, Python, git, GPU) is not asked again. Here is what needs the job's own
interpreter, its repository and its GPU: packages that import, commits that can be had, a device that opens.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

ANSWER_S = 60.0
REACH_S = 30.0

_IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(name, type(error).__name__, str(error).splitlines()[0] if str(error) else "", sep=" ")
"""


def preflight(python: str, packages: Sequence[str], source: str, gpu: str | None) -> dict[str, Any]:
    """{"lacks": [{"what", "why", "mend"}], "reaches": bool}: whether `source` can be fetched from here."""
    lacks = [*_python(python), *_git(), *_packages(python, packages), *_gpu(gpu)]
    return {"lacks": lacks, "reaches": _reaches(source)}


def _python(python: str) -> list[dict[str, str]]:
    done = _run([python, "-c", "import sys; print(sys.version_info >= (3, 10))"])
    if done is not None and done.stdout.strip() == b"True":
        return []
    return [_lack("python", f"{python} is no Python 3.10 or later", "install one, and name it in pods.toml")]


def _git() -> list[dict[str, str]]:
    done = _run(["git", "--version"])
    if done is not None and done.returncode == 0:
        return []
    return [_lack("git", "there is no git", "apt-get install git, or: paceline pods bootstrap")]


def _packages(python: str, packages: Sequence[str]) -> list[dict[str, str]]:
    if not packages:
        return []
    done = _run([python, "-c", _IMPORT, *packages])
    if done is None or done.returncode != 0:
        return [_lack("packages", f"{python} does not say what it can import", "")]
    lacks = []
    for line in done.stdout.decode(errors="replace").splitlines():
        name = line.partition(" ")[0]
        install = f"{python} -m pip install {name.replace('_', '-')}"
        lacks.append({**_lack("package", line, install), "package": name})
    return lacks


def _gpu(gpu: str | None) -> list[dict[str, str]]:
    if gpu is None:
        return []
    done = _run(["nvidia-smi", f"--id={gpu}", "--query-gpu=uuid", "--format=csv,noheader"])
    if done is not None and done.returncode == 0 and done.stdout.strip() == gpu.encode():
        return []
    return [_lack("gpu", f"{gpu} is not visible here", "choose another slot")]


def _reaches(source: str) -> bool:
    """Without credentials of anybody's, and without a question to a terminal."""
    variables = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    argv = ["git", "-c", "credential.helper=", "ls-remote", "--exit-code", "--", source, "HEAD"]
    done = _run(argv, REACH_S, variables)
    return done is not None and done.returncode == 0


def _run(
    argv: Sequence[str], limit_s: float = ANSWER_S, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            env={**os.environ, **(variables or {})},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _lack(what: str, why: str, mend: str) -> dict[str, str]:
    return {"what": what, "why": why, "mend": mend}

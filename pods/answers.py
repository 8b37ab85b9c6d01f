"""Asks `supervisor.pyz` in a job folder, and reads its one line.

Owns the scripts that find it there or bring it along, so that a question is one round trip also where there
may be no folder. No answer, half an answer and any other text are a `PodError`: unknown, not failed. An
interpreter that is not there or too old is named, with what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pods.paths import JobPaths
from pods.shell import OUTPUT_LIMIT_B, Completed, PodError, Refused, Shell

TIMEOUT_S = 60.0
SLOWEST_B_PER_S = 1 << 20
REFUSED = 3
"""The supervisor's exit status for what it cannot do."""

MISSING, TOO_OLD = 127, 12
"""Exit status of a program that is not there, and of our scripts where Python is older than ours."""
SET_PYTHON = "set python in pods.toml to an interpreter of 3.10 or later"

Paths = JobPaths[PurePosixPath] | JobPaths[Path]

_OLDEST = f"""
import sys
if sys.version_info < (3, 10):
    sys.stderr.write("%d.%d" % tuple(sys.version_info[:2]))
    sys.exit({TOO_OLD})
"""
"""First in each script, in words that an old Python reads too."""
_ASK = f"""{_OLDEST}
import os, runpy
try:
    os.stat(os.path.dirname(sys.argv[1]))
except (FileNotFoundError, NotADirectoryError):
    print('{{"exists": false}}')
    sys.exit()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_UNPACK = f"""{_OLDEST}
import io, json, pathlib, tempfile, zipfile
data = sys.stdin.buffer.read()
with tempfile.NamedTemporaryFile(suffix=".pyz") as file:
    file.write(zipfile.ZipFile(io.BytesIO(data)).read("supervisor.pyz"))
    file.flush()
    sys.path.insert(0, file.name)
    from supervisor.unpack import unpack
    answer = unpack(pathlib.Path(sys.argv[1]).resolve(), io.BytesIO(data))
print(json.dumps(answer))
"""
"""Runs before there is a supervisor in the job folder: the bundle brings it along."""
_BRING = f"""{_OLDEST}
import runpy, tempfile
with tempfile.NamedTemporaryFile(suffix=".pyz") as file:
    file.write(sys.stdin.buffer.read())
    file.flush()
    sys.argv = [file.name, *sys.argv[1:]]
    runpy.run_path(file.name, run_name="__main__")
"""
"""A question to the machine that needs no job folder: the supervisor travels with it."""


def bring(
    shell: Shell,
    archive: bytes,
    argv: list[str],
    *,
    timeout_s: float = TIMEOUT_S,
    limit_b: int = OUTPUT_LIMIT_B,
) -> Mapping[str, Any]:
    """Runs one subcommand of a supervisor that is not there yet. Raises PodError."""
    brought = [shell.python, "-I", "-S", "-c", _BRING, *argv]
    return _answer(shell, shell.run(brought, stdin=archive, timeout_s=timeout_s, limit_b=limit_b))


def ask(shell: Shell, paths: Paths, argv: list[str], timeout_s: float = TIMEOUT_S) -> Mapping[str, Any]:
    """Runs one subcommand. Raises PodError, also where there is no job folder."""
    answer = look(shell, paths, argv, timeout_s)
    if answer.get("exists") is False:
        raise PodError(f"there is no job folder {str(paths.root)!r} on {shell.name}")
    return answer


def look(shell: Shell, paths: Paths, argv: list[str], timeout_s: float = TIMEOUT_S) -> Mapping[str, Any]:
    """Like `ask`, and {"exists": false} where there is no job folder."""
    ask = [shell.python, "-I", "-S", "-c", _ASK, str(paths.supervisor), *argv]
    return _answer(shell, shell.run(ask, timeout_s=timeout_s))


def unpack(shell: Shell, paths: Paths, bundle: bytes) -> Mapping[str, Any]:
    """Makes the job folder out of a zip that holds the supervisor too. Raises PodError."""
    argv = [shell.python, "-I", "-S", "-c", _UNPACK, str(paths.root)]
    limit_s = TIMEOUT_S + len(bundle) / SLOWEST_B_PER_S
    return _answer(shell, shell.run(argv, stdin=bundle, timeout_s=limit_s))


def _answer(shell: Shell, completed: Completed) -> Mapping[str, Any]:
    if completed.status is None or completed.status == 255:
        raise PodError("no answer; what became of the command is unknown")
    if completed.status == REFUSED and completed.last_words:
        raise Refused(completed.last_words.removeprefix("supervisor: "))
    if completed.status == MISSING and shell.python in completed.last_words:
        raise Refused(f"{shell.python} is not there: {SET_PYTHON}")
    if completed.status == TOO_OLD:
        raise Refused(f"{shell.python} is Python {completed.last_words}: {SET_PYTHON}")
    if completed.status != 0 or completed.is_truncated:
        raise PodError(f"exit status {completed.status}: {completed.last_words or 'no message'}")
    try:
        answer = json.loads(completed.out)
    except ValueError as error:
        said = f"not an answer of the supervisor: {completed.out[:200]!r}"
        raise PodError(f"{said}; is `python` in pods.toml a Python?") from error
    if not isinstance(answer, dict):
        raise PodError(f"not an answer of the supervisor: {completed.out[:200]!r}")
    return answer

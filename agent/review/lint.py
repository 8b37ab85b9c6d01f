"""Ruff over the touched Python files at both ends, with the repository's own configuration of that end.

Works on exported files only, changes none of them, and reads no configuration of the machine or the user. A
finding is new where the optimized end has more of its kind in that file than the baseline; older ones are
counted.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.review.export import Export
from agent.review.objects import run_quietly

LINT_LIMIT_S = 120.0
OUTPUT_LIMIT_B = 64 << 20
SYNTAX = "invalid-syntax"
UNPARSED = 2
"""What `ruff format` ends with where a file does not parse; with nothing printed it failed for itself."""
NO_RUFF = "ruff is not installed: pip install ruff"
_QUIET = ("--no-cache", "--color", "never", "--output-format", "json")


@dataclass(frozen=True, slots=True)
class Lint:
    """One finding of a linter: `line` to `last` in the file as exported."""

    path: str
    line: int
    last: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ends:
    """What ruff says of both ends. `fresh` and `unformatted` are new at the optimized end, `older` the rest.

    `notes` say how it was read; `why` is given where ruff did not run.
    """

    version: str = ""
    files: int = 0
    fresh: tuple[Lint, ...] = ()
    unformatted: tuple[str, ...] = ()
    older: int = 0
    older_unformatted: int = 0
    notes: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class _End:
    lints: tuple[Lint, ...] = ()
    unformatted: tuple[str, ...] = ()
    note: str = ""


class LinterError(Exception):
    """A linter that did not run, or did not answer as it should; the text says which and why."""


def ruff_command() -> tuple[str, ...]:
    """Ruff of our own environment, else the one on PATH."""
    beside = Path(sys.executable).with_name("ruff")
    return (str(beside) if beside.is_file() else shutil.which("ruff") or "ruff",)


def lint_ends(
    ruff: Sequence[str],
    before: Export,
    after: Export,
    names: Mapping[str, str],
    added: Mapping[str, set[int]],
) -> Ends:
    """`names` gives the old path of each renamed file, `added` the lines that the diff adds to each file."""
    try:
        version = version_of(ruff, before.root.parent)
        if not after.texts:
            return Ends(version)
        old, new = _end(ruff, before), _end(ruff, after)
    except LinterError as error:
        return Ends(why=str(error))
    old_kinds = Counter((lint.path, lint.code, lint.message) for lint in old.lints)
    old_unformatted = set(old.unformatted)
    fresh = _fresh(new.lints, old_kinds, names, added)
    unformatted = tuple(path for path in new.unformatted if names.get(path, path) not in old_unformatted)
    notes = [f"{end}: {told.note}" for end, told in (("baseline", old), ("optimized", new)) if told.note]
    return Ends(
        version,
        len(after.texts),
        fresh,
        unformatted,
        len(new.lints) - len(fresh),
        len(new.unformatted) - len(unformatted),
        tuple(notes),
    )


def _fresh(
    lints: Sequence[Lint],
    old: Counter[tuple[str, str, str]],
    names: Mapping[str, str],
    added: Mapping[str, set[int]],
) -> tuple[Lint, ...]:
    """Of each kind as many as there are more than before, first those on lines that the diff adds."""
    kinds: defaultdict[tuple[str, str, str], list[Lint]] = defaultdict(list)
    for lint in lints:
        kinds[names.get(lint.path, lint.path), lint.code, lint.message].append(lint)
    fresh: list[Lint] = []
    for kind, found in kinds.items():
        more = len(found) - old[kind]
        if more > 0:
            found.sort(key=lambda lint: (lint.line not in added.get(lint.path, ()), lint.line))
            fresh += found[:more]
    return tuple(sorted(fresh, key=lambda lint: (lint.path, lint.line, lint.code)))


def _end(ruff: Sequence[str], export: Export) -> _End:
    """Check and format of one end; with `--isolated` where the repository's configuration cannot be used."""
    if not export.texts:
        return _End()
    if not export.is_isolated:
        try:
            return _read(ruff, export, ())
        except LinterError as error:
            why = str(error)
    else:
        why = export.is_isolated
    note = f"with ruff's defaults instead of the repository's configuration: {why}"
    return replace(_read(ruff, export, ("--isolated",)), note=note)


def _read(ruff: Sequence[str], export: Export, options: Sequence[str]) -> _End:
    checked = findings_of((*ruff, "check", *_QUIET, "--no-fix", "--exit-zero", *options), export)
    formatted = findings_of((*ruff, "format", "--check", *_QUIET, *options), export, allowed=(0, 1, UNPARSED))
    unformatted = dict.fromkeys(lint.path for lint in formatted if lint.code == "unformatted")
    return _End(checked, tuple(unformatted))


def findings_of(command: Sequence[str], export: Export, allowed: Sequence[int] = (0,)) -> tuple[Lint, ...]:
    """What a ruff command says of the exported files. Raises LinterError."""
    done = run_quietly(
        (*command, "--", *export.files), export.root.parent, limit_s=LINT_LIMIT_S, limit_b=OUTPUT_LIMIT_B
    )
    name = " ".join(("ruff", command[1]))
    if done.status is None:
        raise LinterError(f"{name} did not end in {LINT_LIMIT_S:.0f} s")
    if done.status not in allowed or (done.status == UNPARSED and not done.out):
        raise LinterError(f"{name} failed: {_cause(done.err)}")
    if done.is_truncated:
        raise LinterError(f"{name} said more than 64 MiB")
    try:
        return tuple(lint for row in json.loads(done.out or b"[]") if (lint := _lint(row, export)))
    except (ValueError, KeyError, TypeError) as error:
        raise LinterError(f"{name} printed no JSON that is known here: {error}") from None


def _lint(row: Mapping[str, Any], export: Export) -> Lint | None:
    path = export.path_of(row["filename"])
    if not path:
        return None
    line = int(row["location"]["row"])
    last = int(row["end_location"]["row"])
    return Lint(path, line, max(line, last), str(row["code"] or SYNTAX), str(row["message"] or ""))


def _cause(said: bytes) -> str:
    """The last cause that ruff names, without the folder it was seen in."""
    lines = said.decode(errors="replace").strip().splitlines()
    causes = [line.strip().removeprefix("Cause: ") for line in lines if line.strip().startswith("Cause: ")]
    told = (causes or lines or ["no message"])[-1]
    return told if "/" not in told else "its configuration cannot be read"


def version_of(ruff: Sequence[str], home: Path) -> str:
    """Raises LinterError where there is no ruff."""
    done = run_quietly((*ruff, "--version"), home, limit_s=LINT_LIMIT_S, limit_b=1 << 16)
    if done.status:
        raise LinterError(NO_RUFF if done.status in (126, 127) else f"ruff failed: {done.last_words}")
    if done.status is None:
        raise LinterError("ruff --version did not end")
    return done.out.decode(errors="replace").strip().removeprefix("ruff ")

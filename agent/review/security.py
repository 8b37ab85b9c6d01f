"""The security sweep: ruff's `S` rules and bandit over the touched Python files, on lines that the diff adds.

Comments that silence a linter (`noqa`, `nosec`) are overruled and told as such: the author of a change does
not clear it. Asserts are no finding. Both tools number alike (S602 is B602), so what both see is said once.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.review.export import Export
from agent.review.lint import LINT_LIMIT_S, OUTPUT_LIMIT_B, SYNTAX, Lint, LinterError, findings_of, version_of
from agent.review.objects import run_quietly

NO_BANDIT = "bandit is not installed: pip install bandit"
_ASSERT = "101"
_PASSWORDS = ("105", "106", "107")
_SILENCED = re.compile(r"#.*\b(?:nosec|noqa)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Danger:
    """`severity` is bandit's (LOW, MEDIUM, HIGH), "" where only ruff sees it."""

    path: str
    line: int
    codes: tuple[str, ...]
    message: str
    severity: str = ""
    is_silenced: bool = False


@dataclass(frozen=True, slots=True)
class Sweep:
    """`tools` are the tools that ran, with their versions; `not_run` says of the others why."""

    tools: tuple[str, ...] = ()
    found: tuple[Danger, ...] = ()
    not_run: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def bandit_command() -> tuple[str, ...] | None:
    """Bandit of our own environment. Isolated: nothing beside the files it reads can be imported."""
    if importlib.util.find_spec("bandit") is None:
        return None
    return (sys.executable, "-I", "-m", "bandit")


def sweep(
    ruff: Sequence[str], bandit: Sequence[str] | None, export: Export, added: Mapping[str, set[int]]
) -> Sweep:
    tools: list[str] = []
    not_run: list[str] = []
    unread: tuple[str, ...] = ()
    seen: list[tuple[Lint, str]] = []
    try:
        version = version_of(ruff, export.root.parent)
        seen += [(lint, "") for lint in _by_ruff(ruff, export)]
        tools.append(f"ruff {version} (rules S)")
    except LinterError as error:
        not_run.append(f"ruff's S rules: NOT RUN, {error}")
    try:
        version, by_bandit, unread = _by_bandit(bandit, export)
        seen += by_bandit
        tools.append(f"bandit {version}")
    except LinterError as error:
        not_run.append(f"bandit: NOT RUN, {error}")
    on_added = [
        (lint, severity)
        for lint, severity in seen
        if not added.get(lint.path, set()).isdisjoint(range(lint.line, lint.last + 1))
    ]
    return Sweep(tuple(tools), _joined(on_added, export), tuple(not_run), unread)


def _by_ruff(ruff: Sequence[str], export: Export) -> tuple[Lint, ...]:
    if not export.texts:
        return ()
    options = ("--select", "S", "--ignore", f"S{_ASSERT}", "--ignore-noqa", "--no-fix", "--exit-zero")
    quiet = ("--no-cache", "--color", "never", "--output-format", "json")
    found = findings_of((*ruff, "check", "--isolated", *quiet, *options), export)
    return tuple(lint for lint in found if lint.code != SYNTAX)


def _by_bandit(
    bandit: Sequence[str] | None, export: Export
) -> tuple[str, list[tuple[Lint, str]], tuple[str, ...]]:
    """Version, findings with their severity, and the files that bandit could not read. Raises LinterError."""
    if bandit is None:
        raise LinterError(NO_BANDIT)
    home = export.root.parent
    told = run_quietly((*bandit, "--version"), home, limit_s=LINT_LIMIT_S, limit_b=1 << 16)
    if told.status != 0:
        raise LinterError(NO_BANDIT if told.status in (126, 127) else f"bandit failed: {told.last_words}")
    version = told.out.decode(errors="replace").partition("\n")[0].rpartition(" ")[2]
    if not export.texts:
        return version, [], ()
    options = ("--format", "json", "--quiet", "--ignore-nosec", "--exit-zero", "--skip", f"B{_ASSERT}")
    done = run_quietly((*bandit, *options, *export.files), home, limit_s=LINT_LIMIT_S, limit_b=OUTPUT_LIMIT_B)
    if done.status is None:
        raise LinterError(f"bandit did not end in {LINT_LIMIT_S:.0f} s")
    if done.status or done.is_truncated:
        raise LinterError(f"bandit failed: {done.last_words or 'it said too much'}")
    try:
        document = json.loads(done.out)
        found = [one for row in document["results"] if (one := _danger(row, export))]
        unread = tuple(path for row in document["errors"] if (path := export.path_of(row["filename"])))
    except (ValueError, KeyError, TypeError) as error:
        raise LinterError(f"bandit printed no JSON that is known here: {error}") from None
    return version, found, unread


def _danger(row: Mapping[str, Any], export: Export) -> tuple[Lint, str] | None:
    path = export.path_of(row["filename"])
    if not path:
        return None
    lines = [int(line) for line in row["line_range"]] or [int(row["line_number"])]
    code, text = str(row["test_id"]), str(row["issue_text"])
    if code[1:] in _PASSWORDS:
        text = text.partition(":")[0]  # what follows is the password
    first = int(row["line_number"])
    return Lint(path, first, max(first, *lines), code, text), str(row["issue_severity"])


def _joined(seen: Sequence[tuple[Lint, str]], export: Export) -> tuple[Danger, ...]:
    """One danger a place and number, in bandit's words where bandit sees it."""
    found: dict[tuple[str, int, str], Danger] = {}
    for lint, severity in seen:
        key = (lint.path, lint.line, lint.code[1:])
        before = found.get(key)
        codes = tuple(dict.fromkeys((*(before.codes if before else ()), lint.code)))
        found[key] = Danger(lint.path, lint.line, codes, lint.message, severity, _is_silenced(lint, export))
    return tuple(sorted(found.values(), key=lambda one: (one.path, one.line, one.codes)))


def _is_silenced(lint: Lint, export: Export) -> bool:
    lines = export.texts[lint.path].decode(errors="replace").split("\n")
    return any(_SILENCED.search(line) for line in lines[lint.line - 1 : lint.last])

"""The reviewer: reads a range of commits and says, by rules alone, whether it is what the issue claims.

`review` does git, ruff and bandit, on objects and on exported files in a temporary folder; nothing of the
repository is executed, checked out or written. `text.py` puts it into words; docs/review.md tells the
rules. The same range gives the same review wherever the same versions of the tools stand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.errors import TaskError
from agent.repository import open_repository
from agent.review.adherence import Adherence, adherence_of
from agent.review.export import Export, export
from agent.review.findings import Evidence, Finding, Outcome, Reason, findings_of, verdict_of
from agent.review.history import History, read_history
from agent.review.lint import Ends, lint_ends, ruff_command
from agent.review.objects import Entry, Objects, opened
from agent.review.readings import Reading, plan_of, readings_of
from agent.review.secrets import MOST as MOST_SECRETS
from agent.review.secrets import Secret, secrets_of
from agent.review.security import Sweep, bandit_command, sweep
from agent.review.values import Held, Value, value_of
from agent.task import AskedChange


@dataclass(frozen=True, slots=True)
class Tools:
    """How ruff and bandit are called; `bandit` is None where it is not installed."""

    ruff: tuple[str, ...]
    bandit: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Review:
    """What was read and found. `reasons` are all rules of the verdict that hold, the deciding one first."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    reasons: tuple[Reason, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def outcome(self) -> Outcome:
        return self.reasons[0].outcome

    @property
    def history(self) -> History:
        return self.evidence.history

    @property
    def adherence(self) -> tuple[Adherence, ...]:
        return self.evidence.adherence

    @property
    def readings(self) -> tuple[Reading, ...]:
        return self.evidence.readings

    @property
    def held(self) -> tuple[Held, ...]:
        return self.evidence.held

    @property
    def lint(self) -> Ends:
        return self.evidence.lint

    @property
    def sweep(self) -> Sweep:
        return self.evidence.sweep

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.evidence.secrets


def installed_tools() -> Tools:
    return Tools(ruff_command(), bandit_command())


def review(
    repo: Path,
    baseline: str,
    optimized: str,
    changes: Sequence[AskedChange],
    protected: Sequence[str],
    tools: Tools | None = None,
) -> Review:
    """Review `baseline..optimized` of a repository on this machine, bare or not.

    `changes` are what the issue claims, `protected` are `path:key` that must not be touched. Raises TaskError
    where a commit cannot be read or the temporary folder cannot be written; a tool that does not run is said.
    """
    repository = open_repository(repo)
    ends = (repository.commit_of(baseline), repository.commit_of(optimized))
    try:
        with opened(repository.root) as objects, TemporaryDirectory(prefix="paceline-review-") as folder:
            return _reviewed(objects, Path(folder), ends, changes, protected, tools or installed_tools())
    except OSError as error:
        raise TaskError(f"cannot review: {error.strerror or error}") from error


def _reviewed(
    objects: Objects,
    folder: Path,
    ends: tuple[str, str],
    changes: Sequence[AskedChange],
    protected: Sequence[str],
    tools: Tools,
) -> Review:
    history = read_history(objects, *ends)
    before, after = (objects.tree(end) for end in ends)
    plan = plan_of(changes, [entry.path for entry in before], history)
    readings = readings_of(plan, history)
    is_complete = not history.doubts and not any(one.commit.is_merge for one in readings)
    added = {file.path: {line for line, _ in file.added_lines} for file in history.files if file.is_python}
    names = {file.path: file.old_path for file in history.files if file.status == "R"}
    old, new = _exported(objects, history, (before, after), folder)
    lint = lint_ends(tools.ruff, old, new, names, added)
    swept = sweep(tools.ruff, tools.bandit, new, added)
    secrets = secrets_of(history)
    evidence = Evidence(
        history,
        readings,
        adherence_of(plan, readings, is_complete=is_complete),
        _held(objects, before, after, protected),
        lint,
        swept,
        secrets,
        _doubts(history, lint, swept, new, secrets),
    )
    findings = findings_of(evidence)
    return Review(evidence, findings, verdict_of(evidence, findings), new.skipped)


def _exported(
    objects: Objects, history: History, trees: tuple[Sequence[Entry], Sequence[Entry]], folder: Path
) -> tuple[Export, Export]:
    """The touched Python files as they are at each end."""
    python = [file for file in history.files if file.path.endswith((".py", ".pyi"))]
    before = {file.old_path for file in python if file.status != "A"}
    after = {file.path for file in python if file.status != "D"}
    return (
        export(objects, trees[0], before, folder / "baseline"),
        export(objects, trees[1], after, folder / "optimized"),
    )


def _held(
    objects: Objects, before: Sequence[Entry], after: Sequence[Entry], protected: Sequence[str]
) -> tuple[Held, ...]:
    blobs = [{entry.path: entry.blob for entry in tree if entry.is_regular} for tree in (before, after)]
    split = [(name, *name.partition(":")[::2]) for name in dict.fromkeys(protected)]
    contents = objects.contents([tree[path] for _, path, _ in split for tree in blobs if path in tree])
    held = []
    for name, path, key in split:
        one, other = (_value(path, key, tree.get(path), contents) for tree in blobs)
        held.append(Held(name, one, other))
    return tuple(held)


def _value(path: str, key: str, blob: str | None, contents: dict[str, bytes | None]) -> Value:
    if blob is None:
        return value_of(path, key, None)
    data = contents[blob]
    return Value(why="longer than 1 MiB") if data is None else value_of(path, key, data)


def _doubts(
    history: History, lint: Ends, swept: Sweep, new: Export, secrets: Collection[Secret]
) -> tuple[str, ...]:
    """What could not be looked at, so that nobody reads silence as praise."""
    found = [*history.doubts, *swept.not_run]
    if lint.why:
        found.append(f"lint: NOT RUN, {lint.why}")
    if new.skipped:
        found.append(f"{len(new.skipped)} touched Python files were not linted")
    if swept.unread:
        found.append(f"bandit could not read {', '.join(swept.unread[:3])}")
    if len(secrets) >= MOST_SECRETS:
        found.append(f"the search for secrets ended at {MOST_SECRETS}")
    return tuple(found)

"""Reads a git repository on this machine: where it is, what a revision means, what a file holds.

Writes nothing into it, runs none of its hooks. Recipes and held-out rows are read from its working tree as
it stands (for a bare repository from its HEAD): who measures on their own machine is the operator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.metrics import near_miss
from bench.worker.source import SourceError, git

from agent.errors import TaskError

CONFIG = "paceline.toml"
LOGGED = "%H%x00%P%x00%s%x00%(trailers:key=Change,valueonly,unfold,separator=%x2C)"
REVISION = re.compile(r"[^\s\x00-\x1f\x7f~^:?*\[\\-][^\s\x00-\x1f\x7f:?*\[\\]{0,199}")


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """A commit as the log tells it; `change` is what its `Change:` trailer says, empty where it has none."""

    id: str
    subject: str
    change: str = ""


@dataclass(frozen=True)
class Repository:
    """`root` is the top of the working tree, or the folder of a bare repository."""

    root: Path
    is_bare: bool

    @property
    def where(self) -> str:
        return str(self.root)

    @property
    def name(self) -> str:
        return self.root.name.removesuffix(".git") or "repository"

    def commit_of(self, revision: str) -> str:
        """The full commit id. Raises TaskError with the nearest branch or tag."""
        if not REVISION.fullmatch(revision):
            raise TaskError(f"{revision!r} is not a revision: give a commit id, a branch or a tag")
        try:
            return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except SourceError:
            close = near_miss(revision, self._refs())
            raise TaskError(f"no commit {revision!r} in {self.root}{close}") from None

    def line(self, base: str, tip: str) -> tuple[LoggedCommit, ...]:
        """The commits of the first-parent line from `base` (left out) to `tip`, oldest first; full ids.

        Raises TaskError where `base` is not on that line: then no commit of it stands on `base`.
        """
        how = ("-z", "--first-parent", "--reverse", "--no-show-signature", "--encoding=UTF-8")
        fields = self._git("log", *how, f"--format={LOGGED}", f"{base}..{tip}").split("\0")
        rows = [fields[start : start + 4] for start in range(0, len(fields) - 3, 4)]
        if not rows or rows[0][1].split()[:1] != [base]:
            raise TaskError(
                f"commit {base[:12]} is not before {tip[:12]} on its first-parent line:"
                " name a commit that the range begins at"
            )
        return tuple(LoggedCommit(one, subject, change.strip()) for one, _, subject, change in rows)

    def bytes_of(self, path: str) -> bytes:
        """A file of the repository. Raises TaskError where it is missing or outside."""
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise TaskError(f"{path!r} does not lie inside the repository")
        if self.is_bare:
            try:
                return git("--git-dir", str(self.root), "show", f"HEAD:{path}").encode()
            except SourceError:
                raise TaskError(f"no {path} at HEAD of {self.root}") from None
        if not (self.root / path).resolve().is_relative_to(self.root.resolve()):
            raise TaskError(f"{path!r} leads out of the repository")
        try:
            return (self.root / path).read_bytes()
        except OSError as error:
            raise TaskError(f"cannot read {self.root / path}: {error.strerror}") from None

    def _refs(self) -> list[str]:
        printed = self._git(
            "for-each-ref", "--format=%(refname:short)", "--count=500", "refs/heads", "refs/tags"
        )
        return printed.splitlines()

    def _git(self, *arguments: str) -> str:
        return git("-C", str(self.root), *arguments).strip()


def open_repository(path: Path) -> Repository:
    """Raises TaskError where `path` is not in a git repository."""
    if not path.is_dir():
        raise TaskError(f"{path} is not a folder; --repo takes the folder of a git repository")
    try:
        is_bare = git("-C", str(path), "rev-parse", "--is-bare-repository").strip() == "true"
        printed = git("-C", str(path), "rev-parse", "--absolute-git-dir" if is_bare else "--show-toplevel")
    except SourceError as error:
        if "not installed" in str(error):
            raise TaskError(str(error)) from None
        if "dubious ownership" in str(error):
            raise TaskError(f"{path} belongs to somebody else; see git's safe.directory") from None
        raise TaskError(f"{path} is not a git repository; --repo takes the folder of one") from None
    return Repository(Path(printed.removesuffix("\n")), is_bare)

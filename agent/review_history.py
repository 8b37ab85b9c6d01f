"""The commits of a range in the order in which they landed, each with its diff, and the diff of the ends.

Reads through `Objects` only. A commit's diff is against its first parent: for a merge that is all it brings
in, which `Commit.is_merge` says. Limits are said, never passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.errors import TaskError
from agent.review_diff import DIFF, FileDiff, files_of
from agent.review_objects import DIFF_LIMIT_B, Objects

MOST_COMMITS = 200
LOG_LIMIT_B = 16 << 20
LONGEST_SUBJECT = 500
LOGGED = "%H%x00%P%x00%s%x00%(trailers:key=Change,valueonly,unfold,separator=%x2C)%x00%b"
_REVERTS = re.compile(r"\bThis reverts commit ([0-9a-f]{7,64})\b")


@dataclass(frozen=True, slots=True)
class Commit:
    """`change` is what its `Change:` trailer says; `reverts` are the ids that its message takes back."""

    id: str
    parents: tuple[str, ...]
    subject: str
    change: str
    reverts: tuple[str, ...]
    files: tuple[FileDiff, ...]

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


@dataclass(frozen=True, slots=True)
class History:
    """`commits` oldest first. `behind` counts the baseline's commits that the optimized end does not have.

    `total` counts all commits of the range, also those beyond `MOST_COMMITS`; `doubts` are what was not read.
    """

    baseline: str
    optimized: str
    commits: tuple[Commit, ...]
    total: int
    behind: int
    files: tuple[FileDiff, ...]
    doubts: tuple[str, ...]

    @property
    def added(self) -> int:
        return sum(file.added for file in self.files)

    @property
    def removed(self) -> int:
        return sum(file.removed for file in self.files)


def read_history(objects: Objects, baseline: str, optimized: str) -> History:
    """Raises TaskError where a commit is missing or cannot be read."""
    span = f"{baseline}..{optimized}"
    counted = objects.ran(
        "rev-list", "--left-right", "--count", f"{baseline}...{optimized}", limit_b=LOG_LIMIT_B
    )
    behind, total = map(int, counted.out.split())
    doubts = []
    if total > MOST_COMMITS:
        doubts.append(f"only the newest {MOST_COMMITS} of {total} commits were looked at one by one")
    printed = objects.ran(
        "log",
        "-z",
        "--topo-order",
        f"--max-count={MOST_COMMITS}",
        "--no-show-signature",
        "--encoding=UTF-8",
        f"--format={LOGGED}",
        span,
        limit_b=LOG_LIMIT_B,
    )
    if printed.is_truncated:
        raise TaskError("cannot review: the messages of the range are longer than 16 MiB")
    fields = printed.out.decode(errors="replace").split("\0")
    commits = []
    for start in range(0, len(fields) - 4, 5):
        one, parents, subject, change, body = fields[start : start + 5]
        before = parents.split()
        files, doubt = _diff(objects, before[0] if before else None, one)
        doubts += doubt
        told = (subject[:LONGEST_SUBJECT], change.strip()[:LONGEST_SUBJECT])
        commits.append(Commit(one, tuple(before), *told, tuple(_REVERTS.findall(body)), files))
    files, doubt = _diff(objects, baseline, optimized)
    return History(baseline, optimized, tuple(reversed(commits)), total, behind, files, (*doubts, *doubt))


def _diff(objects: Objects, before: str | None, after: str) -> tuple[tuple[FileDiff, ...], list[str]]:
    ends = (before, after) if before else ("--root", "--no-commit-id", after)
    printed = objects.ran("diff-tree", *DIFF, *ends, limit_b=DIFF_LIMIT_B)
    doubt = []
    if printed.is_truncated:
        doubt = [f"the diff of {after[:12]} is longer than 32 MiB: only its list of files was read"]
        raw = [option for option in DIFF if option != "--patch"]
        printed = objects.ran("diff-tree", *raw, *ends, limit_b=DIFF_LIMIT_B)
    try:
        return files_of(printed.out), doubt
    except ValueError as error:
        raise TaskError(f"cannot review: the diff of {after[:12]} was not understood: {error}") from None

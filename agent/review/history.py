"""The commits of a range in the order in which they landed, each with its diff, and the diff of the ends.

Reads through `Objects` only. A commit's diff is against its first parent: for a merge that is all it brings
in, which `Commit.is_merge` says. Limits are said, never passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.errors import TaskError
from agent.review.diff import DIFF, PATCH, FileDiff, files_of
from agent.review.objects import Objects

MOST_COMMITS = 200
DIFF_LIMIT_B, RANGE_LIMIT_B = 16 << 20, 32 << 20
"""Of one diff, and of all of a range: every line of them is held and searched."""
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
    doubts: list[str] = []
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
    files, doubt, size_b = _diff(objects, baseline, optimized, DIFF_LIMIT_B)
    doubts += doubt
    left_b = RANGE_LIMIT_B - size_b
    commits = []
    for start in range(0, len(fields) - 4, 5):
        one, parents, subject, change, body = fields[start : start + 5]
        before = parents.split()
        own, doubt, size_b = _diff(objects, before[0] if before else None, one, min(left_b, DIFF_LIMIT_B))
        doubts += doubt
        left_b = max(left_b - size_b, 0)
        told = (subject[:LONGEST_SUBJECT], change.strip()[:LONGEST_SUBJECT])
        commits.append(Commit(one, tuple(before), *told, tuple(_REVERTS.findall(body)), own))
    return History(baseline, optimized, tuple(reversed(commits)), total, behind, files, tuple(doubts))


def _diff(
    objects: Objects, before: str | None, after: str, limit_b: int
) -> tuple[tuple[FileDiff, ...], list[str], int]:
    """The files of a diff, what of it could not be read, and how long it is."""
    ends = (before, after) if before else ("--root", "--no-commit-id", after)
    printed = objects.ran("diff-tree", *DIFF, *ends, limit_b=limit_b)
    doubt: list[str] = []
    if printed.is_truncated:
        doubt = [f"the diff of {after[:7]} is too long: only its list of files was read"]
        raw = [option for option in DIFF if option not in PATCH]
        printed = objects.ran("diff-tree", *raw, *ends, limit_b=DIFF_LIMIT_B)
    try:
        return files_of(printed.out), doubt, len(printed.out)
    except ValueError as error:
        raise TaskError(f"cannot review: the diff of {after[:12]} was not understood: {error}") from None

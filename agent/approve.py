"""Whether a plan may spend GPU time, and on whose word: read from the tracker at that moment.

Within the standing budget the author's role is enough; beyond it, or for an author whose role is not in the
operator's list, somebody with write permission comments `/approve HASH`. A role that cannot be read is no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from markdown_it import MarkdownIt

from agent.operator import Operator
from agent.situation import Approval
from agent.tracker import Comment, Issue, Role, User

APPROVERS: tuple[Role, ...] = ("admin", "maintain", "write")
SHORTEST_HASH = 12
BODY_LIMIT = 65_536
_COMMAND = re.compile(r"/approve ([0-9a-f]{12,64})")


def approval_of(
    plan: str,
    gpu_hours: float,
    issue: Issue,
    comments: Sequence[Comment],
    me: User,
    operator: Operator,
    role_of: Callable[[User], Role | None],
) -> Approval:
    """`gpu_hours` is what the plan may spend. Asks for roles only where they decide."""
    for comment in comments:
        if comment.author.id == me.id or not any(map(plan.startswith, _hashes(comment.body))):
            continue
        role = role_of(comment.author)
        if role in APPROVERS:
            who = comment.author
            return Approval(True, f"/approve by {who.login} (id {who.id}, {role}) in comment {comment.id}")
    if gpu_hours > operator.gpu_hours:
        return Approval(
            False,
            f"the plan may spend {gpu_hours:g} GPU-hours, the standing budget covers {operator.gpu_hours:g}:"
            f" somebody with write permission has to comment /approve {plan[:SHORTEST_HASH]}",
        )
    author, role = issue.author, role_of(issue.author)
    if role is not None and role in operator.roles:
        words = (
            f"standing budget of {operator.gpu_hours:g} GPU-hours for {author.login} (id {author.id}, {role})"
        )
        return Approval(True, words)
    return Approval(
        False,
        f"the standing budget covers tasks of {', '.join(operator.roles)}; {author.login} has"
        f" {role or 'no role that can be read'}: somebody with write permission has to comment"
        f" /approve {plan[:SHORTEST_HASH]}",
    )


def _hashes(body: str) -> Iterator[str]:
    """What a comment approves: commands on lines of its own paragraphs, not in fences, quotes or HTML."""
    if "/approve" not in body:
        return
    lines = body.replace("\r\n", "\n").split("\n")
    for token in MarkdownIt("commonmark").parse(body[:BODY_LIMIT]):
        if token.type == "paragraph_open" and token.level == 0 and token.map:
            for line in lines[token.map[0] : token.map[1]]:
                found = _COMMAND.fullmatch(line.rstrip())
                if found:
                    yield found[1]

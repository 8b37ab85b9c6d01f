"""Whether a plan may spend GPU time, and on whose word: read from the tracker at that moment.

Within the standing budget the author's word is enough; beyond it, for an author whom the operator's list does
not cover, for a bot, and where a second person is asked for, somebody with write permission comments
`/approve HASH`. A role that cannot be read is no. Who put the label on does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agent.commands import SHORTEST_HASH
from agent.follow import gpu_hours_text
from agent.ledger import Setting
from agent.operator import Operator
from agent.situation import Approval
from agent.spoken import Spoken
from agent.tracker import Issue, Role, User

RoleOf = Callable[[User], Role | None]


def approval_of(
    plan: str,
    gpu_hours: float,
    issue: Issue,
    spoken: Sequence[Spoken],
    settings: Sequence[Setting],
    operator: Operator,
    role_of: RoleOf,
) -> Approval:
    """`gpu_hours` is what the plan may spend; `settings` are those of `/set` in force. Asks for roles only
    where they decide."""
    requesters = {issue.author.id, *(one.by for one in settings)}
    own = None
    for one in spoken:
        if not one.approves(plan):
            continue
        if not operator.second_person or one.comment.author.id not in requesters:
            return Approval(True, f"/approve by {one.who} in comment {one.comment.id}", one.comment.id)
        own = one
    why = next(_against(gpu_hours, issue, settings, operator, role_of), "")
    if not why:
        return Approval(True, _standing(issue, operator, role_of))
    whose = "a second person" if operator.second_person else "somebody"
    by = f"{own.comment.author.login} has asked for it; " if own else ""
    return Approval(
        False, f"{by}{why}: {whose} with write permission has to comment /approve {plan[:SHORTEST_HASH]}"
    )


def _against(
    gpu_hours: float, issue: Issue, settings: Sequence[Setting], operator: Operator, role_of: RoleOf
) -> Iterator[str]:
    """Why the standing budget does not cover it."""
    author = issue.author
    if operator.second_person:
        yield "nobody approves their own request here"
    if author.is_bot:
        yield f"{author.login} is a bot"
    most = operator.budget_of(author)
    if gpu_hours > most:
        yield f"the plan may spend {gpu_hours_text(gpu_hours)}, the standing budget covers {most:g}"
    people = {author.id: author, **{one.by: User(one.login, one.by) for one in settings}}
    for user in people.values():
        role = None if user.id in operator.ids else role_of(user)
        if user.id not in operator.ids and (role is None or role not in operator.roles):
            what = "tasks of" if user.id == author.id else "tasks changed by"
            has = role or "no role that can be read"
            yield f"the standing budget covers {what} {', '.join(operator.roles)}; {user.login} has {has}"


def _standing(issue: Issue, operator: Operator, role_of: RoleOf) -> str:
    author = issue.author
    role = "on the operator's list" if author.id in operator.ids else role_of(author)
    budget = operator.budget_of(author)
    return f"standing budget of {gpu_hours_text(budget)} for {author.login} (id {author.id}, {role})"

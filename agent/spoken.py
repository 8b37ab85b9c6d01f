"""What people have said to the agent on an issue and nobody has answered yet, with what each of them may do.

A comment is read once, as it was first written: its answer, a signed marker, carries its id, and an edited
comment is told to be written anew. The agent itself and bots are never heard. Roles are read now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.commands import Command, Misread, commands_in
from agent.ledger import Ledger
from agent.tracker import Comment, Issue, Role, User

APPROVERS: tuple[Role, ...] = ("admin", "maintain", "write")


@dataclass(frozen=True, slots=True)
class Spoken:
    """One comment with commands. `role` is its author's, None where it cannot be read."""

    comment: Comment
    commands: tuple[Command | Misread, ...]
    role: Role | None
    is_author: bool

    @property
    def who(self) -> str:
        return f"{self.comment.author.login} (id {self.comment.author.id}, {self.role or 'role unknown'})"

    @property
    def is_edited(self) -> bool:
        """What was first written is not known any more."""
        return self.comment.updated_at != self.comment.created_at

    @property
    def may_approve(self) -> bool:
        return self.role in APPROVERS

    @property
    def may_command(self) -> bool:
        return self.is_author or self.may_approve

    def has(self, name: str) -> bool:
        return any(isinstance(one, Command) and one.name == name for one in self.commands)

    @property
    def values(self) -> Mapping[str, str]:
        """What its `/set` lines give, the last one of a key."""
        told: dict[str, str] = {}
        for one in self.commands:
            if isinstance(one, Command):
                told |= one.values
        return told

    def approves(self, plan: str) -> bool:
        """Whether it approves this plan; of a comment that was edited nobody knows who wrote what."""
        hashes = [one.plan for one in self.commands if isinstance(one, Command) and one.name == "approve"]
        return bool(plan) and self.may_approve and not self.is_edited and any(map(plan.startswith, hashes))


def spoken_on(
    issue: Issue,
    comments: Sequence[Comment],
    ledger: Ledger,
    me: User,
    role_of: Callable[[User], Role | None],
) -> tuple[Spoken, ...]:
    """Oldest first. Asks for the roles of those who command, each once."""
    roles: dict[int, Role | None] = {}

    def heard() -> Iterator[Spoken]:
        for comment in sorted(comments, key=lambda one: one.id):
            author = comment.author
            if author.id == me.id or author.is_bot or comment.id in ledger.answered:
                continue
            commands = commands_in(comment.body)
            if not commands:
                continue
            if author.id not in roles:
                roles[author.id] = role_of(author)
            yield Spoken(comment, commands, roles[author.id], author.id == issue.author.id)

    return tuple(heard())

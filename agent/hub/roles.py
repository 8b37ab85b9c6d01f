"""What somebody may do with a repository, in GitHub's five roles and its four older permissions."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """Ordered: whoever may write may also triage and read."""

    NONE = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5

    @property
    def word(self) -> str:
        return self.name.lower()


LEGACY = {Role.MAINTAIN: "write", Role.TRIAGE: "read"}


def legacy_permission(role: Role) -> str:
    """The `permission` beside `role_name`: it has no word for maintain and triage."""
    return LEGACY.get(role, role.word)


def role_named(word: str) -> Role:
    """Raises ValueError with the words there are."""
    for role in Role:
        if role.word == word:
            return role
    raise ValueError(f"no role {word!r}; there are: {', '.join(role.word for role in Role)}")

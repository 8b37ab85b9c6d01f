"""Where a request goes: the repository of its address, and the role of who asks.

What somebody may not read does not exist for them (404). What they may see but not do is 403, or 401 for
nobody. An address may name a repository by owner and name or, as in redirects and links, by its id.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.hub.call import Call, forbidden, not_found
from agent.hub.people import User
from agent.hub.repositories import Repository, repository_named, repository_with, role_of
from agent.hub.roles import Role


@dataclass(frozen=True, slots=True)
class Place:
    repository: Repository
    role: Role
    url: str

    def need(self, call: Call, role: Role, message: str = "Must have admin rights to Repository.") -> User:
        """Who asks, if their role reaches. Raises Trouble 401 or 403."""
        user = call.signed_in()
        if self.role < role:
            raise forbidden(message)
        return user


def place_of(call: Call) -> Place:
    """Raises Trouble 404 for what is not there or not to be seen."""
    if "repository_id" in call.path:
        repository = repository_with(call.sql, call.number("repository_id"))
    else:
        repository = repository_named(call.sql, call.path["owner"], call.path["repo"])
    if repository is None:
        raise not_found()
    return place_in(call, repository)


def place_in(call: Call, repository: Repository) -> Place:
    role = role_of(call.sql, repository, call.user)
    if role < Role.READ:
        raise not_found()
    return Place(repository, role, call.urls.repository(repository.full_name))

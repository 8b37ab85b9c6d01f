"""Repositories, people and permissions over REST, and what is left of the rate limit."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.hub.call import Answer, Call, Json, Route, Trouble, not_found
from agent.hub.git import GitError, default_branch, git
from agent.hub.people import user_named, user_with
from agent.hub.place import Place, place_of
from agent.hub.repositories import open_issue_count, role_of
from agent.hub.roles import Role, legacy_permission
from agent.hub.shapes import profile_shape, user_shape
from agent.hub.urls import Urls, node_id

LINKS = (
    "archive_url:/{archive_format}{/ref} assignees_url:/assignees{/user} blobs_url:/git/blobs{/sha}"
    " branches_url:/branches{/branch} collaborators_url:/collaborators{/collaborator}"
    " comments_url:/comments{/number} commits_url:/commits{/sha} compare_url:/compare/{base}...{head}"
    " contents_url:/contents/{+path} contributors_url:/contributors deployments_url:/deployments"
    " downloads_url:/downloads events_url:/events forks_url:/forks git_commits_url:/git/commits{/sha}"
    " git_refs_url:/git/refs{/sha} git_tags_url:/git/tags{/sha} issue_comment_url:/issues/comments{/number}"
    " issue_events_url:/issues/events{/number} issues_url:/issues{/number} keys_url:/keys{/key_id}"
    " labels_url:/labels{/name} languages_url:/languages merges_url:/merges"
    " milestones_url:/milestones{/number}"
    " notifications_url:/notifications{?since,all,participating} pulls_url:/pulls{/number}"
    " releases_url:/releases{/id} stargazers_url:/stargazers statuses_url:/statuses/{sha}"
    " subscribers_url:/subscribers subscription_url:/subscription tags_url:/tags teams_url:/teams"
    " trees_url:/git/trees{/sha} hooks_url:/hooks"
)
COUNTS = ("forks", "stargazers", "watchers", "subscribers", "network")
ZEROS = (*(f"{name}_count" for name in COUNTS), "forks", "watchers", "size")
FALSE = ["fork", "has_projects", "has_wiki", "has_pages", "has_discussions", "archived", "disabled"]
ABSENT = ["description", "mirror_url", "homepage", "language", "license"]


def repository(call: Call) -> Answer:
    place = place_of(call)
    return Answer(_shape(call, place))


def permission(call: Call) -> Answer:
    """The role of somebody, told to those who may write."""
    place = place_of(call)
    place.need(call, Role.WRITE, "Must have push access to view collaborator permission.")
    user = user_named(call.sql, call.path["username"])
    if user is None:
        raise Trouble(404, f"{call.path['username']} is not a user")
    role = role_of(call.sql, place.repository, user)
    about = {**user_shape(call.urls, user), "role_name": role.word, "permissions": _permissions(role)}
    return Answer({"permission": legacy_permission(role), "role_name": role.word, "user": about})


def myself(call: Call) -> Answer:
    return Answer(profile_shape(call.urls, call.signed_in()))


def named(call: Call) -> Answer:
    user = user_named(call.sql, call.path["login"])
    if user is None:
        raise not_found()
    return Answer(profile_shape(call.urls, user))


def numbered(call: Call) -> Answer:
    user = user_with(call.sql, call.number("user_id"))
    if user is None:
        raise not_found()
    return Answer(profile_shape(call.urls, user))


def _shape(call: Call, place: Place) -> Json:
    repository, url = place.repository, place.url
    urls: Urls = call.urls
    html = urls.page(repository.owner.login, repository.name)
    count = open_issue_count(call.sql, repository)
    clone = repository.path.absolute().as_uri()
    return {
        "id": repository.id,
        "node_id": node_id("R", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": user_shape(urls, repository.owner),
        "private": repository.is_private,
        "visibility": "private" if repository.is_private else "public",
        "html_url": html,
        "url": url,
        **{name: url + end for name, _, end in (link.partition(":") for link in LINKS.split())},
        **dict.fromkeys(ABSENT),
        **dict.fromkeys(FALSE, False),
        **dict.fromkeys(ZEROS, 0),
        "has_issues": True,
        "git_url": clone,
        "ssh_url": clone,
        "clone_url": clone,
        "svn_url": html,
        "default_branch": default_branch(repository.path),
        "open_issues_count": count,
        "open_issues": count,
        "pushed_at": _pushed_at(place) or repository.created_at,
        "created_at": repository.created_at,
        "updated_at": repository.created_at,
        "permissions": _permissions(place.role),
    }


def _permissions(role: Role) -> Json:
    return {
        "admin": role >= Role.ADMIN,
        "maintain": role >= Role.MAINTAIN,
        "push": role >= Role.WRITE,
        "triage": role >= Role.TRIAGE,
        "pull": role >= Role.READ,
    }


def _pushed_at(place: Place) -> str:
    form = "--format=%(committerdate:unix)"
    try:
        newest = git(
            place.repository.path, "for-each-ref", "--count=1", "--sort=-committerdate", form, "refs/heads"
        )
    except GitError:
        return ""
    seconds = newest.strip()
    return (
        datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds.isdigit() else ""
    )


REPOSITORY_ROUTES = (
    Route("GET", "", repository),
    Route("GET", "/collaborators/{username}/permission", permission),
)
ROUTES = (
    Route("GET", "/user", myself),
    Route("GET", "/user/{user_id}", numbered),
    Route("GET", "/users/{login}", named),
)

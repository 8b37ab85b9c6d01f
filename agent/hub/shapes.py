"""People, labels, issues, comments, reactions and events as GitHub's JSON.

Every name and type follows GitHub's OpenAPI description; the tests hold every answer against it. What this
tracker does not have (milestones, assignees, apps) is there as GitHub prints its absence.
"""

from __future__ import annotations

import sqlite3

from agent.hub.call import Json
from agent.hub.comments import Comment, comment_with
from agent.hub.events import Event
from agent.hub.issues import Issue
from agent.hub.labels import Label, labels_on
from agent.hub.people import User, user_of
from agent.hub.place import Place
from agent.hub.reactions import Reaction, Subject, counts
from agent.hub.repositories import Repository, granted_role
from agent.hub.roles import Role
from agent.hub.urls import Urls, node_id

USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}


def user_shape(urls: Urls, user: User) -> Json:
    url = urls.user(user.login)
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node_id("U", user.id),
        "avatar_url": urls.page("static", "avatar.svg"),
        "gravatar_id": "",
        "url": url,
        "html_url": urls.page(user.login),
        **{name: url + end for name, end in USER_LINKS.items()},
        "type": user.kind,
        "site_admin": False,
        "user_view_type": "public",
    }


def profile_shape(urls: Urls, user: User) -> Json:
    """What `/user` and `/users/{login}` answer."""
    absent = ("company", "blog", "location", "email", "hireable", "bio", "twitter_username")
    return {
        **user_shape(urls, user),
        "name": user.name,
        **dict.fromkeys(absent),
        **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
        "created_at": user.created_at,
        "updated_at": user.created_at,
    }


def label_shape(place: Place, label: Label) -> Json:
    from urllib.parse import quote

    return {
        "id": label.id,
        "node_id": node_id("LA", label.id),
        "url": f"{place.url}/labels/{quote(label.name, safe='')}",
        "name": label.name,
        "color": label.color,
        "default": False,
        "description": label.description,
    }


def issue_shape(sql: sqlite3.Connection, urls: Urls, place: Place, issue: Issue) -> Json:
    url = f"{place.url}/issues/{issue.number}"
    author = user_of(sql, issue.author_id)
    return {
        "id": issue.id,
        "node_id": node_id("I", issue.id),
        "url": url,
        "repository_url": place.url,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "html_url": issue_page(urls, place.repository, issue),
        "number": issue.number,
        "state": issue.state,
        "state_reason": issue.state_reason,
        "title": issue.title,
        "body": issue.body,
        "user": user_shape(urls, author),
        "author_association": _association(sql, place, author),
        "labels": [label_shape(place, label) for label in labels_on(sql, issue.id)],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": bool(issue.is_locked),
        "active_lock_reason": None,
        "comments": issue.comments,
        "created_at": issue.created_at,
        "updated_at": issue.updated_at,
        "closed_at": issue.closed_at,
        "closed_by": user_shape(urls, user_of(sql, issue.closed_by)) if issue.closed_by else None,
        "performed_via_github_app": None,
        "reactions": _rollup(sql, url, Subject(issue.id)),
    }


def comment_shape(sql: sqlite3.Connection, urls: Urls, place: Place, issue: Issue, comment: Comment) -> Json:
    url = f"{place.url}/issues/comments/{comment.id}"
    author = user_of(sql, comment.author_id)
    return {
        "id": comment.id,
        "node_id": node_id("IC", comment.id),
        "url": url,
        "html_url": f"{issue_page(urls, place.repository, issue)}#issuecomment-{comment.id}",
        "issue_url": f"{place.url}/issues/{issue.number}",
        "body": comment.body,
        "user": user_shape(urls, author),
        "author_association": _association(sql, place, author),
        "created_at": comment.created_at,
        "updated_at": comment.updated_at,
        "performed_via_github_app": None,
        "reactions": _rollup(sql, url, Subject(issue.id, comment.id)),
        "minimized": {"reason": comment.minimized} if comment.minimized else None,
    }


def reaction_shape(sql: sqlite3.Connection, urls: Urls, reaction: Reaction) -> Json:
    return {
        "id": reaction.id,
        "node_id": node_id("REA", reaction.id),
        "user": user_shape(urls, user_of(sql, reaction.user_id)),
        "content": reaction.content,
        "created_at": reaction.created_at,
    }


def event_shape(sql: sqlite3.Connection, urls: Urls, place: Place, issue: Issue, event: Event) -> Json:
    """An event of the timeline; a comment is one of them, with the comment's own fields."""
    actor = user_shape(urls, user_of(sql, event.actor_id))
    comment = comment_with(sql, event.comment_id) if event.comment_id else None
    if comment is not None:
        told = comment_shape(sql, urls, place, issue, comment)
        return {**told, "event": "commented", "actor": actor}
    shape = {
        "id": event.id,
        "node_id": node_id("EV", event.id),
        "url": f"{place.url}/issues/events/{event.id}",
        "actor": actor,
        "event": event.event,
        "commit_id": None,
        "commit_url": None,
        "created_at": event.created_at,
        "performed_via_github_app": None,
    }
    match event.event:
        case "labeled" | "unlabeled":
            return {**shape, "label": {"name": event.after, "color": event.before}}
        case "renamed":
            return {**shape, "rename": {"from": event.before, "to": event.after}}
        case "closed":
            return {**shape, "state_reason": event.after}
        case _:
            return shape


def issue_page(urls: Urls, repository: Repository, issue: Issue) -> str:
    return urls.page(repository.owner.login, repository.name, "issues", str(issue.number))


def _association(sql: sqlite3.Connection, place: Place, author: User) -> str:
    if author.id == place.repository.owner.id:
        return "OWNER"
    is_collaborator = granted_role(sql, place.repository, author) > Role.NONE
    return "COLLABORATOR" if is_collaborator else "NONE"


def _rollup(sql: sqlite3.Connection, url: str, subject: Subject) -> Json:
    found = counts(sql, subject)
    return {"url": f"{url}/reactions", "total_count": sum(found.values()), **found}

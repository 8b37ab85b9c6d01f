"""Comments and reactions over REST.

Everybody signed in who may read may comment and react; a comment is edited and deleted by its author or by
somebody with write permission; a reaction is withdrawn by whoever made it.
"""

from __future__ import annotations

from agent.hub.api_issues import issue_at
from agent.hub.call import Answer, Call, Route, forbidden, invalid, not_found
from agent.hub.comments import (
    Comment,
    comment_with,
    comments_in,
    comments_of,
    create_comment,
    delete_comment,
    edit_comment,
)
from agent.hub.fields import BODY_LIMIT, chosen, required_text, since
from agent.hub.issues import Issue, issue_with
from agent.hub.paging import links, page_of
from agent.hub.place import Place, place_of
from agent.hub.reactions import CONTENTS, Subject, react, reactions_on, withdraw
from agent.hub.roles import Role
from agent.hub.shapes import comment_shape, reaction_shape


def of_issue(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place, follow=False)
    page = page_of(call.query)
    comments, total = comments_of(call.sql, issue, since(call.query), page)
    data = [comment_shape(call.sql, call.urls, place, issue, comment) for comment in comments]
    address = f"{place.url}/issues/{issue.number}/comments"
    return Answer(data, headers=links(address, call.query, page, total))


def of_repository(call: Call) -> Answer:
    place = place_of(call)
    page = page_of(call.query)
    sort = chosen(call.query, "sort", ("created", "updated"))
    direction = chosen(call.query, "direction", ("asc", "desc"))
    order = (sort, direction if "sort" in call.query else "asc")
    comments, total = comments_in(call.sql, place.repository, since(call.query), order, page)
    data = [
        comment_shape(call.sql, call.urls, place, issue_with(call.sql, comment.issue_id), comment)
        for comment in comments
    ]
    return Answer(data, headers=links(f"{place.url}/issues/comments", call.query, page, total))


def create(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place, follow=False)
    author = call.signed_in()
    _unlocked(place, issue, "create comment")
    body = required_text(call.body, "body", "IssueComment", BODY_LIMIT)
    comment = create_comment(call.sql, issue, author, body, call.now)
    told = comment_shape(call.sql, call.urls, place, issue, comment)
    return Answer(told, status=201, headers={"Location": told["url"]})


def get(call: Call) -> Answer:
    place = place_of(call)
    issue, comment = _comment_at(call, place)
    return Answer(comment_shape(call.sql, call.urls, place, issue, comment))


def edit(call: Call) -> Answer:
    place = place_of(call)
    issue, comment = _comment_at(call, place)
    _own(call, place, comment)
    edit_comment(call.sql, comment, required_text(call.body, "body", "IssueComment", BODY_LIMIT), call.now)
    edited = comment_with(call.sql, comment.id) or comment
    return Answer(comment_shape(call.sql, call.urls, place, issue, edited))


def delete(call: Call) -> Answer:
    place = place_of(call)
    _, comment = _comment_at(call, place)
    _own(call, place, comment)
    delete_comment(call.sql, comment, call.now)
    return Answer(None, status=204)


def reactions(call: Call) -> Answer:
    place = place_of(call)
    subject, address, _ = _subject(call, place)
    wanted = call.query.get("content")
    found = [one for one in reactions_on(call.sql, subject) if wanted in (None, one.content)]
    page = page_of(call.query)
    data = [reaction_shape(call.sql, call.urls, one) for one in page.of(found)]
    return Answer(data, headers=links(address, call.query, page, len(found)))


def add_reaction(call: Call) -> Answer:
    place = place_of(call)
    subject, _, issue = _subject(call, place)
    user = call.signed_in()
    _unlocked(place, issue, "create reaction")
    content = call.body.get("content")
    if content not in CONTENTS:
        raise invalid("Reaction", "content")
    reaction, is_new = react(call.sql, subject, user, content, call.now)
    return Answer(reaction_shape(call.sql, call.urls, reaction), status=201 if is_new else 200)


def remove_reaction(call: Call) -> Answer:
    place = place_of(call)
    subject, _, _ = _subject(call, place)
    user = call.signed_in()
    wanted = call.number("reaction_id")
    for reaction in reactions_on(call.sql, subject):
        if reaction.id == wanted and reaction.user_id == user.id:
            withdraw(call.sql, reaction)
            return Answer(None, status=204)
    raise not_found()


def _comment_at(call: Call, place: Place) -> tuple[Issue, Comment]:
    comment = comment_with(call.sql, call.number("comment_id"))
    issue = issue_with(call.sql, comment.issue_id) if comment else None
    if comment is None or issue is None or issue.repository_id != place.repository.id:
        raise not_found()
    return issue, comment


def _own(call: Call, place: Place, comment: Comment) -> None:
    user = call.signed_in()
    if user.id != comment.author_id and place.role < Role.WRITE:
        raise forbidden()


def _unlocked(place: Place, issue: Issue, what: str) -> None:
    if issue.is_locked and place.role < Role.WRITE:
        raise forbidden(f"Unable to {what} because issue is locked.")


def _subject(call: Call, place: Place) -> tuple[Subject, str, Issue]:
    if "comment_id" in call.path:
        issue, comment = _comment_at(call, place)
        address = f"{place.url}/issues/comments/{comment.id}/reactions"
        return Subject(issue.id, comment.id), address, issue
    issue = issue_at(call, place, follow=False)
    return Subject(issue.id), f"{place.url}/issues/{issue.number}/reactions", issue


COMMENTS = "/issues/comments"
COMMENT = "/issues/comments/{comment_id}"
ISSUE = "/issues/{number:int}"
ROUTES = (
    Route("GET", COMMENTS, of_repository),
    Route("GET", COMMENT, get),
    Route("PATCH", COMMENT, edit, writes=True),
    Route("DELETE", COMMENT, delete, writes=True),
    Route("GET", f"{COMMENT}/reactions", reactions),
    Route("POST", f"{COMMENT}/reactions", add_reaction, writes=True),
    Route("DELETE", f"{COMMENT}/reactions/{{reaction_id}}", remove_reaction, writes=True),
    Route("GET", f"{ISSUE}/comments", of_issue),
    Route("POST", f"{ISSUE}/comments", create, writes=True),
    Route("GET", f"{ISSUE}/reactions", reactions),
    Route("POST", f"{ISSUE}/reactions", add_reaction, writes=True),
    Route("DELETE", f"{ISSUE}/reactions/{{reaction_id}}", remove_reaction, writes=True),
)

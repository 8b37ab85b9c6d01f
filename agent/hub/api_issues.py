"""Issues over REST: list, create, get, edit.

Authors may edit and close what they wrote, triage may close and label, write may edit everything. Labels of
somebody who may not label are dropped in silence when an issue is made, as on GitHub.
"""

from __future__ import annotations

from agent.hub.call import Answer, Call, Route, Trouble, forbidden, invalid, not_found
from agent.hub.fields import BODY_LIMIT, TITLE_LIMIT, chosen, optional_names, optional_text, refused, since
from agent.hub.fields import required_text as required
from agent.hub.issues import (
    Filter,
    Gone,
    Issue,
    add_labels,
    close,
    create_issue,
    issue_numbered,
    issue_with,
    list_issues,
    remove_labels,
    rename,
    reopen,
    rewrite,
)
from agent.hub.labels import NAME_LIMIT, labels_on
from agent.hub.paging import links, page_of
from agent.hub.people import User
from agent.hub.place import Place, place_of
from agent.hub.roles import Role
from agent.hub.shapes import issue_shape

REASONS = ("completed", "not_planned", "duplicate")


def issue_at(call: Call, place: Place, *, follow: bool = True) -> Issue:
    """The issue of the address. Raises Trouble 404; 410 where it was deleted; 301 where it moved to a
    repository that the caller may read, and 404 where they may not, or where GitHub documents no redirect."""
    match issue_numbered(call.sql, place.repository, call.number("number")):
        case Issue() as issue:
            return issue
        case Gone(moved_to=None):
            raise Trouble(410, "This issue was deleted")
        case Gone(moved_to=Issue() as issue) if follow:
            raise _moved(call, issue)
        case _:
            raise not_found()


def _moved(call: Call, issue: Issue) -> Trouble:
    from agent.hub.place import place_in
    from agent.hub.repositories import repository_with

    repository = repository_with(call.sql, issue.repository_id)
    if repository is None:
        return not_found()
    place_in(call, repository)
    url = f"{call.urls.rest}/repositories/{repository.id}/issues/{issue.number}"
    return Trouble(301, "Moved Permanently", headers={"Location": url}, extra={"url": url})


def list_(call: Call) -> Answer:
    place = place_of(call)
    query = call.query
    refused(query, "Issue", "assignee", "milestone", "mentioned", "type")
    wanted = Filter(
        state=chosen(query, "state", ("open", "closed", "all")),
        labels=[name.strip() for name in query.get("labels", "").split(",") if name.strip()],
        since=since(query),
        creator=query.get("creator"),
        sort=chosen(query, "sort", ("created", "updated", "comments")),
        direction=chosen(query, "direction", ("desc", "asc")),
    )
    page = page_of(query)
    issues, total = list_issues(call.sql, place.repository, wanted, page)
    data = [issue_shape(call.sql, call.urls, place, issue) for issue in issues]
    return Answer(data, headers=links(f"{place.url}/issues", query, page, total))


def get(call: Call) -> Answer:
    place = place_of(call)
    return Answer(issue_shape(call.sql, call.urls, place, issue_at(call, place)))


def create(call: Call) -> Answer:
    place = place_of(call)
    author = call.signed_in()
    title = required(call.body, "title", "Issue", TITLE_LIMIT)
    body = optional_text(call.body, "body", "Issue", BODY_LIMIT)
    names = _label_names(call)
    issue = create_issue(call.sql, place.repository, author, title, body, call.now)
    if names and place.role >= Role.TRIAGE:
        add_labels(call.sql, place.repository, issue.id, author, names, call.now)
    told = issue_shape(call.sql, call.urls, place, issue_with(call.sql, issue.id))
    return Answer(told, status=201, headers={"Location": told["url"]})


def edit(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place)
    editor = call.signed_in()
    if place.role < Role.TRIAGE and editor.id != issue.author_id:
        raise forbidden()
    _edit_text(call, place, issue, editor)
    _edit_state(call, issue, editor)
    names = _label_names(call)
    if names is not None and place.role >= Role.TRIAGE:
        replace_labels(call, place, issue, editor, names)
    return Answer(issue_shape(call.sql, call.urls, place, issue_with(call.sql, issue.id)))


def replace_labels(call: Call, place: Place, issue: Issue, editor: User, names: list[str]) -> None:
    wanted = {name.lower() for name in names}
    left = [label.name for label in labels_on(call.sql, issue.id) if label.name.lower() not in wanted]
    remove_labels(call.sql, issue.id, editor, left, call.now)
    add_labels(call.sql, place.repository, issue.id, editor, names, call.now)


def _edit_text(call: Call, place: Place, issue: Issue, editor: User) -> None:
    is_allowed = place.role >= Role.WRITE or editor.id == issue.author_id
    if not is_allowed and {"title", "body"} & call.body.keys():
        raise forbidden()
    if call.body.get("title") is not None:
        title = required(call.body, "title", "Issue", TITLE_LIMIT)
        rename(call.sql, issue, editor, title, call.now)
    if "body" in call.body:
        rewrite(call.sql, issue, optional_text(call.body, "body", "Issue", BODY_LIMIT), call.now)


def _edit_state(call: Call, issue: Issue, editor: User) -> None:
    state = call.body.get("state")
    reason = call.body.get("state_reason")
    if state not in (None, "open", "closed"):
        raise invalid("Issue", "state")
    if reason not in (None, "reopened", *REASONS):
        raise invalid("Issue", "state_reason")
    if state == "closed":
        close(call.sql, issue, editor, reason if reason in REASONS else "completed", call.now)
    if state == "open":
        reopen(call.sql, issue, editor, call.now)


def _label_names(call: Call) -> list[str] | None:
    return checked_names(optional_names(call.body, "labels"))


def checked_names(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        optional_text({"name": name}, "name", "Label", NAME_LIMIT)
        if not name.strip() or "," in name:
            raise invalid("Label", "name")
    return names


ISSUES = "/issues"
ISSUE = "/issues/{number:int}"
ROUTES = (
    Route("GET", ISSUES, list_),
    Route("POST", ISSUES, create, writes=True),
    Route("GET", ISSUE, get),
    Route("PATCH", ISSUE, edit, writes=True),
)

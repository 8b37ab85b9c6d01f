"""Labels over REST, of a repository and on an issue, and the events that tell who put them there."""

from __future__ import annotations

import re
from dataclasses import replace

from agent.hub.api_issues import checked_names, issue_at, replace_labels
from agent.hub.call import Answer, Call, Route, Trouble, invalid, not_found
from agent.hub.events import event_with, events_of
from agent.hub.fields import optional_names, optional_text, required_text
from agent.hub.issues import Issue, add_labels, issue_with, remove_labels
from agent.hub.labels import (
    DEFAULT_COLOR,
    NAME_LIMIT,
    Label,
    create_label,
    delete_label,
    edit_label,
    label_named,
    labels_of,
    labels_on,
)
from agent.hub.paging import links, page_of
from agent.hub.place import Place, place_of
from agent.hub.roles import Role
from agent.hub.shapes import event_shape, issue_shape, label_shape

COLOR = re.compile(r"[0-9A-Fa-f]{6}")
DESCRIPTION_LIMIT = 100


def of_repository(call: Call) -> Answer:
    place = place_of(call)
    return _listed(call, place, labels_of(call.sql, place.repository), f"{place.url}/labels")


def create(call: Call) -> Answer:
    place = place_of(call)
    place.need(call, Role.WRITE)
    name = required_text(call.body, "name", "Label", NAME_LIMIT)
    checked_names([name])
    if label_named(call.sql, place.repository, name):
        raise invalid("Label", "name", "already_exists")
    color = _color(call) or DEFAULT_COLOR
    description = optional_text(call.body, "description", "Label", DESCRIPTION_LIMIT)
    told = label_shape(place, create_label(call.sql, place.repository, name, color, description))
    return Answer(told, status=201, headers={"Location": told["url"]})


def get(call: Call) -> Answer:
    place = place_of(call)
    return Answer(label_shape(place, _label_at(call, place)))


def edit(call: Call) -> Answer:
    place = place_of(call)
    label = _label_at(call, place)
    place.need(call, Role.WRITE)
    name = optional_text(call.body, "new_name", "Label", NAME_LIMIT) or label.name
    checked_names([name])
    other = label_named(call.sql, place.repository, name)
    if other and other.id != label.id:
        raise invalid("Label", "name", "already_exists")
    edited = replace(label, name=name, color=_color(call) or label.color)
    if "description" in call.body:
        text = optional_text(call.body, "description", "Label", DESCRIPTION_LIMIT)
        edited = replace(edited, description=text)
    edit_label(call.sql, edited)
    return Answer(label_shape(place, edited))


def delete(call: Call) -> Answer:
    place = place_of(call)
    label = _label_at(call, place)
    place.need(call, Role.WRITE)
    delete_label(call.sql, label)
    return Answer(None, status=204)


def of_issue(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place)
    return _listed(call, place, labels_on(call.sql, issue.id), f"{place.url}/issues/{issue.number}/labels")


def add(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place)
    user = place.need(call, Role.TRIAGE)
    add_labels(call.sql, place.repository, issue.id, user, _wanted(call), call.now)
    return _all_on(call, place, issue)


def replace_all(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place)
    user = place.need(call, Role.TRIAGE)
    replace_labels(call, place, issue, user, _wanted(call))
    return _all_on(call, place, issue)


def remove(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place)
    user = place.need(call, Role.TRIAGE)
    name = call.path["name"]
    if name.lower() not in {label.name.lower() for label in labels_on(call.sql, issue.id)}:
        raise Trouble(404, "Label does not exist")
    remove_labels(call.sql, issue.id, user, [name], call.now)
    return _all_on(call, place, issue)


def remove_all(call: Call) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place)
    user = place.need(call, Role.TRIAGE)
    names = [label.name for label in labels_on(call.sql, issue.id)]
    remove_labels(call.sql, issue.id, user, names, call.now)
    return Answer(None, status=204)


def events(call: Call) -> Answer:
    return _events(call, "events", with_comments=False)


def timeline(call: Call) -> Answer:
    return _events(call, "timeline", with_comments=True)


def event(call: Call) -> Answer:
    """One event. PyGithub asks for it when a field is read that this kind of event does not have."""
    place = place_of(call)
    found = event_with(call.sql, call.number("event_id"))
    issue = issue_with(call.sql, found.issue_id) if found else None
    if found is None or issue is None or found.comment_id or issue.repository_id != place.repository.id:
        raise not_found()
    told = event_shape(call.sql, call.urls, place, issue, found)
    told.pop("state_reason", None)
    return Answer({**told, "issue": issue_shape(call.sql, call.urls, place, issue)})


def _events(call: Call, name: str, *, with_comments: bool) -> Answer:
    place = place_of(call)
    issue = issue_at(call, place, follow=False)
    found = [one for one in events_of(call.sql, issue.id) if with_comments or one.event != "commented"]
    page = page_of(call.query)
    data = [event_shape(call.sql, call.urls, place, issue, event) for event in page.of(found)]
    address = f"{place.url}/issues/{issue.number}/{name}"
    return Answer(data, headers=links(address, call.query, page, len(found)))


def _listed(call: Call, place: Place, labels: list[Label], address: str) -> Answer:
    page = page_of(call.query)
    data = [label_shape(place, label) for label in page.of(labels)]
    return Answer(data, headers=links(address, call.query, page, len(labels)))


def _all_on(call: Call, place: Place, issue: Issue) -> Answer:
    return Answer([label_shape(place, label) for label in labels_on(call.sql, issue.id)])


def _wanted(call: Call) -> list[str]:
    return checked_names(optional_names(call.body, "labels")) or []


def _label_at(call: Call, place: Place) -> Label:
    label = label_named(call.sql, place.repository, call.path["name"])
    if label is None:
        raise not_found()
    return label


def _color(call: Call) -> str | None:
    color = optional_text(call.body, "color", "Label", 7)
    if color is not None and not COLOR.fullmatch(color):
        raise invalid("Label", "color")
    return color.lower() if color else None


ISSUE = "/issues/{number:int}"
ROUTES = (
    Route("GET", "/labels", of_repository),
    Route("POST", "/labels", create, writes=True),
    Route("GET", "/labels/{name:path}", get),
    Route("PATCH", "/labels/{name:path}", edit, writes=True),
    Route("DELETE", "/labels/{name:path}", delete, writes=True),
    Route("GET", f"{ISSUE}/labels", of_issue),
    Route("POST", f"{ISSUE}/labels", add, writes=True),
    Route("PUT", f"{ISSUE}/labels", replace_all, writes=True),
    Route("DELETE", f"{ISSUE}/labels", remove_all, writes=True),
    Route("DELETE", f"{ISSUE}/labels/{{name:path}}", remove, writes=True),
    Route("GET", "/issues/events/{event_id}", event),
    Route("GET", f"{ISSUE}/events", events),
    Route("GET", f"{ISSUE}/timeline", timeline),
)

"""GraphQL, as much as it takes to minimise a comment and to ask who one is, and not one query more.

GitHub's REST API cannot minimise, and tells no app who it is. What clients send is one fixed text each;
anything else is answered with an error of GraphQL's own form, status 200 as it does.
"""

from __future__ import annotations

import re

from agent.hub.call import Answer, Call, Json, Trouble
from agent.hub.comments import comment_with, minimize_comment
from agent.hub.issues import issue_with
from agent.hub.place import place_in
from agent.hub.repositories import repository_with
from agent.hub.roles import Role
from agent.hub.urls import node_number

MINIMIZE = re.compile(
    r"\s*mutation\s+\w+\(\$input:\s*MinimizeCommentInput!\)\s*\{\s*minimizeComment\(input:\s*\$input\)\s*"
    r"\{\s*minimizedComment\s*\{\s*isMinimized\s*\}\s*\}\s*\}\s*"
)
VIEWER = re.compile(r"\s*query\s*\{\s*viewer\s*\{\s*login\s+databaseId\s*\}\s*\}\s*")
REASONS = ("SPAM", "ABUSE", "OFF_TOPIC", "OUTDATED", "DUPLICATE", "RESOLVED", "LOW_QUALITY")


def answer(call: Call) -> Answer:
    user = call.signed_in()
    query = call.body.get("query")
    if isinstance(query, str) and VIEWER.fullmatch(query):
        return Answer({"data": {"viewer": {"login": user.login, "databaseId": user.id}}})
    if not isinstance(query, str) or not MINIMIZE.fullmatch(query):
        return _refused("undefinedField", "this tracker knows no GraphQL but minimizeComment and viewer")
    variables = call.body.get("variables")
    given = variables.get("input") if isinstance(variables, dict) else None
    if not isinstance(given, dict):
        return _refused("INVALID_VARIABLE", "Variable $input of type MinimizeCommentInput! was not given")
    return _minimize(call, str(given.get("subjectId", "")), given.get("classifier"))


def _minimize(call: Call, node: str, reason: object) -> Answer:
    if reason not in REASONS:
        return _refused("INVALID_VARIABLE", f"classifier is one of {', '.join(REASONS)}")
    missing = _refused("NOT_FOUND", f"Could not resolve to a node with the global id of '{node:.100}'")
    number = node_number("IC", node)
    comment = comment_with(call.sql, number) if number is not None else None
    if comment is None:
        return missing
    repository = repository_with(call.sql, issue_with(call.sql, comment.issue_id).repository_id)
    if repository is None:
        return missing
    try:
        place = place_in(call, repository)
    except Trouble:
        return missing
    if place.role < Role.WRITE and call.signed_in().id != comment.author_id:
        login = call.signed_in().login
        return _refused(
            "FORBIDDEN", f"{login} does not have the correct permissions to execute `MinimizeComment`"
        )
    minimize_comment(call.sql, comment, str(reason).lower())
    return Answer({"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}})


def _refused(kind: str, message: str) -> Answer:
    error: Json = {
        "type": kind,
        "path": ["minimizeComment"],
        "locations": [{"line": 1, "column": 1}],
        "message": message,
    }
    return Answer({"data": {"minimizeComment": None}, "errors": [error]})

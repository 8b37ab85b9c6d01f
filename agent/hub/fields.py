"""Reads fields of a request's JSON body and query: the right type and length, or GitHub's 422."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.hub.call import Json, Trouble, invalid, too_long

BODY_LIMIT = 65_536  # characters of an issue's body or a comment
TITLE_LIMIT = 256
STAMP = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?)?")


def required_text(body: Json, name: str, resource: str, limit: int) -> str:
    """A text that is there and is not blank."""
    text = optional_text(body, name, resource, limit)
    if text is None or not text.strip():
        raise invalid(resource, name, "missing_field")
    return text


def optional_text(body: Json, name: str, resource: str, limit: int) -> str | None:
    text = body.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise wrong_type(name, "string", text)
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise invalid(resource, name, "invalid", f"{name} holds characters that no text has")
    if len(text) > limit:
        raise too_long(resource, name, limit)
    return text


def optional_names(body: Json, name: str) -> list[str] | None:
    """A list of names, each as text or as {"name": text}."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise wrong_type(name, "array", value)
    names = [one.get("name") if isinstance(one, dict) else one for one in value]
    if not all(isinstance(one, str) for one in names):
        raise wrong_type(name, "array of strings", value)
    return [str(one) for one in names]


def wrong_type(name: str, wanted: str, value: object) -> Trouble:
    return Trouble(422, f"Invalid request.\n\nFor '{name}', {value!r:.80} is not a {wanted}.")


def chosen(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """A word of the query; the first choice where there is none."""
    word = query.get(name, choices[0])
    if word not in choices:
        raise invalid("Query", name)
    return word


def since(query: Mapping[str, str]) -> str | None:
    """The `since` of a query as our stamps are written; None without one."""
    from datetime import UTC, datetime

    text = query.get("since")
    if text is None:
        return None
    if not STAMP.fullmatch(text := text.replace(" ", "+")):
        raise invalid("Query", "since")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("Query", "since") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        raise invalid("Query", "since") from None


def refused(query: Mapping[str, str], resource: str, *names: str) -> None:
    """A filter that this server does not have must not be passed over in silence."""
    for name in names:
        if name in query:
            raise invalid(resource, name, "custom", f"{name} is not supported by this tracker")

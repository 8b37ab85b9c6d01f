"""Commands in comments: whole lines that begin with a slash, outside quotations, lists, code and HTML.

Pure. A line that is meant for somebody else (`/usr/bin/env`, another bot's command) is nothing; one that is
nearly a command of ours is Misread, with what was probably meant. Who may command is `spoken.py`'s matter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from markdown_it import MarkdownIt

Name = Literal["approve", "set", "cancel", "retry", "status", "queue", "attribute", "help"]
NAMES: tuple[Name, ...] = get_args(Name)
BODY_LIMIT = 65_536
MOST_COMMANDS = 10
SHORTEST_HASH = 12
_LINE = re.compile(r" {0,3}/([A-Za-z][A-Za-z-]{1,19})(?:[ \t]+(\S.*?))?[ \t]*")
_HASH = re.compile(rf"`?([0-9a-fA-F]{{{SHORTEST_HASH},64}})`?")
_PAIR = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,39})=(\S{0,200})")


@dataclass(frozen=True, slots=True)
class Command:
    """`plan` begins the hash that is approved; `values` are what `/set` gives, an empty one takes it back."""

    name: Name
    plan: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Misread:
    """Nearly a command: the line as it was written, shortened, and how it would be right."""

    line: str
    hint: str


def commands_in(body: str) -> tuple[Command | Misread, ...]:
    """In the order of the comment, the first `MOST_COMMANDS`. Never raises."""
    found = (_read(line) for line in _lines(body))
    return tuple(one for one in found if one is not None)[:MOST_COMMANDS]


def _lines(body: str) -> Iterator[str]:
    """The lines of the comment's own paragraphs that begin with a slash."""
    text = body[:BODY_LIMIT].replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if not any(map(_is_slashed, lines)):  # most comments, at every look
        return
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "paragraph_open" and token.level == 0 and token.map:
            yield from filter(_is_slashed, lines[token.map[0] : token.map[1]])


def _is_slashed(line: str) -> bool:
    return line.lstrip(" ").startswith("/")


def _read(line: str) -> Command | Misread | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    word, rest = match[1].casefold(), match[2] or ""
    name = next((one for one in NAMES if one == word), None)
    if name is None:
        near = difflib.get_close_matches(word, NAMES, n=1, cutoff=0.75)
        return Misread(_short(line), f"did you mean /{near[0]}?") if near else None
    if name == "approve":
        approved = _HASH.fullmatch(rest)
        hint = f"write /approve and the hash of the plan, at least its first {SHORTEST_HASH} digits"
        return Command(name, plan=approved[1].lower()) if approved else Misread(_short(line), hint)
    if name == "set":
        return _set(line, rest)
    return Misread(_short(line), f"write /{name} alone in its line") if rest else Command(name)


def _set(line: str, rest: str) -> Command | Misread:
    pairs = [_PAIR.fullmatch(word) for word in rest.split()]
    values = {pair[1].casefold().replace("-", "_"): pair[2].strip("`") for pair in pairs if pair}
    if not pairs or None in pairs or len(values) < len(pairs):
        return Misread(_short(line), "write /set KEY=VALUE, several with spaces between, each key once")
    return Command("set", values=values)


def _short(line: str) -> str:
    text = line.strip()
    return text if len(text) <= 80 else f"{text[:79]}…"

"""Protected values, `path:key`, read from the bytes of a file at both ends of a range.

Pure: nothing of the subject is executed or imported. YAML, TOML, JSON and INI are parsed by safe parsers;
whatever is no such file, or cannot be parsed, is read by line, and the reading says so. A value is compared
as the text it is shown as; of several places that fit a key all are held.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

LARGEST_B = 128 << 10
MOST_NODES = 20_000
MOST_SHOWN = 200
"""Nodes of a value that is compared as a whole."""
NO_FILE = "no such file"

State = Literal["untouched", "touched", "gone", "new", "not found", "not read"]

_UNPARSED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_INDEX = re.compile(r"\[(\w+)\]")


@dataclass(frozen=True, slots=True)
class Value:
    """What a key holds at one end: (full key, text) of each place that fits. `why`: nothing could be read."""

    found: tuple[tuple[str, str], ...] = ()
    how: str = ""
    why: str = ""

    @property
    def text(self) -> str:
        if self.why:
            return self.why
        if len(self.found) == 1:
            return self.found[0][1]
        return ", ".join(f"{key} = {text}" for key, text in self.found) or "no such key"


@dataclass(frozen=True, slots=True)
class Held:
    """A protected value at both ends."""

    name: str
    before: Value
    after: Value

    @property
    def state(self) -> State:
        before, after = self.before, self.after
        if before.found and after.found:
            return "untouched" if before.found == after.found else "touched"
        if any(value.why not in ("", NO_FILE) for value in (before, after)):
            return "not read"
        if before.found:
            return "gone"
        return "new" if after.found else "not found"


def value_of(path: str, key: str, data: bytes | None) -> Value:
    """`data` is None where there is no such file."""
    if data is None:
        return Value(why=NO_FILE)
    if len(data) > LARGEST_B:
        return Value(why=f"longer than {LARGEST_B >> 10} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Value(why="not UTF-8")
    kind = _KINDS.get(PurePosixPath(path).suffix.lower())
    if kind is not None:
        name, parse = kind
        try:
            return Value(_fitting(parse(text), key), name)
        except _UNPARSED:
            return _by_line(text, key, f"by line, since it is no {name} that can be parsed")
    return _by_line(text, key, "by line")


def _yaml(text: str) -> Any:
    import yaml

    # The loader in Python, not the one in C: deep nesting has to end in an error, not in the process.
    try:
        documents = list(yaml.load_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    return documents[0] if len(documents) == 1 else documents


def _ini(text: str) -> Any:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys as they are written
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error)) from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


_KINDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    ".yaml": ("YAML", _yaml),
    ".yml": ("YAML", _yaml),
    ".toml": ("TOML", tomllib.loads),
    ".json": ("JSON", json.loads),
    ".ini": ("INI", _ini),
    ".cfg": ("INI", _ini),
}


def _fitting(data: Any, key: str) -> tuple[tuple[str, str], ...]:
    """The places whose full key is the key; where there is none, those whose full key ends with it."""
    wanted = tuple(_INDEX.sub(r".\1", key).split("."))
    ending = [(names, value) for names, value in _places(data) if names[-len(wanted) :] == wanted]
    exact = [(names, value) for names, value in ending if names == wanted]
    return tuple((".".join(names), _shown(value)) for names, value in exact or ending)


def _places(data: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every place of a document by its full key.

    Raises ValueError where it has too many: aliases of YAML make a small file endless.
    """
    stack: list[tuple[tuple[str, ...], Any]] = [((), data)]
    count = 0
    while stack:
        names, one = stack.pop()
        count += 1
        if count > MOST_NODES or len(names) > 50:
            raise ValueError("too large")
        if names:
            yield names, one
        if isinstance(one, Mapping):
            stack += [((*names, str(name)), inner) for name, inner in one.items()]
        elif isinstance(one, list):
            stack += [((*names, str(at)), inner) for at, inner in enumerate(one)]


def _shown(value: Any) -> str:
    """A value as text, the same for the same value. Raises ValueError where it is too large."""
    if sum(1 for _ in _places({"": value})) > MOST_SHOWN:
        raise ValueError("too large")
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _by_line(text: str, key: str, how: str) -> Value:
    """`key = value`, `key: value`, `"key": value` or an argument `key=value`, by the last part of the key."""
    name = re.escape(_INDEX.sub(r".\1", key).rpartition(".")[2])
    pattern = re.compile(
        rf"""(?:^|[(,{{])[ \t]*["']?{name}["']?[ \t]*(?::[^=\n,]*=(?!=)|[:=](?!=))[ \t]*([^\n]*)""",
        re.MULTILINE,
    )
    found = []
    for match in pattern.finditer(text):
        told = _one_value(match[1])
        if told is None:
            return Value(how=how, why="read by line, and its value goes over several lines")
        found.append((key, told))
    return Value(tuple(found), how)


def _one_value(rest: str) -> str | None:
    """The value up to the comma, bracket or comment that ends it; None where it does not end on the line."""
    depth, quote, end = 0, "", len(rest)
    for at, character in enumerate(rest):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                end = at
                break
        elif (character == "," and not depth) or character == "#":
            end = at
            break
    told = rest[:end].strip()
    if depth > 0 or quote or told.endswith("\\") or told in ("", "|", ">"):
        return None
    return told

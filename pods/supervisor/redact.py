"""Takes secrets out of what is printed: the values that are known, and all that looks like a token.

A filter over a stream of bytes: what it gives back is the same however the stream was cut. It holds back only
what may be the beginning of a secret, some kilobytes at most, and looks at each byte a bounded number of
times. Known values are also found as base64, in each alignment, and as a part of an address; what they leave
is searched for the shapes of `shapes.py`. Standard library only: it travels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from urllib.parse import quote, quote_plus

from . import shapes
from .shapes import SHAPES, Shape

MARK = b"[redacted]"
SHORTEST_B = 8
"""A shorter value is a word or a number that logs are full of."""
LONGEST_B = 512
"""Of a known value; a longer one is looked for in pieces."""
PEM_LIMIT_B = 16 << 10
"""So far at most a key block without its end takes text with it."""
_PEM_END_B = 64
_BASE64_TAIL = re.compile(rb"[\w+/=-]*")
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|APIKEY|(?:^|_)(?:KEYS?|PAT|PASS|AUTH)(?:_|$)|KEY$",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"://[^\s/@:]*:([^\s/]+)@")


class Redactor:
    """`feed` gives what is sure to be no secret, `end` the rest."""

    def __init__(self, secrets: Iterable[str] = (), kinds: tuple[Shape, ...] = SHAPES) -> None:
        self._values = _Values(secrets)
        self._shapes = _Shapes(kinds)

    def feed(self, data: bytes) -> bytes:
        return self._shapes.feed(self._values.feed(data))

    def end(self) -> bytes:
        return self._shapes.feed(self._values.end()) + self._shapes.end()

    @property
    def held_b(self) -> int:
        return len(self._values.rest) + len(self._shapes.rest)


def redacted(text: str, secrets: Iterable[str] = (), kinds: tuple[Shape, ...] = SHAPES) -> str:
    """The same of a whole text; the text itself where there is nothing to hide."""
    data = text.encode("utf-8", "surrogatepass")
    redactor = Redactor(secrets, kinds)
    clean = redactor.feed(data) + redactor.end()
    return text if clean == data else clean.decode("utf-8", "replace")


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose names sound secret, and the passwords in all addresses."""
    named = [value for name, value in environment.items() if _SECRET_NAME.search(name)]
    in_addresses = [found for value in environment.values() for found in _IN_ADDRESS.findall(value)]
    return tuple(dict.fromkeys(value for value in (*named, *in_addresses) if _is_telling(value)))


def _is_telling(value: str) -> bool:
    """Not a count of tokens, nor a word for yes."""
    return len(value.strip()) >= SHORTEST_B and not (value.isdigit() and len(value) < 2 * SHORTEST_B)


class _Values:
    """The known values, longest first."""

    def __init__(self, secrets: Iterable[str]) -> None:
        plain, encoded = set[bytes](), set[bytes]()
        for piece in _pieces(secrets):
            plain |= {one.encode("utf-8", "surrogateescape") for one in _written(piece)}
            raw = piece.encode("utf-8", "surrogateescape")
            for offset in range(3):
                core = shapes.base64_of(raw, offset)
                encoded |= {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
        self._encoded = frozenset(encoded - plain)
        ordered = sorted(plain | encoded, key=lambda one: (-len(one), one))
        self._pattern = re.compile(b"|".join(map(re.escape, ordered)) or rb"(?!)")
        self._longest_b = max(map(len, ordered), default=1)
        self._by_first = dict[int, list[bytes]]()
        for one in ordered:
            self._by_first.setdefault(one[0], []).append(one)
        self.rest = b""
        self._in_tail = False

    def feed(self, data: bytes) -> bytes:
        return self._filtered(self.rest + data, is_end=False)

    def end(self) -> bytes:
        return self._filtered(self.rest, is_end=True)

    def _filtered(self, data: bytes, *, is_end: bool) -> bytes:
        out, at = [], self._behind_tail(data, 0)
        held = len(data) if is_end else self._held_from(data, at)
        while (found := self._pattern.search(data, at)) and found.start() < held:
            out += [data[at : found.start()], MARK]
            self._in_tail = found[0] in self._encoded
            at = self._behind_tail(data, found.end())
            held = self._held_from(data, at) if held < at else held
        out.append(data[at:held])
        self.rest = data[max(at, held) :]
        return b"".join(out)

    def _behind_tail(self, data: bytes, at: int) -> int:
        """Behind an encoded value its run of base64 goes on with bits of it, and of what stood behind it."""
        if not self._in_tail:
            return at
        found = _BASE64_TAIL.match(data, at)
        assert found is not None, "it matches nothing too"
        self._in_tail = found.end() == len(data)
        return found.end()

    def _held_from(self, data: bytes, at: int) -> int:
        for begin in range(max(at, len(data) - self._longest_b + 1), len(data)):
            end = data[begin:]
            if any(one.startswith(end) and one != end for one in self._by_first.get(data[begin], ())):
                return begin
        return len(data)


def _pieces(secrets: Iterable[str]) -> Iterator[str]:
    """A value of many lines is printed line by line, with something in front of each."""
    for secret in secrets:
        for line in (secret, *secret.splitlines()):
            for at in range(0, len(line), LONGEST_B):
                piece = line[at : at + LONGEST_B].strip()
                if len(piece) >= SHORTEST_B:
                    yield piece


def _written(value: str) -> Iterator[str]:
    """As it is, and as addresses and JSON have it."""
    yield value
    value_b = value.encode("utf-8", "surrogateescape")
    for known in (quote(value_b, safe=""), quote(value_b), quote_plus(value_b)):
        yield known
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), known)
    yield value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@cache
def _patterns(kinds: tuple[Shape, ...]) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    return shapes.whole_pattern(kinds), shapes.begun_pattern(kinds)


@cache
def _tail(chars: bytes) -> re.Pattern[bytes]:
    return re.compile(chars + b"*")


_BEFORE_B = 3
"""What a shape that stands apart looks back at."""


class _Shapes:
    """All that looks like a token."""

    def __init__(self, kinds: tuple[Shape, ...]) -> None:
        self._kinds = kinds
        self._whole, self._begun = _patterns(kinds)
        self.rest = b""
        self._before = b""
        self._tail = b""
        self._pem_left_b = 0

    def feed(self, data: bytes) -> bytes:
        return self._filtered(data, is_end=False) if data else b""

    def end(self) -> bytes:
        return self._filtered(b"", is_end=True)

    def _filtered(self, data: bytes, *, is_end: bool) -> bytes:
        at = len(self._before)
        data = self._before + self.rest + data
        out = list[bytes]()
        at = self._behind(data, at, is_end=is_end)
        held = len(data) if is_end else self._held_from(data, at)
        while not self._pem_left_b and (found := self._whole.search(data, at)) and found.start() < held:
            assert found.lastindex is not None, "every shape has a group"
            shape = self._kinds[found.lastindex - 1]
            kept_end = found.end(found.lastindex) if shape.kept else found.start()
            out += [data[at:kept_end], MARK]
            if shape.is_pem:
                self._pem_left_b = PEM_LIMIT_B
            self._tail = shape.tail
            at = self._behind(data, found.end() - shape.left, is_end=is_end)
            held = self._held_from(data, at) if held < at else held
        if not self._pem_left_b:
            out.append(data[at:held])
            at = max(at, held)
        self.rest = data[at:]
        self._before = data[max(at - _BEFORE_B, 0) : at]
        return b"".join(out)

    def _behind(self, data: bytes, at: int, *, is_end: bool) -> int:
        """Where what belongs to the last secret has ended, as far as it has come."""
        if self._pem_left_b:
            window = data[at : at + self._pem_left_b]
            if found := shapes.PEM_END.search(window):
                self._pem_left_b = 0
                return at + found.end()
            is_all = is_end or len(window) == self._pem_left_b
            gone_b = len(window) if is_all else max(len(window) - _PEM_END_B, 0)
            self._pem_left_b = 0 if is_all else self._pem_left_b - gone_b
            return at + gone_b
        if not self._tail:
            return at
        found = _tail(self._tail).match(data, at)
        assert found is not None, "it matches nothing too"
        if found.end() < len(data):
            self._tail = b""
        return found.end()

    def _held_from(self, data: bytes, at: int) -> int:
        found = self._begun.search(data, max(at, len(data) - shapes.LONGEST_B))
        return found.start() if found else len(data)

"""What tokens look like, as data: a fixed beginning, so many characters of one kind, then all that follow.

A shape is a sequence of runs, compiled twice: to find it, and to find what may be its beginning at the end of
what has come so far. Every run is bounded and no run can end where the next may begin, so that nothing is
looked at more than a fixed number of times. Where a beginning is long enough its base64 is a shape as well,
in each of the three alignments. Standard library only: it travels.
"""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

WORD = rb"[0-9A-Za-z]"
URL_WORD = rb"[\w-]"
BASE64 = rb"[\w+/-]"
"""Of both alphabets; `\\w` of bytes is ASCII."""


@dataclass(frozen=True, eq=False)
class Run:
    """`least` to `most` characters of one class; `chars` is a class or one character, as a pattern."""

    chars: bytes
    least: int = 1
    most: int = 1


@dataclass(frozen=True, eq=False)  # by identity: to hash all of them costs more than to look for them
class Shape:
    """`kept` stays readable, `head` is what gives the secret away, and of `tail` (a class) all that follow go
    too. `is_apart`: not in the middle of a word, as in "task-...", but behind an escaped line break."""

    head: tuple[Run, ...]
    kept: tuple[Run, ...] = ()
    tail: bytes = b""
    is_apart: bool = False
    is_pem: bool = False  # ends with its END line
    left: int = 0  # so many of the last characters of the head stay readable too

    @property
    def runs(self) -> tuple[Run, ...]:
        return (*self.kept, *self.head)

    @property
    def first(self) -> bytes:
        """The one character that it begins with."""
        return self.runs[0].chars


def text(word: bytes) -> tuple[Run, ...]:
    """A run for each character."""
    return tuple(Run(re.escape(bytes([one]))) for one in word)


def in_any_case(word: bytes) -> Iterator[tuple[Run, ...]]:
    """Two, by the case of the first letter: what is searched for begins with a character, not a class."""
    rest = tuple(Run(b"[%b%b]" % (c.lower(), c.upper())) for c in (bytes([one]) for one in word[1:]))
    yield from ((*text(first), *rest) for first in (word[:1].lower(), word[:1].upper()))


def base64_of(word: bytes, offset: int) -> bytes:
    """The characters that base64 has for `word` wherever it begins `offset` bytes (0 to 2) into a triple."""
    whole = base64.b64encode(bytes(offset) + word)
    return whole[(8 * offset + 5) // 6 : 8 * (offset + len(word)) // 6]


_SLACK = (*(b"xox%b-" % bytes([kind]) for kind in b"abeoprs"), b"xoxe.", b"xapp-")
# (beginnings, class of what follows, fewest of it)
_PREFIXED = (
    ((b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), WORD, 30),
    ((b"github_pat_",), rb"\w", 30),
    ((b"AKIA", b"ASIA"), rb"[0-9A-Z]", 16),
    ((b"hf_",), WORD, 30),
    (_SLACK, rb"[\w.-]", 10),
    ((b"AIza",), URL_WORD, 35),
)
_SK = (b"sk-", URL_WORD, 20)
_PEM = tuple(
    b"-----BEGIN %bPRIVATE KEY%b-----" % (kind, block)
    for kind, block in (
        *((kind, b"") for kind in (b"", b"RSA ", b"EC ", b"DSA ", b"OPENSSH ", b"ENCRYPTED ")),
        (b"PGP ", b" BLOCK"),
    )
)
PEM_END = re.compile(rb"-----END [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----")
_AROUND = rb"""[ \t"'\\]"""
_TO_QUOTE = rb"""[^\r\n"'\\]"""
_VALUE = rb"""[^\s"'\\\[]"""
"""The first character of one: our own mark is none."""
_FOLLOWING = f"{string.ascii_letters}{string.digits}_-\n".encode()
"""What may stand behind a fixed beginning."""


def _plain() -> Iterator[Shape]:
    for heads, follows, least in _PREFIXED:
        for head in heads:
            yield Shape((*text(head), Run(follows, least, least)), tail=follows)
    head, follows, least = _SK
    yield Shape((*text(head), Run(follows, least, least)), tail=follows, is_apart=True)
    dot, part = Run(rb"\."), Run(URL_WORD, 8, 1024)
    jwt = (*text(b"eyJ"), part, dot, *text(b"eyJ"), Run(URL_WORD, 4, 4))
    yield Shape(jwt, tail=rb"[\w.-]", is_apart=True)
    yield from (Shape(text(head), is_pem=True) for head in _PEM)


def _named() -> Iterator[Shape]:
    """What a name in front gives away."""
    for name in in_any_case(b"authorization"):
        around = Run(_AROUND, 0, 4)
        yield Shape((Run(_VALUE),), (*name, around, Run(rb"[:=]"), around), _TO_QUOTE)
        yield Shape((Run(rb"[aAdD]"),), (*name, *text(b"%3")), rb"[^\s&\"']")
    token = rb"[\w.~+/=-]"
    for name in in_any_case(b"bearer"):
        yield Shape((Run(token, 16, 16),), (*name, Run(rb"[ \t%20+]", 1, 4)), token)
    user, password = Run(rb"[^\s/@:\"'<>]", 0, 64), Run(rb"[^\s/\"'<>]", 1, 512)
    yield Shape((user, Run(b":"), password, Run(b"@")), text(b"://"), left=1)
    first, word = Run(rb"[\w.-]", 0, 24), Run(rb"[\w.@-]", 1, 24)
    between, key = Run(rb"""[\s:="'(),]""", 1, 6), Run(rb"[0-9a-f]", 40, 40)
    for name in in_any_case(b"wandb"):
        for count in range(
            5
        ):  # WANDB_API_KEY=..., `wandb login ...`, wandb.login(key="..."), lines of .netrc
            yield Shape((first, between, *(word, between) * count, key), name, WORD)


def _encoded() -> Iterator[Shape]:
    heads = [(head, least) for heads, _, least in _PREFIXED for head in heads]
    for head, least in (*heads, (_SK[0], _SK[2]), *((head, 20) for head in _PEM)):
        for offset in range(3):
            core = base64_of(head, offset)
            # One character tells of the last bits of the head and the first bits of what follows.
            longer = {base64_of(head + bytes([one]), offset)[len(core) :][:1] for one in _FOLLOWING}
            rest = Run(BASE64, least, least)  # 4/3 of that in truth: what was cut short is found too
            border = Run(b"[%b]" % b"".join(sorted(longer)))
            yield Shape((*text(core), border, rest), tail=rb"[\w+/=-]")


SHAPES = tuple(sorted((*_plain(), *_named(), *_encoded()), key=lambda one: one.first))
ALONE = tuple(shape for shape in SHAPES if not shape.kept and not shape.is_pem)
"""Those that say by themselves where they begin and end."""
LONGEST_B = max(sum(run.most for run in shape.runs) for shape in SHAPES)


def whole_pattern(shapes: tuple[Shape, ...]) -> re.Pattern[bytes]:
    """Finds a shape. The one group that it has, which is empty, tells which, and where a kept part ends."""
    return _of_all(shapes, _whole)


def begun_pattern(shapes: tuple[Shape, ...]) -> re.Pattern[bytes]:
    """Finds where at the end of a text a shape may have begun that is not whole yet."""
    return _of_all(shapes, _begun)


def _of_all(shapes: tuple[Shape, ...], behind_first: Callable[[Shape], bytes]) -> re.Pattern[bytes]:
    """Each first character once: it is what is searched for, and few texts hold many of them."""
    by_first = [
        b"%b(?:%b)" % (first, b"|".join(_apart(one) + behind_first(one) for one in found))
        for first, found in groupby(shapes, key=lambda one: one.first)
    ]
    return re.compile(b"|".join(by_first))


def _whole(shape: Shape) -> bytes:
    rest = [_repeated(run) for run in shape.runs[1:]]
    border = max(len(shape.kept) - 1, 0)
    return b"".join([*rest[:border], b"()", *rest[border:]])


def _begun(shape: Shape) -> bytes:
    pattern = rb"(?!)"
    for number, run in reversed(list(enumerate(shape.runs[1:], 2))):
        is_last = number == len(shape.runs)
        ended = rb"%b{0,%d}\Z" % (run.chars, run.most - is_last)  # a last run that is full ends the shape
        pattern = rb"(?:%b|%b%b)" % (ended, _repeated(run), pattern)
    return pattern


def _apart(shape: Shape) -> bytes:
    if not shape.is_apart:
        return b""
    return rb"(?:(?<![\w-]%b)|(?<=\\[nrt]%b))" % (shape.first, shape.first)


def _repeated(run: Run) -> bytes:
    if (run.least, run.most) == (1, 1):
        return run.chars
    return rb"%b{%d,%d}" % (run.chars, run.least, run.most)

"""Secrets in lines that a diff adds: known shapes of tokens, private keys, and random text that is given to a
name like `password`.

Pure. What is found is told by kind, place and length; the secret itself leaves this module only inside
`masked`, as what it takes out of other texts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from agent.review.history import History

MOST = 200
LONGEST_LINE = 20_000

SHAPES: tuple[tuple[str, str, str], ...] = (
    ("GitHub token", "gh…_", r"gh[pousr]_[A-Za-z0-9]{30,255}"),
    ("GitHub fine-grained token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}"),
    ("GitLab token", "glpat-", r"glpat-[A-Za-z0-9_-]{20,255}"),
    ("AWS access key id", "AKIA", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    ("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,255}"),
    ("Anthropic key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,255}"),
    ("OpenAI key", "sk-", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,255}"),
    ("Google API key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    ("Slack token", "xox…-", r"xox[abeprs]-[A-Za-z0-9-]{10,255}"),
    ("Slack webhook", "hooks.slack.com/", r"hooks\.slack\.com/services/[A-Za-z0-9/_-]{20,255}"),
    (
        "JSON web token",
        "eyJ",
        r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,2000}",
    ),
    ("private key", "-----BEGIN", r"-----BEGIN (?:[A-Z0-9]{2,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
)
"""Kind, what may be shown of it, and its shape. Where two fit the same text the first counts."""
GENERIC = "random text given to a secret's name"
FEWEST_BITS = 3.5
"""Shannon entropy per character from which on text counts as random: English words have under 3.5 at 20
characters, 32 random hexadecimal digits about 3.6, 20 random letters and digits about 4."""

_SHAPE = re.compile(
    "(?<![A-Za-z0-9_-])(?:" + "|".join(f"(?P<s{n}>{shape})" for n, (_, _, shape) in enumerate(SHAPES)) + ")"
)
_GIVEN = re.compile(
    r"""(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|auth)"""
    r"""["']?\s{0,4}(?::|=|=>)\s{0,4}(?:[rbuf]{0,2}["'])?(?P<text>[A-Za-z0-9+/=_.~!@$%^&*-]{16,512}+)(?![(\[])""",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"example|dummy|placeholder|changeme|change-me|your[_-]|xxxx|\*\*\*|0000|1234567|abcdef", re.IGNORECASE
)

_WORDS = re.compile(r"(?:[A-Za-z]+|\d{1,3})(?:[_.-](?:[A-Za-z]+|\d{1,3}))+")


@dataclass(frozen=True, slots=True)
class Secret:
    """Where it was added; `commit` is "" for the diff of the ends.

    `mask` is what may be shown; `is_shape`: of a known shape, not only random.
    """

    kind: str
    mask: str
    commit: str
    path: str
    line: int
    is_shape: bool
    text: str = field(repr=False)


def secrets_of(history: History) -> tuple[Secret, ...]:
    """Each secret once, where it came first; at most `MOST`.

    The diff of the ends is looked at too: there is what a merge made up, and what older commits added.
    """
    found: dict[str, Secret] = {}
    diffs = [(commit.id, commit.files) for commit in history.commits if not commit.is_merge]
    for commit, files in (*diffs, ("", history.files)):
        for file in files:
            for number, line in file.added_lines:
                for kind, mask, text, is_shape in secrets_in(line):
                    if text not in found and len(found) < MOST:
                        found[text] = Secret(kind, mask, commit, file.path, number, is_shape, text)
    return tuple(found.values())


def secrets_in(line: str) -> Iterator[tuple[str, str, str, bool]]:
    """Kind, mask, text and whether it has a known shape, of each secret in a line."""
    line = line[:LONGEST_LINE]
    taken: list[tuple[int, int]] = []
    for match in _SHAPE.finditer(line):
        kind, shown, _ = SHAPES[int(str(match.lastgroup)[1:])]
        if kind != "private key" and _PLACEHOLDER.search(match[0]):
            continue
        if kind == "OpenAI key" and _WORDS.fullmatch(match[0]):
            continue  # `sk-` begins names of packages and branches too
        taken.append(match.span())
        yield kind, f"{shown}… ({len(match[0])} characters)", match[0], True
    for match in _GIVEN.finditer(line):
        begin, end = match.span("text")
        is_taken = any(begin < other_end and other_begin < end for other_begin, other_end in taken)
        if not is_taken and _is_random(match["text"]):
            yield GENERIC, f"… ({end - begin} characters)", match["text"], False


def _is_random(text: str) -> bool:
    """Letters and digits, mixed, as a generator makes them; not a word, a path, a call or a placeholder."""
    if _PLACEHOLDER.search(text) or not re.search(r"\d.*[A-Za-z]|[A-Za-z].*\d", text):
        return False
    if _WORDS.fullmatch(text) or re.search(r"\.\w+\.|^[\w-]+/[\w.-]+$|\.(?:json|txt|py|pem|yaml)$", text):
        return False
    return entropy_bits(text) >= FEWEST_BITS


def entropy_bits(text: str) -> float:
    """Shannon entropy of the characters of a text, in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def masked(text: str, secrets: Collection[Secret]) -> str:
    """A text for people without these secrets, and without anything of a known shape."""
    for secret in sorted(secrets, key=lambda one: -len(one.text)):
        if secret.text in text:
            text = text.replace(secret.text, f"[{secret.kind}]")
    return _SHAPE.sub(lambda match: f"[{SHAPES[int(str(match.lastgroup)[1:])][0]}]", text)

"""What each change promises: its expected win in the author's words, and as a target where that can be told.

A claim is only ever scored; it decides nothing. One that cannot be scored says why. Nothing is filled in: a
number without a direction, a condition that no recipe stands for, an upper end without a lower one have no
target. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.task.criteria import PRIMARY
from agent.task.fields import quoted
from agent.task.phrases import Effect, Relation, amounts_in, effect_of, has_bare_number, lexical
from agent.task.values import AskedChange

NOTHING = {"", "-", "\u2013", "\u2014", "none", "n/a", "na", "?", "tbd"}
MOST_PHRASES = 8

_BETWEEN = re.compile(r"\s*(?:;|,(?![0-9])|\band\b|\bplus\b|&)\s*|\n", re.IGNORECASE)
_ONE = r"[A-Za-z0-9][A-Za-z0-9+._]{0,39}"
_SAME = re.compile(
    rf"(?:the )?same as (?P<names>{_ONE}(?:(?:\s*(?:-|\u2013|,|&|\bto\b|\band\b)\s*){_ONE}){{0,20}})", re.I
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One promised effect of one change.

    `recipe` is None where none is named: then it is of every recipe. `metric` is `primary` or of
    `bench/metrics.py`; `target` is the ratio of arm to baseline, of a range its lower end. `why` says why it
    cannot be scored; it is empty where metric and target are there.
    """

    change: str
    text: str
    recipe: str | None = None
    metric: str | None = None
    relation: Relation = ">="
    target: float | None = None
    why: str = ""

    @property
    def is_scorable(self) -> bool:
        return not self.why


def claims_of(changes: Sequence[AskedChange], recipes: Collection[str]) -> tuple[Claim, ...]:
    """In the order of the changes."""
    own = {one.name: _claims(one, recipes) for one in changes}
    names = [one.name for one in changes]
    return tuple(claim for one in changes for claim in own[one.name] or _same(one, names, own))


def _claims(change: AskedChange, recipes: Collection[str]) -> tuple[Claim, ...]:
    text = _plain(change.expected)
    if text.casefold() in NOTHING or _SAME.fullmatch(text):
        return ()
    phrases = _phrases(text, {name.casefold() for name in recipes})
    if phrases is None:
        return (Claim(change.name, text, why="names several numbers in one breath"),)
    if not phrases:
        return (Claim(change.name, text, why="names no number"),)
    effects = [effect_of(phrase) for phrase in phrases]
    told = [_told(change.name, phrase, one, recipes) for phrase, one in zip(phrases, effects, strict=True)]
    # "30% less memory, 20% on DPO": of what the second is, its author knows and nobody else.
    is_of_speed = all(one.metric == PRIMARY for one in effects if one.is_named) and all(
        claim.metric for claim in told
    )
    return tuple(
        claim if one.is_named or is_of_speed else _unsaid(claim)
        for claim, one in zip(told, effects, strict=True)
    )


def _told(change: str, phrase: str, effect: Effect, recipes: Collection[str]) -> Claim:
    by_word = {name.casefold(): name for name in recipes}
    words = [word.casefold() for word in effect.left]
    named = list(dict.fromkeys(by_word[word] for word in words if word in by_word))
    strange = [word for word in effect.left if word.casefold() not in by_word]
    claim = Claim(
        change,
        phrase,
        named[0] if len(named) == 1 else None,
        effect.metric if effect.is_named or not strange else None,
        effect.relation,
        effect.target,
        effect.why,
    )
    if len(named) > 1:
        return replace(claim, why="names several recipes at once")
    if strange and not effect.is_named:
        return replace(
            claim, why=f"{quoted(' '.join(strange))} names no recipe and no metric that is measured"
        )
    if strange and not claim.why:
        return replace(claim, why=f"{quoted(' '.join(strange))} is a condition that is not measured")
    return claim


def _unsaid(claim: Claim) -> Claim:
    return replace(claim, metric=None, why=claim.why or "does not say of what that is")


def _phrases(text: str, recipes: Collection[str]) -> list[str] | None:
    """The parts with a number; None where a number cannot be told from another."""
    parts = [part.strip() for part in _BETWEEN.split(re.sub(r"[()]", ";", text)) if part.strip()]
    counted = [part for part in parts if amounts_in(part)]
    others = [part for part in parts if not amounts_in(part)]
    if len(counted) > MOST_PHRASES or any(amounts_in(part) > 1 for part in counted):
        return None
    if counted and any(has_bare_number(part) for part in others):
        return None
    if counted and any(_is_torn(part, recipes) for part in others):
        return [text] if len(counted) == 1 else None
    return counted


def _is_torn(part: str, recipes: Collection[str]) -> bool:
    """Whether a part without a number may belong to the one beside it: `SFT` in `SFT and DPO +20 %`."""
    words = [word.strip(".:`*_").casefold() for word in part.split()]
    is_name = len(words) == 1 and any(char.isupper() for char in part[1:])
    return is_name or bool(lexical(part)) or any(word in recipes for word in words)


def _same(change: AskedChange, names: Sequence[str], own: Mapping[str, tuple[Claim, ...]]) -> Iterator[Claim]:
    """`Same as A-D`: the claims of those changes, for this one."""
    text = _plain(change.expected)
    found = _SAME.fullmatch(text)
    if found is None:
        return
    meant = _range(found["names"], names)
    if meant is None or change.name in meant:
        yield Claim(change.name, text, why="does not name other changes of the table")
        return
    claims = [claim for name in meant for claim in own[name]]
    if not claims:
        yield Claim(change.name, text, why="what it names promises nothing by itself")
    for claim in claims:
        yield replace(claim, change=change.name, text=f"{text} ({claim.change}: {claim.text})")


def _range(text: str, names: Sequence[str]) -> list[str] | None:
    """The names meant by `A-D`, `A, B and D` or `A`; None where one is not there."""
    if text in names:
        return [text]
    ends = re.split(r"\s*(?:-|\u2013|\bto\b)\s*", text)
    if len(ends) == 2 and all(end in names for end in ends):
        begin, end = (names.index(name) for name in ends)
        return list(names[begin : end + 1]) or None
    meant = re.split(r"\s*(?:,|&|\band\b)\s*", text)
    return list(dict.fromkeys(meant)) if all(name in names for name in meant) else None


def _plain(text: str) -> str:
    return " ".join(text.split()).strip().rstrip(".").strip()

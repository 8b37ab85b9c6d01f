"""Success criteria in prose, one paragraph or list item at a time, in the spelling of the form.

`minimum +30% combined on SFT, +20% on DPO` is two criteria, `loss curves within ±5%` a loss band, anything
without a share or a factor a stated criterion in the author's words. What holds one and cannot be read is
handed on as it is, for the field's own reader to refuse. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.config import NAME
from agent.task.criteria import PRIMARY, scope_of
from agent.task.fields import LINE_LIMIT, Line
from agent.task.markdown import Text
from agent.task.phrases import Effect, amounts_in, effect_of, has_bare_number, lexical

Kind = Literal["criterion", "stated", "loss band"]

_SPLIT = re.compile(r"\s*(?:;|,(?![0-9])|\band\b)\s*(?![^()]*\))", re.IGNORECASE)
_INNER = re.compile(r"\s*(?:;|,(?![0-9])|\band\b)\s*", re.IGNORECASE)
_LOSS = re.compile(r"\bloss(?:es)?\b", re.IGNORECASE)
_BAND = re.compile(
    r"(?:within|inside|by at most|by no more than)\s+(?:of\s+)?"
    r"(?P<band>(?:\u00b1|\+/?-)?\s*[0-9]{1,5}(?:\.[0-9]{1,6})?\s*%)(?!\w)",
    re.IGNORECASE,
)
_ACRONYM = re.compile(r"\b[A-Z][A-Z0-9]{1,5}\b")
_ITEM = re.compile(r"^\s*(?:\[[ xX]\]\s+)?")
MOST_CLAUSES = 20


@dataclass(frozen=True, slots=True)
class Demand:
    """`is_clear` is False for a line that is handed on as it is."""

    kind: Kind
    line: Line
    is_clear: bool = True


def demands_of(text: Text) -> list[Demand]:
    whole = Line(text.number, " ".join(_ITEM.sub("", text.text).split()))
    if len(whole.text) > LINE_LIMIT:
        return [Demand("stated", whole, is_clear=False)]
    if scope_of(whole.text):
        return [Demand("criterion", whole)]
    if not amounts_in(whole.text):
        return [Demand("stated", whole)]
    unread = [Demand("loss band" if _LOSS.search(whole.text) else "criterion", whole, is_clear=False)]
    clauses = [clause for clause in _SPLIT.split(whole.text) if clause.strip()]
    if len(clauses) > MOST_CLAUSES:
        return unread
    found: list[Demand] = []
    effects: list[Effect] = []
    for clause in clauses:
        line = Line(text.number, clause.strip())
        if not amounts_in(clause):
            if _is_torn(clause):
                return unread
            found.append(Demand("stated", line))
        elif _LOSS.search(clause):
            band = _BAND.search(clause)
            is_one = band is not None and amounts_in(clause) == 1
            said = Line(text.number, band["band"].strip()) if band and is_one else line
            found.append(Demand("loss band", said, is_one))
        else:
            read = _gains(clause)
            if read is None:
                return unread
            effects += read
            found += [Demand("criterion", Line(text.number, _criterion(one))) for one in read]
    if not all(one.is_named for one in effects) and any(one.metric != PRIMARY for one in effects):
        return unread  # of what the number without a metric is, its author knows and nobody else
    return found


def _criterion(effect: Effect) -> str:
    assert effect.target is not None
    return f"{effect.left[0].casefold()}:{effect.metric}{effect.relation}{effect.target:.10g}"


def _gains(clause: str) -> list[Effect] | None:
    """What a clause demands; None where a part of it is no demand of one recipe."""
    if amounts_in(clause) == 1:
        one = effect_of(re.sub(r"[()]", " ", clause))
        return [one] if _is_whole(one) else None
    outside, opened, inside = clause.partition("(")
    if not opened or amounts_in(outside) or _is_named_apart(outside):
        return None
    inside, _, behind = inside.rpartition(")")
    if behind.strip(" .") or "(" in inside or not inside:
        return None
    parts = [part for part in _INNER.split(inside) if part.strip()]
    if any(amounts_in(part) != 1 for part in parts):
        return None
    found = [effect_of(f"{lexical(outside)} {part}") for part in parts]
    return found if all(_is_whole(one) for one in found) else None


def _is_whole(effect: Effect) -> bool:
    return not effect.why and len(effect.left) == 1 and _is_name(effect.left)


def _is_name(left: Sequence[str]) -> bool:
    return bool(NAME.fullmatch(left[0])) and any(char.isalpha() for char in left[0])


def _is_named_apart(text: str) -> bool:
    return bool(_ACRONYM.search(text)) or has_bare_number(text)


def _is_torn(clause: str) -> bool:
    """Whether a clause without a number may belong to the number beside it: `SFT` in `SFT and DPO: +20 %`."""
    return len(clause.split()) < 3 or bool(_ACRONYM.search(clause)) or bool(lexical(clause))

"""A phrase with one number that promises or demands an effect: `minimum +30% combined on SFT`, `-40% mem`.

Owns the words: which name the throughput, the memory or the utilisation, which say more and which less. Words
that are none of these are left over, for whoever knows recipes. What a phrase does not say is not filled in:
then `why` says what is missing, and `target` is None. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from bench.metrics import BY_NAME
from bench.score import GOOD

from agent.task.criteria import PRIMARY

Relation = Literal[">=", "<="]

MEMORY = "peak_memory_b"
UTILISATION, UTILISATION_P95 = "gpu_util_mean_pct", "gpu_util_p95_pct"

_NUMBER = r"[0-9]{1,5}(?:\.[0-9]{1,6})?"
_PERCENT, _FACTOR = r"(?:%|percent\b)", r"(?:x\b|\u00d7|-?fold\b)"
_AMOUNT = re.compile(
    rf"(?<![\w.,-])(?P<sign>[+\u2212-]?)[~\u2248]?(?P<low>{_NUMBER})\s*(?P<unit>{_PERCENT}|{_FACTOR})?"
    rf"(?:\s*(?:[-\u2013\u2014]|\bto\b)\s*[+\u2212-]?(?P<high>{_NUMBER})\s*(?P<unit2>{_PERCENT}|{_FACTOR}))?",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)?(?!\w)")
_DASH = re.compile(r"[-\u2013\u2014\u2212]\s+$")
_SHARE_WORDS = r"tok(?:en)?s?|samples?|rows?|examples?|it(?:eration)?s?|steps?"
_RATE = re.compile(rf"\b(?:{_SHARE_WORDS})\s*(?:/|per\s+)\s*(?:s|secs?|seconds?)\b", re.IGNORECASE)
_SPEED = {"throughput", "speed", "speedup", "speed-up", "faster", "perf", "performance", "tok/s"}
_MEMORY = {"mem", "memory", "vram"}
_UTIL = {"util", "utilisation", "utilization"}
_MORE = {
    "more", "higher", "faster", "increase", "increased", "increases", "gain", "gains", "improvement",
    "improvements", "improved", "improves", "speedup", "speed-up", "boost", "better", "win", "wins",
}  # fmt: skip
_LESS = {
    "less", "lower", "reduction", "reductions", "reduced", "reduces", "reduce", "saving", "savings", "save",
    "saves", "saved", "drop", "drops", "decrease", "decreased", "decreases", "fewer", "smaller", "cut",
    "cuts",
}  # fmt: skip
_SAVED = {"saving", "savings", "reduction", "reductions"}
_WORSE = {"slower", "worse", "regression", "slowdown", "loss"}
_MOST = re.compile(r"\b(?:at most|no more than|not more than|maximum|max|below|under)\b|<=|\u2264|<", re.I)
_LEAST = re.compile(r"\b(?:at least|no less than|not less than|minimum|min|or more)\b|>=|\u2265", re.I)
_UP_TO = re.compile(r"\bup to\b", re.IGNORECASE)
_FILLING = {
    "the", "a", "an", "of", "on", "for", "in", "to", "by", "and", "is", "are", "combined", "total", "overall",
    "cumulative", "expected", "roughly", "about", "around", "approx", "approximately", "training", "peak",
    "gpu", "mean", "avg", "average", "net", "all", "run", "runs", "usage", "use", "benchmark", "benchmarks",
    "p95", "should", "must", "be", "baseline", "over", "vs",
}  # fmt: skip
_METRICS = frozenset(name for name, entry in BY_NAME.items() if entry.better is not None)


@dataclass(frozen=True, slots=True)
class Effect:
    """`metric` with `relation` and `target`, a ratio of arm to baseline, as in a criterion.

    `is_named` says that words name the metric; a bare gain is one of the primary metric. `left` are the words
    that are nothing here. `why` is empty where metric and target are known.
    """

    metric: str | None
    relation: Relation
    target: float | None
    is_named: bool
    left: tuple[str, ...]
    why: str = ""


def amounts_in(text: str) -> int:
    """How many numbers with a percent sign or a factor a text holds."""
    return sum(1 for _ in _amounts(text))


def lexical(text: str) -> str:
    """The words of a text that name a metric or say more or less."""
    text = _RATE.sub("tok/s", text)
    return " ".join(
        word for word in _words(text) if word.casefold() in _SPEED | _MEMORY | _UTIL | _MORE | _LESS
    )


def effect_of(phrase: str) -> Effect:
    """Of a phrase with exactly one amount."""
    found, *others = _amounts(phrase)
    assert not others, "a phrase has one amount"
    before, after = phrase[: found.start()], phrase[found.end() :]
    is_dashed = not found["sign"] and bool(_DASH.search(before))
    rest = _RATE.sub(" tok/s ", f"{before} {after}")
    is_most, is_up_to = bool(_MOST.search(rest)), bool(_UP_TO.search(rest))
    words = _words(_UP_TO.sub(" ", _LEAST.sub(" ", _MOST.sub(" ", rest))))
    said = {word.casefold() for word in words}
    metric, is_named, is_clear = _metric(said)
    left = tuple(word for word in words if not _is_ours(word.casefold()))
    better = BY_NAME[metric].better if metric in BY_NAME else "higher"
    relation: Relation = GOOD[better or "higher"]
    if not is_clear:
        return Effect(None, relation, None, True, left, "names several metrics")
    low, high = Decimal(found["low"]), found["high"] and Decimal(found["high"])
    unit = found["unit"] or found["unit2"]
    is_percent = unit.casefold() in ("%", "percent")
    if found["unit"] and found["unit2"] and is_percent != (found["unit2"].casefold() in ("%", "percent")):
        return Effect(metric, relation, None, is_named, left, "mixes percent and factor")
    if is_dashed:
        return Effect(metric, relation, None, is_named, left, "does not say whether its dash is a minus")
    if high and high < low:
        return Effect(metric, relation, None, is_named, left, "ends lower than it begins")
    if is_up_to:
        return Effect(metric, relation, None, is_named, left, "'up to' promises no least")
    sign = found["sign"].replace("\u2212", "-")
    target = _target(metric, sign, low, is_percent, said, is_most)
    if isinstance(target, str):
        return Effect(metric, relation, None, is_named, left, target)
    return Effect(metric, relation, float(target), is_named, left)


def _amounts(text: str) -> list[re.Match[str]]:
    return [found for found in _AMOUNT.finditer(text) if found["unit"] or found["unit2"]]


def _words(text: str) -> list[str]:
    """Without the marks around and between them."""
    parts = (part.strip("`*_~\"'.,:;()[]!?|+-\u2013\u2014\u2212=&") for part in text.split())
    return [part for part in parts if part]


def _is_ours(word: str) -> bool:
    known = _SPEED | _MEMORY | _UTIL | _MORE | _LESS | _WORSE | _FILLING
    return word in known or word in _METRICS


def _metric(said: set[str]) -> tuple[str, bool, bool]:
    """(metric, whether words name it, whether they name one only)."""
    full = sorted(said & _METRICS)
    utilisation = UTILISATION_P95 if "p95" in said else UTILISATION
    named = [*full]
    named += [MEMORY] if said & _MEMORY and MEMORY not in full else []
    named += [utilisation] if said & _UTIL and utilisation not in full else []
    named += [PRIMARY] if said & _SPEED and not full else []
    return (named[0] if named else PRIMARY), bool(named), len(named) < 2


def _target(
    metric: str, sign: str, low: Decimal, is_percent: bool, said: set[str], is_most: bool
) -> Decimal | str:
    """The ratio, or why there is none to tell."""
    is_more, is_less = bool(said & _MORE), bool(said & _LESS)
    if low == 0:
        return "promises no change"
    if metric not in BY_NAME or BY_NAME[metric].better == "higher":
        return _more(metric, sign, low, is_percent, is_less or bool(said & _WORSE), is_more, is_most)
    return _less(sign, low, is_percent, said, is_most)


def _more(
    metric: str, sign: str, low: Decimal, is_percent: bool, is_worse: bool, is_more: bool, is_most: bool
) -> Decimal | str:
    """Where more is better."""
    if sign == "-" or is_worse or is_most:
        return "promises no gain, and more is better"
    if not is_percent:
        return low if low >= 1 else "promises no gain, and more is better"
    if metric in (UTILISATION, UTILISATION_P95) and not sign and not is_more:
        return "does not say whether that is the utilisation or the gain"
    return 1 + low / 100


def _less(sign: str, low: Decimal, is_percent: bool, said: set[str], is_most: bool) -> Decimal | str:
    """Where less is better: a saving, or a bound on a growth."""
    is_less, is_more = bool(said & _LESS), bool(said & (_MORE | _WORSE))
    if is_less and (is_more or is_most or (sign == "+" and not said & _SAVED)):
        return "says more and less at once"
    if not is_percent:
        if is_less and not sign and low > 1:
            return 1 / low
        if not sign and low < 1 and not is_more:
            return low
        return "does not say how much less that is"
    if sign == "-" and (is_most or is_more):
        return "says more and less at once"
    if sign == "-" or is_less:
        return 1 - low / 100 if low < 100 else "a saving is less than 100 %"
    if is_most and (sign == "+" or is_more):
        return 1 + low / 100
    if sign == "+" or is_more:
        return "promises more of it, and less is better"
    return f"does not say whether that is {low} % less or {low} % of it"


def has_bare_number(text: str) -> bool:
    return bool(_BARE.search(text))

"""Success criteria as people write them, in one spelling: `sft: +30 %` is `sft:primary>=1.3`.

`primary` stands for the primary metric of the recipe, which only the recipe knows; `resolved` puts it in.
The full syntax, `recipe[/arm]:metric>=target`, is `bench/score.py`'s, which also refuses a metric that is
asked to get worse. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from bench.metrics import BY_NAME
from bench.score import CriterionError, parse_criterion

from agent.config import NAME
from agent.task.fields import Unread, quoted

OPTIMIZED = "optimized"
PRIMARY = "primary"

_NUMBER = r"([0-9]{1,5}(?:\.[0-9]{1,6})?)"
_TO = r"\s*[-\u2013\u2014]\s*\+?"
_PERCENT = re.compile(rf"\+?\s*{_NUMBER}(?:{_TO}{_NUMBER})?\s*%")
_FACTOR = re.compile(rf"{_NUMBER}(?:{_TO}{_NUMBER})?\s*[x\u00d7]")
_LOSS = re.compile(r"[-\u2013\u2014\u2212]\s*[0-9].*%")
_FULL = re.compile(r"([^:]*):\s*(\w+)\s*([<>]=)(.*)")
_STAND_IN = "tokens_per_s"  # more is better, as of `primary`


def criterion_of(text: str, recipes: Collection[str], arms: Collection[str]) -> str:
    """The one spelling of `sft: +30 %`, `dpo/packing: 1.2x` or `sft:peak_memory_b <= 1.1`. Raises Unread."""
    full = _FULL.fullmatch(text) or _FULL.fullmatch(_with_primary(text))
    if full is None:
        raise Unread(f"{quoted(text)} is no criterion: write sft: +30 % or sft:peak_memory_b<=1.1")
    scope, metric, relation, target = (part.strip() for part in full.groups())
    asked = _STAND_IN if metric == PRIMARY else metric
    try:
        read = parse_criterion(f"{scope}:{asked}{relation}{target}", recipes=recipes, arms=arms)
    except CriterionError as error:
        raise Unread(str(error).replace(f":{_STAND_IN}", f":{metric}")) from None
    scope = read.recipe if read.arm == OPTIMIZED else f"{read.recipe}/{read.arm}"
    return f"{scope}:{metric}{read.relation}{_written(read.target)}"


def shaped(text: str) -> str:
    """A line that is a criterion by its shape, where no recipe is known to hold it against. Raises Unread."""
    if scope_of(text) is None:
        raise Unread(f"{quoted(text)} is no criterion: write sft: +30 % or sft:peak_memory_b<=1.1")
    return text


def scope_of(text: str) -> str | None:
    """The recipe of a line that is a criterion by its shape, whatever it asks for; None of any other line."""
    scope, colon, rest = text.partition(":")
    recipe, _, arm = scope.strip().partition("/")
    is_shaped = _PERCENT.fullmatch(rest.strip()) or _FACTOR.fullmatch(rest.strip()) or _FULL.fullmatch(text)
    is_named = NAME.fullmatch(recipe) and (not arm or NAME.fullmatch(arm))
    return recipe if colon and is_shaped and is_named else None


def resolved(criteria: Iterable[str], primaries: Mapping[str, str]) -> tuple[str, ...]:
    """The criteria with `primary` replaced by the primary metric of the recipe, by name in `primaries`.

    A gain is a gain in speed: where lower is better, `primary>=1.3` becomes at most 1/1.3.
    """
    return tuple(_resolved(text, primaries) for text in criteria)


def _resolved(text: str, primaries: Mapping[str, str]) -> str:
    scope, _, rest = text.partition(":")
    metric = primaries.get(scope.partition("/")[0])
    if metric is None or not rest.startswith(f"{PRIMARY}>="):
        return text
    target = float(rest.removeprefix(f"{PRIMARY}>="))
    if metric in BY_NAME and BY_NAME[metric].better == "lower":
        return f"{scope}:{metric}<={_written(1 / target)}"
    return f"{scope}:{metric}>={_written(target)}"


def _with_primary(text: str) -> str:
    """The short form in full. Raises Unread for a gain that is none."""
    scope, colon, gain = text.partition(":")
    if not colon:
        return text
    return f"{scope}:{PRIMARY}>={_written(_gain(gain.strip()))}"


def _gain(text: str) -> float:
    """A ratio of at least 1; of a range the lower end. Raises Unread."""
    percent, factor = _PERCENT.fullmatch(text), _FACTOR.fullmatch(text)
    found = percent or factor
    if found is None and not _LOSS.fullmatch(text):
        raise Unread(f"{quoted(text)} is no gain: write +30 %, +15-20 % or 1.3x")
    low = Decimal(found[1]) if found else Decimal(-1)
    ratio = 1 + low / 100 if percent else low
    if found is None or ratio < 1:
        raise Unread(f"{quoted(text)} asks for a loss, and more is better: write a gain")
    if found[2] and Decimal(found[2]) < low:
        raise Unread(f"{quoted(text)} ends lower than it begins: write the lower end first")
    return float(ratio)


def _written(target: float) -> str:
    return f"{target:.10g}"

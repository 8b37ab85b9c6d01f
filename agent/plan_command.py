"""`paceline plan`: how many replicates an effect needs, their time and price, from the noise stored here.

Reads the noise of this machine for the baseline's recipes and parameters and measures nothing. Without noise
it says so first, and then what holds for any: the replicates by spread, and the most that they can take.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.metrics import BY_NAME
from bench.noise import FEWEST_FOR_FLOOR, Noise
from bench.plan import Engine, Plan, Recipe, written
from bench.power import (
    MOST_REPLICATES,
    POWER,
    detectable,
    first_of,
    mean_replicates,
    power_of,
    replicates_for,
)
from bench.sequential import EACH_LOOK, LOOKS
from bench.tables import Table
from bench.units import bound_text, figure

from agent.dispatch import BETWEEN_RUNS_S
from agent.errors import TaskError
from agent.floors import Known, known_here, share_text
from agent.follow import duration_text
from agent.forecast import seconds_of
from agent.noise_command import NoiseRequest, noise_plan
from agent.report import table_text
from agent.repository import open_repository

ARMS = 2
SPREADS = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares, for a machine whose noise is not known."""
_PERCENT = re.compile(r"\+?([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*%")


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What somebody asked: `effect` as text with a percent sign, `price` of a GPU-hour."""

    recipes: Sequence[str]
    effect: str
    power: float = POWER
    price: float | None = None
    params: Sequence[str] = ()
    engine: Engine = "lockstep"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`effect` is a share above 0, `power` the wanted chance to prove it, `price` that of a GPU-hour."""

    effect: float
    power: float = POWER
    price: float | None = None


def plan_here(request: PlanRequest, repo: Path) -> str:
    """The text to print. Raises TaskError and PodError."""
    wanted = wanted_of(request)
    repository = open_repository(repo)
    asked = NoiseRequest(request.recipes, params=request.params, engine=request.engine)
    plan = noise_plan(asked, repository).plan
    return plan_text(plan, known_here(plan), wanted)


def wanted_of(request: PlanRequest) -> Wanted:
    """Raises TaskError."""
    match = _PERCENT.fullmatch(request.effect.strip())
    effect = float(match[1]) / 100 if match else 0.0
    if effect <= 0:
        raise TaskError(f"--effect {request.effect!r} is no gain in percent: write 5%")
    if not 0 < request.power < 1:
        raise TaskError(f"--power {request.power:g} is not between 0 and 1: the usual one is {POWER:g}")
    if request.price is not None and not 0 <= request.price < math.inf:
        raise TaskError(f"--price {request.price:g} is no price of a GPU-hour")
    return Wanted(effect, request.power, request.price)


def plan_text(plan: Plan, known: Known, wanted: Wanted) -> str:
    """Markdown that reads as plain text too: a part for each recipe."""
    lines = [f"warning: {warning}" for warning in known.warnings]
    for recipe in plan.recipes:
        lines += [f"## {recipe.name}: {BY_NAME[recipe.primary].title}", *_part(recipe, plan, known, wanted)]
    return "\n\n".join(lines) + "\n"


def _part(recipe: Recipe, plan: Plan, known: Known, wanted: Wanted) -> Iterator[str]:
    noise = known.of(recipe, plan.engine)
    spread = noise.spread(recipe.primary) if noise else None
    if noise is not None and not noise.effects.get(recipe.primary):
        title = BY_NAME[recipe.primary].title
        yield f"The {noise.replicates} stored A/A replicates have no {title}: {_has_instead(noise)}."
        return
    if noise is None or spread is None:
        yield from _without_noise(recipe, plan, known, wanted)
        return
    floor = noise.floor(recipe.primary)
    threshold = BY_NAME[recipe.primary].threshold(floor)
    yield (
        f"From {noise.replicates} A/A replicates on this machine ({noise.engine}, the oldest of"
        f" {noise.measured}): spread of a replicate {share_text(spread)},"
        f" A/A floor {'unknown' if floor is None else share_text(floor)};"
        f" a change beyond {share_text(threshold)} can be proven."
    )
    if floor is None:
        missing = FEWEST_FOR_FLOOR - len(noise.effects[recipe.primary])
        yield f"The floor needs {missing} more replicates: `{_noise_line(recipe, plan)}` adds them."
    yield from _for_effect(noise, spread, threshold, wanted)
    yield f"Smallest effect that would show with power {wanted.power:g}:"
    yield table_text(_detectable_table(noise, spread, threshold, wanted))


def _has_instead(noise: Noise) -> str:
    """What a recipe without a trainer, or with other figures than its primary, could be planned by."""
    known = [name for name in noise.effects if noise.spread(name) is not None]
    return f"make one of these the recipe's primary: {', '.join(known)}" if known else "they have no figure"


def _for_effect(noise: Noise, spread: float, threshold: float, wanted: Wanted) -> Iterator[str]:
    effect, asked = math.log1p(wanted.effect), bound_text(wanted.effect)
    if effect <= threshold:
        yield f"An effect of {asked} lies within what can be proven: no number of replicates would show it."
        return
    fixed = replicates_for(effect, spread, threshold, wanted.power)
    look = first_of(LOOKS, effect, spread, threshold, wanted.power, EACH_LOOK.ratio)
    rows = []
    if fixed is not None:
        rows.append((f"fixed beforehand (--replicates {fixed})", str(fixed), *_cost(noise, fixed, wanted)))
    mean = mean_replicates(LOOKS, effect, spread, threshold, EACH_LOOK.ratio)
    rows.append(("auto, on average at most", f"{mean:.1f}", *_cost(noise, mean, wanted)))
    rows.append(("auto, at its cap", str(LOOKS[-1]), *_cost(noise, LOOKS[-1], wanted)))
    yield f"For an effect of {asked} with power {wanted.power:g}, baseline and one arm:"
    yield table_text(Table("plan", ("", "replicates", *_cost_names(wanted)), tuple(rows)))
    if fixed is None:
        yield f"More than {MOST_REPLICATES} replicates would be needed for that power."
    if look is None:
        chance = bound_text(round(power_of(effect, spread, LOOKS[-1], threshold, EACH_LOOK.ratio), 2))
        yield f"auto stops at {LOOKS[-1]} replicates, with a chance of about {chance} to have shown it."
    else:
        yield f"auto has shown it by its look at {look} replicates with that power."


def _detectable_table(noise: Noise, spread: float, threshold: float, wanted: Wanted) -> Table:
    rows = tuple(
        (
            str(n),
            share_text(detectable(spread, n, threshold, power=wanted.power)),
            share_text(detectable(spread, n, threshold, EACH_LOOK.ratio, wanted.power)),
            *_cost(noise, n, wanted),
        )
        for n in LOOKS
    )
    return Table("smallest", ("replicates", "fixed", "at a look of auto", *_cost_names(wanted)), rows)


def _cost_names(wanted: Wanted) -> tuple[str, ...]:
    return ("time", "GPU-hours", *(["price"] if wanted.price is not None else []))


def _cost(noise: Noise, replicates: float, wanted: Wanted) -> tuple[str, ...]:
    seconds = seconds_of(noise, replicates, ARMS)
    price = [] if wanted.price is None else [f"{seconds / 3600 * wanted.price:.2f}"]
    return (duration_text(seconds), figure(seconds / 3600), *price)


def _without_noise(recipe: Recipe, plan: Plan, known: Known, wanted: Wanted) -> Iterator[str]:
    yield (
        f"No noise of it is stored for this machine: run `{_noise_line(recipe, plan)}` first."
        f"{_outdated_text(known.outdated.get(recipe.name, 0))}"
    )
    threshold, effect = BY_NAME[recipe.primary].threshold(None), math.log1p(wanted.effect)
    if effect <= threshold:
        yield f"An effect of {bound_text(wanted.effect)} lies within the floor of {share_text(threshold)}."
        return
    rows = []
    for share in SPREADS:
        fixed = replicates_for(effect, math.log1p(share), threshold, wanted.power)
        look = first_of(LOOKS, effect, math.log1p(share), threshold, wanted.power, EACH_LOOK.ratio)
        counts = (str(fixed or f"over {MOST_REPLICATES}"), str(look or f"over {LOOKS[-1]}"))
        rows.append((bound_text(share), *counts))
    yield f"For an effect of {bound_text(wanted.effect)} with power {wanted.power:g}, by what it may be:"
    yield table_text(
        Table("spreads", ("spread of a replicate", "replicates, fixed", "by the look of auto"), tuple(rows))
    )
    limit_s = ARMS * (recipe.limit_s + BETWEEN_RUNS_S)
    yield f"A replicate takes at most {duration_text(limit_s)}, by the recipe's limit of a run."


def _outdated_text(count: int) -> str:
    return f" The {count} replicates of another version of the harness do not count." if count else ""


def _noise_line(recipe: Recipe, plan: Plan) -> str:
    params = "".join(f" --param {key}={written(value)}" for key, value in plan.arms[0].params.items())
    return f"paceline noise {recipe.name}{params}"

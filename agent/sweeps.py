"""Sweeps multiplied out to arms: `packing=false,true` and `lr=1e-4,2e-4` are four combinations of one commit.

A combination that an arm of the plan stands for already, by the values that come out in every recipe, is not
made twice. Refuses what would be no measurement (one value named twice, no recipe that has them all) and more
arms than anybody can read. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from bench.plan import Arm, Recipe, Value

from agent.config import MADE_NAME
from agent.errors import TaskError

MOST_ARMS = 24
"""In one plan. Every arm is a process on the same GPU in lockstep, and two columns of a table."""
FORM = "PARAMETER=VALUE,VALUE,..., as in packing=false,true"
_STRANGE = re.compile(r"[^A-Za-z0-9+._-]+")

Typed = Callable[[str, str, Sequence[Recipe]], Value]
"""A parameter's name and text -> its value; raises TaskError."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One parameter with its values, in the order asked for: as text, and typed."""

    parameter: str
    texts: tuple[str, ...]
    values: tuple[Value, ...]


def sweeps_of(texts: Sequence[str], recipes: Sequence[Recipe], typed: Typed) -> tuple[Sweep, ...]:
    """Raises TaskError."""
    sweeps: list[Sweep] = []
    for text in texts:
        parameter, equals, listed = text.partition("=")
        values = listed.split(",")
        if not equals or not parameter or "" in values:
            raise TaskError(f"--sweep {text!r} is not {FORM}")
        if parameter in {sweep.parameter for sweep in sweeps}:
            raise TaskError(f"--sweep {text!r}: {parameter!r} is swept already; name all its values once")
        sweep = Sweep(parameter, tuple(values), tuple(typed(parameter, one, recipes) for one in values))
        for (one, value), (other, same) in combinations(zip(values, sweep.values, strict=True), 2):
            if value == same:
                raise TaskError(f"--sweep {text!r}: {one} and {other} are the same value")
        sweeps.append(sweep)
    return tuple(sweeps)


def swept_arms(
    sweeps: Sequence[Sweep], on: Arm, present: Sequence[Arm], recipes: Sequence[Recipe]
) -> tuple[Arm, ...]:
    """The combinations on the commit of `on` that none of `present` stands for. Raises TaskError."""
    if not sweeps:
        return ()
    _check(sweeps, present, recipes)
    made = [arm for arm in _combined(sweeps, on) if not any(_is_same(arm, one, recipes) for one in present)]
    if not made:
        raise TaskError(
            f"--sweep {_asked(sweeps[0])}: there is an arm with these values already, so no new one"
        )
    return tuple(made)


def check_number(arms: Sequence[Arm]) -> None:
    """Raises TaskError for more arms than a plan may have."""
    if len(arms) > MOST_ARMS:
        raise TaskError(f"{len(arms)} arms: at most {MOST_ARMS}, baseline and optimized among them")


def _check(sweeps: Sequence[Sweep], present: Sequence[Arm], recipes: Sequence[Recipe]) -> None:
    parameters = [sweep.parameter for sweep in sweeps]
    if not any(set(parameters) <= set(recipe.params) for recipe in recipes):
        raise TaskError(f"--sweep: no recipe has {' and '.join(map(repr, parameters))}, so nothing would run")
    # Before anything is multiplied out: three sweeps of a thousand values are a billion arms.
    number = math.prod(len(sweep.values) for sweep in sweeps)
    if number + len(present) > MOST_ARMS:
        asked = " x ".join(f"{sweep.parameter} {len(sweep.values)}" for sweep in sweeps)
        raise TaskError(
            f"--sweep: {asked} makes {number} arms beside {len(present)}; a plan has at most {MOST_ARMS}"
        )


def _combined(sweeps: Sequence[Sweep], on: Arm) -> Iterator[Arm]:
    names: set[str] = set()
    for number, chosen in enumerate(product(*(range(len(sweep.values)) for sweep in sweeps)), start=1):
        picked = list(zip(sweeps, chosen, strict=True))
        name = "+".join(f"{sweep.parameter}={_STRANGE.sub('-', sweep.texts[one])}" for sweep, one in picked)
        if name in names or not MADE_NAME.fullmatch(name):  # too long for a folder, or "a b" beside "a/b"
            name = f"sweep-{number}"
        names.add(name)
        yield Arm(name, on.commit, {sweep.parameter: sweep.values[one] for sweep, one in picked})


def _is_same(made: Arm, present: Arm, recipes: Sequence[Recipe]) -> bool:
    """Whether `present` gives the same command wherever `made` takes part."""
    if (made.commit, made.reverts) != (present.commit, present.reverts):
        return False
    ours = [recipe for recipe in recipes if set(made.params) <= set(recipe.params)]
    return all({**recipe.params, **made.params} == {**recipe.params, **present.params} for recipe in ours)


def _asked(sweep: Sweep) -> str:
    return f"{sweep.parameter}={','.join(sweep.texts)}"

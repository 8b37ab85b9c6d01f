"""Reads recipes from the text of a `paceline.toml`, and refuses what it does not understand.

Text comes from a trusted place (the operator's file or tree, later the default branch); issue text never
gets here. Errors name table and key, with a near miss. Makes `bench.plan.Recipe`; the digests of held-out
rows and driver are put in by whoever has the files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bench.metrics import BY_NAME, near_miss
from bench.plan import GIVEN, PLACEHOLDER, Need, Recipe
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import TaskError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,39}")
MADE_NAME = re.compile(r"[A-Za-z0-9+][A-Za-z0-9+=._-]{0,63}")
"""Of arms that we name ourselves, as `packing=true+lr=2e-4` or `+A+B`. Both are names of folders too."""
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
Finite = Annotated[float, Field(allow_inf_nan=False)]
Scalar = bool | int | Finite | str


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Need(_Table):
    gpu_type: str | None = None
    memory_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    disk_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    packages: list[str] = []


class _Recipe(_Table):
    run: Annotated[list[str], Field(min_length=1)]
    env: Literal["none", "pip", "uv"] = "none"
    primary: str = "job_tokens_per_s"
    eval: str | None = None
    events: Literal["hook", "own"] = "hook"
    cache: Literal["cold", "warm"] = "cold"
    protected: list[str] = []
    limit_s: Annotated[float, Field(gt=0, le=7 * 86400)] = 900.0
    params: dict[str, Scalar] = {}
    need: _Need = _Need()
    driver: str | None = None


class _File(_Table):
    recipe: dict[str, _Recipe]


def parse_recipes(text: str, where: str) -> dict[str, Recipe]:
    """Recipes by name. Raises TaskError naming `where`, table and key."""
    try:
        parsed = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{where} is not TOML: {error}") from None
    except ValidationError as error:
        raise TaskError(f"{where}: {_told(error)}") from None
    return {name: _recipe(where, name, table) for name, table in parsed.recipe.items()}


def _recipe(where: str, name: str, table: _Recipe) -> Recipe:
    place = f"{where}: [recipe.{name}]"
    if not NAME.fullmatch(name):
        raise TaskError(f"{place}: a recipe's name is letters, digits and + . _ -, at most 40")
    for parameter in table.params:
        if parameter in GIVEN or not PARAMETER.fullmatch(parameter):
            raise TaskError(f"{place}: parameter {parameter!r} is reserved or not a name")
    used = {found for argument in table.run for found in PLACEHOLDER.findall(argument)}
    known = [*table.params, *GIVEN]
    for placeholder in sorted(used - set(known)):
        raise TaskError(f"{place}: run uses {{{placeholder}}}{near_miss(placeholder, known)}")
    for parameter in sorted(set(table.params) - used):
        raise TaskError(f"{place}: parameter {parameter!r} is not used in run")
    for value in table.protected:
        if ":" not in value:
            raise TaskError(f"{place}: protected value {value!r} is not 'path:key'")
    if table.primary not in BY_NAME:
        raise TaskError(f"{place}: primary {table.primary!r} is no metric{near_miss(table.primary, BY_NAME)}")
    if table.driver is not None:
        raise TaskError(f"{place}: driver comes from the operator's file only")
    return Recipe(
        name=name,
        run=tuple(table.run),
        env=table.env,
        primary=table.primary,
        eval=table.eval,
        events=table.events,
        cache=table.cache,
        protected=tuple(table.protected),
        limit_s=table.limit_s,
        params=table.params,
        need=Need(**{**table.need.model_dump(), "packages": tuple(table.need.packages)}),
    )


def _told(error: ValidationError) -> str:
    """The first trouble of a validation error in one line; an unknown key explains one that is missing."""
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(path)!r}{near_miss(path[-1], _keys_at(path))}"
    if first["type"] == "missing":
        return f"{'.'.join(path)!r} is missing"
    return f"{'.'.join(path)}: {first['msg'][:1].lower()}{first['msg'][1:]}, it is {first['input']!r}"


def _keys_at(path: list[str]) -> list[str]:
    table: Mapping[str, Any]
    if len(path) == 1:
        table = _File.model_fields
    elif len(path) == 3:
        table = _Recipe.model_fields
    else:
        table = _Need.model_fields
    return list(table)

"""What is to be measured, frozen: recipes, arms, replicates, criteria, and the hash of all of it.

Owns the plan's JSON form (schema 1) and its hash. Refuses nothing: `agent/config.py` reads what people
wrote and refuses there. Read by the agent, and by the worker on the machine that measures, so: standard
library only, Python 3.10.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = 1
BASELINE = "baseline"
ASIDE = "~"
"""In the name of a folder: `packing~1` is the first try of the arm `packing`, which a second one replaced."""
BEFORE = "before"
"""The arm of one extra run a recipe, as replicate 0: the baseline's held-out loss before it is trained."""
DEFAULT_LOSS_BAND = 0.02
GIVEN = ("python", "seed", "out", "worktree", "driver")
"""Placeholders that the worker fills in; recipes cannot declare parameters of these names."""

Value = bool | int | float | str
Engine = Literal["lockstep", "abba"]
"""lockstep: window by window, only one process running at a time; abba: one whole process after the other."""
PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Need:
    """What a machine must have for a recipe; None and empty where anything will do."""

    gpu_type: str | None = None
    memory_gib: float | None = None
    disk_gib: float | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named, trusted description of one workload.

    `run` is an argument list with `{placeholders}`; `params` are the open parameters with their defaults.
    `eval_sha256` is the digest of the held-out rows that every run is evaluated on, None where there are
    none. `limit_s` bounds one run.
    """

    name: str
    run: tuple[str, ...]
    env: Literal["none", "pip", "uv"] = "none"
    primary: str = "job_tokens_per_s"
    eval: str | None = None
    eval_sha256: str | None = None
    events: Literal["hook", "own"] = "hook"
    cache: Literal["cold", "warm"] = "cold"
    protected: tuple[str, ...] = ()
    limit_s: float = 900.0
    params: Mapping[str, Value] = field(default_factory=dict)
    driver_sha256: str | None = None
    need: Need = Need()

    @property
    def is_seeded(self) -> bool:
        return any("seed" in PLACEHOLDER.findall(argument) for argument in self.run)


@dataclass(frozen=True, slots=True)
class Arm:
    """A full commit id plus the parameter values that differ from the recipe's defaults.

    `reverts` are full ids of commits that the worker reverts on top of `commit`, in this order.
    """

    name: str
    commit: str
    params: Mapping[str, Value] = field(default_factory=dict)
    reverts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One of the changes that a range is made of: its commits, full ids, oldest first."""

    name: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Criterion:
    """What must hold: `metric` of `arm` over the baseline in `recipe`, `>=` or `<=` a ratio `target`."""

    text: str
    recipe: str
    metric: str
    relation: Literal[">=", "<="]
    target: float
    arm: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Frozen and hashed. The first arm is the baseline; replicate r runs with seed `base_seed + r`.

    `looks` are the numbers of replicates after which it is looked whether everything is decided; without
    any, all `replicates` are made. With them `replicates` is the cap. `engine` is how the arms of a replicate
    are run against each other where that is possible; a run records how it was run. `changes` are those that
    the arms are to be told apart by, in their order (`bench/attribute.py`); a plan that has any attributes.
    """

    repo: str
    task: str
    recipes: tuple[Recipe, ...]
    arms: tuple[Arm, ...]
    replicates: int
    base_seed: int = 1000
    criteria: tuple[Criterion, ...] = ()
    loss_band: float = DEFAULT_LOSS_BAND
    engine: Engine = "lockstep"
    looks: tuple[int, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 (64 hex digits) of the canonical JSON form."""
        return digest_of(self.to_dict())

    def recipe(self, name: str) -> Recipe:
        return next(recipe for recipe in self.recipes if recipe.name == name)

    def arms_of(self, recipe: Recipe) -> tuple[Arm, ...]:
        """The arms that take part in a recipe: those all of whose parameters it has."""
        return tuple(arm for arm in self.arms if set(arm.params) <= set(recipe.params))

    @property
    def protected(self) -> tuple[str, ...]:
        """`path:key` of every recipe, each once."""
        return tuple(dict.fromkeys(one for recipe in self.recipes for one in recipe.protected))

    def judged_arms(self) -> tuple[str, ...]:
        """The arms that decide the task's verdict: those its criteria name, else `optimized`, else all."""
        named = tuple(dict.fromkeys(criterion.arm for criterion in self.criteria))
        if named:
            return named
        others = tuple(arm.name for arm in self.arms if arm.name != BASELINE)
        return ("optimized",) if "optimized" in others else others

    def rounds(self) -> Iterator[tuple[int, Recipe, tuple[Arm, ...]]]:
        """(replicate, recipe, arms in their running order), replicate by replicate.

        With two arms two replicates are one block A B B A, so that drift cancels. Every second block is
        mirrored, B A A B: in A B B A after A B B A a replicate ends as the next one begins, with the same arm
        at nearly the same moment, so that their effects go together and a t interval is too narrow
        (simulated: docs/measurement.md). With more arms the order is reversed where B would come first.
        """
        for replicate in range(1, self.replicates + 1):
            for recipe in self.recipes:
                arms = self.arms_of(recipe)
                yield replicate, recipe, arms if replicate % 4 < 2 else tuple(reversed(arms))

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Raises ValueError on a foreign schema."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"plan of schema {data.get('schema')!r}, this reads {SCHEMA}")
        body = {key: value for key, value in data.items() if key != "schema"}
        body["recipes"] = tuple(
            Recipe(
                **{
                    **recipe,
                    "run": tuple(recipe["run"]),
                    "protected": tuple(recipe["protected"]),
                    "need": Need(**{**recipe["need"], "packages": tuple(recipe["need"]["packages"])}),
                }
            )
            for recipe in data["recipes"]
        )
        body["arms"] = tuple(Arm(**{**arm, "reverts": tuple(arm["reverts"])}) for arm in data["arms"])
        body["looks"] = tuple(data["looks"])
        body["changes"] = tuple(
            Change(**{**change, "commits": tuple(change["commits"])}) for change in data["changes"]
        )
        body["criteria"] = tuple(Criterion(**criterion) for criterion in data["criteria"])
        return cls(**body)


def digest_of(data: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON form of plain data."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def canonical(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def written(value: Value) -> str:
    """How a value stands on a command line: booleans as true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def command_of(recipe: Recipe, arm: Arm, given: Mapping[str, str]) -> list[str]:
    """The argument list of one run. One placeholder never becomes two arguments.

    `given` holds the values of `GIVEN`. Raises KeyError for a placeholder that nobody fills.
    """
    values = {
        **{name: written(value) for name, value in {**recipe.params, **arm.params}.items()},
        **given,
    }
    return [PLACEHOLDER.sub(lambda match: values[match[1]], argument) for argument in recipe.run]

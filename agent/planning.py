"""Makes a plan of what was asked for: recipes, arms with their commits and typed values, criteria.

Pure but for the repository it asks. Refuses names that nobody knows, with a near miss, and values that are
not of the parameter's type.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, cast, get_args

from bench.attribute import attribution_arms
from bench.metrics import near_miss
from bench.plan import (
    BASELINE,
    BEFORE,
    DEFAULT_LOSS_BAND,
    Arm,
    Change,
    Engine,
    Plan,
    Recipe,
    Value,
    digest_of,
)
from bench.score import CriterionError, check_arms, parse_criterion
from bench.sequential import LOOKS

from agent.config import NAME, parse_recipes
from agent.errors import TaskError
from agent.repository import CONFIG
from agent.rows import check_rows
from agent.sweeps import check_number, sweeps_of, swept_arms
from agent.task.criteria import resolved

OPTIMIZED = "optimized"
MOST_REPLICATES = 100
MOST_SHOWN = 5
TEXT_VALUE = re.compile(r"[A-Za-z0-9._/+=@,][A-Za-z0-9 ._/:+=@,-]{0,199}")


class Source(Protocol):
    """Where recipes, held-out rows and commits come from. Both methods raise TaskError."""

    @property
    def name(self) -> str: ...

    @property
    def where(self) -> str: ...

    def commit_of(self, revision: str) -> str: ...

    def bytes_of(self, path: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked to have measured, in their own words."""

    recipes: Sequence[str]
    baseline: str
    optimized: str
    arms: Sequence[str] = ()  # NAME=REV,key=value,...
    sweeps: Sequence[str] = ()  # key=value,value,...
    sweep_on: str = OPTIMIZED  # the commit of which arm the sweeps' arms are of
    changes: Sequence[Change] = ()  # of the range from baseline to optimized, to be told apart by their arms
    replicates: int | None = None  # None: as many as are needed, looked after some
    requires: Sequence[str] = ()
    loss_band: float | None = None
    protected: Sequence[str] = ()  # path:key, on top of the recipes' own
    engine: Engine = "lockstep"
    task: str = ""  # digest of the task; for a command line, of what was asked


Part = Literal["recipes", "baseline", "optimized", "arms", "replicates", "requires"]


class RequestError(TaskError):
    """A part of a request that nothing can be planned from.

    `item` is the value as it was asked for, `what` is said without the words of the command line, for who
    asked elsewhere; `lead` are these, where the text begins with them. `example` is right, "" where any is.
    """

    def __init__(self, part: Part, item: str, what: str, *, lead: str = "", example: str = "") -> None:
        super().__init__(lead + what)
        self.part = part
        self.item = item
        self.what = what
        self.example = example


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and the bytes of the held-out rows that its digests stand for, by recipe. `source` is the
    commit that recipes and rows were read from, where the source has one."""

    plan: Plan
    eval_rows: Mapping[str, bytes] = field(default_factory=dict)
    source: str = ""


def plan_for(request: Request, repository: Source) -> Planned:
    """Raises TaskError; RequestError where it is a part of the request that cannot be had."""
    known = parse_recipes(_config_of(repository), CONFIG)
    recipes, eval_rows = _recipes(request.recipes, known, repository, request.protected)
    arms = _arms(request, recipes, repository)
    check_number(arms)
    if request.replicates is not None and not 1 <= request.replicates <= MOST_REPLICATES:
        number = str(request.replicates)
        lead = f"--replicates {number}: "
        raise RequestError("replicates", number, f"from 1 to {MOST_REPLICATES}", lead=lead)
    plan = Plan(
        repo=repository.name,
        task=request.task or digest_of({"recipes": [*request.recipes], "require": [*request.requires]}),
        recipes=recipes,
        arms=arms,
        replicates=request.replicates or max(LOOKS),
        looks=() if request.replicates else LOOKS,
        engine=request.engine,
        changes=tuple(request.changes),
        loss_band=DEFAULT_LOSS_BAND if request.loss_band is None else request.loss_band,
    )
    return Planned(_with_criteria(plan, request.requires), eval_rows)


def replicates_named(text: str) -> int | None:
    """`auto`, or their number. Raises TaskError."""
    if text == "auto":
        return None
    if not text.isdecimal():
        raise TaskError(f"--replicates {text}: a number, or auto")
    return int(text)


def engine_named(name: str) -> Engine:
    """Raises TaskError."""
    if name not in get_args(Engine):
        raise TaskError(f"--engine {name}: there are {' and '.join(get_args(Engine))}")
    return cast(Engine, name)


def _config_of(repository: Source) -> str:
    try:
        return repository.bytes_of(CONFIG).decode()
    except TaskError:
        raise TaskError(f"no {CONFIG} in {repository.where}: `paceline init` writes one") from None
    except UnicodeDecodeError:
        raise TaskError(f"{CONFIG} is not UTF-8") from None


def _recipes(
    names: Sequence[str], known: Mapping[str, Recipe], repository: Source, protected: Sequence[str]
) -> tuple[tuple[Recipe, ...], dict[str, bytes]]:
    recipes, eval_rows = [], {}
    for name in dict.fromkeys(names):
        if name not in known:
            what = f"unknown recipe {name!r}{near_miss(name, known)}"
            raise RequestError("recipes", name, what, example=", ".join(list(known)[:MOST_SHOWN]))
        recipe = known[name]
        if recipe.eval is not None:
            eval_rows[name] = repository.bytes_of(recipe.eval)
            check_rows(eval_rows[name], recipe.eval)
            recipe = replace(recipe, eval_sha256=hashlib.sha256(eval_rows[name]).hexdigest())
        recipes.append(replace(recipe, protected=tuple(dict.fromkeys((*recipe.protected, *protected)))))
    return tuple(recipes), eval_rows


def _arms(request: Request, recipes: Sequence[Recipe], repository: Source) -> tuple[Arm, ...]:
    given = {BASELINE: request.baseline, OPTIMIZED: request.optimized}
    arms = [*_first_arms(request, repository)]
    for text in request.arms:
        name, revision, values = _split(text)
        if name == BEFORE:
            raise _arm_error(text, f"{BEFORE!r} is the name of a run of our own")
        if name in {arm.name for arm in arms}:
            raise _arm_error(text, f"there is an arm {name!r} already")
        with _about("arms", text):
            commit = repository.commit_of(given.get(revision, revision))
            typed = {key: _typed(key, value, recipes) for key, value in values.items()}
        arms.append(Arm(name, commit, typed))
    if request.sweep_on not in given:
        raise TaskError(f"--sweep-on {request.sweep_on!r}: {BASELINE} or {OPTIMIZED}")
    on = next(arm for arm in arms if arm.name == request.sweep_on)
    return (*arms, *swept_arms(sweeps_of(request.sweeps, recipes, _typed), on, arms, recipes))


@contextlib.contextmanager
def _about(part: Part, item: str) -> Iterator[None]:
    """What cannot be had in here was asked for by that part."""
    try:
        yield
    except TaskError as error:
        raise RequestError(part, item, str(error)) from None


def _arm_error(text: str, what: str) -> RequestError:
    return RequestError("arms", text, what, lead=f"--arm {text!r}: ")


def _first_arms(request: Request, repository: Source) -> tuple[Arm, ...]:
    """Baseline and optimized; with changes all the arms that tell these apart.

    Every commit is asked for, reverted ones too: the source says what may be measured.
    """
    with _about("baseline", request.baseline):
        baseline = repository.commit_of(request.baseline)
    with _about("optimized", request.optimized):
        tip = repository.commit_of(request.optimized)
    if not request.changes:
        return Arm(BASELINE, baseline), Arm(OPTIMIZED, tip)
    commits = [one for change in request.changes for one in change.commits]
    if [repository.commit_of(one) for one in commits] != commits or commits[-1] != tip:
        raise TaskError(f"the changes do not lead to {request.optimized!r}, commit by commit")
    return attribution_arms(baseline, request.changes)


def _split(text: str) -> tuple[str, str, dict[str, str]]:
    form = "NAME=REV,key=value,..., as in packing=optimized,packing=true"
    head, *pairs = text.split(",")
    name, equals, revision = head.partition("=")
    if not equals or not revision:
        raise _arm_error(text, f"is not {form}")
    if not NAME.fullmatch(name):
        raise _arm_error(text, "an arm's name is letters, digits and + . _ -, at most 40")
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or key in values:
            raise _arm_error(text, f"{pair!r} is not one key=value; the form is {form}")
        values[key] = value
    return name, revision, values


def _typed(key: str, text: str, recipes: Sequence[Recipe]) -> Value:
    """A parameter's value in the type of its default. A parameter of no recipe is an error."""
    defaults = {name: value for recipe in recipes for name, value in recipe.params.items()}
    if key not in defaults:
        raise TaskError(f"no recipe has a parameter {key!r}{near_miss(key, defaults)}")
    default = defaults[key]
    try:
        return _parsed(text, default)
    except ValueError:
        raise TaskError(
            f"{key}={text!r}: its default is {default!r}, so it takes a {_type(default)}"
        ) from None


def _parsed(text: str, default: Value) -> Value:
    """Raises ValueError."""
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    if isinstance(default, int):
        return int(text)
    if isinstance(default, float):
        return _finite(float(text))
    # A value that begins with a dash could pass for an option of the subject.
    if not TEXT_VALUE.fullmatch(text):
        raise ValueError(text)
    return text


def _finite(number: float) -> float:
    """Raises ValueError: a plan with NaN or infinity in it has no JSON form, so no hash."""
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _type(default: Value) -> str:
    names: dict[type, str] = {bool: "boolean (true, false)", int: "whole number", float: "number"}
    return names.get(type(default), "plain text without leading dash")


def _with_criteria(plan: Plan, texts: Sequence[str]) -> Plan:
    recipes, arms = [recipe.name for recipe in plan.recipes], [arm.name for arm in plan.arms]
    spelled = resolved(texts, {recipe.name: recipe.primary for recipe in plan.recipes})
    criteria = []
    for asked, text in zip(texts, spelled, strict=True):
        try:
            criteria.append(parse_criterion(text, recipes=recipes, arms=arms))
            check_arms(replace(plan, criteria=(criteria[-1],)))
        except CriterionError as error:
            raise RequestError("requires", asked, str(error), lead="--require: ") from None
    return replace(plan, criteria=tuple(criteria))

"""A/A floors of a job: looked up in the noise of its machine, kept in its folder, told in its report.

Reads what `paceline noise` stored, pools what belongs to the baseline of a plan, and makes `floors.json`
(schema 1) when the job is prepared; it is never changed, so that `paceline verify` computes the same. Which
engine and packages the runs had is known only afterwards: a floor of others is no floor.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from bench import noise
from bench.judge import Floors
from bench.metrics import BY_NAME
from bench.noise import FEWEST_FOR_FLOOR, FRESH_DAYS, Noise, NoiseRecord
from bench.plan import Plan, Recipe
from bench.run import Run
from bench.units import bound_text
from pods import noise as store
from pods.shell import Shell
from pods.shell_local import LocalShell

from agent.dispatch import harness_digest
from agent.here import MACHINE, look_around

SCHEMA = 1
FLOORS = "floors.json"


@dataclass(frozen=True, slots=True)
class Known:
    """The noise of a plan's baseline on one unit; `outdated` counts, by recipe, the replicates of another
    harness, which are not used. `warnings` are about files that could not be read."""

    noise: tuple[Noise, ...]
    outdated: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    def of(self, recipe: Recipe, engine: str) -> Noise | None:
        """The noise to plan with, where several are known: by the engine, then the newest."""
        ours = [one for one in self.noise if one.recipe == recipe.name]
        return max(ours, key=lambda one: (one.engine == engine, one.measured, one.replicates), default=None)


@dataclass(frozen=True, slots=True)
class Floor:
    """`floor` is an absolute log ratio from `n` replicates, the oldest of the ISO date `measured`."""

    recipe: str
    metric: str
    engine: str
    environment: str
    floor: float
    n: int
    measured: str


def known_noise(
    shell: Shell,
    machine: PurePosixPath | Path,
    slot: str,
    host: Mapping[str, Any],
    plan: Plan,
    now: datetime,
) -> Known:
    """`host` are the facts of the machine, `now` is aware UTC. Raises PodError."""
    return known_in(store.stored(shell, machine, store.unit_of(shell, slot, host)), plan, now)


def known_in(found: store.Stored, plan: Plan, now: datetime) -> Known:
    """What records say of a plan, as they were stored for one unit."""
    warnings = [f"noise file {name!r} is passed over: {why}" for name, why in found.broken.items()]
    records = []
    for name, body in found.records.items():
        try:
            records.append(NoiseRecord.from_dict(body))
        except ValueError as error:
            warnings.append(f"noise file {name!r} is passed over: {error}")
    since = _fresh_since(now)
    harness, outdated = harness_digest(), {}
    pooled: list[Noise] = []
    for recipe in plan.recipes:
        workload = noise.workload_of(plan, recipe, plan.arms[0])
        pooled += noise.pooled(records, workload, harness=harness, fresh_since=since)
        others = [one for one in records if one.workload == workload and one.harness != harness]
        outdated[recipe.name] = sum(len(one.replicates) for one in others)
    return Known(tuple(pooled), outdated, tuple(warnings))


def known_here(plan: Plan) -> Known:
    """Of the freest slot of this machine. Raises PodError."""
    shell = LocalShell()
    here = look_around(shell)
    return known_noise(shell, MACHINE, here.slot, here.host, plan, datetime.now(UTC))


def floors_text(known: Sequence[Noise]) -> str:
    """The content of `floors.json`: every floor that is known, of each engine and environment."""
    floors = [asdict(floor) for one in known for floor in _floors(one)]
    return json.dumps({"schema": SCHEMA, "floors": floors}, indent=1) + "\n"


def floors_on(found: store.Stored, now: datetime) -> tuple[Floor, ...]:
    """Every floor that this harness has measured on a unit, of whatever plan; files that are no records are
    passed over."""
    records = []
    for body in found.records.values():
        with contextlib.suppress(ValueError):
            records.append(NoiseRecord.from_dict(body))
    since, harness = _fresh_since(now), harness_digest()
    return tuple(
        floor
        for workload in sorted({record.workload for record in records})
        for one in noise.pooled(records, workload, harness=harness, fresh_since=since)
        for floor in _floors(one)
    )


def _fresh_since(now: datetime) -> str:
    return (now - timedelta(days=FRESH_DAYS)).date().isoformat()


def _floors(known: Noise) -> Iterator[Floor]:
    for metric, effects in known.effects.items():
        if (floor := known.floor(metric)) is not None:
            yield Floor(
                known.recipe, metric, known.engine, known.environment, floor, len(effects), known.measured
            )


def read_floors(folder: Path) -> tuple[Floor, ...] | None:
    """None where the job was prepared without a look at its noise, or the file cannot be read."""
    try:
        data = json.loads((folder / FLOORS).read_text(encoding="utf-8"))
        return tuple(_floor(one) for one in data["floors"]) if data["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _floor(data: Mapping[str, Any]) -> Floor:
    """Raises ValueError, KeyError, TypeError."""
    floor = Floor(**{**data, "floor": float(data["floor"]), "n": int(data["n"])})
    date.fromisoformat(floor.measured)
    if not floor.floor >= 0:
        raise ValueError(f"a floor of {floor.floor}")
    return floor


def floors_of(floors: Sequence[Floor] | None, plan: Plan, runs: Sequence[Run]) -> Floors:
    """What `bench.judge` takes: floors by recipe and metric, for the engine that the runs really had."""
    held = _held(floors or (), plan, runs)
    return {key: floor.floor for key, floor in held.items()}


def kinds_of(recipe: str, plan: Plan, runs: Sequence[Run]) -> set[tuple[str, str]]:
    """How a recipe was really measured: each engine with each of the baseline's environments."""
    ended = [run for run in runs if run.recipe == recipe and run.is_well]
    environments = {run.environment for run in ended if run.arm == plan.arms[0].name}
    return set(product({run.engine for run in ended}, environments))


def _held(floors: Sequence[Floor], plan: Plan, runs: Sequence[Run]) -> dict[tuple[str, str], Floor]:
    """The largest floor of each recipe and metric, where it is known of everything that was used."""
    held = {}
    for recipe in plan.recipes:
        kinds = kinds_of(recipe.name, plan, runs)
        for metric in dict.fromkeys(floor.metric for floor in floors if floor.recipe == recipe.name):
            ours = [floor for floor in floors if (floor.recipe, floor.metric) == (recipe.name, metric)]
            fitting = {(one.engine, one.environment): one for one in ours}
            if kinds and kinds <= set(fitting):
                held[recipe.name, metric] = max((fitting[kind] for kind in kinds), key=lambda f: f.floor)
    return held


def floor_lines(
    floors: Sequence[Floor] | None, plan: Plan, runs: Sequence[Run], ended: Mapping[str, Any] | None
) -> Iterator[str]:
    """A line a recipe on the floor of its primary metric; none where nobody looked. `ended` is the job's exit
    record, whose begin the age is counted to."""
    if floors is None:
        return
    held = _held(floors, plan, runs)
    for recipe in plan.recipes:
        head = f"A/A floor of {recipe.name} on this machine"
        floor, title = held.get((recipe.name, recipe.primary)), BY_NAME[recipe.primary].title
        if floor is None:
            is_other = any((one.recipe, one.metric) == (recipe.name, recipe.primary) for one in floors)
            why = (
                "measured with another engine or other installed packages"
                if is_other
                else f"fewer than {FEWEST_FOR_FLOOR} fitting replicates of {title} stored"
            )
            yield f"{head}: unknown ({why}); paceline noise {recipe.name} measures it"
            continue
        share, age = share_text(floor.floor), age_text(floor.measured, begun_on(ended))
        yield f"{head}: {share} ({title}, {floor.n} replicates, {floor.engine}, {age})"


def share_text(log_ratio: float) -> str:
    """An absolute log ratio as a share: 0.00995 is `1 %`."""
    share = math.expm1(log_ratio)
    return bound_text(share) if share < 1 else f"{100 * share:,.0f} %"


def begun_on(ended: Mapping[str, Any] | None) -> date | None:
    """The day on which a job began, from its exit record."""
    try:
        return datetime.fromisoformat(str((ended or {})["begin"])).date()
    except (KeyError, ValueError):
        return None


def age_text(measured: str, begun: date | None) -> str:
    """`3 days old` on the day `begun`; the date itself where that day is not known."""
    if begun is None:
        return f"measured {measured}"
    days = max(0, (begun - date.fromisoformat(measured)).days)
    if days > FRESH_DAYS:
        return f"{days} days old: measure it anew"
    return "measured the same day" if days == 0 else f"{days} day{'s' * (days > 1)} old"

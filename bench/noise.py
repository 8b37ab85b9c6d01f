"""Noise: what a baseline measured against itself says of a machine, and the floor that follows from it.

Owns the record of the A/A replicates that one job made of one workload by one engine (schema 1), which
records belong together, and the floor. A workload is a recipe with its command and effective parameters in
one repository; its seed is no part of it. Never pools replicates of another harness or of other installed
packages. Days are ISO dates, which compare as text: there is no clock here. Who stores records is not known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import fmean
from typing import Any, get_args

from bench.compare import CONFIDENCE, t_interval
from bench.metrics import BY_NAME, METRICS
from bench.plan import BASELINE, Arm, Engine, Plan, Recipe, digest_of
from bench.run import Run
from bench.sample import incomparable, pairs_of, valid, value

SCHEMA = 1
AGAIN = "again"
"""The arm that is the baseline once more."""
FEWEST_FOR_FLOOR = 6
FRESH_DAYS = 30
"""Older replicates are pooled only where there are fewer than `FEWEST_FOR_FLOOR` fresh ones."""


@dataclass(frozen=True, slots=True)
class Replicate:
    """log(again / baseline) by metric, and the mean outer seconds of the two runs."""

    effects: Mapping[str, float]
    run_s: float


@dataclass(frozen=True, slots=True)
class NoiseRecord:
    """What one job measured of one workload by one engine; `measured` is the ISO date of its end.

    `environment` is the digest of the installed packages. `between_s` is what the job spent beside its runs,
    a run.
    """

    workload: str
    recipe: str
    engine: Engine
    environment: str
    harness: str
    commit: str
    job: str
    measured: str
    between_s: float
    replicates: tuple[Replicate, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NoiseRecord:
        """Raises ValueError on a foreign schema, a field that is missing and a figure that is none."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"noise of schema {data.get('schema')!r}, this reads {SCHEMA}")
        try:
            replicates = tuple(_replicate(one) for one in data["replicates"])
            texts = {name: _text(data[name]) for name in _TEXTS}
            if texts["engine"] not in get_args(Engine):
                raise ValueError(f"no engine {texts['engine']!r}")
            if not replicates or not _DAY.fullmatch(texts["measured"]):
                raise ValueError(f"{len(replicates)} replicates of {texts['measured']!r}")
            return cls(**texts, between_s=_seconds(data["between_s"]), replicates=replicates)  # type: ignore[arg-type]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a record of noise: {error!r}") from None


_DAY = re.compile(r"[0-9]{4}-[01][0-9]-[0-3][0-9]")
_TEXTS = ("workload", "recipe", "engine", "environment", "harness", "commit", "job", "measured")


@dataclass(frozen=True, slots=True)
class Noise:
    """Pooled replicates of one recipe by one engine with the same packages; `effects` by metric.

    `run_s` are the mean outer seconds of a run, `between_s` those that the job spends beside it. `measured`
    is the day of the oldest replicate.
    """

    recipe: str
    engine: Engine
    environment: str
    effects: Mapping[str, tuple[float, ...]]
    replicates: int
    run_s: float
    between_s: float
    measured: str

    def floor(self, metric: str) -> float | None:
        return floor_of(self.effects.get(metric, ()))

    def spread(self, metric: str) -> float | None:
        """Standard deviation of the log ratios; None for fewer than two."""
        interval = t_interval(self.effects.get(metric, ()), CONFIDENCE)
        return None if interval is None else interval.spread


def floor_of(effects: Sequence[float]) -> float | None:
    """The larger absolute end of the 95 % t interval of the mean A/A effect; None for fewer than six.

    It bounds the bias of how it is measured on a machine; the noise of a comparison is in its own interval.
    """
    if len(effects) < FEWEST_FOR_FLOOR:
        return None
    interval = t_interval(effects, CONFIDENCE)
    assert interval is not None, "six effects have an interval"
    return max(abs(interval.low), abs(interval.high))


def workload_of(plan: Plan, recipe: Recipe, arm: Arm) -> str:
    """16 hex digits: everything of a recipe that its runs see, with the arm's parameters in place.

    The repository's name belongs to it, since two repositories may call unlike scripts by the same command;
    the commit does not, since noise is the machine's. Seeds and limits do not either.
    """
    described = {
        "repository": plan.repo,
        "recipe": recipe.name,
        "run": list(recipe.run),
        "params": {**recipe.params, **arm.params},
        "env": recipe.env,
        "events": recipe.events,
        "cache": recipe.cache,
        "eval": recipe.eval_sha256,
        "driver": recipe.driver_sha256,
    }
    return digest_of(described)[:16]


def records_of(
    plan: Plan, runs: Sequence[Run], *, harness: str, job: str, measured: str, elapsed_s: float
) -> tuple[NoiseRecord, ...]:
    """Of the valid pairs of an A/A plan: a record for each recipe, engine and environment.

    `elapsed_s` are the seconds of the whole job. A pair of unlike engines or packages is no A/A pair.
    """
    spent_s = sum(run.wall_s or 0.0 for run in runs)
    between_s = max(0.0, elapsed_s - spent_s) / max(1, len(runs))
    return tuple(
        NoiseRecord(
            workload=workload_of(plan, recipe, plan.arms[0]),
            recipe=recipe.name,
            engine=engine,
            environment=environment,
            harness=harness,
            commit=plan.arms[0].commit,
            job=job,
            measured=measured,
            between_s=between_s,
            replicates=replicates,
        )
        for recipe in plan.recipes
        for (engine, environment), replicates in _made(runs, recipe.name)
    )


def _made(runs: Sequence[Run], recipe: str) -> Iterator[tuple[tuple[Engine, str], tuple[Replicate, ...]]]:
    def kind(both: tuple[Run, Run]) -> tuple[Engine, str]:
        return both[0].engine, both[0].environment

    pairs = valid(pairs_of(runs, recipe, BASELINE, AGAIN))
    alike = [(one, two) for one, two in pairs if kind((one, two)) == kind((two, one))]
    for found, group in groupby(sorted(alike, key=kind), kind):
        yield found, tuple(Replicate(_effects(*both), _mean_s(*both)) for both in group)


def _effects(one: Run, again: Run) -> dict[str, float]:
    """log(again / one) of every metric that both have a positive, finite value of."""
    found = {}
    for metric in METRICS:
        before, after = value(metric, one), value(metric, again)
        if before is None or after is None or incomparable(metric, one, again):
            continue
        if 0 < before < math.inf and 0 < after < math.inf:
            found[metric.name] = math.log(after / before)
    return found


def _mean_s(one: Run, again: Run) -> float:
    return fmean((one.wall_s or 0.0, again.wall_s or 0.0))


def pooled(
    records: Sequence[NoiseRecord], workload: str, *, harness: str, fresh_since: str
) -> tuple[Noise, ...]:
    """What is known of a workload: for each engine and environment the replicates that belong together.

    Those since the day `fresh_since`; where they are fewer than `FEWEST_FOR_FLOOR`, older ones too, the
    newest first, until they are enough.
    """
    ours = [record for record in records if (record.workload, record.harness) == (workload, harness)]
    ours.sort(key=_kind)
    return tuple(_pool(_fresh(list(group), fresh_since)) for _, group in groupby(ours, _kind))


def _kind(record: NoiseRecord) -> tuple[str, str]:
    return record.engine, record.environment


def _fresh(records: Sequence[NoiseRecord], since: str) -> list[NoiseRecord]:
    kept: list[NoiseRecord] = []
    for record in sorted(records, key=lambda one: (one.measured, one.job), reverse=True):
        if record.measured >= since or sum(len(one.replicates) for one in kept) < FEWEST_FOR_FLOOR:
            kept.append(record)
    return kept


def _pool(records: Sequence[NoiseRecord]) -> Noise:
    replicates = [one for record in records for one in record.replicates]
    effects = {
        metric.name: tuple(one.effects[metric.name] for one in replicates if metric.name in one.effects)
        for metric in METRICS
    }
    return Noise(
        recipe=records[0].recipe,
        engine=records[0].engine,
        environment=records[0].environment,
        effects={name: found for name, found in effects.items() if found},
        replicates=len(replicates),
        run_s=fmean(one.run_s for one in replicates),
        between_s=fmean(record.between_s for record in records for _ in record.replicates),
        measured=min(record.measured for record in records),
    )


def _replicate(data: Mapping[str, Any]) -> Replicate:
    """Raises ValueError. A metric that this version does not know is passed over."""
    effects = {name: _number(effect) for name, effect in data["effects"].items() if name in BY_NAME}
    return Replicate(effects, _seconds(data["run_s"]))


def _seconds(number: Any) -> float:
    if (seconds := _number(number)) < 0:
        raise ValueError(f"{number!r} seconds")
    return seconds


def _number(number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"{number!r} is no figure")
    return float(number)


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no text")
    return text

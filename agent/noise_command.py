"""`paceline noise`: measures the baseline against itself on this machine, and stores what that gives.

An A/A job is a job like any other: its folder, report and `verify` are the same. What was measured stays,
also when it is interrupted; the replicates of several calls add up.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.metrics import BY_NAME
from bench.noise import AGAIN, FEWEST_FOR_FLOOR, Noise, NoiseRecord, records_of
from bench.plan import BASELINE, Engine, Plan
from bench.sample import outcomes_text, pairs_of
from bench.tables import SHOWN, Table
from pods import noise as store
from pods.shell import PodError
from pods.shell_local import LocalShell

from agent.bench_command import measured_here
from agent.dispatch import harness_digest
from agent.errors import TaskError
from agent.floors import Known, known_noise, share_text
from agent.here import MACHINE
from agent.planning import Planned, Request, Source, plan_for
from agent.report import table_text
from agent.repository import open_repository
from agent.result import Result


@dataclass(frozen=True, slots=True)
class NoiseRequest:
    """What somebody asked to have measured against itself; `params` are texts `key=value`."""

    recipes: Sequence[str]
    baseline: str = "HEAD"
    params: Sequence[str] = ()
    replicates: int = FEWEST_FOR_FLOOR
    engine: Engine = "lockstep"


def noise_here(request: NoiseRequest, repo: Path) -> int:
    """Measure, store and print; the exit status. Raises TaskError and PodError."""
    repository = open_repository(repo)
    status, result = measured_here(noise_plan(request, repository), repository)
    print(f"\npaceline: {result.folder}", file=sys.stderr)
    records = records_from(result, harness_digest())
    if status == 0 and not records:
        raise PodError(_why_none(result))
    _store(result, records)
    shell, host = LocalShell(), result.host
    known = known_noise(shell, MACHINE, str(host["slot"]), host, result.plan, datetime.now(UTC))
    print(noise_text(result.plan, records, known), end="")
    return status


def noise_plan(request: NoiseRequest, repository: Source) -> Planned:
    """A plan of two equal arms, of a fixed number of replicates. Raises TaskError."""
    for text in request.params:
        if "=" not in text or "," in text:
            raise TaskError(f"--param {text!r} is not one key=value")
    again = ",".join([f"{AGAIN}={BASELINE}", *request.params])
    planned = plan_for(
        Request(
            recipes=request.recipes,
            baseline=request.baseline,
            optimized=request.baseline,
            arms=(again,),
            replicates=request.replicates,
            engine=request.engine,
        ),
        repository,
    )
    [arm] = [arm for arm in planned.plan.arms if arm.name == AGAIN]
    arms = (replace(arm, name=BASELINE), arm)
    plan = replace(planned.plan, arms=arms, replicates=request.replicates, looks=(), criteria=())
    for recipe in plan.recipes:
        foreign = sorted(set(arm.params) - set(recipe.params))
        if foreign:
            raise TaskError(f"recipe {recipe.name!r} has no parameter {foreign[0]!r}: measure it by itself")
    return replace(planned, plan=plan)


def records_from(result: Result, harness: str) -> tuple[NoiseRecord, ...]:
    """What an A/A job that has ended gives to store; empty where no replicate gave a pair."""
    ended = result.ended or {}
    begin, end = ended.get("begin_monotonic_s"), ended.get("end_monotonic_s")
    if begin is None or end is None:
        return ()
    return records_of(
        result.plan,
        result.runs,
        harness=harness,
        job=result.folder.name,
        measured=datetime.fromisoformat(ended["end"]).astimezone(UTC).date().isoformat(),
        elapsed_s=float(end - begin),
    )


def _store(result: Result, records: Sequence[NoiseRecord]) -> None:
    shell, host = LocalShell(), result.host
    unit = store.unit_of(shell, str(host["slot"]), host)
    for record in records:
        path = store.add(shell, MACHINE, unit, f"{record.recipe}-{record.job}", record.to_dict())
        print(f"paceline: stored in {path}", file=sys.stderr)


def _why_none(result: Result) -> str:
    if result.error:
        return result.error
    told = [
        f"{recipe.name}: {outcomes_text(pairs_of(result.runs, recipe.name, BASELINE, AGAIN))}"
        for recipe in result.plan.recipes
    ]
    return f"nothing to store, no replicate gave a pair ({'; '.join(told)})"


def noise_text(plan: Plan, records: Sequence[NoiseRecord], known: Known) -> str:
    """What this job added and what is known now, a table for each recipe and engine."""
    parts = []
    for recipe in plan.recipes:
        ours = [one for one in known.noise if one.recipe == recipe.name]
        added = sum(len(one.replicates) for one in records if one.recipe == recipe.name)
        head = f"## {recipe.name}: {added} A/A replicates added"
        parts += [head, *map(_noise_part, ours)]
    return "\n\n".join(parts) + "\n"


def _noise_part(noise: Noise) -> str:
    told = f"{noise.engine}, {noise.replicates} replicates known, the oldest of {noise.measured}:"
    missing = FEWEST_FOR_FLOOR - noise.replicates
    if missing > 0:
        told += f" the floor needs {missing} more."
    rows = []
    for name in SHOWN:
        effects, spread = noise.effects.get(name, ()), noise.spread(name)
        if spread is None or max(effects) == min(effects) == 0:
            continue
        metric, floor = BY_NAME[name], noise.floor(name)
        rows.append(
            (
                metric.title,
                share_text(spread),
                "unknown" if floor is None else share_text(floor),
                share_text(metric.threshold(floor)),
                str(len(effects)),
            )
        )
    header = ("", "spread of a replicate", "A/A floor", "proven beyond", "n")
    return f"{told}\n\n{table_text(Table('noise', header, tuple(rows)))}"

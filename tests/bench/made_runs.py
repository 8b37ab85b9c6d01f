"""Builders of plans and runs with figures that can be worked out by hand.

A made run of the baseline: 64 rows, 6,400 real tokens in 16 steps; 10 s of job (prep 1, first 1, train 8),
4 s of import and 1 s of load, 2 s after; held-out loss 2.0 after 4.0 before, varying over seeds by 0.01.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bench.plan import Arm, Criterion, Plan, Recipe
from bench.run import Eval, GpuTrace, PhaseMemory, Run
from bench.sample import Pair

PHASES_S = {
    "import": 4.0,
    "load": 1.0,
    "prep": 1.0,
    "reference": 0.0,
    "first": 1.0,
    "train": 8.0,
    "eval": 1.0,
    "save": 0.5,
    "other": 0.5,
}
JITTER = (1.0, 1.004, 0.997, 1.002, 0.999, 1.003, 0.998, 1.001, 0.996, 1.005, 1.0, 0.9985)
"""What a replicate is slower or faster by, in both arms and then in one: noise without a generator."""

SFT = Recipe("sft", ("{python}", "train.py", "--seed", "{seed}"), eval="eval.jsonl", params={"rows": 64})
DPO = replace(SFT, name="dpo")


def made_run(arm: str = "baseline", replicate: int = 1, **changes: Any) -> Run:
    """A run that is ok; `changes` are fields, `phases_s` is merged with `PHASES_S`."""
    phases_s = {**PHASES_S, **changes.pop("phases_s", {})}
    jitter = 0.01 * (replicate % 3 - 1)
    fields: dict[str, Any] = {
        "recipe": "sft",
        "outcome": "ok",
        "wall_s": sum(phases_s.values()),
        "steps": 16,
        "rows": 64,
        "tokens": 6_400,
        "padded_tokens": 9_600,
        "supervised_tokens": 3_200,
        "train_tokens": 6_000,
        "step_s": (1.0, *(0.5 for _ in range(15))),
        "losses": (5.0, 4.0, 3.0),
        "eval": Eval(loss=2.0 + jitter, rows=8, tokens=800, before=4.0),
        "batch_digests": ((f"first-{replicate}",), (f"second-{replicate}",)),
        "memory": {"train": PhaseMemory(allocated_b=1 << 30, reserved_b=2 << 30)},
        "peak_rss_b": 3 << 30,
        "gpu": GpuTrace(100, 80.0, 95.0, 4 << 30),
        "environment": "packages",
    }
    return Run(arm=arm, replicate=replicate, phases_s=phases_s, **{**fields, **changes})


def faster(run: Run, factor: float) -> Run:
    """The same run with the time of its first step and training divided by `factor`, phases summing up."""
    phases_s = {**run.phases_s}
    for phase in ("prep", "first", "train"):
        phases_s[phase] /= factor
    return replace(
        run,
        phases_s=phases_s,
        wall_s=sum(phases_s.values()),
        step_s=tuple(seconds / factor for seconds in run.step_s),
    )


def made_pair(replicate: int, factor: float, arm: str = "optimized", **changes: Any) -> tuple[Run, Run]:
    """A baseline and an arm that is `factor` times as fast, each with the jitter of its replicate."""
    drift = JITTER[replicate % len(JITTER)]
    own = JITTER[(5 * replicate + 3) % len(JITTER)]
    one = faster(made_run("baseline", replicate), drift)
    return one, faster(made_run(arm, replicate, **changes), drift * factor * own)


def made_runs(factor: float = 1.5, replicates: int = 3, arm: str = "optimized", **changes: Any) -> list[Run]:
    return [run for number in range(1, replicates + 1) for run in made_pair(number, factor, arm, **changes)]


def changed(runs: Sequence[Run], arm: str, change: Callable[[Run], Run]) -> list[Run]:
    return [change(run) if run.arm == arm else run for run in runs]


def without_trainer(run: Run) -> Run:
    return Run(
        recipe=run.recipe,
        arm=run.arm,
        replicate=run.replicate,
        outcome="no trainer",
        wall_s=run.wall_s,
        phases_s={"import": run.wall_s or 0.0},
        peak_rss_b=run.peak_rss_b,
        environment=run.environment,
    )


def lost(run: Run, outcome: str = "crashed", reason: str = "ValueError: no") -> Run:
    return Run(recipe=run.recipe, arm=run.arm, replicate=run.replicate, outcome=outcome, reason=reason)


def in_recipe(runs: Sequence[Run], name: str) -> list[Run]:
    return [replace(run, recipe=name) for run in runs]


def with_value(metric: str, value: float, replicate: int = 1, arm: str = "baseline") -> Run:
    """A run whose sample of `metric` is `value`."""
    one = made_run(arm, replicate)
    seconds = {f"{phase}_s": phase for phase in PHASES_S if phase != "first"} | {"first_step_s": "first"}
    if metric in seconds:
        return made_run(arm, replicate, phases_s={seconds[metric]: value})
    makers: dict[str, Callable[[], Run]] = {
        "job_tokens_per_s": lambda: replace(one, tokens=value * 10.0),
        "tokens_per_s": lambda: replace(one, train_tokens=value * 8.0),
        "rows_per_s": lambda: replace(one, rows=value * 10.0),
        "end_to_end_s": lambda: replace(one, wall_s=value),
        "step_s": lambda: replace(one, step_s=(9.0, value, value)),
        "peak_memory_b": lambda: replace(one, memory={"train": PhaseMemory(allocated_b=value)}),
        "peak_reserved_b": lambda: replace(one, memory={"train": PhaseMemory(reserved_b=value)}),
        "peak_device_b": lambda: replace(one, gpu=GpuTrace(9, 80.0, 95.0, value)),
        "peak_rss_b": lambda: replace(one, peak_rss_b=value),
        "first_loss": lambda: replace(one, losses=(value, 1.0)),
        "final_loss": lambda: replace(one, losses=(1.0, value)),
        "heldout_loss": lambda: replace(one, eval=Eval(value, 8, 800, 4.0)),
        "gpu_util_mean_pct": lambda: replace(one, gpu=GpuTrace(9, value, 95.0, 1)),
        "gpu_util_p95_pct": lambda: replace(one, gpu=GpuTrace(9, 80.0, value, 1)),
        "gpu_hours": lambda: replace(one, wall_s=value * 3600),
    }
    return makers[metric]() if metric in makers else replace(one, **{metric: value})


def pairs_with(metric: str, samples: Sequence[tuple[float, float]]) -> tuple[Pair, ...]:
    """Pairs whose samples of `metric` are the given (baseline, arm) values."""
    return tuple(
        Pair(number, with_value(metric, one, number), with_value(metric, other, number, "optimized"))
        for number, (one, other) in enumerate(samples, start=1)
    )


def swapped(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    return tuple(Pair(pair.replicate, pair.arm, pair.baseline) for pair in pairs)


def effects_of(*effects: float, metric: str = "job_tokens_per_s") -> tuple[Pair, ...]:
    """Pairs whose log ratios are the given ones."""
    return pairs_with(metric, [(100.0, 100.0 * math.exp(effect)) for effect in effects])


def made_plan(*criteria: Criterion, recipes: Sequence[Recipe] = (SFT,), **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "repo": "repo",
        "task": "task",
        "recipes": tuple(recipes),
        "arms": (Arm("baseline", "a" * 40), Arm("optimized", "b" * 40)),
        "replicates": 3,
        "criteria": criteria,
    }
    return Plan(**{**fields, **changes})


def asked(text: str = "sft:job_tokens_per_s>=1.3", arm: str = "optimized") -> Criterion:
    recipe, rest = text.split(":")
    relation = ">=" if ">=" in rest else "<="
    metric, target = rest.split(relation)
    return Criterion(text, recipe, metric, relation, float(target), arm)

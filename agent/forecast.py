"""What a job should take and show, from stored noise; and afterwards how far that was off.

`forecast.json` (schema 1) is written with the job and never changed. It holds what time and interval follow
from (seconds of a run, spread of the log ratios), not the totals: how many replicates `auto` makes, and by
which engine, is known only afterwards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.compare import Comparison
from bench.judge import Judgement
from bench.metrics import BY_NAME
from bench.noise import Noise
from bench.plan import Plan, Recipe
from bench.power import detectable, half_width
from bench.run import Run
from bench.sequential import levels_of
from bench.units import change_text

from agent.floors import FLOORS, Known, floors_text, kinds_of, share_text
from agent.follow import duration_text

SCHEMA = 1
FORECAST = "forecast.json"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of one recipe by one engine with the same packages: seconds of a run, seconds that the job spends
    beside it, and the spread of the primary metric's log ratios (None for fewer than two)."""

    recipe: str
    engine: str
    environment: str
    run_s: float
    between_s: float
    spread: float | None


def noise_files(known: Sequence[Noise], plan: Plan) -> dict[str, bytes]:
    """The files on its noise that a job folder gets when it is prepared."""
    forecasts = [
        Forecast(
            one.recipe,
            one.engine,
            one.environment,
            one.run_s,
            one.between_s,
            one.spread(plan.recipe(one.recipe).primary),
        )
        for one in known
    ]
    body = {"schema": SCHEMA, "forecasts": [asdict(one) for one in forecasts]}
    text = json.dumps(body, indent=1) + "\n"
    return {FLOORS: floors_text(known).encode(), **({FORECAST: text.encode()} if forecasts else {})}


def read_forecasts(folder: Path) -> tuple[Forecast, ...]:
    """Empty where nothing was known, or the file cannot be read."""
    try:
        data = json.loads((folder / FORECAST).read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            return ()
        return tuple(_forecast(one) for one in data["forecasts"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _forecast(data: Mapping[str, Any]) -> Forecast:
    """Raises KeyError, TypeError, ValueError."""
    spread = data["spread"]
    seconds = {name: float(data[name]) for name in ("run_s", "between_s")}
    return Forecast(**{**data, **seconds, "spread": None if spread is None else float(spread)})


def error_lines(
    forecasts: Sequence[Forecast],
    plan: Plan,
    runs: Sequence[Run],
    judgement: Judgement,
    ended: Mapping[str, Any] | None,
) -> Iterator[str]:
    """`forecast 12 min, took 14 min (+17 %); sft: expected half width ±1.2 %, was ±1.5 %`, or nothing."""
    by_recipe = {recipe.name: _held(forecasts, recipe.name, plan, runs) for recipe in plan.recipes}
    told = [text for text in (_time_text(by_recipe, runs, ended),) if text]
    for name, forecast in by_recipe.items():
        comparison = _decisive(plan.recipe(name), plan, judgement)
        if forecast is not None and forecast.spread is not None and comparison is not None:
            expected = half_width(forecast.spread, comparison.n, comparison.confidence)
            was = _half_width_of(comparison)
            told.append(f"{name}: expected half width ±{share_text(expected)}, was ±{share_text(was)}")
    if told:
        yield "; ".join(told)


def _held(forecasts: Sequence[Forecast], recipe: str, plan: Plan, runs: Sequence[Run]) -> Forecast | None:
    kinds = kinds_of(recipe, plan, runs)
    held = [one for one in forecasts if one.recipe == recipe and {(one.engine, one.environment)} == kinds]
    return held[0] if held else None


def _time_text(
    by_recipe: Mapping[str, Forecast | None], runs: Sequence[Run], ended: Mapping[str, Any] | None
) -> str:
    """Of a job that came to its end, for the runs that it made; empty where not all of it was forecast."""
    ended = ended or {}
    begin, end = ended.get("begin_monotonic_s"), ended.get("end_monotonic_s")
    if ended.get("outcome") != "finished" or begin is None or end is None or not runs:
        return ""
    expected_s = 0.0
    for run in runs:
        forecast = by_recipe[run.recipe]
        if forecast is None:
            return ""
        expected_s += forecast.run_s + forecast.between_s
    took_s = float(end - begin)
    off = f" ({change_text(took_s / expected_s)})" if expected_s > 0 else ""
    return f"forecast {duration_text(expected_s)}, took {duration_text(took_s)}{off}"


def _decisive(recipe: Recipe, plan: Plan, judgement: Judgement) -> Comparison | None:
    """The primary metric's comparison of the first judged arm that has an interval there."""
    found = [
        one
        for arm in plan.judged_arms()
        for one in judgement.comparisons
        if (one.recipe, one.metric, one.arm) == (recipe.name, recipe.primary, arm)
    ]
    with_interval = [one for one in found if one.n >= 2 and not one.is_exact and one.low is not None]
    return with_interval[0] if with_interval else None


def _half_width_of(comparison: Comparison) -> float:
    assert comparison.low is not None and comparison.high is not None
    return (math.log(comparison.high) - math.log(comparison.low)) / 2


def forecast_lines(plan: Plan, known: Known) -> tuple[str, ...]:
    """What the runs of a plan should take and show: a line a recipe, for somebody who is to approve it.

    `sft: about 14 min, smallest effect that would show: 2.1 %`; with looks, both at their cap.
    """
    return tuple(f"{recipe.name}: {_expected(recipe, plan, known)}" for recipe in plan.recipes)


def _expected(recipe: Recipe, plan: Plan, known: Known) -> str:
    noise = known.of(recipe, plan.engine)
    if noise is None:
        return "time and smallest effect are not known, paceline noise measures them"
    seconds = seconds_of(noise, plan.replicates, len(plan.arms_of(recipe)))
    head = f"{'at most about' if plan.looks else 'about'} {duration_text(seconds)}"
    spread = noise.spread(recipe.primary)
    if spread is None or plan.replicates < 2:
        return f"{head}, smallest effect that would show: not known"
    threshold = BY_NAME[recipe.primary].threshold(noise.floor(recipe.primary))
    smallest = detectable(spread, plan.replicates, threshold, levels_of(plan).ratio)
    return f"{head}, smallest effect that would show: {share_text(smallest)}"


def seconds_of(noise: Noise, replicates: float, arms: int) -> float:
    """Of the whole job, each arm as slow as the baseline."""
    return replicates * arms * (noise.run_s + noise.between_s)

"""Planted effects through the real statistics and verdict: `python -m bench.simulate`.

Each simulated task is a set of synthetic runs (`synthetic.py`) that `judge` gets like real ones. What came
back is counted: false alarms where nothing was planted, power where something was, how often the interval
held the truth, and how many replicates `auto` took. Machines that nothing is promised for are in the table
as well, with the reason. Prints Markdown; the same seed and numbers of tasks give the same figures.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.compare import Comparison
from bench.judge import NO_FLOORS, Floors, Judgement, judge
from bench.metrics import BY_NAME
from bench.noise import FEWEST_FOR_FLOOR, floor_of
from bench.plan import BASELINE
from bench.sample import pairs_of, valid, value
from bench.scenarios import SCENARIOS, TITLES, Design, Scenario
from bench.sequential import LOOKS
from bench.synthetic import ARM, RECIPE, Layout, plan_of, synthetic_runs

if TYPE_CHECKING:
    import numpy as np

EFFECTS = (0.0, 0.01, 0.02, 0.05, 0.10, 0.30)
"""What the arm does more work by in a second; the first is an A/A comparison."""
FIXED = 5
"""Replicates of a plan without looks, and runs of each arm in blocks."""
METRICS = tuple(BY_NAME[name] for name in ("job_tokens_per_s", "tokens_per_s"))
"""All that a simulated task has; the first is its primary metric."""
TASKS, EFFECT_TASKS, SEED = 400, 80, 2026
USED_AT = (0.0, 0.05, 0.30)
"""Effects for which the table says how many replicates `auto` took."""


@dataclass(slots=True)
class Tally:
    """Of `tasks`: `faster` were PASS, `told` anything but CANNOT TELL, in `covered` the primary metric's
    interval held what was planted. `used` are replicates, summed."""

    tasks: int = 0
    faster: int = 0
    told: int = 0
    covered: int = 0
    used: int = 0

    def add(self, judgement: Judgement, effect: float, used: int) -> None:
        primary = _primary(judgement)
        self.tasks += 1
        self.faster += judgement.verdict.outcome == "PASS"
        self.told += judgement.verdict.outcome != "CANNOT TELL"
        self.covered += (primary.low or math.inf) <= 1 + effect <= (primary.high or -math.inf)
        self.used += used

    def add_by_eye(self, ratio: float) -> None:
        """Who reads a bare ratio takes anything beyond the practical floor for a result."""
        seen, floor = math.log(ratio), METRICS[0].threshold(None)
        self.tasks += 1
        self.faster += seen > floor
        self.told += abs(seen) > floor
        self.used += 1


def simulated(
    scenario: Scenario, design: Design, effect: float, tasks: int, seed: Sequence[int]
) -> tuple[Tally, Tally]:
    """What `FIXED` replicates came to, and what `auto` did (empty where a design has no looks).

    Of one run an arm our verdict is always CANNOT TELL; what is tallied is what somebody else would say.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    fixed, auto = Tally(), Tally()
    for _ in range(tasks):
        if design == "one run":
            runs = synthetic_runs(scenario.disturbances, "abba", effect, 1, draw)
            judgement = judge(plan_of(1), runs, metrics=METRICS)
            assert judgement.verdict.outcome == "CANNOT TELL", "one run an arm has a verdict"
            fixed.add_by_eye(_primary(judgement).ratio or 1.0)
            continue
        floors = _floors(scenario, design, draw)
        replicates = FIXED if design == "blocks" else LOOKS[-1]
        runs = synthetic_runs(scenario.disturbances, design, effect, replicates, draw)
        first = [run for run in runs if run.replicate <= FIXED]
        fixed.add(judge(plan_of(FIXED), first, floors=floors, metrics=METRICS), effect, FIXED)
        if design != "blocks":
            judgement = judge(plan_of(replicates, LOOKS), runs, floors=floors, metrics=METRICS)
            auto.add(judgement, effect, judgement.look or replicates)
    return fixed, auto


def _primary(judgement: Judgement) -> Comparison:
    return next(one for one in judgement.comparisons if one.metric == METRICS[0].name)


def _floors(scenario: Scenario, layout: Layout, draw: np.random.Generator) -> Floors:
    """As an A/A measurement on the same machine would have stored them."""
    if not scenario.has_floor:
        return NO_FLOORS
    runs = synthetic_runs(scenario.disturbances, layout, EFFECTS[0], FEWEST_FOR_FLOOR, draw)
    both = valid(pairs_of(runs, RECIPE, BASELINE, ARM))
    floors = {}
    for metric in METRICS:
        samples = [(value(metric, one), value(metric, again)) for one, again in both]
        floor = floor_of([math.log(after / before) for before, after in samples if before and after])
        assert floor is not None, "a pair without a throughput"
        floors[RECIPE, metric.name] = floor
    return floors


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario measured in one way, with its tallies by effect."""

    scenario: Scenario
    design: Design
    fixed: Mapping[float, Tally]
    auto: Mapping[float, Tally]

    @property
    def cells(self) -> tuple[str, ...]:
        """The power is that of `auto`, and of what there is where a design has no looks."""
        power = self.fixed if self.design in ("blocks", "one run") else self.auto
        covered = [
            "-"
            if self.design == "one run"
            else _percent(sum(t.covered for t in by.values()), sum(t.tasks for t in by.values()))
            for by in (self.fixed, self.auto)
        ]
        return (
            self.scenario.name,
            TITLES[self.design],
            *(_percent(by[EFFECTS[0]].told, by[EFFECTS[0]].tasks) for by in (self.fixed, self.auto)),
            *covered,
            *(_percent(power[effect].faster, power[effect].tasks) for effect in EFFECTS[1:]),
            *(_mean(self.auto[effect]) for effect in USED_AT),
            self.scenario.promise(self.design),
        )


HEADER = (
    "machine",
    "layout",
    f"false alarms, {FIXED}",
    "false alarms, auto",
    f"interval holds, {FIXED}",
    "interval holds, auto",
    *(f"+{effect:.0%} shown".replace("%", " %") for effect in EFFECTS[1:]),
    *(f"replicates at {effect:.0%}".replace("%", " %") for effect in USED_AT),
    "promised",
)


def _percent(count: int, tasks: int) -> str:
    return f"{100 * count / tasks:.1f}" if tasks else "-"


def _mean(tally: Tally) -> str:
    return f"{tally.used / tally.tasks:.1f}" if tally.tasks else "-"


def rows_of(
    tasks: int, effect_tasks: int, seed: int, scenarios: Sequence[Scenario] = SCENARIOS
) -> Iterator[Row]:
    """`tasks` where nothing is planted, `effect_tasks` for each effect; on as many processes as CPUs."""
    places = [(scenario, design) for scenario in scenarios for design in scenario.designs]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        waited_for = [
            [
                pool.submit(
                    simulated,
                    scenario,
                    design,
                    effect,
                    effect_tasks if effect else tasks,
                    (seed, row, column),
                )
                for column, effect in enumerate(EFFECTS)
            ]
            for row, (scenario, design) in enumerate(places)
        ]
        for (scenario, design), waiting in zip(places, waited_for, strict=True):
            tallies = [one.result() for one in waiting]
            yield Row(
                scenario,
                design,
                {effect: fixed for effect, (fixed, _) in zip(EFFECTS, tallies, strict=True)},
                {effect: auto for effect, (_, auto) in zip(EFFECTS, tallies, strict=True)},
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description="planted effects, judged")
    parser.add_argument("--tasks", type=int, default=TASKS, help="A/A tasks behind each false alarm")
    parser.add_argument("--effect-tasks", type=int, default=EFFECT_TASKS, help="tasks behind each power")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args(arguments)
    lines = [
        f"| {' | '.join(HEADER)} |",
        f"|:---|:---|{'---:|' * (len(HEADER) - 3)}:---|",
    ]
    for row in rows_of(asked.tasks, asked.effect_tasks, asked.seed):
        lines.append(f"| {' | '.join(row.cells)} |")
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{len(lines) - 2} rows ")
    sys.stdout.write("\n".join([*lines, "", _under(asked.tasks, asked.effect_tasks)]) + "\n")


def _under(tasks: int, effect_tasks: int) -> str:
    """What the figures rest on: numbers of tasks, their error, and the versions that drew and judged them."""
    import numpy as np
    import scipy

    covered = tasks + (len(EFFECTS) - 1) * effect_tasks
    return (
        f"In percent, but for replicates. Behind a false alarm stand {tasks:,} simulated tasks, behind a"
        f" power {effect_tasks:,}, behind a coverage {covered:,}; twice the standard error of 5, 50 and 95 %"
        f" is then {_error(0.05, tasks)}, {_error(0.5, effect_tasks)} and {_error(0.95, covered)}."
        f" Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}."
    )


def _error(share: float, tasks: int) -> str:
    return f"{200 * math.sqrt(share * (1 - share) / tasks):.1f}"


if __name__ == "__main__":
    main()

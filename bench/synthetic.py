"""Synthetic runs: a model of a machine's noise, laid out in time as an engine would run the arms.

The machine has a slowdown at every moment (drift, heat, neighbours, a slow wander); a program has work, in
seconds of the quiet machine, that varies by process and by step. Arms are laid out one after the other in
the order of the layout, and the same machine passes under all of them; what comes out are `Run`s with the
phases, windows, tokens and losses that the record of a real run gives. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from bench.plan import BASELINE, Arm, Plan, Recipe
from bench.run import PHASES, Eval, Run, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Layout = Literal["lockstep", "abba", "unmirrored", "blocks"]
"""lockstep: window by window; abba: whole runs in the order of the plan; unmirrored: A B B A, A B B A, as it
was once; blocks: all of A, then all of B."""

RECIPE, ARM = "sft", "optimized"
STEPS = 81  # the first stands alone, the rest fill 16 windows
STEPS_OF_WINDOW = 5
STEP_S = 0.1
STARTUP_S = (2.0, 1.0, 1.0)  # import, load, prep
CLOSING_S = (0.5, 0.2, 0.1)  # eval, save, other
TOKENS_OF_STEP = 400
ROWS_OF_STEP = 4
GRID_S = 0.25  # how finely the slowdown of the machine is drawn; no disturbance is shorter than a second
LONGEST_STRETCH = 4.0  # the time drawn, in multiples of the work to be done
LOSSES = (4.0, *(2.5 for _ in range(STEPS - 1)))
_STARTUP, _CHUNKS = len(STARTUP_S), len(STARTUP_S) + STEPS + len(CLOSING_S)
_STARTING, _STEPPING, _CLOSING = (
    slice(_STARTUP),
    slice(_STARTUP, _STARTUP + STEPS),
    slice(_STARTUP + STEPS, None),
)


def plan_of(replicates: int, looks: tuple[int, ...] = ()) -> Plan:
    """Without a criterion: the primary metric is what is asked, proven better or proven worse."""
    recipe = Recipe(RECIPE, ("{python}", "train.py", "--seed", "{seed}"), eval="eval.jsonl")
    arms = (Arm(BASELINE, "a" * 40), Arm(ARM, "b" * 40))
    return Plan("simulated", "simulated", (recipe,), arms, replicates, looks=looks)


@dataclass(frozen=True, slots=True)
class Disturbances:
    """What makes two runs of one program differ. Shares of time unless the name has a unit; 0 is none.

    Of the program: `step_sd` and `startup_sd` are log-normal, `process_sd` holds for a whole process;
    `mode` is what half of all processes are slower by, `core` what one of the two arms of a replicate is
    slower by, drawn anew for each replicate; `bias` is what the arm's folder costs it in every run.
    `work_sd` spreads the work of steps, the same in both arms, in order of length where `is_grouped`.
    `outliers` is the share of steps that take 2 to 10 times as long.
    Of the machine: `drift` per minute, either way; `heat` is reached over about a minute; `wander` comes and
    goes within some 15 s; a burst of a neighbour every `burst_every_s` makes 1 to 20 s 1.3 to 3 times slower.
    """

    step_sd: float = 0.03
    startup_sd: float = 0.05
    process_sd: float = 0.003
    mode: float = 0.0
    core: float = 0.0
    bias: float = 0.0
    work_sd: float = 0.0
    is_grouped: bool = False
    outliers: float = 0.0
    drift: float = 0.0
    heat: float = 0.0
    wander: float = 0.0
    burst_every_s: float = 0.0


HEAT_S, WANDER_S = 60.0, 15.0
BURST_S, BURST_SLOWDOWN = (1.0, 20.0), (1.3, 3.0)
OUTLIER = (2.0, 10.0)


def synthetic_runs(
    disturbances: Disturbances, layout: Layout, effect: float, replicates: int, draw: np.random.Generator
) -> list[Run]:
    """Both arms' runs; the arm does the work of its job (prep and steps) `1 + effect` times as fast."""
    import numpy as np

    lengths = _lengths(disturbances, replicates, draw)
    work = _work(disturbances, lengths, effect, draw)
    order = order_of(layout, replicates)
    done = np.cumsum(work.reshape(-1)[order])
    ends = _when(disturbances, done, draw)
    begins = np.concatenate(([0.0], ends[:-1]))
    timeline = np.empty((2, work.size))
    timeline[:, order] = begins, ends
    begin, end = timeline.reshape(2, *work.shape)
    tokens = np.maximum(1, np.rint(TOKENS_OF_STEP * lengths)).astype(int)
    return [
        _run(layout, replicate, arm, begin[replicate, arm], end[replicate, arm], tokens[replicate], draw)
        for replicate in range(replicates)
        for arm in (0, 1)
    ]


def _lengths(disturbances: Disturbances, replicates: int, draw: np.random.Generator) -> Floats:
    """Work of each step as a share of the usual, (replicates, steps): rows follow the seed, not the arm."""
    import numpy as np

    lengths = np.exp(disturbances.work_sd * draw.standard_normal((replicates, STEPS)))
    return np.sort(lengths, axis=1) if disturbances.is_grouped else lengths


def _work(disturbances: Disturbances, lengths: Floats, effect: float, draw: np.random.Generator) -> Floats:
    """Seconds of the quiet machine, (replicates, arms, chunks); chunks are start-up, steps, closing."""
    import numpy as np

    both = (len(lengths), 2)
    work = np.empty((*both, _CHUNKS))
    work[..., _STARTING] = STARTUP_S
    work[..., _STEPPING] = STEP_S * lengths[:, None, :]
    work[..., _CLOSING] = CLOSING_S
    spread = np.full(_CHUNKS, disturbances.startup_sd)
    spread[_STEPPING] = disturbances.step_sd
    work *= np.exp(spread * draw.standard_normal(work.shape))
    struck = draw.random((*both, STEPS)) < disturbances.outliers
    work[..., _STEPPING] *= np.where(struck, draw.uniform(*OUTLIER, struck.shape), 1.0)
    process = np.exp(disturbances.process_sd * draw.standard_normal(both))
    process *= 1 + disturbances.mode * (draw.random(both) < 0.5)
    slow_core = draw.integers(0, 2, len(lengths))
    process[np.arange(len(lengths)), slow_core] *= 1 + disturbances.core
    process[:, 1] *= 1 + disturbances.bias
    work *= process[..., None]
    work[:, 1, _STARTUP - 1 : _STARTUP + STEPS] /= 1 + effect  # prep and steps
    return work


def _when(disturbances: Disturbances, done: Floats, draw: np.random.Generator) -> Floats:
    """The moments at which the machine has done so much work in all."""
    import numpy as np

    times = np.arange(0.0, LONGEST_STRETCH * done[-1], GRID_S)
    capacity = np.concatenate(([0.0], np.cumsum(GRID_S / _slowdown(disturbances, times, draw))[:-1]))
    assert capacity[-1] > done[-1], "the machine is slower than the time drawn allows for"
    return np.interp(done, capacity, times)


def _slowdown(disturbances: Disturbances, times: Floats, draw: np.random.Generator) -> Floats:
    """How many times as long as on the quiet machine everything takes, at each moment."""
    import numpy as np

    slowdown = np.exp(disturbances.drift * draw.standard_normal() * times / 60)
    np.clip(slowdown, 0.5, 2.0, out=slowdown)
    slowdown *= 1 + disturbances.heat * (1 - np.exp(-times / HEAT_S))
    if disturbances.wander:
        from scipy.signal import lfilter

        keep = np.exp(-GRID_S / WANDER_S)
        shocks = draw.standard_normal(len(times)) * np.sqrt(1 - keep**2)
        shocks[0] = draw.standard_normal()
        slowdown *= np.exp(disturbances.wander * lfilter([1.0], [1.0, -keep], shocks))
    if disturbances.burst_every_s:
        count = draw.poisson(times[-1] / disturbances.burst_every_s)
        begins, lasts = draw.uniform(0, times[-1], count), draw.uniform(*BURST_S, count)
        for begin, last, factor in zip(begins, lasts, draw.uniform(*BURST_SLOWDOWN, count), strict=True):
            first = int(begin / GRID_S)
            part = slowdown[first : first + max(1, round(last / GRID_S))]
            np.maximum(part, factor, out=part)  # two neighbours at once share what is left
    return slowdown


@cache
def order_of(layout: Layout, replicates: int) -> NDArray[np.int64]:
    """Indices of all chunks of all runs, (replicates, arms, chunks) flattened, in the order of time."""
    import numpy as np

    places = np.arange(replicates * 2 * _CHUNKS).reshape(replicates, 2, _CHUNKS)
    if layout == "blocks":
        return np.concatenate((places[:, 0].reshape(-1), places[:, 1].reshape(-1)))
    turns = [[int(arm.name != BASELINE) for arm in arms] for _, _, arms in plan_of(replicates).rounds()]
    if layout == "unmirrored":
        turns = [[0, 1] if replicate % 2 == 0 else [1, 0] for replicate in range(replicates)]
    if layout != "lockstep":
        return np.concatenate([places[r, arm] for r, turn in enumerate(turns) for arm in turn])
    parts = []
    for replicate, turn in enumerate(turns):
        parts += [places[replicate, arm, _STARTING] for arm in turn]
        for number, (first, behind) in enumerate(_windows()):
            window = slice(_STARTUP + first, _STARTUP + behind)
            parts += [places[replicate, arm, window] for arm in in_turn(turn, number)]
        parts += [places[replicate, arm, _CLOSING] for arm in turn]
    return np.concatenate(parts)


def in_turn(turn: Sequence[int], window: int) -> Sequence[int]:
    """Of two arms, as the lockstep engine has them within a window: A B, B A, B A, A B."""
    return turn if window % 4 in (0, 3) else turn[::-1]


@cache
def _windows() -> tuple[tuple[int, int], ...]:
    """(first step, step behind the last) of each window."""
    return ((0, 1), *((first, first + STEPS_OF_WINDOW) for first in range(1, STEPS, STEPS_OF_WINDOW)))


def _run(
    layout: Layout,
    replicate: int,
    arm: int,
    begin: Floats,
    end: Floats,
    tokens: NDArray[np.int64],
    draw: np.random.Generator,
) -> Run:
    """`begin` and `end` of the run's chunks; a lockstep run stands still between its windows."""
    took: list[float] = (end - begin).tolist()
    steps = took[_STEPPING]
    seconds = dict.fromkeys(PHASES, 0.0)
    seconds["import"], seconds["load"], seconds["prep"] = took[_STARTING]
    seconds["first"], seconds["train"] = steps[0], sum(steps[1:])
    seconds["eval"], seconds["save"], seconds["other"] = took[_CLOSING]
    extra: dict[str, Any] = {}
    if layout == "lockstep":
        extra = {"engine": "lockstep", "windows": _made_windows(begin, end, tokens)}
    total = int(tokens.sum())
    return Run(
        recipe=RECIPE,
        arm=ARM if arm else BASELINE,
        replicate=replicate + 1,
        outcome="ok",
        wall_s=sum(took),
        phases_s=seconds,
        steps=STEPS,
        rows=STEPS * ROWS_OF_STEP,
        tokens=total,
        supervised_tokens=total,
        train_tokens=total - int(tokens[0]),
        step_s=tuple(steps),
        losses=LOSSES,
        eval=Eval(2.0 + 0.01 * (replicate % 3) + 0.002 * float(draw.standard_normal()), 8, 800, before=4.0),
        batch_digests=((f"first-{replicate}",),),
        environment="packages",
        **extra,
    )


def _made_windows(begin: Floats, end: Floats, tokens: NDArray[np.int64]) -> tuple[Window, ...]:
    import numpy as np

    firsts, behinds = np.array(_windows()).T
    sums = np.add.reduceat(tokens, firsts)
    columns = (begin[_STARTUP + firsts], end[_STARTUP + behinds - 1], behinds - firsts, sums)
    return tuple(map(Window, range(len(firsts)), *(column.tolist() for column in columns)))

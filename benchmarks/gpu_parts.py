"""What `gpu_ab.py` measures, the most important first, and which of it the time that is left allows.

A part is an arm against the baseline in one recipe by one engine. Parts of the same recipe and engine share a
job, and so a baseline. Fewer replicates come before fewer parts, but never fewer than can be judged. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.compare import FEWEST_PAIRS
from bench.noise import AGAIN
from bench.plan import Engine

DEFAULT = "default"
"""The commit that is the baseline; a part of it is an A/A part."""


WARMING = 1
"""Rounds before the first replicate: the run of each arm that fills its caches."""
MARGIN = 1.05
"""How much longer jobs may take than their runs: what is not done in time is lost."""


@dataclass(frozen=True, slots=True)
class Part:
    """`number` is its place in what is asked for; `change` the commit that the default is compared with."""

    number: int
    title: str
    recipe: str
    engine: Engine
    change: str

    @property
    def is_aa(self) -> bool:
        return self.change == DEFAULT

    @property
    def key(self) -> str:
        return f"{self.recipe}/{self.engine}/{self.change}"

    @property
    def names(self) -> set[str]:
        """What it may be asked for by."""
        return {str(self.number), self.key}

    @property
    def arm(self) -> str:
        return AGAIN if self.is_aa else self.change


LOCKSTEP = Part(1, "keep the activations", "sft", "lockstep", "kept")
ABBA = Part(1, "keep the activations", "sft", "abba", "kept")
"""With `LOCKSTEP` the same pair of arms by both engines: an effect on every step, equal work, equal steps."""
PARTS = (
    LOCKSTEP,
    ABBA,
    Part(2, "A/A", "sft", "lockstep", DEFAULT),
    Part(2, "A/A", "dpo", "lockstep", DEFAULT),
    Part(3, "packing", "sft", "lockstep", "packed"),
    Part(4, "reference computed before training", "dpo", "lockstep", "precomputed"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """Parts that are measured together: one call of `paceline bench`."""

    parts: tuple[Part, ...]
    replicates: int

    @property
    def recipe(self) -> str:
        return self.parts[0].recipe

    @property
    def engine(self) -> Engine:
        return self.parts[0].engine

    @property
    def name(self) -> str:
        return f"{self.recipe}-{self.engine}"


def next_job(
    left: Sequence[Part], left_s: float, run_s: Mapping[str, float], most: int, fewest: int = FEWEST_PAIRS
) -> Job | None:
    """The job of the most important part that fits; None where none does.

    `left` are the parts that are not measured yet, `run_s` the seconds of a run by recipe. Each part gets its
    share: as many replicates as all that fit at `fewest` could have, `most` at most.
    """
    left_s /= MARGIN
    fewest += WARMING
    fitting: list[Part] = []
    for part in left:
        if fewest * _replicate_s([*fitting, part], run_s) <= left_s:
            fitting.append(part)
    if not fitting:
        return None
    rounds = math.floor(left_s / _replicate_s(fitting, run_s))
    first = fitting[0]
    together = tuple(part for part in fitting if _kind(part) == _kind(first))
    return Job(together, min(most, max(fewest, rounds) - WARMING))


def _replicate_s(parts: Iterable[Part], run_s: Mapping[str, float]) -> float:
    """Seconds of one replicate of all of them: a run of each, and one of the baseline for each job."""
    arms = [part.recipe for part in parts]
    baselines = [recipe for recipe, _ in {_kind(part) for part in parts}]
    return sum(run_s[recipe] for recipe in [*arms, *baselines])


def _kind(part: Part) -> tuple[str, Engine]:
    return part.recipe, part.engine

"""The machines that the simulator measures on, each with what is promised of a verdict there.

A promise has two parts: at most 5 % false alarms, and intervals that hold the truth at least as often as they
say. Where a part is not promised the reason stands beside it, and goes into the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.synthetic import Disturbances

Design = Literal["lockstep", "abba", "unmirrored", "blocks", "one run"]
DESIGNS: tuple[Design, ...] = ("lockstep", "abba", "blocks", "one run")
TITLES: Mapping[Design, str] = {
    "lockstep": "lockstep",
    "abba": "ABBA",
    "unmirrored": "ABBA, not mirrored",
    "blocks": "blocks",
    "one run": "one run an arm, by eye",
}
ENGINES: tuple[Design, ...] = ("lockstep", "abba")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A machine; `has_floor` where an A/A floor was measured on it first, in the same layout.

    `unpromised` says by design what is not promised and why; of the engines all else is.
    """

    name: str
    disturbances: Disturbances
    has_floor: bool = False
    unpromised: Mapping[Design, str] = field(default_factory=dict)
    designs: tuple[Design, ...] = DESIGNS

    def promise(self, design: Design) -> str:
        if design not in ENGINES:
            return "for comparison"
        return self.unpromised.get(design, "yes")


ALL_OF_IT = Disturbances(
    startup_sd=0.2,
    process_sd=0.01,
    work_sd=0.3,
    outliers=0.001,
    drift=0.03,
    heat=0.05,
    wander=0.10,
    burst_every_s=60,
)
FLOORED = dict.fromkeys(ENGINES, "not coverage: a floor guards what is proven, it does not move an interval")
ALWAYS = dict.fromkeys(
    ENGINES, "no: the same in every replicate, so that only an A/A floor tells it from an effect"
)
BY_CHANCE = dict.fromkeys(ENGINES, "no: of two values three are alike by chance one time in four")
SCENARIOS: tuple[Scenario, ...] = (
    Scenario("quiet", Disturbances()),
    Scenario("drift", Disturbances(drift=0.05)),
    Scenario("heat", Disturbances(heat=0.10)),
    Scenario("bursts of neighbours", Disturbances(burst_every_s=30)),
    Scenario("outlier steps", Disturbances(outliers=0.002)),
    Scenario(
        "correlated steps",
        Disturbances(wander=0.10),
        designs=("lockstep", "abba", "unmirrored", "blocks", "one run"),
    ),
    Scenario("unequal steps", Disturbances(work_sd=0.5)),
    Scenario("unequal steps by length, drift", Disturbances(work_sd=0.5, is_grouped=True, drift=0.05)),
    Scenario("start-up noise", Disturbances(startup_sd=0.3, process_sd=0.02)),
    Scenario("processes of two speeds", Disturbances(mode=0.04)),
    Scenario("all of it", ALL_OF_IT),
    Scenario("a folder 3 % slower, floor", Disturbances(bias=0.03), has_floor=True, unpromised=FLOORED),
    Scenario("a core 5 % slower, floor", Disturbances(core=0.05), has_floor=True, unpromised=FLOORED),
    Scenario("a folder 3 % slower, no floor", Disturbances(bias=0.03), unpromised=ALWAYS),
    Scenario("a core 5 % slower, no floor", Disturbances(core=0.05), unpromised=BY_CHANCE),
)

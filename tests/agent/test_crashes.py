"""The agent dies before and after everything that it changes, and the tracker is in trouble when the next one
starts: nothing is said or started twice, and no result is lost.

Without processes: the fail point of `agent/effects.py` raises what nobody catches. Real processes are killed
in `tests/e2e/test_effects.py`. Each combination is a life of its own, from the issue to its rest.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from agent import effects
from agent.effects import EFFECTS, Effect
from agent.tracker import TrackerError
from tests.agent.whole_life import CHEAP, DEAR, Town

pytestmark = pytest.mark.slow

SHARED_MEMORY = Path("/dev/shm")
IS_WHOLE = bool(os.environ.get("PACELINE_ALL_CRASHES"))
THINNED = 3
"""Each moment of death with every third fault, others for others; with the variable, with every fault."""
NOT_MET = {"enough": "needs replicates that decide; a file that may be written again: test_early"}
"""Effects that no life here meets, and why."""

ALIKE: tuple[Effect, ...] = ("refresh", "fold", "fetch", "react")
"""Effects whose later times are like the first."""

Moment = tuple[str, Effect, int]
"""Before or after which effect, and which of its times."""


class Killed(BaseException):
    """What a kill is to the code: nobody catches it."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong first once the next agent has started: a read that fails, or a write whose answer does
    not come and which happened or not."""

    name: str
    call: str = ""
    is_stored: bool | None = None

    def arm(self, town: Town) -> None:
        if self.is_stored is not None:
            town.tracker.unsure_next(self.call, stored=self.is_stored)
        elif self.call:
            town.tracker.fail_next(self.call)

    def was_met(self, town: Town) -> bool:
        return not town.tracker._failing and not town.tracker._unsure


WRITES = ("post", "files", "edit", "react", "label", "minimise")
READS = ("tagged", "issue", "comments", "role", "file")
FAULTS = (
    Fault("no fault"),
    *(Fault(f"{name} fails", name) for name in READS),
    *(Fault(f"{name} unsure and stored", name, True) for name in WRITES),
    *(Fault(f"{name} unsure and lost", name, False) for name in WRITES),
)


@dataclass
class Deaths:
    """Counts each moment, and kills at one of them."""

    at: Moment | None = None
    met: list[Moment] = field(default_factory=list)
    seen: Counter = field(default_factory=Counter)

    def __call__(self, when: str, name: Effect) -> None:
        self.seen[when, name] += 1
        self.met.append((when, name, self.seen[when, name]))
        if self.met[-1] == self.at:
            raise Killed


@dataclass(frozen=True)
class Life:
    """`begins` is what people do first, `goes_on` what happens on the pod and the issue each time that the
    agent has nothing to do, as long as it says that something did."""

    name: str
    begins: Callable[[Town], object]
    goes_on: Callable[[Town], bool]
    markers: tuple[str, ...]
    starts: int
    effects: tuple[Effect, ...] = ()  # that tell it from the others; all where none are named


def measured(town: Town) -> bool:
    """Its job ends out of budget before any run has: everything is said of it, and little is computed."""
    for job in town.pod.living():
        if town.pod.jobs[job]["progress"] == "{}":
            town.passes(minutes=1)
            running = {"recipe": "sft", "replicate": 1, "replicates": 3, "arm": "baseline"}
            town.pod.runs(job, stage="run", done=1, total=6, eta_s=9.0, **running)
        else:
            town.pod.has_ended(job, "timed out")
        return True
    return False


def approved(town: Town) -> None:
    town.tracker.file_issue("ada", DEAR)
    town.agent().tick()
    [waiting] = town.read(1)
    plan = waiting.payload["plan"]
    town.tracker.comment("ada", f"/approve {plan[:12]}")
    town.tracker.comment("ada", "/status")


def closed(town: Town) -> bool:
    """Nobody wants it any more once its job runs."""
    if not town.pod.living() or not town.tracker.issue(1).is_open:
        return False
    town.tracker.close_issue(1)
    return True


def crashed(town: Town) -> bool:
    for job in town.pod.living():
        town.pod.has_ended(job, "crashed")
        return True
    return False


LIVES = (
    Life(
        "measured",
        approved,
        measured,
        (
            *("progress waiting", "note answer", "progress approved", "progress intent", "progress running"),
            *("results", "reviewer-verdict", "verdict", "note closing"),
        ),
        starts=1,
    ),
    Life(
        "closed",
        lambda town: town.tracker.file_issue("ada", CHEAP),
        closed,
        ("progress approved", "progress intent", "progress running", "progress stopped"),
        starts=1,
        effects=("cancel", "post progress", "label"),
    ),
    Life(
        "crashed",
        lambda town: town.tracker.file_issue("ada", CHEAP.replace("0.5", "1")),
        crashed,
        (
            *("progress approved", "progress intent", "progress running") * 3,
            *("failure", "progress stopped"),
        ),
        starts=3,
        effects=("post failure", "post progress", "post progress intent"),
    ),
)


@dataclass(frozen=True)
class Lived:
    """One combination, and what stood on the issue in the end."""

    life: Life
    deaths: Deaths
    fault: Fault
    has_died: bool
    was_met: bool
    asked: frozenset[str]  # of the tracker, since the death
    said: tuple[str, ...]
    starts: tuple[str, ...]
    living: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.life.name}, {' '.join(map(str, self.deaths.at or ()))}, {self.fault.name}"


def lived(folder: Path, life: Life, deaths: Deaths, fault: Fault) -> Lived:
    town = Town(folder, results_branch="paceline-results", results_folder=folder / "results")
    life.begins(town)
    has_died, agent = False, town.agent()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "_die_if_told", deaths)
        quiet = 0
        while quiet < 3:
            assert len(town.read(1)) < 50, "it does not come to rest"
            try:
                quiet = 0 if agent.tick() else quiet + 1
            except TrackerError:
                quiet = 0
            except Killed:
                has_died, quiet, agent = True, 0, town.agent()
                fault.arm(town)
                del town.tracker.reads[:], town.tracker.writes[:]
            if quiet == 2:
                town.passes(minutes=6)  # what could not be read is read again
            if quiet == 3 and life.goes_on(town):
                quiet = 0
    return Lived(
        life=life,
        deaths=deaths,
        fault=fault,
        has_died=has_died,
        was_met=fault.was_met(town),
        asked=frozenset([*town.tracker.reads, *(write.kind for write in town.tracker.writes)]),
        said=said(town),
        starts=tuple(town.pod.starts),
        living=(*town.pod.living(), *filter(None, [town.pod.holder])),
    )


def said(town: Town) -> tuple[str, ...]:
    """Each marker that stands on the issue, with what it is about."""
    return tuple(
        " ".join(filter(None, (one.kind, one.payload.get("stage", "") or about(one.payload))))
        for one in town.read(1)
    )


def about(payload: Mapping[str, object]) -> str:
    return "answer" if "answers" in payload else "closing" if "closes" in payload else ""


@pytest.fixture(scope="module")
def lives() -> list[Lived]:
    """All combinations. In memory: each life waits a dozen times for the disk."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as root:
        folders = (Path(root) / str(number) for number in count())
        return [one for life in LIVES for one in all_of(life, folders)]


def all_of(life: Life, folders: Iterator[Path]) -> Iterator[Lived]:
    """A fault in what nobody asks for after the death is no combination: the life is the same as without."""
    whole = Deaths()
    yield lived(next(folders), life, whole, FAULTS[0])
    for moment in moments_of(life, whole):
        survived = lived(next(folders), life, Deaths(moment), FAULTS[0])
        yield survived
        for number, fault in enumerate(FAULTS[1:]):
            is_drawn = IS_WHOLE or (number + moment[2] + len(moment[1])) % THINNED == 0
            if fault.call in survived.asked and is_drawn:
                yield lived(next(folders), life, Deaths(moment), fault)


def moments_of(life: Life, whole: Deaths) -> list[Moment]:
    """The first and the last of each effect of a life, of those that tell it from the others."""
    last = {(when, name, times) for (when, name), times in whole.seen.items()}
    names = life.effects or EFFECTS
    return [
        one for one in whole.met if one[1] in names and (one[2] == 1 or (one in last and one[1] not in ALIKE))
    ]


def test_nothing_is_said_twice_and_nothing_is_lost(lives):
    wrong = {one.name: one.said for one in lives if sorted(one.said) != sorted(one.life.markers)}
    assert wrong == {}


def test_no_job_is_started_twice(lives):
    wrong = {one.name: one.starts for one in lives if len(one.starts) != one.life.starts}
    assert wrong == {}
    assert all(len(set(one.starts)) == len(one.starts) for one in lives)


def test_nothing_is_left_running_and_no_slot_held(lives):
    assert {one.name: one.living for one in lives if one.living} == {}


def test_every_effect_was_met_and_every_fault(lives, capsys):
    deaths = [one for one in lives if one.deaths.at]
    assert [one.name for one in deaths if not (one.has_died and one.was_met)] == []
    assert {one.deaths.at[1] for one in deaths} | set(NOT_MET) == set(EFFECTS)
    assert {one.fault for one in deaths} == set(FAULTS)
    moments = {(one.life.name, one.deaths.at) for one in deaths}
    with capsys.disabled():
        print(f"\n{len(deaths)} combinations of {len(moments)} moments of death and {len(FAULTS)} faults")

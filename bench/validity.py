"""Whether a run was measured in conditions that hold, and whether what it says of itself can be true.

One table of rules. A rule reads a run (what the sampler saw from outside, what the run claims) and says what
it found; its effect is to taint the run, which drops it by rule and counts it, or to warn. In lockstep load
from outside falls on all arms alike, so there it only warns. What a rule cannot know, because only the
subject does, is listed in docs/measurement.md. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench import conditions as machine
from bench import consistency as said
from bench.run import GpuTrace, HostTrace, Run
from bench.units import bound_text, value_text

Effect = Literal["taint", "warning"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`finds` says what it found, "" for nothing; `limit` is the threshold in words."""

    name: str
    limit: str
    abba: Effect
    lockstep: Effect
    finds: Callable[[Run], str]
    is_machines: bool = False  # it says nothing of the subject: another try may go well

    def effect_on(self, run: Run) -> Effect:
        return self.lockstep if run.engine == "lockstep" else self.abba


def checked(run: Run) -> Run:
    """The run with what the rules found: tainted by the first that taints, warned by all that warn.

    A run that failed stays failed: what it failed of is not known to be the machine.
    """
    if not run.is_well:
        return run
    found = [(rule.effect_on(run), rule.name, text) for rule in RULES if (text := rule.finds(run))]
    taints = [f"{name}: {text}" for effect, name, text in found if effect == "taint"]
    warnings = tuple(f"{name}: {text}" for effect, name, text in found if effect == "warning")
    run = replace(run, warnings=(*run.warnings, *warnings))
    return replace(run, outcome="tainted", reason=taints[0]) if taints else run


def gathered(runs: Sequence[Run]) -> tuple[str, ...]:
    """The warnings of runs, `arm: text` once each; of a rule that found something in several runs of an arm
    the first, and in how many."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for text in run.warnings:
            name = text.partition(": ")[0]
            found.setdefault((run.arm, name if name in NAMES else text), []).append(text)
    return tuple(
        f"{arm}: {texts[0]}"
        + (f" (the first of {len(texts)} runs)" if key in NAMES and len(texts) > 1 else "")
        for (arm, key), texts in found.items()
    )


def _of_host(finds: Callable[[HostTrace], str]) -> Callable[[Run], str]:
    return lambda run: "" if run.host is None else finds(run.host)


def _of_gpu(finds: Callable[[GpuTrace], str]) -> Callable[[Run], str]:
    return lambda run: "" if run.gpu is None else finds(run.gpu)


def _taint(name: str, limit: str, finds: Callable[[Run], str]) -> Rule:
    return Rule(name, limit, "taint", "taint", finds)


def _spoil(name: str, limit: str, finds: Callable[[Run], str]) -> Rule:
    return Rule(name, limit, "taint", "taint", finds, is_machines=True)


def _load(name: str, limit: str, finds: Callable[[Run], str]) -> Rule:
    return Rule(name, limit, "taint", "warning", finds, is_machines=True)


def _warning(name: str, limit: str, finds: Callable[[Run], str]) -> Rule:
    return Rule(name, limit, "warning", "warning", finds)


def _share(share: float, of: str) -> str:
    return f"{bound_text(share)} of the {of}"


BEGIN_MEMORY = value_text(machine.GPU_BEGIN_MEMORY_B, "B")
LONG = f"run over {machine.JUDGED_S:g} s"
WAITED = f"{machine.WAITING_THREADS:g} threads waiting"

RULES: tuple[Rule, ...] = (
    _taint("events file", "replaced, cut or deleted", said.events_moved),
    _taint("outer clock", f"late by {said.LATE_S:g} s and 2 steps", said.late),
    _taint("clocks disagree", f"{machine.OUTSIDE_S:g} s", _of_host(machine.outside)),
    _spoil("clock stood still", f"{machine.STOOD_STILL_S:g} s", _of_host(machine.stood_still)),
    _spoil("others on the GPU", "any process", _of_gpu(machine.others_on_gpu)),
    _spoil("others' memory on the GPU", f"over {BEGIN_MEMORY} before the run", _of_gpu(machine.begin_memory)),
    _spoil("GPU memory errors", "any uncorrected", _of_gpu(machine.memory_errors)),
    _load(
        "heavy load",
        f"{_share(machine.LOAD, 'CPU time')}, {WAITED}, {LONG}",
        _of_host(machine.heavy_load),
    ),
    _load("heavy steal", f"{_share(machine.STEAL_HEAVY, 'CPU time')}, {LONG}", _of_host(machine.heavy_steal)),
    _load("GPU mostly slowed", _share(machine.SLOWED_MOSTLY, "samples"), _of_gpu(machine.mostly_slowed)),
    _warning("load", _share(machine.LOAD, "CPU time"), _of_host(machine.load)),
    _warning("steal", _share(machine.STEAL, "CPU time"), _of_host(machine.steal)),
    _warning("throttled", _share(machine.THROTTLED, "time"), _of_host(machine.throttled)),
    _warning(
        "short of memory", f"under {_share(machine.FREE_MEMORY, 'host')}", _of_host(machine.short_of_memory)
    ),
    _warning("lower priority", "any", _of_host(machine.lower_priority)),
    _warning("wall clock set", f"{machine.WALL_JUMP_S:g} s", _of_host(machine.wall_jump)),
    _warning("GPU slowed", _share(machine.SLOWED, "samples"), _of_gpu(machine.slowed)),
    _warning("GPU at its power limit", _share(machine.CAPPED, "samples"), _of_gpu(machine.capped)),
    _warning(
        "shared GPU",
        f"under {_share(machine.SHARED_POWER, 'power limit, fully used')}",
        _of_gpu(machine.shared),
    ),
    _warning(
        "utilisation means little",
        f"under {machine.SHORT_FOR_UTILISATION_S:g} s",
        machine.short_for_utilisation,
    ),
    _warning("memory out of order", "allocated > reserved > device", said.memory_out_of_order),
    _warning("steps do not follow from rows and batch", "any", said.unfollowed_steps),
    _warning("the same loss", f"at each of {said.SAME_LOSSES} steps or more", said.same_losses),
    _warning("steps without work", f"under {said.IDLE_CPUS:g} CPUs, GPU idle", said.no_work),
)
NAMES = frozenset(rule.name for rule in RULES)
OF_THE_MACHINE = frozenset(rule.name for rule in RULES if rule.is_machines)


def is_spoiled(run: Run) -> bool:
    """Whether the machine tainted it, and nothing that the subject did."""
    return run.outcome == "tainted" and run.reason.partition(": ")[0] in OF_THE_MACHINE

"""One run as data: what one process of one arm in one replicate did, and how it ended.

Owns the types that `record.py` makes from the files of a run and that everything that judges reads.
Figures that only the subject can know (tokens, loss) are reported figures; wall time is the owner's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.plan import ASIDE, Engine

Outcome = Literal[
    "ok",
    "crashed",
    "out of memory",
    "NaN",
    "timed out",
    "hook not loaded",
    "no trainer",
    "tainted",
    "cancelled",
]
Phase = Literal["import", "load", "prep", "reference", "first", "train", "eval", "save", "other"]
PHASES: tuple[Phase, ...] = ("import", "load", "prep", "reference", "first", "train", "eval", "save", "other")
JOB_PHASES: tuple[Phase, ...] = ("prep", "reference", "first", "train")
"""The phases whose time `job_tokens_per_s` divides by: everything that a change can move."""


@dataclass(frozen=True, slots=True)
class Eval:
    """Held-out loss in nat per token (for DPO: nat per pair). `before` is None where it is not known."""

    loss: float
    rows: int
    tokens: int
    before: float | None = None
    reward_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting as it was asked for and as it was resolved, with the reason where they differ."""

    name: str
    requested: str
    used: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class PhaseMemory:
    """Peaks by the end of a phase, in bytes; None where the device does not tell."""

    allocated_b: int | None = None
    reserved_b: int | None = None
    rss_b: int | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What a span of time met on the machine, on average: how many of the job's threads could have run and
    had no CPU, how many CPUs ran processes that are not the job's, how many the hypervisor took."""

    waiting_threads: float
    foreign_cpus: float
    stolen_cpus: float


@dataclass(frozen=True, slots=True)
class Window:
    """The steps between two gates of a lockstep replicate. `begin` and `end` are monotonic seconds of the
    machine, the same clock for all arms; `tokens` are real ones, None where they are not known."""

    number: int
    begin: float
    end: float
    steps: int
    tokens: int | None = None
    load: Load | None = None

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class GpuTrace:
    """What the sampler outside the subject saw of the GPU while the run ran; utilisation in percent.

    `peak_memory_b` is the device's, everybody's on it; None in lockstep, where other arms keep theirs.
    Shares are of the samples: `power_share` is the median of power over its limit at full utilisation, None
    where that was rare. `others` are processes on the GPU before the run began, or after it had ended.
    """

    samples: int
    utilisation_mean_pct: float
    utilisation_p95_pct: float
    peak_memory_b: int | None
    uuid: str = ""
    driver: str = ""
    sm_mhz: float | None = None
    power_share: float | None = None
    slowed_share: float = 0.0  # too hot, or held back by the board
    capped_share: float = 0.0  # at its power limit
    ecc_errors: int = 0  # uncorrected ones that came during the run
    begin_memory_b: int | None = None  # before the run's process was started
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostTrace:
    """What the sampler outside the subject saw of the machine from the run's begin to its end.

    `begin` and `end` are the first and last sample in monotonic seconds. Shares are of the machine's CPU
    time: `foreign_share` went to processes that are not the job's. `waiting_threads` is how many of the job's
    threads could have run and had no CPU, on average. None: not told.
    """

    samples: int
    begin: float
    end: float
    longest_gap_s: float  # between two samples
    wall_jump_s: float = 0.0  # how far the wall clock moved against the monotonic one
    foreign_share: float | None = None
    waiting_threads: float | None = None
    steal_share: float | None = None
    throttled_share: float | None = None  # of the time; the control group's limit
    mhz: float | None = None
    free_memory_share: float | None = None  # the least
    nicer: int = 0  # by how many levels a process of the job lowered its priority
    training_cpus: float | None = None  # how many the job used during its steps; None in lockstep
    outside_s: float = 0.0  # how far the owner's times lie outside the sampler's
    late_s: float | None = None  # by how much a step was written down after the end that it claims
    events_moved: str = ""  # what happened to the events file while it was written


@dataclass(frozen=True, slots=True)
class Run:
    """One process of one arm in one replicate.

    `wall_s` is the outer wall time by the owner's clock, less the time that a lockstep run stood still at its
    gates; `phases_s` sums to it. `tokens` are real tokens
    (no padding), `padded_tokens` computed positions, `rows` dataset rows (a DPO pair is one row). A figure
    is None where the run did not produce it. `reason` is the first useful line on a run that is not ok.
    `files` are the SHA-256 digests of the raw files by name.
    """

    recipe: str
    arm: str
    replicate: int
    outcome: Outcome
    reason: str = ""
    wall_s: float | None = None
    phases_s: Mapping[Phase, float] = field(default_factory=dict)
    steps: int | None = None
    rows: int | None = None
    tokens: int | None = None
    padded_tokens: int | None = None
    supervised_tokens: int | None = None
    train_tokens: int | None = None  # real tokens of the steps after the first
    step_s: tuple[float, ...] = ()
    engine: Engine = "abba"  # how it was run
    windows: tuple[Window, ...] = ()  # of a lockstep run, the first holding the first step alone
    losses: tuple[float, ...] = ()
    eval: Eval | None = None
    is_dpo: bool = False
    choices: tuple[Choice, ...] = ()
    batch_digests: tuple[tuple[str, ...], ...] = ()  # of each of the first steps: of its micro-batches
    memory: Mapping[Phase, PhaseMemory] = field(default_factory=dict)
    peak_rss_b: int | None = None
    gpu: GpuTrace | None = None
    host: HostTrace | None = None
    user_s: float | None = None
    harness_s: float | None = None  # what the worker spent on this run beside the subject's own time
    protected: Mapping[str, str] = field(default_factory=dict)  # "path:key" -> value found in the worktree
    environment: str = ""  # digest of the installed packages
    is_self_reported: bool = False
    set_aside: int = 0  # the how-manieth try it was, where a later one took its place; else 0
    warnings: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Its folder below the job folder's `runs/`."""
        tries = f"{ASIDE}{self.set_aside}" if self.set_aside else ""
        return f"{self.recipe}/{self.replicate}/{self.arm}{tries}"

    @property
    def is_well(self) -> bool:
        """Whether it ended as a run should, with a trainer or without one."""
        return self.outcome in ("ok", "no trainer")

    @property
    def first_loss(self) -> float | None:
        return self.losses[0] if self.losses else None

    @property
    def final_loss(self) -> float | None:
        return self.losses[-1] if self.losses else None

    @property
    def job_s(self) -> float | None:
        """Seconds of the phases that a change can move; None where the run never trained."""
        if self.steps is None:
            return None
        return sum(self.phases_s.get(phase, 0.0) for phase in JOB_PHASES)

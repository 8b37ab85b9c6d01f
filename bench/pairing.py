"""Windows of two lockstep runs that hold the same work: what is compared where others disturbed some of them.

Steady throughput is the whole run's. But a process that is not ours may take the CPU in the middle of one
window and not of its pair, and such a second says nothing of either arm. So where the two runs went through
the same steps and tokens, window for window, the pairs in which either was disturbed are left out of both
sums. What decides is what the sampler saw from outside: that the job's threads had to wait for a CPU while
processes of others ran, or that the hypervisor took one. Never how long a window took. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.run import Window

WAITING_THREADS = 0.1
"""That waited for a CPU, on average. Waiting alone is no disturbance: an arm may start too many itself."""
FOREIGN_CPUS = 0.2
STOLEN_CPUS = 0.1
FEWEST_WINDOWS = 3
"""Fewer undisturbed pairs than this are no sample of a run; then all count."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs of windows that count, and out of how many."""

    kept: tuple[tuple[Window, Window], ...]
    total: int

    @property
    def left_out(self) -> int:
        return self.total - len(self.kept)


def pairing(one: Sequence[Window], other: Sequence[Window]) -> Pairing | None:
    """Of the windows of two runs, the first step's first.

    None where whole runs are compared: other work in a window, nothing disturbed, or nearly everything.
    """
    pairs = list(zip(one[1:], other[1:], strict=False))
    if len(one) != len(other) or any(_work(a) != _work(b) for a, b in pairs):
        return None
    if any(a.tokens is None for a, _ in pairs):
        return None
    kept = tuple((a, b) for a, b in pairs if not is_disturbed(a) and not is_disturbed(b))
    if len(kept) == len(pairs) or len(kept) < FEWEST_WINDOWS:
        return None
    return Pairing(kept, len(pairs))


def is_disturbed(window: Window) -> bool:
    load = window.load
    if load is None:
        return False
    is_pushed = load.waiting_threads > WAITING_THREADS and load.foreign_cpus > FOREIGN_CPUS
    return is_pushed or load.stolen_cpus > STOLEN_CPUS


def throughputs(found: Pairing) -> tuple[float, float]:
    """Real tokens/s of either run over the windows that count."""
    tokens = sum(window.tokens or 0 for window, _ in found.kept)
    return (
        tokens / sum(window.seconds for window, _ in found.kept),
        tokens / sum(window.seconds for _, window in found.kept),
    )


def _work(window: Window) -> tuple[int, int, int | None]:
    return window.number, window.steps, window.tokens

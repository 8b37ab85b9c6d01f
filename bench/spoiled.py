"""Whether a round that has just ended was spoiled by the machine; the worker then makes it again.

Travels with it: standard library only, Python 3.10, like everything that it reads with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.plan import ASIDE
from bench.record import read_run, tries_of
from bench.validity import is_spoiled

MOST_TRIES = 3


def is_round_spoiled(folders: Sequence[Path]) -> bool:
    """Whether the machine spoiled one of the runs in these folders, and none failed by itself.

    A crash beside a spoiled run stays a crash: another try might hide it.
    """
    try:
        runs = [read_run(folder) for folder in folders]
    except Exception:  # a subject wrote what no reader expects: whoever judges the run will say so
        return False
    return any(map(is_spoiled, runs)) and all(run.is_well or is_spoiled(run) for run in runs)


def next_place(folder: Path) -> Path | None:
    """Where the run in this folder is set aside for another try; None where it had enough."""
    tries = len(tries_of(folder)) + 1
    return folder.with_name(f"{folder.name}{ASIDE}{tries}") if tries < MOST_TRIES else None

"""Shows how far a job is: a bar on a terminal, a line a change elsewhere; always on standard error.

Reads `progress.json` as often as a person looks, and the job's state seldom: on this machine every look
costs the run that is being measured.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LOOK_S = 1.0


@dataclass(frozen=True)
class Glance:
    """`progress.json` of the worker, as far as it could be read."""

    stage: str = "starting"
    done: int = 0
    total: int = 0
    eta_s: float | None = None
    step: int | None = None
    loss: float | None = None
    phase: str = ""

    @classmethod
    def of(cls, text: str | None) -> Glance:
        try:
            data: Any = json.loads(text or "{}")
        except ValueError:
            data = None
        if not isinstance(data, dict):
            return cls()
        stage = data.get("stage", "starting")
        if stage == "run":
            replicate = f"{data.get('replicate')}/{data.get('replicates')}"
            stage = f"{data.get('recipe')} replicate {replicate}, {data.get('arm')}"
        return cls(
            stage=stage,
            done=data.get("done", 0),
            total=data.get("total", 0),
            eta_s=data.get("eta_s"),
            step=data.get("step"),
            loss=data.get("loss"),
            phase=data.get("phase", ""),
        )

    def where(self) -> str:
        parts = [self.stage]
        if self.phase:
            parts.append(self.phase)
        if self.step is not None:
            loss = f", loss {self.loss:.3f}" if self.loss is not None else ""
            parts.append(f"step {self.step}{loss}")
        return ": ".join(parts[:2]) + "".join(f", {part}" for part in parts[2:])


def gpu_hours_text(hours: float) -> str:
    return f"{hours:g} GPU-hour{'s' * (hours != 1)}"


def duration_text(seconds: float | None) -> str:
    """`1 h 05 min`, `3 min 20 s`, `12 s`; `time left unknown` for None."""
    if seconds is None:
        return "time left unknown"
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"


def follow(read_progress: Callable[[], str | None], has_ended: Callable[[], bool]) -> None:
    """Show the progress until the job has ended."""
    if sys.stderr.isatty():
        _with_bar(read_progress, has_ended)
    else:
        _with_lines(read_progress, has_ended)


def _with_lines(read_progress: Callable[[], str | None], has_ended: Callable[[], bool]) -> None:
    began, last = time.monotonic(), ""
    while True:
        ended = has_ended()
        glance = Glance.of(read_progress())
        if glance.stage != last:
            last = glance.stage
            left = f", {duration_text(glance.eta_s)} left" if glance.eta_s is not None else ""
            clock = duration_text(time.monotonic() - began)
            print(f"[{clock}] {glance.done}/{glance.total} {last}{left}", file=sys.stderr, flush=True)
        if ended:
            return
        time.sleep(LOOK_S)


def _with_bar(read_progress: Callable[[], str | None], has_ended: Callable[[], bool]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[where]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=None, left="", where="starting")
        while not has_ended():
            glance = Glance.of(read_progress())
            left = f"{duration_text(glance.eta_s)} left" if glance.eta_s is not None else "time left unknown"
            bar.update(
                task, total=glance.total or None, completed=glance.done, left=left, where=glance.where()
            )
            bar.refresh()
            time.sleep(LOOK_S)

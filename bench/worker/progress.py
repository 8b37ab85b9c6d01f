"""How far the job is, in `progress.json`: what runs now, how much is done, how long the rest will take.

For people only: nothing reads it to decide. The rest is estimated from the runs of the same recipe and arm
that have ended; None until there is one for each.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.worker.files import write_json

TAIL_B = 8192


class Progress:
    def __init__(self, path: Path, planned: Sequence[tuple[str, str]], replicates: int) -> None:
        """`planned` holds (recipe, arm) of every run to come, in order."""
        self._replicates = replicates
        self._path = path
        self._left = list(planned)
        self._total = len(planned)
        self._seconds: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._state: dict[str, object] = {}
        self._began = 0.0

    def stage(self, text: str) -> None:
        """What is going on outside a run: fetching, building an environment."""
        self._state = {"stage": text}
        self._write()

    def begins(self, recipe: str, replicate: int, arms: str) -> None:
        """A run, or a round of several arms beside each other."""
        self._state = {"stage": "run", "recipe": recipe, "replicate": replicate, "arm": arms}
        self._began = time.monotonic()
        self._write()

    def run_ends(self, recipe: str, arm: str, outcome: str, seconds: float) -> None:
        """`seconds` is what the run took of the machine."""
        self._seconds[recipe, arm].append(seconds)
        self._left.remove((recipe, arm))
        self._state = {"stage": f"{recipe} {arm}: {outcome}"}
        self._write()

    def skipped(self, recipe: str, arm: str) -> None:
        self._left.remove((recipe, arm))

    def look_at(self, events: Path) -> None:
        """Refresh phase and step from the newest lines of the events that the run is writing."""
        newest = _newest_events(events)
        for event in newest:
            if event.get("kind") == "step":
                self._state.update(step=event.get("n"), loss=event.get("loss"), phase="train")
            elif event.get("kind") == "phase":
                self._state["phase"] = event.get("name")
        self._write()

    def _eta_s(self) -> float | None:
        means = {key: sum(values) / len(values) for key, values in self._seconds.items()}
        if any(key not in means for key in self._left):
            return None
        elapsed = time.monotonic() - self._began if self._state.get("stage") == "run" else 0.0
        return max(sum(means[key] for key in self._left) - elapsed, 0.0)

    def _write(self) -> None:
        counts = {
            "done": self._total - len(self._left),
            "total": self._total,
            "replicates": self._replicates,
            "eta_s": self._eta_s(),
        }
        with contextlib.suppress(OSError):  # a full disk ends runs, not the word about them
            write_json(self._path, {**self._state, **counts})


def _newest_events(folder: Path) -> list[dict[str, object]]:
    """The whole lines in the last 8 KiB of the largest events file: who trains writes most."""
    with contextlib.suppress(OSError, ValueError):
        files = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_size)
        if files:
            with files[-1].open("rb") as file:
                file.seek(max(files[-1].stat().st_size - TAIL_B, 0))
                lines = file.read().split(b"\n")[1:-1]
            return [event for event in map(json.loads, lines) if isinstance(event, dict)]
    return []

"""`paceline logs`: what the job of an issue prints, or one of its runs, from wherever it runs.

Reads the log in pieces from where it was read last, over the connection that is there; a link that is lost is
waited for. What a subject prints is shown without its control characters.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from pods.job import Absent, Running
from pods.shell import PodError

from agent.errors import TaskError
from agent.gather import Desk
from agent.ledger import Intent, fold
from agent.yard import Bench

PIECE_B = 1 << 20
LAST_B = 64 << 10
"""What is shown at first of a long log."""
LOOK_S = 1.0
TIMEOUT_S = 30.0
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")

Say = Callable[[str], None]


@dataclass
class _Reader:
    bench: Bench
    path: PurePath
    offset: int = -LAST_B

    def read(self) -> bytes:
        """What came since the last call. Raises PodError."""
        begin = f"+{self.offset + 1}" if self.offset >= 0 else f"{-self.offset}"
        done = self.bench.shell.run(
            ["tail", "-c", begin, str(self.path)], timeout_s=TIMEOUT_S, limit_b=PIECE_B
        )
        if done.status is None:
            raise PodError(f"the log of {self.path} did not arrive")
        if done.status != 0:
            return b""  # not there yet
        if self.offset < 0:
            size = self.bench.shell.run(["stat", "-c", "%s", str(self.path)], timeout_s=TIMEOUT_S)
            self.offset = int(size.out or b"0") if size.status == 0 else len(done.out)
        else:
            self.offset += len(done.out)
        return done.out


def show_logs(desk: Desk, number: int, run: str | None, *, follow: bool, say: Say) -> None:
    """Raises TaskError where the issue has no job, PodError where its pod is not reached."""
    intent = last_intent(desk, number)
    bench = desk.yard.bench(intent.pod)
    paths = bench.paths(intent.job)
    reader = _Reader(bench, paths.log if run is None else run_log(paths.runs, run))
    if isinstance(desk.yard.observe(intent.pod, intent.job), Absent):
        raise TaskError(f"job {intent.job} is not on {intent.pod} any more")
    while True:
        try:
            is_over = not follow or not isinstance(desk.yard.observe(intent.pod, intent.job), Running)
            text = reader.read()
        except PodError as error:
            if not follow:
                raise
            say(f"paceline: {error}; trying again")
            is_over, text = False, b""
        if text:
            say(_CONTROL.sub(b"", text).decode(errors="replace").rstrip("\n"))
        if is_over:
            return
        time.sleep(LOOK_S)
        desk.yard.begin_tick()


def last_intent(desk: Desk, number: int) -> Intent:
    """Of the issue's newest attempt. Raises TaskError."""
    comments = desk.tracker.comments(number)
    intents = fold(comments, desk.me, desk.place(number), desk.keys).every_intent()
    if not intents:
        raise TaskError(f"#{number} has no job: nothing was measured for it")
    return intents[-1]


def run_log(runs: PurePath, run: str) -> PurePath:
    """The log of `RECIPE/REPLICATE/ARM`. Raises TaskError."""
    parts = run.split("/")
    if len(parts) != 3 or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise TaskError(f"a run is named RECIPE/REPLICATE/ARM, as in sft/1/optimized; not {run!r}")
    return runs.joinpath(*parts, "log")

"""One process under measurement: settings, events, timeline, and what is patched as modules arrive.

Any Python process of the run begins here; the one that first enters `Trainer.train` takes the claim (an
exclusive file), and the worker keeps that one's events as the run's. Launchers and loader workers only
write a `start` line and their imports.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from _paceline_hook import gate, phases, writer
from _paceline_hook.imports import Imports
from _paceline_hook.timeline import Timeline, now


class Measure:
    """The state of the hook in this process; `trainer` is the part that a training loop needs."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.began = now()
        self._writer = writer.Writer(settings["events"], settings["key"])
        self.write = self._writer.write
        self.timeline = Timeline(self.write)
        self.gate = gate.Gate(settings, self.timeline, self.write)
        self.has_claim = False
        self.totals: dict[str, int] = {"steps": 0, "rows": 0, "tokens": 0}

    def claim(self) -> bool:
        """Whether this process is the one that is measured: the first of the run to ask."""
        if not self.has_claim:
            try:
                fd = os.open(
                    self.settings["claim"], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644
                )
            except OSError:
                return False
            os.write(fd, self._writer.name.encode())
            os.close(fd)
            self.has_claim = True
        return self.has_claim

    def end(self) -> None:
        self.timeline.finish()
        self.write("end", at=now(), **self.totals)

    def error(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        tail = "".join(traceback.format_exception(kind, value, trace))[-4000:]
        try:
            text = str(value)[:1000]
        except Exception:  # the subject's own method
            text = ""
        self.write("error", at=now(), type=kind.__name__, text=text, tail=tail)


def begin(settings_path: str) -> None:
    try:
        with open(settings_path, encoding="utf-8") as file:
            settings = json.load(file)
    except (OSError, ValueError):
        return
    measure = Measure(settings)
    measure.write(
        "start",
        schema=writer.SCHEMA,
        at=measure.began,
        wall=time.time(),
        pid=os.getpid(),
        ppid=os.getppid(),
        argv=sys.orig_argv[:50],
        versions={"python": platform.python_version()},
        hook=settings["hook"],
    )
    _catch_errors(measure)
    atexit.register(_in_this_process_only(measure.end))
    Imports(measure.timeline, settings["worktree"], phases.watched(measure)).install()


def _in_this_process_only(function: Callable[[], None]) -> Callable[[], None]:
    pid = os.getpid()

    def guarded() -> None:
        if os.getpid() == pid:
            function()

    return guarded


def _catch_errors(measure: Measure) -> None:
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            measure.error(kind, value, trace)
        previous(kind, value, trace)

    sys.excepthook = excepthook

"""Samples machine and GPU while runs last, from outside the subjects: two lines a second in their folders.

One sampler serves all runs that are going on, so that a lockstep round costs no more than one run. Each run
has `host.csv` with a line when it begins and one when it has ended, and, where there is a GPU, `gpu.csv` and
`gpu-apps.csv`. Beside the machine's state stands how far the run's events had come by the worker's clock:
what the hook says of its time has to agree with that.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from bench.worker.gpu_log import GpuLog
from bench.worker.host_log import COLUMNS, HostLog

EVERY_S = 0.5
HOST_CSV = "host.csv"
EVENTS_COLUMNS = ("events [B]", "events file")
CLAIM_B = 200
"""The claim holds a name of some twenty letters; what a subject puts there may be longer."""


class Sampling:
    """`begin` before a run's process is started, `end` when its tree is gone; `close` after the last."""

    def __init__(self, gpu: str | None) -> None:
        self._host = HostLog()
        self._gpu = GpuLog(gpu) if gpu else None
        self._targets: dict[Path, _Target] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, folder: Path, events: Path) -> None:
        """Sample into `folder`; `events` is the folder of the hook's files, or the file of the subject's own.

        The first line of each trace is there when this returns. A trace that cannot be written is none.
        """
        with contextlib.suppress(OSError):
            target = _Target(folder / HOST_CSV, events)
            with self._lock:
                self._targets[folder] = target
                self._host.fresh()
                self._sample([target])
        if self._gpu:
            self._gpu.begin(folder)
        if self._thread is None:
            self._wake.clear()
            self._thread = threading.Thread(target=self._run, name="sampling", daemon=True)
            self._thread.start()

    def mark(self) -> None:
        """A line now, for all runs: what lies between two marks can be told exactly."""
        with self._lock:
            self._sample(list(self._targets.values()), is_mark=True)

    def end(self, folder: Path) -> None:
        """The last line, while the run's events are still where they were written."""
        if self._gpu:
            self._gpu.end(folder)
        with self._lock:
            target = self._targets.pop(folder, None)
            if target is not None:
                self._sample([target])
                target.close()
        if not self._targets:
            self._stop()

    def close(self) -> None:
        for folder in list(self._targets):
            self.end(folder)
        self._stop()
        self._host.close()

    def _stop(self) -> None:
        if self._thread is not None:
            self._wake.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._wake.wait(EVERY_S):
            with self._lock:
                self._sample(list(self._targets.values()))

    def _sample(self, targets: list[_Target], *, is_mark: bool = False) -> None:
        line = self._host.line(is_mark=is_mark)
        for target in targets:
            target.write(line)


class _Target:
    """The trace of one run. Writing ends with the first error: a full disk ends runs, not the worker."""

    def __init__(self, path: Path, events: Path) -> None:
        self._events = events
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o644)
        self._write(", ".join((*COLUMNS, *EVENTS_COLUMNS)))

    def write(self, line: str) -> None:
        size_b, file = self._state_of_events()
        self._write(f"{line}, {size_b}, {file}")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _write(self, line: str) -> None:
        data = line.encode() + b"\n"
        try:
            if self._fd >= 0 and os.write(self._fd, data) != len(data):
                self.close()
        except OSError:
            self.close()

    def _state_of_events(self) -> tuple[int, int]:
        """(bytes, inode) of the file that the run's figures come from; zeros while it is not there."""
        try:
            stat = self._claimed().stat()
        except (OSError, ValueError):
            return 0, 0
        return stat.st_size, stat.st_ino

    def _claimed(self) -> Path:
        """The file of the process that trains, once it has said so. Raises OSError before, and ValueError.

        Read anew each time: a claim that changes its mind is a file that takes another's place.
        """
        if not self._events.is_dir():
            return self._events
        with (self._events / "claim").open(encoding="ascii") as file:
            return self._events / f"{file.read(CLAIM_B)}.jsonl"

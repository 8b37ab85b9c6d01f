"""Samples the GPU while runs last, through `nvidia-smi`: a line every 200 ms in `gpu.csv`.

The first column is the worker's monotonic clock, so that a line can be told to be of one arm's window. A
column that this driver does not know is left out. `gpu-apps.csv` lists the processes that were on the GPU
just before the first run of a round began and just after the last had ended, when there should be none.
Without a GPU, or without `nvidia-smi`, there is no file.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import BinaryIO

EVERY_MS = 200
ANSWER_S = 20.0
"""A driver that is loaded anew for each question may take seconds; one that hangs is not waited for."""
FIRST_LINE_S = 5.0
COLUMNS = (
    "timestamp",
    "uuid",
    "driver_version",
    "pstate",
    "utilization.gpu",
    "memory.used",
    "power.draw",
    "power.limit",
    "clocks.sm",
    "clocks.mem",
    "temperature.gpu",
    "ecc.errors.uncorrected.volatile.total",
    "clocks_event_reasons.active",
)
OLDER = {"clocks_event_reasons.active": "clocks_throttle_reasons.active"}
"""What a column was called by drivers before 535."""
UNKNOWN = re.compile(r'Field "([^"]+)" is not a valid field to query')
GPU_CSV, APPS_CSV = "gpu.csv", "gpu-apps.csv"
APPS_HEADER = b"when, pid, used_gpu_memory [MiB], process_name\n"


class GpuLog:
    """One `nvidia-smi` for all runs that are going on; `gpu` is a UUID."""

    def __init__(self, gpu: str) -> None:
        self._gpu = gpu
        self._columns: tuple[str, ...] | None = None
        self._files: dict[Path, BinaryIO] = {}
        self._lock = threading.Lock()
        self._header = b""
        self._has_line = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._apps = b""

    def begin(self, folder: Path) -> None:
        """Sample into `folder`; a first line is there when this returns, if the driver answers in time."""
        if self._process is None:
            self._apps = self._apps_now("begin")
            self._start()
        with contextlib.suppress(OSError):
            if self._apps:
                (folder / APPS_CSV).write_bytes(APPS_HEADER + self._apps)
            if self._process is not None:
                with self._lock:
                    file = (folder / GPU_CSV).open("wb", buffering=0)
                    file.write(self._header)
                    self._files[folder] = file
                    self._has_line.clear()
                self._has_line.wait(FIRST_LINE_S)

    def end(self, folder: Path) -> None:
        with self._lock:
            file = self._files.pop(folder, None)
            if file is not None:
                file.close()
        if self._files:
            return
        self._stop()
        if self._apps:
            with contextlib.suppress(OSError), (folder / APPS_CSV).open("ab") as apps:
                apps.write(self._apps_now("end"))

    def _start(self) -> None:
        if self._columns is None:
            self._columns = known_columns(self._gpu)
        if not self._columns:
            return
        try:
            self._process = subprocess.Popen(
                [*_query(self._gpu, self._columns), "-lms", str(EVERY_MS)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return
        assert self._process.stdout is not None
        self._header = b""
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, output: BinaryIO) -> None:
        for line in output:
            with self._lock:
                if self._header:
                    self._spread(b"%.4f, " % time.monotonic() + line)
                    self._has_line.set()
                else:
                    self._header = b"monotonic [s], " + line
                    self._spread(self._header)
        self._has_line.set()

    def _spread(self, line: bytes) -> None:
        for folder, file in list(self._files.items()):
            with contextlib.suppress(OSError):
                file.write(line)
                continue
            del self._files[folder]  # a full disk: this trace is over
            file.close()

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = self._reader = None

    def _apps_now(self, when: str) -> bytes:
        """Who computes on the GPU now, a line each after one that says that the driver answered."""
        answer = _answer(
            [
                "nvidia-smi",
                f"--id={self._gpu}",
                "--query-compute-apps=pid,used_gpu_memory,process_name",
                "--format=csv,noheader,nounits",
            ]
        )
        if answer is None or answer.returncode != 0:
            return b""
        lines = [line for line in answer.stdout.splitlines() if line.strip()]
        return b"".join(f"{when}, ".encode() + line + b"\n" for line in (b"-, -, -", *lines))


def known_columns(gpu: str) -> tuple[str, ...]:
    """Those of `COLUMNS` that this driver knows, by the names that it knows; () where it does not answer."""
    columns = list(COLUMNS)
    while columns:
        answer = _answer(_query(gpu, tuple(columns)))
        if answer is None:
            return ()
        unknown = UNKNOWN.search(
            answer.stdout.decode(errors="replace") + answer.stderr.decode(errors="replace")
        )
        if unknown is None:
            return tuple(columns) if answer.returncode == 0 else ()
        if unknown[1] not in columns:
            return ()
        older = OLDER.get(unknown[1])
        place = columns.index(unknown[1])
        columns[place : place + 1] = [older] if older else []
    return ()


def _query(gpu: str, columns: tuple[str, ...]) -> list[str]:
    return ["nvidia-smi", f"--id={gpu}", f"--query-gpu={','.join(columns)}", "--format=csv,nounits"]


def _answer(command: list[str]) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None

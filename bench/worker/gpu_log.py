"""Samples the GPU while a run lasts, from outside the subject: one CSV line every 200 ms in `gpu.csv`.

A thin wrapper around `nvidia-smi -lms`: its first line names the columns. Without a GPU there is no file.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

EVERY_MS = 200
COLUMNS = (
    "timestamp",
    "uuid",
    "utilization.gpu",
    "memory.used",
    "power.draw",
    "power.limit",
    "clocks.sm",
    "temperature.gpu",
    "clocks_event_reasons.active",
)


@contextlib.contextmanager
def sampled(gpu: str | None, path: Path) -> Iterator[None]:
    """Sample GPU `gpu` (a UUID) into `path` for as long as the context lasts."""
    if gpu is None:
        yield
        return
    command = ["nvidia-smi", f"--id={gpu}", f"--query-gpu={','.join(COLUMNS)}", "--format=csv,nounits"]
    with path.open("wb") as file:
        try:
            sampler = subprocess.Popen(
                [*command, "-lms", str(EVERY_MS)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            yield
            return
        try:
            yield
        finally:
            sampler.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                sampler.wait(timeout=5)
            if sampler.poll() is None:
                sampler.kill()
                sampler.wait()

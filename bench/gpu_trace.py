"""Reads what the sampler wrote in `gpu.csv` while a run lasted: utilisation and device memory.

The format is that of `nvidia-smi --format=csv,nounits`: a header with units in brackets, MiB and percent.
Lines with `[N/A]` or cut off are passed over; a file without one good line is no trace.
"""

from __future__ import annotations

import csv
import io

from bench.run import GpuTrace

MIB = 1 << 20


def read_gpu_trace(data: bytes) -> GpuTrace | None:
    rows = csv.DictReader(io.StringIO(data.decode(errors="replace")), skipinitialspace=True)
    utilisations: list[float] = []
    memories_mib: list[float] = []
    for row in rows:
        try:
            utilisation = float(row["utilization.gpu [%]"])
            memory_mib = float(row["memory.used [MiB]"])
        except (KeyError, TypeError, ValueError):
            continue
        utilisations.append(utilisation)
        memories_mib.append(memory_mib)
    if not utilisations:
        return None
    ordered = sorted(utilisations)
    return GpuTrace(
        samples=len(ordered),
        utilisation_mean_pct=sum(ordered) / len(ordered),
        utilisation_p95_pct=ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)],
        peak_memory_b=int(max(memories_mib)) * MIB,
    )

"""One line of the machine's state: its CPU time and whose it was, clocks, memory, throttling. Linux only.

Read from /proc and the control group, outside the subject. A figure that this machine does not tell is an
empty field; the names in the header carry the units. What it costs is measured in docs/measurement.md.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.worker.own_time import TICK_S, OwnTime

COLUMNS = (
    "monotonic [s]",
    "wall [s]",
    "busy [s]",
    "idle [s]",
    "iowait [s]",
    "steal [s]",
    "own [s]",
    "nicer",
    "load",
    "clock [MHz]",
    "memory [B]",
    "available [B]",
    "throttled [s]",
    "waited [s]",
)
"""`busy` to `steal` are of all CPUs since boot; `own` and `waited` of this process and all below it: CPU time
they had, and time in which their threads could have run and had none."""
SLOW_S = 1.0
"""How long clocks, memory, load, throttling and waits are taken to stay as they were read."""
READ_B = 1 << 16
CLOCKS_B = 1 << 14
"""Of /proc/cpuinfo: a dozen CPUs stand for all of them, and a large machine's has 200 KB."""


class HostLog:
    """`line` is the state now; close it when it is not needed any more."""

    def __init__(self) -> None:
        self._stat = _opened("/proc/stat")
        self._load = _opened("/proc/loadavg")
        self._memory = _opened("/proc/meminfo")
        self._clocks = [_opened(path) for path in _clock_files()]
        self._throttling = _opened(_cpu_stat_of_group())
        self._own = OwnTime()
        self._slow = ""
        self._slow_until = 0.0
        self._waited_s = 0.0

    def fresh(self) -> None:
        """A run begins: its processes are new."""
        self._own.fresh(time.monotonic())

    def line(self, *, is_mark: bool = False) -> str:
        """`is_mark`: new processes are looked for and the waits are read now, whatever that costs."""
        at, wall = time.monotonic(), time.time()
        stat = _read(self._stat)
        busy_s, idle_s, iowait_s, steal_s = _cpu_s(stat)
        own_s, nicer = self._own.look(at, _forks(stat) if is_mark else None)
        is_due = at >= self._slow_until
        if is_due:
            self._slow, self._slow_until = self._slowly(), at + SLOW_S
        if is_due or is_mark:
            self._waited_s = self._own.waited_s()
        return (
            f"{at:.4f}, {wall:.4f}, {busy_s:.2f}, {idle_s:.2f}, {iowait_s:.2f}, {steal_s:.2f},"
            f" {own_s:.2f}, {nicer}, {self._slow}, {self._waited_s:.3f}"
        )

    def close(self) -> None:
        for descriptor in (self._stat, self._load, self._memory, self._throttling, *self._clocks):
            if descriptor >= 0:
                os.close(descriptor)

    def _slowly(self) -> str:
        load = _read(self._load).partition(" ")[0]
        kib = {
            name: rest.split()[0]
            for name, _, rest in (line.partition(":") for line in _read(self._memory, 256).splitlines()[:3])
        }
        total, available = (
            str(int(kib[name]) * 1024) if name in kib else "" for name in ("MemTotal", "MemAvailable")
        )
        return f"{load}, {self._mhz()}, {total}, {available}, {self._throttled_s()}"

    def _mhz(self) -> str:
        """The mean clock of some CPUs; "" where the machine does not tell."""
        found = [mhz for descriptor in self._clocks for mhz in _mhz_in(_read(descriptor, CLOCKS_B))]
        return f"{sum(found) / len(found):.0f}" if found else ""

    def _throttled_s(self) -> str:
        """For how long in sum the control group was held back; "" where there is none that tells."""
        found = dict(line.split(None, 1) for line in _read(self._throttling).splitlines())
        for name, unit_s in (("throttled_usec", 1e-6), ("throttled_time", 1e-9)):  # version 2, version 1
            if name in found:
                return f"{int(found[name]) * unit_s:.3f}"
        return ""


def _cpu_s(stat: str) -> tuple[float, float, float, float]:
    """Seconds since boot, summed over CPUs: busy, idle, waiting for a disk, taken by the hypervisor."""
    fields = stat.partition("\n")[0].split()[1:9]
    ticks = [int(field) for field in fields] or [0] * 8
    user, nice, system, idle, iowait, irq, softirq, steal = (tick * TICK_S for tick in ticks)
    return user + nice + system + irq + softirq, idle, iowait, steal


def _forks(stat: str) -> str:
    """How many processes and threads were started since boot; "" where nobody counts (gVisor says 0)."""
    count = stat.partition("\nprocesses ")[2].partition("\n")[0]
    return "" if count == "0" else count


def _opened(path: str) -> int:
    """A descriptor to read again and again; -1 where there is no such file."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _read(descriptor: int, most_b: int = READ_B) -> str:
    with contextlib.suppress(OSError):
        return os.pread(descriptor, most_b, 0).decode(errors="replace")
    return ""


def _clock_files() -> list[str]:
    """Of the first four CPUs where the kernel governs their clocks, else the one file that tells of all."""
    governed = [f"/sys/devices/system/cpu/cpu{number}/cpufreq/scaling_cur_freq" for number in range(4)]
    return [path for path in governed if Path(path).exists()] or ["/proc/cpuinfo"]


def _mhz_in(text: str) -> Iterator[float]:
    if text.strip().isdigit():
        yield int(text) / 1000
        return
    for line in text.splitlines():
        if line.startswith("cpu MHz"):
            with contextlib.suppress(ValueError):
                yield float(line.rpartition(":")[2])


def _cpu_stat_of_group() -> str:
    """The `cpu.stat` of the control group that this process is in, version 2 or 1; the root's inside a
    container that sees only its own."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if "cpu" in controllers.split(",") or not controllers:
                roots = (
                    ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]
                    if controllers
                    else ["/sys/fs/cgroup"]
                )
                for folder in (f"{root}{inner}" for root in roots for inner in (place.rstrip("/"), "")):
                    if Path(folder, "cpu.stat").exists():
                        return f"{folder}/cpu.stat"
    return ""

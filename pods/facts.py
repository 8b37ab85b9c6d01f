"""Questions to a machine: each a command and a pure parser of its answer.

Owns what is asked and what an answer means. Unknown is busy: a query that errors is `Unknown` with its
reason, never "no GPU", and one row that cannot be read makes the whole answer unknown. Only a program that
is not there means `NoGpu`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pods.shell import Completed, Shell

T = TypeVar("T")
NOT_SAID = ("[N/A]", "N/A", "[Not Supported]")
"""What `nvidia-smi` prints where a device has no such figure; anything else that is none is unknown."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    argv: tuple[str, ...]
    parse: Callable[[Completed], T]


@dataclass(frozen=True, slots=True)
class Gpu:
    """Figures are None where the driver does not say them: utilisation of a MIG slice, memory that a GPU
    shares with the host."""

    uuid: str
    name: str
    memory_total_mib: int | None
    memory_used_mib: int | None
    utilization_pct: float | None


@dataclass(frozen=True, slots=True)
class NoGpu:
    pass


@dataclass(frozen=True, slots=True)
class Unknown:
    why: str


@dataclass(frozen=True, slots=True)
class Host:
    """`cores` and `memory_mib` are what a process here may use, where a cgroup or a CPU mask gives it less.
    `available_mib` of that memory can be had now; None where the kernel does not say it."""

    hostname: str
    cpu_model: str
    cores: int
    memory_mib: int
    boot_id: str
    kernel: str
    load_1min: float = 0.0
    available_mib: int | None = None


def ask(shell: Shell, question: Question[T], *, timeout_s: float = 20.0) -> T:
    """Raises PodError when the machine is not reached."""
    return question.parse(shell.run(question.argv, timeout_s=timeout_s))


def parse_gpus(completed: Completed) -> tuple[Gpu, ...] | NoGpu | Unknown:
    if completed.status == 127:
        return NoGpu()
    if (trouble := _trouble(completed)) is not None or completed.status != 0:
        return Unknown(trouble or f"nvidia-smi: exit status {completed.status}: {_first_line(completed)}")
    rows = [row for row in completed.out.decode(errors="replace").splitlines() if row.strip()]
    if not rows:
        return Unknown("nvidia-smi lists no GPU")
    gpus = []
    for row in rows:
        gpu = _gpu(row)
        if gpu is None:
            return Unknown(f"nvidia-smi: cannot read {row!r}")
        gpus.append(gpu)
    return tuple(gpus)


def parse_host(completed: Completed) -> Host | Unknown:
    """Reads `grep -H` lines, FILE:LINE. Files that are not there (cgroup limits) make grep exit with 2."""
    if (trouble := _trouble(completed)) is not None:
        return Unknown(trouble)
    lines: dict[str, list[str]] = {}
    for row in completed.out.decode(errors="replace").splitlines():
        path, _, line = row.partition(":")
        lines.setdefault(path, []).append(line)
    try:
        return Host(
            hostname=lines["/proc/sys/kernel/hostname"][0],
            cpu_model=_field(lines["/proc/cpuinfo"], "model name") or "unknown",
            cores=_cores(lines),
            memory_mib=_memory_mib(lines),
            boot_id=lines["/proc/sys/kernel/random/boot_id"][0],
            kernel=lines["/proc/sys/kernel/osrelease"][0],
            load_1min=float(lines["/proc/loadavg"][0].split()[0]),
            available_mib=_available_mib(lines),
        )
    except (KeyError, IndexError, ValueError) as error:
        return Unknown(f"host facts: cannot read {error}")


GPUS: Question[tuple[Gpu, ...] | NoGpu | Unknown] = Question(
    (
        "nvidia-smi",
        "--query-gpu=uuid,name,memory.total,memory.used,utilization.gpu",
        "--format=csv,noheader,nounits",
    ),
    parse_gpus,
)
HOST: Question[Host | Unknown] = Question(
    (
        "grep",
        "-sH",
        "",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/osrelease",
        "/proc/sys/kernel/random/boot_id",
        "/proc/loadavg",
        "/proc/self/status",
        "/proc/meminfo",
        "/sys/fs/cgroup/cpu.max",
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory.current",
        "/sys/fs/cgroup/memory.stat",
        "/proc/cpuinfo",
    ),
    parse_host,
)


def parse_apps(completed: Completed) -> dict[str, tuple[str, ...]] | Unknown:
    """UUID: what computes there, as `name (pid)`. Without `nvidia-smi` nothing does."""
    if completed.status == 127:
        return {}
    if (trouble := _trouble(completed)) is not None or completed.status != 0:
        return Unknown(trouble or f"nvidia-smi: exit status {completed.status}: {_first_line(completed)}")
    found: dict[str, list[str]] = {}
    for row in completed.out.decode(errors="replace").splitlines():
        cells = [cell.strip() for cell in row.split(",", 2)]
        if len(cells) != 3:
            if row.strip():
                return Unknown(f"nvidia-smi: cannot read {row!r}")
            continue
        uuid, pid, name = cells
        found.setdefault(uuid, []).append(f"{name.rpartition('/')[2][:40]} ({pid})")
    return {uuid: tuple(names) for uuid, names in found.items()}


@dataclass(frozen=True, slots=True)
class Power:
    """Watts, where the driver says them. `throttle` are the driver's bits of why clocks are low, in hex;
    `compute_mode` is who may compute there, in plain words."""

    draw_w: float | None = None
    limit_w: float | None = None
    throttle: str = ""
    compute_mode: str = ""
    driver: str = ""


def parse_power(completed: Completed) -> dict[str, Power] | Unknown:
    """By UUID. An older driver may not know a column: then nothing is known, and nobody minds."""
    if (trouble := _trouble(completed)) is not None or completed.status != 0:
        return Unknown(trouble or _first_line(completed))
    found = {}
    for row in completed.out.decode(errors="replace").splitlines():
        cells = [cell.strip() for cell in row.split(",")]
        if len(cells) == 6:
            uuid, draw, limit, throttle, mode, driver = cells
            words = mode.replace("_", " ").lower()
            found[uuid] = Power(_watts(draw), _watts(limit), throttle, words, driver)
    return found


def parse_version(completed: Completed) -> str:
    """The first word of the first line that begins with a digit; "" where there is no such program."""
    if completed.status != 0:
        return ""
    words = completed.out.decode(errors="replace").split()
    return next((word for word in words if word[:1].isdigit()), "")


APPS: Question[dict[str, tuple[str, ...]] | Unknown] = Question(
    (
        "nvidia-smi",
        "--query-compute-apps=gpu_uuid,pid,process_name",
        "--format=csv,noheader",
    ),
    parse_apps,
)
POWER: Question[dict[str, Power] | Unknown] = Question(
    (
        "nvidia-smi",
        "--query-gpu=uuid,power.draw,power.limit,clocks_throttle_reasons.active,compute_mode,driver_version",
        "--format=csv,noheader,nounits",
    ),
    parse_power,
)
GIT: Question[str] = Question(("git", "--version"), parse_version)
UV: Question[str] = Question(("uv", "--version"), parse_version)


def _watts(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # [N/A]
        return None


def _trouble(completed: Completed) -> str | None:
    if completed.status is None:
        return "no answer in time"
    return "the answer was too long" if completed.is_truncated else None


def _first_line(completed: Completed) -> str:
    text = (completed.err + b"\n" + completed.out).decode(errors="replace").strip()
    return text.splitlines()[0] if text else "no message"


def _gpu(row: str) -> Gpu | None:
    cells = [cell.strip() for cell in row.split(",")]
    if len(cells) != 5 or not re.fullmatch(r"(GPU|MIG)-[0-9A-Za-z-]+", cells[0]):
        return None
    uuid, name, *figures, utilization = cells
    try:
        total_mib, used_mib = (None if one in NOT_SAID else int(one) for one in figures)
        return Gpu(uuid, name, total_mib, used_mib, None if utilization in NOT_SAID else float(utilization))
    except ValueError:  # [Unknown Error]
        return None


def _field(lines: list[str], name: str) -> str | None:
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _cores(lines: dict[str, list[str]]) -> int:
    allowed = _field(lines["/proc/self/status"], "Cpus_allowed_list")
    if allowed is None:
        raise KeyError("Cpus_allowed_list")
    cores = 0
    for part in allowed.split(","):
        first, _, last = part.partition("-")
        cores += int(last or first) - int(first) + 1
    quota, _, period = lines.get("/sys/fs/cgroup/cpu.max", ["max 100000"])[0].partition(" ")
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def _memory_mib(lines: dict[str, list[str]]) -> int:
    total = _field(lines["/proc/meminfo"], "MemTotal")
    if total is None:
        raise KeyError("MemTotal")
    total_mib = int(total.removesuffix("kB")) // 1024
    limit_mib = _limit_mib(lines)
    return total_mib if limit_mib is None else min(total_mib, limit_mib)


def _available_mib(lines: dict[str, list[str]]) -> int | None:
    """The kernel's estimate, and what the cgroup's limit leaves: files that it only caches are given up."""
    available = _field(lines["/proc/meminfo"], "MemAvailable")
    if available is None:
        return None
    available_mib = int(available.removesuffix("kB")) // 1024
    limit_mib, current = _limit_mib(lines), lines.get("/sys/fs/cgroup/memory.current")
    if limit_mib is None or current is None:
        return available_mib
    figures = dict(line.split(" ", 1) for line in lines.get("/sys/fs/cgroup/memory.stat", ()))
    cached_b = sum(int(figures.get(name, 0)) for name in ("inactive_file", "active_file"))
    used_mib = max(0, int(current[0]) - cached_b) >> 20
    return min(available_mib, max(0, limit_mib - used_mib))


def _limit_mib(lines: dict[str, list[str]]) -> int | None:
    limit = lines.get("/sys/fs/cgroup/memory.max", ["max"])[0]
    return None if limit == "max" else int(limit) >> 20

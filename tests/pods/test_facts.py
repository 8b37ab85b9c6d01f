"""What machines answer, and what it means."""

from __future__ import annotations

import os

import pytest

from pods import facts, throttle
from pods.facts import Gpu, Host, NoGpu, Unknown
from pods.shell import Completed
from pods.shell_local import LocalShell

TWO = b"GPU-1a, NVIDIA H100 80GB HBM3, 81559, 4, 0\nGPU-2b, NVIDIA H100 80GB HBM3, 81559, 70123, 98\n"


def host_of(*lines: str) -> bytes:
    return "\n".join(lines).encode()


LINES = (
    "/proc/sys/kernel/hostname:pod-7",
    "/proc/sys/kernel/osrelease:6.8.0",
    "/proc/sys/kernel/random/boot_id:b-1",
    "/proc/loadavg:1.25 0.80 0.40 2/345 6789",
    "/proc/self/status:Cpus_allowed_list:\t0-3,8",
    "/proc/meminfo:MemTotal:       16777216 kB",
    "/proc/cpuinfo:model name\t: AMD EPYC: 7763",
)


def test_every_row_is_a_gpu() -> None:
    assert facts.parse_gpus(Completed(0, TWO, b"")) == (
        Gpu("GPU-1a", "NVIDIA H100 80GB HBM3", 81559, 4, 0.0),
        Gpu("GPU-2b", "NVIDIA H100 80GB HBM3", 81559, 70123, 98.0),
    )


def test_only_a_missing_program_means_no_gpu() -> None:
    assert facts.parse_gpus(Completed(127, b"", b"")) == NoGpu()


@pytest.mark.parametrize(
    "answer",
    [
        Completed(None, b"", b""),
        Completed(9, b"NVIDIA-SMI has failed because it couldn't communicate with the driver", b""),
        Completed(0, b"", b""),
        Completed(0, b"No devices were found\n", b""),
        Completed(0, TWO + b"GPU-3c, NVIDIA H100, [Unknown Error], 4, 0\n", b""),
        Completed(15, TWO, b""),
        Completed(0, TWO, b"", is_truncated=True),
        Completed(0, b"\xff\xfe", b""),
    ],
)
def test_any_other_trouble_is_unknown(answer: Completed) -> None:
    assert isinstance(facts.parse_gpus(answer), Unknown)


def test_a_slice_without_utilization_is_a_gpu() -> None:
    parsed = facts.parse_gpus(Completed(0, b"MIG-1a, H100, 20096, 4, [N/A]\n", b""))
    assert parsed == (Gpu("MIG-1a", "H100", 20096, 4, None),)


@pytest.mark.parametrize("said", ["[N/A]", "[Not Supported]", "N/A"])
def test_what_a_device_has_no_figure_of_is_none(said: str) -> None:
    row = f"GPU-1a, NVIDIA GB10, {said}, {said}, {said}\n".encode()
    assert facts.parse_gpus(Completed(0, row, b"")) == (Gpu("GPU-1a", "NVIDIA GB10", None, None, None),)


@pytest.mark.parametrize("row", [b"GPU-1, X, 1, [Unknown Error], 0", b"GPU-1, X, 1, 1, [GPU requires reset]"])
def test_any_other_text_is_unknown(row: bytes) -> None:
    assert isinstance(facts.parse_gpus(Completed(0, row, b"")), Unknown)


def test_a_host_is_read_although_some_files_are_missing() -> None:
    expected = Host("pod-7", "AMD EPYC: 7763", 5, 16384, "b-1", "6.8.0", 1.25)
    assert facts.parse_host(Completed(2, host_of(*LINES), b"")) == expected


def test_a_cgroup_gives_less_than_the_machine_has() -> None:
    limits = ("/sys/fs/cgroup/cpu.max:250000 100000", "/sys/fs/cgroup/memory.max:1073741824")
    host = facts.parse_host(Completed(0, host_of(*LINES, *limits), b""))
    assert isinstance(host, Host)
    assert (host.cores, host.memory_mib) == (2, 1024)


AVAILABLE = "/proc/meminfo:MemAvailable:    4194304 kB"
STAT = ("/sys/fs/cgroup/memory.stat:inactive_file 1048576", "/sys/fs/cgroup/memory.stat:active_file 2097152")


@pytest.mark.parametrize(
    ("limits", "available_mib"),
    [
        ((), 4096),
        (("/sys/fs/cgroup/memory.max:max", "/sys/fs/cgroup/memory.current:1"), 4096),
        (("/sys/fs/cgroup/memory.max:1073741824", "/sys/fs/cgroup/memory.current:943718400"), 124),
        (("/sys/fs/cgroup/memory.max:1073741824", "/sys/fs/cgroup/memory.current:943718400", *STAT), 127),
        (("/sys/fs/cgroup/memory.max:1073741824", "/sys/fs/cgroup/memory.current:2000000000"), 0),
        (("/sys/fs/cgroup/memory.max:1073741824",), 4096),
    ],
    ids=["kernel", "no limit", "limit less usage", "less what only caches files", "over it", "usage unknown"],
)
def test_available_memory_is_the_kernels_and_what_a_cgroup_leaves(limits, available_mib) -> None:
    host = facts.parse_host(Completed(0, host_of(*LINES, AVAILABLE, *limits), b""))
    assert isinstance(host, Host)
    assert host.available_mib == available_mib


@pytest.mark.parametrize("missing", LINES[:6])
def test_a_host_that_cannot_be_read_is_unknown(missing: str) -> None:
    lines = [line for line in LINES if line != missing]
    assert isinstance(facts.parse_host(Completed(0, host_of(*lines), b"")), Unknown)


APPS = "GPU-1, 17, /usr/bin/python3\nGPU-2, 18, [Not Found]\nGPU-1, 19, a, b\n"


def test_processes_are_told_by_gpu() -> None:
    found = facts.parse_apps(Completed(0, APPS.encode(), b""))
    assert found == {"GPU-1": ("python3 (17)", "a, b (19)"), "GPU-2": ("[Not Found] (18)",)}


@pytest.mark.parametrize(("status", "out"), [(None, b""), (255, b"Unknown Error"), (0, b"half a li")])
def test_processes_that_cannot_be_told_are_unknown(status: int | None, out: bytes) -> None:
    assert isinstance(facts.parse_apps(Completed(status, out, b"")), Unknown)


def test_power_is_none_where_the_driver_does_not_say_it() -> None:
    row = b"GPU-1, [N/A], 700.00, 0x0000000000000004, Exclusive_Process, 535.1\n"
    found = facts.parse_power(Completed(0, row, b""))
    assert found == {"GPU-1": facts.Power(None, 700.0, "0x0000000000000004", "exclusive process", "535.1")}


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        ("0x0000000000000000", ()),
        ("0x0000000000000001", ("idle",)),
        ("0x0000000000000044", ("power cap", "hardware heat limit")),
        ("0x0000000000000200", ("0x200",)),
        ("[N/A]", ()),
        ("", ()),
    ],
)
def test_why_clocks_are_low_is_told_in_words(bits: str, reasons: tuple[str, ...]) -> None:
    assert throttle.reasons(bits) == reasons


@pytest.mark.parametrize(
    ("out", "version"),
    [(b"git version 2.39.5\n", "2.39.5"), (b"uv 0.9.2 (abc 2026)\n", "0.9.2"), (b"what?\n", "")],
)
def test_a_version_is_the_first_word_with_a_digit(out: bytes, version: str) -> None:
    assert facts.parse_version(Completed(0, out, b"")) == version


def test_this_machine_answers(shell: LocalShell) -> None:
    host = facts.ask(shell, facts.HOST)
    assert isinstance(host, Host)
    assert host.hostname == os.uname().nodename
    assert host.kernel == os.uname().release
    assert host.available_mib is not None
    assert 0 < host.available_mib <= host.memory_mib

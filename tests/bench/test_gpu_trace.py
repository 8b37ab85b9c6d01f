"""What `gpu.csv` says, as drivers of several years print it; times and figures worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gpu_trace import others_of, read_gpu_trace

HEADER = (
    "monotonic [s], timestamp, uuid, driver_version, pstate, utilization.gpu [%], memory.used [MiB],"
    " power.draw [W], power.limit [W], clocks.current.sm [MHz], clocks.current.memory [MHz],"
    " temperature.gpu, ecc.errors.uncorrected.volatile.total, clocks_event_reasons.active"
)
MIB = 1 << 20


def line(at=1.0, utilisation=50, memory=1000, power=300.0, sm=1980, ecc=0, reasons="0x0000000000000000"):
    return (
        f"{at}, 2026/11/20 13:00:00.123, GPU-1, 550.54, P0, {utilisation}, {memory}, {power}, 700.00,"
        f" {sm}, 2619, 45, {ecc}, {reasons}"
    )


def trace(*lines, header=HEADER, **options):
    return read_gpu_trace("".join(f"{text}\n" for text in (header, *lines)).encode(), **options)


def test_utilisation_memory_and_clock_of_an_idle_and_a_busy_sample():
    found = trace(line(utilisation=0, memory=10, sm=1000), line(utilisation=100, memory=3000, sm=2000))
    assert (found.samples, found.utilisation_mean_pct, found.utilisation_p95_pct) == (2, 50.0, 100.0)
    assert (found.peak_memory_b, found.begin_memory_b, found.sm_mhz) == (3000 * MIB, 10 * MIB, 1500.0)
    assert (found.uuid, found.driver) == ("GPU-1", "550.54")


def test_of_a_lockstep_run_only_its_turns_count_and_memory_is_everybodys():
    lines = [line(at=n, utilisation=10 * n) for n in range(1, 6)]
    found = trace(*lines, turns=[(0.5, 1.5), (3.5, 5.5)])
    assert (found.samples, found.utilisation_mean_pct) == (3, pytest.approx((10 + 40 + 50) / 3))
    assert (found.peak_memory_b, found.begin_memory_b) == (None, None)


def test_power_at_full_utilisation_is_a_share_of_the_limit():
    full = [line(utilisation=100, power=140.0)] * 10
    assert trace(*full, line(utilisation=50, power=700.0)).power_share == pytest.approx(0.2)


def test_full_utilisation_that_was_rare_says_nothing_of_power():
    assert trace(*[line(utilisation=100, power=140.0)] * 9).power_share is None


@pytest.mark.parametrize(
    ("reasons", "slowed", "capped"),
    [
        ("0x0000000000000000", 0.0, 0.0),
        ("0x0000000000000001", 0.0, 0.0),  # idle
        ("0x0000000000000004", 0.0, 0.5),  # the software's power cap
        ("0x0000000000000008", 0.5, 0.0),  # hardware slowdown
        ("0x0000000000000020", 0.5, 0.0),  # heat, by software
        ("0x0000000000000044", 0.5, 0.5),  # heat, by hardware, and the power cap
        ("0x0000000000000080", 0.5, 0.0),  # power brake
    ],
)
def test_reasons_for_a_lower_clock_are_shares_of_the_samples(reasons, slowed, capped):
    found = trace(line(), line(reasons=reasons))
    assert (found.slowed_share, found.capped_share) == (slowed, capped)


def test_reasons_go_by_their_older_name_too():
    older = HEADER.replace("clocks_event_reasons", "clocks_throttle_reasons")
    assert trace(line(reasons="0x0000000000000020"), header=older).slowed_share == 1.0


def test_memory_errors_that_were_there_before_are_not_the_runs():
    assert trace(line(ecc=3), line(ecc=3)).ecc_errors == 0
    assert trace(line(ecc=3), line(ecc=5)).ecc_errors == 2


def test_fields_that_the_driver_does_not_know_are_not_known():
    unknown = line(ecc="[N/A]", power="[Not Supported]", sm="[N/A]", reasons="[N/A]")
    found = trace(*[unknown.replace("50, 1000", "100, 1000")] * 12)
    assert (found.ecc_errors, found.power_share, found.sm_mhz, found.slowed_share) == (0, None, None, 0.0)


def test_columns_that_are_not_there_at_all_are_not_known():
    found = trace("7, 40", header="utilization.gpu [%], memory.used [MiB]")
    assert (found.utilisation_mean_pct, found.peak_memory_b, found.uuid, found.driver) == (
        7,
        40 * MIB,
        "",
        "",
    )


def test_a_gpu_that_changes_during_a_run_shows_both():
    assert trace(line(), line().replace("GPU-1", "GPU-2")).uuid == "GPU-1, GPU-2"


def test_processes_are_those_that_were_there_without_a_run():
    apps = (
        b"when, pid, used_gpu_memory [MiB], process_name\nbegin, -, -, -\n"
        b"begin, 77, 1024, /usr/bin/python3, with a comma\nend, -, -, -\nend, 77, 1024, /usr/bin/python3\n"
    )
    assert others_of(apps) == ("77 /usr/bin/python3, with a comma", "77 /usr/bin/python3")
    assert trace(line(), apps=apps).others == others_of(apps)
    assert others_of(b"when, pid, used_gpu_memory [MiB], process_name\nbegin, -, -, -\n") == ()


def test_a_file_without_a_good_line_is_no_trace():
    assert trace(line(utilisation="[N/A]")) is None
    assert read_gpu_trace(b"NVIDIA-SMI has failed because it couldn't communicate\n") is None


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(data, apps):
    read_gpu_trace(data, apps)
    read_gpu_trace(f"{HEADER}\n{line()}\n".encode() + data, apps, [(0.0, 9.0)])

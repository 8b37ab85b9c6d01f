"""What `host.csv` says: shares of CPU time, clocks, and how far the events had come by an outer clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.events import read_events
from bench.host_trace import Said, read_host_trace, said_by
from bench.worker.host_log import COLUMNS
from bench.worker.sampling import EVENTS_COLUMNS
from tests.bench.raw_run import KEY, lines_of, owner_record, trained_events

HEADER = ", ".join((*COLUMNS, *EVENTS_COLUMNS))
# Two CPUs, looked at when nothing has been counted yet.
AT_FIRST = {
    "monotonic [s]": 100.0,
    "wall [s]": 5000.0,
    "busy [s]": 0.0,
    "idle [s]": 0.0,
    "iowait [s]": 0.0,
    "steal [s]": 0.0,
    "own [s]": 0.0,
    "nicer": 0,
    "load": 1.0,
    "clock [MHz]": 2000,
    "memory [B]": 1000,
    "available [B]": 900,
    "throttled [s]": 0.0,
    "waited [s]": 0.0,
    "events [B]": 0,
    "events file": 0,
}


def line(**changes):
    """A line with the figures of `AT_FIRST`, but for those that are given by the name before the unit."""
    row = {
        name: changes.pop(name.partition(" [")[0].replace(" ", "_"), value)
        for name, value in AT_FIRST.items()
    }
    assert not changes
    return ", ".join(str(value) for value in row.values())


def trace(*lines, said=None):
    return read_host_trace("".join(f"{text}\n" for text in (HEADER, *lines)).encode(), said or Said())


def events_line(at, events):
    return line(monotonic=at, wall=4900.0 + at).rpartition(", 0, 0")[0] + f", {events}, {7 if events else 0}"


def test_what_is_busy_and_not_our_own_is_foreign():
    # 10 s of two CPUs: 20 s, of which 8 busy; 3 of them are the job's.
    found = trace(line(), line(monotonic=110.0, wall=5010.0, busy=8.0, idle=11.0, iowait=1.0, own=3.0))
    assert found.foreign_share == pytest.approx(5 / 20)
    assert (found.steal_share, found.samples, found.begin, found.end) == (0.0, 2, 100.0, 110.0)


def test_the_job_alone_leaves_nothing_foreign_whatever_the_ticks_say():
    found = trace(line(), line(monotonic=110.0, wall=5010.0, busy=4.98, idle=15.0, own=5.0))
    assert found.foreign_share == 0.0


def test_steal_is_a_share_of_all_cpu_time():
    found = trace(line(), line(monotonic=110.0, wall=5010.0, busy=9.0, idle=9.0, steal=2.0))
    assert found.steal_share == pytest.approx(0.1)


def test_waiting_and_throttling_are_per_second():
    found = trace(line(), line(monotonic=110.0, wall=5010.0, waited=4.0, throttled=1.0))
    assert (found.waiting_threads, found.throttled_share) == (0.4, 0.1)


def test_the_least_free_memory_and_the_mean_clock_count():
    second = line(monotonic=101.0, wall=5001.0, available=50, clock=3000, nicer=5)
    found = trace(line(), second, line(monotonic=102.0, wall=5002.0, clock=2500))
    assert (found.free_memory_share, found.mhz, found.nicer) == (0.05, 2500.0, 5)


def test_what_the_machine_does_not_tell_is_not_known():
    unknown = {"clock": "", "available": "", "throttled": ""}
    found = trace(line(**unknown), line(monotonic=101.0, wall=5001.0, **unknown))
    assert (found.mhz, found.free_memory_share, found.throttled_share) == (None, None, None)


def test_the_longest_gap_and_the_largest_jump_of_the_wall_clock():
    found = trace(line(), line(monotonic=101.0, wall=4991.0), line(monotonic=108.0, wall=4998.5))
    assert found.longest_gap_s == 7.0
    assert found.wall_jump_s == -10.0


def test_an_owner_whose_times_lie_outside_the_samples_is_measured():
    lines = [line(), line(monotonic=110.0, wall=5010.0)]
    assert trace(*lines, said=Said(process=(100.5, 109.0))).outside_s == 0.0
    assert trace(*lines, said=Said(process=(97.0, 109.0))).outside_s == 3.0
    assert trace(*lines, said=Said(process=(100.5, 112.5))).outside_s == 2.5


def test_a_step_that_is_written_as_it_ends_is_not_late():
    # The line of a step that ended at 101.2 is there at 101.5 and was not at 101.0.
    found = trace(events_line(101.0, 10), events_line(101.5, 80), said=Said(lines=((80, 101.2),)))
    assert found.late_s == pytest.approx(-0.2)


def test_a_step_that_is_missing_after_its_end_is_late_by_as_much_at_least():
    lines = [events_line(at, size) for at, size in ((101.0, 10), (103.0, 10), (104.0, 80))]
    assert trace(*lines, said=Said(lines=((80, 101.2),))).late_s == pytest.approx(1.8)


def test_lateness_is_that_of_the_latest_of_all_steps():
    lines = [events_line(at, size) for at, size in ((101.0, 50), (105.0, 50), (106.0, 70), (107.0, 90))]
    said = Said(lines=((50, 100.5), (70, 101.0), (90, 106.5)))
    assert trace(*lines, said=said).late_s == pytest.approx(4.0)


def test_cpus_of_the_steps_are_those_the_job_had_meanwhile():
    lines = [line(monotonic=100.0 + n, wall=5000.0 + n, own=float(n * n)) for n in range(6)]
    assert trace(*lines, said=Said(trained=(100.8, 104.2))).training_cpus == (16.0 - 1.0) / 3
    assert trace(*lines, said=Said(trained=(101.2, 102.8))).training_cpus is None  # one sample
    assert trace(*lines).training_cpus is None


@pytest.mark.parametrize(
    ("states", "moved"),
    [
        ([(0, 0), (50, 7), (90, 7)], ""),
        ([(50, 7), (90, 8)], "another file took its place"),
        ([(90, 7), (50, 7)], "it shrank from 90 to 50 B"),
        ([(90, 7), (0, 0)], "it was deleted"),
        ([(0, 0), (0, 0)], ""),
    ],
)
def test_what_cannot_happen_to_a_file_that_is_appended_to(states, moved):
    lines = [
        line(monotonic=100.0 + n, wall=5000.0 + n).rpartition(", 0, 0")[0] + f", {size}, {file}"
        for n, (size, file) in enumerate(states)
    ]
    assert trace(*lines).events_moved == moved


def test_steps_are_said_with_the_byte_at_which_their_line_ends():
    data = lines_of(trained_events()).encode()
    said = said_by(owner_record(), read_events(data, KEY), data)
    assert said.process == (10.0, 20.0)
    assert said.trained == (15.0, 18.0)
    assert [end for _, end in said.lines] == [16.0, 18.0]
    assert [data[:size].count(b"\n") for size, _ in said.lines] == [6, 9]
    assert all(data[size - 1 : size] == b"\n" for size, _ in said.lines)


def test_steps_of_a_lockstep_run_are_not_held_against_the_sampler():
    gate = {"kind": "gate", "window": 0, "begin": 15.0, "end": 15.0}
    data = lines_of([*trained_events()[:4], gate, *trained_events()[4:]]).encode()
    assert said_by(owner_record(), read_events(data, KEY), data) == Said(process=(10.0, 20.0))


def test_a_run_without_owner_says_nothing():
    assert said_by({}, read_events(b"", KEY), b"") == Said()


def test_one_line_and_broken_lines_are_no_trace():
    assert trace(line()) is None
    assert trace(line(), line()[:40]) is None
    assert read_host_trace(b"") is None


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_exception(data):
    read_host_trace(data)
    read_host_trace(f"{HEADER}\n{line()}\n".encode() + data)

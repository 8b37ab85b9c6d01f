"""The sampler of the host on this very machine: a busy child is ours, a stranger is not."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.columns import rows_of
from bench.host_trace import read_host_trace
from bench.worker.host_log import COLUMNS, HostLog
from bench.worker.own_time import FRESH_S, OwnTime
from bench.worker.sampling import Sampling

BUSY = "import time\nuntil = time.process_time() + 0.6\nwhile time.process_time() < until: pass\n"
STRANGER = "while True: pass\n"
PYTHON = shlex.quote(sys.executable)  # the folder of the clone may have a space


def made(tmp_path, name="run") -> tuple[Path, Path]:
    folder = tmp_path / name
    (folder / "events").mkdir(parents=True)
    return folder, folder / "events"


def sampled(tmp_path, code=None):
    """The trace of a run of `code`."""
    folder, events = made(tmp_path)
    sampling = Sampling(None)
    sampling.begin(folder, events)
    if code:
        subprocess.run([sys.executable, "-c", code], check=True)
    sampling.end(folder)
    sampling.close()
    return read_host_trace((folder / "host.csv").read_bytes())


def busy_s(log) -> dict[str, float]:
    return {name: float(value or "nan") for name, value in zip(COLUMNS, log.line().split(", "), strict=True)}


def test_a_line_has_a_field_for_each_column():
    log = HostLog()
    line = busy_s(log)
    log.close()
    assert abs(line["monotonic [s]"] - time.monotonic()) < 1.0
    assert abs(line["wall [s]"] - time.time()) < 1.0
    assert line["busy [s]"] > 0
    assert line["memory [B]"] >= line["available [B]"] > 0


def test_cpu_time_of_a_child_is_our_own_while_it_lives_and_after():
    log = HostLog()
    before = busy_s(log)["own [s]"]
    child = subprocess.Popen([sys.executable, "-c", BUSY + "time.sleep(60)"])
    log.fresh()
    until = time.monotonic() + 30
    while busy_s(log)["own [s]"] < before + 0.6:
        assert time.monotonic() < until
        time.sleep(0.05)
    child.kill()
    child.wait()
    assert busy_s(log)["own [s]"] >= before + 0.6
    log.close()


def test_a_grandchild_is_our_own():
    log = HostLog()
    before = busy_s(log)["own [s]"]
    subprocess.run(["sh", "-c", f"{PYTHON} -c '{BUSY}'; true"], check=True)
    assert busy_s(log)["own [s]"] >= before + 0.6
    log.close()


BORN_LATE = """
import subprocess, sys, threading, time
def start():
    subprocess.Popen([sys.executable, "-c", sys.argv[1]])
for line in sys.stdin:
    starting = threading.Thread(target=start)
    starting.start()
    starting.join()
"""
WORKER = "import time\nwhile time.process_time() < 0.4: pass\nprint('done', flush=True)\ntime.sleep(60)\n"


@contextlib.contextmanager
def trainer():
    """A process whose thread starts a busy one when it is told to, as a loader does at the first step;
    (its standard input, its output)."""
    command = [sys.executable, "-c", BORN_LATE, WORKER]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process.stdin, process.stdout
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("can_follow", [True, False])
def test_a_process_that_is_born_in_the_middle_of_a_run_is_our_own_at_the_next_mark(can_follow):
    own, walked_at = OwnTime(can_follow=can_follow), time.monotonic()
    with trainer() as (tell, told):
        before, _ = own.look(walked_at, "1")  # the one walk: what follows is at the same moment
        tell.write("\n")
        tell.flush()
        assert told.readline() == "done\n"
        between, _ = own.look(walked_at)
        at_mark, _ = own.look(walked_at, "2")
    assert between < before + 0.3 <= at_mark


def test_where_nobody_forked_a_mark_looks_for_nobody():
    own, walked_at = OwnTime(), time.monotonic()
    with trainer() as (tell, told):
        before, _ = own.look(walked_at, "1")
        tell.write("\n")
        tell.flush()
        told.readline()
        assert own.look(walked_at, "1")[0] < before + 0.3


def test_a_mark_tells_of_the_forks_of_this_machine(tmp_path):
    folder, events = made(tmp_path)
    sampling = Sampling(None)
    with trainer() as (tell, told):
        sampling.begin(folder, events)
        time.sleep(FRESH_S + 0.1)
        before_s = own_s_at_a_mark(sampling, folder)
        tell.write("\n")
        tell.flush()
        told.readline()
        after_s = own_s_at_a_mark(sampling, folder)
        sampling.end(folder)
        sampling.close()
    assert after_s >= before_s + 0.3


def own_s_at_a_mark(sampling, folder) -> float:
    sampling.mark()
    *_, last = rows_of((folder / "host.csv").read_bytes())
    return float(last["own [s]"])


@contextlib.contextmanager
def stranger():
    """A busy process that is not below this one: handed to init, or whoever reaps for it."""
    started = subprocess.run(
        ["setsid", "sh", "-c", f"{PYTHON} -c '{STRANGER}' > /dev/null 2>&1 & echo $!"],
        capture_output=True,
        check=True,
    )
    pid = int(started.stdout)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_process_of_somebody_else_is_foreign(tmp_path):
    folder, events = made(tmp_path)
    with stranger():
        sampling = Sampling(None)
        sampling.begin(folder, events)
        time.sleep(1.2)
        sampling.end(folder)
        sampling.close()
    trace = read_host_trace((folder / "host.csv").read_bytes())
    cpus = os.cpu_count()
    # It alone keeps one CPU busy; on a machine that is full it gets a share of one at least.
    assert trace.foreign_share > 0.3 / cpus


def test_the_shortest_run_has_a_trace(tmp_path):
    trace = sampled(tmp_path)
    assert trace.samples == 2
    assert trace.outside_s == 0.0


def test_a_run_of_a_second_or_more_is_looked_at_twice_a_second(tmp_path):
    trace = sampled(tmp_path, "import time\ntime.sleep(2.2)")
    assert trace.samples >= 5
    assert trace.longest_gap_s < 2.0


def test_a_process_that_lowers_its_priority_shows(tmp_path):
    lower = min(3, 19 - os.nice(0))  # there is nothing below 19
    assert sampled(tmp_path, "import os, time\nos.nice(3)\ntime.sleep(1.1)").nicer == lower


def waited_s(log, **options) -> float:
    return float(log.line(**options).rpartition(", ")[2])


def test_a_mark_tells_of_waits_at_once(tmp_path):
    """Four busy processes on fewer CPUs than that wait for each other, or for whoever else there is."""
    log = HostLog()
    spin = f"{PYTHON} -c 'while True: pass' & "
    busy = subprocess.Popen(["sh", "-c", spin * (2 * (os.cpu_count() or 1)) + "wait"], start_new_session=True)
    log.fresh()
    until = time.monotonic() + 30
    first = waited_s(log, is_mark=True)
    while waited_s(log, is_mark=True) <= first + 0.2:
        assert time.monotonic() < until
        time.sleep(0.1)
    told = []
    for _ in range(4):
        told.append(waited_s(log, is_mark=True))
        time.sleep(0.2)
    assert told == sorted(set(told))  # more each time
    os.killpg(busy.pid, signal.SIGKILL)
    busy.wait()
    log.close()


def test_runs_at_the_same_time_have_a_trace_each_and_one_thread(tmp_path):
    sampling = Sampling(None)
    (one, one_events), (other, other_events) = made(tmp_path, "one"), made(tmp_path, "other")
    sampling.begin(one, one_events)
    sampling.begin(other, other_events)
    time.sleep(0.7)
    sampling.end(one)
    size_b = (one / "host.csv").stat().st_size
    time.sleep(0.7)
    sampling.end(other)
    sampling.close()
    assert (one / "host.csv").stat().st_size == size_b
    assert len((other / "host.csv").read_text().splitlines()) >= 5


def test_a_trace_that_cannot_be_written_is_none(tmp_path):
    sampling = Sampling(None)
    sampling.begin(tmp_path / "gone", tmp_path / "gone" / "events")
    sampling.end(tmp_path / "gone")
    sampling.close()
    assert not (tmp_path / "gone").exists()


def last_state(folder) -> tuple[int, int]:
    size, file = (folder / "host.csv").read_text().splitlines()[-1].split(", ")[-2:]
    return int(size), int(file)


def test_the_file_of_the_claim_is_the_one_that_is_watched(tmp_path):
    folder, events = made(tmp_path)
    sampling = Sampling(None)
    sampling.begin(folder, events)
    assert last_state(folder) == (0, 0)
    (events / "7-1.jsonl").write_text("x" * 30)
    (events / "8-2.jsonl").write_text("x" * 40)
    (events / "claim").write_text("8-2")
    sampling.end(folder)
    sampling.close()
    assert last_state(folder) == (40, (events / "8-2.jsonl").stat().st_ino)


def test_a_file_that_the_subject_writes_itself_is_watched_too(tmp_path):
    folder, _ = made(tmp_path)
    sampling = Sampling(None)
    sampling.begin(folder, folder / "events.jsonl")
    (folder / "events.jsonl").write_text("x" * 5)
    sampling.end(folder)
    sampling.close()
    assert last_state(folder)[0] == 5


@pytest.mark.parametrize("claim", [b"../../../etc/passwd", b"\xff\xfe", b"x" * 5000, b"a\0b", b""])
def test_whatever_stands_in_the_claim_is_survived(tmp_path, claim):
    folder, events = made(tmp_path)
    (events / "claim").write_bytes(claim)
    sampling = Sampling(None)
    sampling.begin(folder, events)
    sampling.end(folder)
    sampling.close()
    assert last_state(folder) == (0, 0)

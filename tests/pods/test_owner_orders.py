"""What an owner is told while its tree runs: to stop it, to let it go on, that its time is used up.

The trees count in a file that all of their processes map, a slot each; whoever counts runs.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pods.supervisor import process
from tests.pods.conftest import Owning
from tests.pods.processes import cpu_s, eventually, is_alive, pid_in

QUICK = ("--grace-s", "0.3")
SLOTS = 8
LOOK_S = 0.15

COUNT = """
import ctypes, mmap, os, platform, signal, sys, threading, time
file = open(sys.argv[1], "r+b")
counts = mmap.mmap(file.fileno(), 64)
def add(slot):
    place = slice(8 * slot, 8 * slot + 8)
    counts[place] = (int.from_bytes(counts[place], "little") + 1).to_bytes(8, "little")
def count(slot):
    while True:
        add(slot)
        time.sleep(0.0002)
"""
KINDS = ("main", "thread", "child", "grandchild", "session", "daemon", "leaderless")
FAMILY = """
def child(slot):
    if os.fork() == 0:
        count(slot)
threading.Thread(target=count, args=(1,), daemon=True).start()
child(2)
if os.fork() == 0:
    child(3)
    time.sleep(1000)
if os.fork() == 0:
    os.setsid()
    count(4)
if os.fork() == 0:
    os.setsid()
    child(5)
    os._exit(0)
if os.fork() == 0:  # its first thread ends, the other goes on
    threading.Thread(target=count, args=(6,)).start()
    ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
count(0)
"""
LINE = """
if os.fork():
    time.sleep(1000)
while True:  # each lives for an instant: long enough to leave a child behind
    if os.fork():
        os._exit(0)
    add(0)
"""
SWARM = """
for _ in range(10):
    if os.fork() == 0:
        while True:
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    add(0)
                os._exit(0)
            os.wait()
time.sleep(1000)
"""


class Ordered:
    """An owner with orders, and the counters of its tree."""

    def __init__(self, owning: Owning, counters: Path, code: str, *options: str) -> None:
        counters.write_bytes(bytes(8 * SLOTS))
        with counters.open("r+b") as file:
            self._counts = mmap.mmap(file.fileno(), 8 * SLOTS)
        self._owning = owning
        command = (sys.executable, "-S", "-c", COUNT + code, str(counters))
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "bufsize": 0}
        self.child = owning.begin(*command, options=("--orders", *QUICK, *options), **pipes)
        eventually(lambda: self.counts()[0])

    def tell(self, text: bytes) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(text)

    def answer(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        return json.loads(self.child.stdout.readline())

    def order(self, word: str) -> dict[str, Any]:
        self.tell(word.encode() + b"\n")
        return self.answer()

    def counts(self) -> list[int]:
        data = self._counts[:]
        return [int.from_bytes(data[8 * slot : 8 * slot + 8], "little") for slot in range(SLOTS)]

    def running(self, look_s: float = LOOK_S) -> list[int]:
        """The slots that somebody counts in."""
        before = self.counts()
        time.sleep(look_s)
        return [slot for slot, count in enumerate(self.counts()) if count != before[slot]]

    def tree(self) -> list[int]:
        return [one.pid for one in process.lineage([self.child.pid])]

    def report(self) -> dict[str, Any]:
        return self._owning.report(self.child)


@pytest.fixture
def ordered(owning: Owning, tmp_path: Path, ids_to_end: list[int]) -> Iterator[Callable[..., Ordered]]:
    begun: list[Ordered] = []

    def begin(code: str, *options: str) -> Ordered:
        owning.log = tmp_path / f"log-{len(begun)}"
        begun.append(Ordered(owning, tmp_path / f"counters-{len(begun)}", code, *options))
        return begun[-1]

    yield begin
    for one in begun:
        ids_to_end += one.tree()


def test_everything_below_stands_still_until_it_is_let_go_on(ordered: Callable[..., Ordered]) -> None:
    family = ordered(FAMILY)
    everybody = list(range(len(KINDS)))
    eventually(lambda: family.running() == everybody)
    for _ in range(3):
        assert family.order("stop") == {"stopped": len(family.tree())}
        assert family.running() == []
        assert family.order("go") == {"going": len(family.tree())}
        assert family.running() == everybody


def test_stopping_does_not_wait_for_a_first_thread_that_has_ended(ordered: Callable[..., Ordered]) -> None:
    family = ordered(FAMILY)
    eventually(lambda: 6 in family.running())
    began = time.monotonic()
    family.order("stop")
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("code", [LINE, SWARM], ids=["one after the other", "many at once"])
def test_what_forks_while_it_is_being_stopped_stands_still_too(
    ordered: Callable[..., Ordered], code: str
) -> None:
    bomb = ordered(code)
    for _ in range(20):
        bomb.order("stop")
        assert bomb.running(0.02) == []
        bomb.order("go")
        eventually(lambda: bomb.running(0.01) == [0])
    bomb.order("timeout")
    assert bomb.report()["left"] == []


def test_a_tree_runs_on_beside_one_that_is_stopped(ordered: Callable[..., Ordered]) -> None:
    stopped, running = ordered("count(0)"), ordered("count(0)")
    stopped.order("stop")
    assert (stopped.running(), running.running()) == ([], [0])
    running.child.terminate()
    assert running.report()["cancelled"]
    stopped.order("go")
    assert stopped.running() == [0]


@pytest.mark.parametrize("is_stopped", [True, False])
def test_timeout_ends_the_tree_as_one_that_used_up_its_time(
    ordered: Callable[..., Ordered], is_stopped: bool
) -> None:
    family = ordered(FAMILY)
    if is_stopped:
        family.order("stop")
    ids = family.tree()
    assert family.order("timeout") == {"ending": 1}
    report = family.report()
    assert (report["timed_out"], report["cancelled"], report["left"]) == (True, False, [])
    assert not any(map(is_alive, ids))


def test_a_stopped_tree_is_ended_without_waiting_out_its_grace(ordered: Callable[..., Ordered]) -> None:
    family = ordered(FAMILY, "--grace-s", "30")
    family.order("stop")
    began = time.monotonic()
    family.order("timeout")
    assert family.report()["signal"] == signal.SIGTERM
    assert time.monotonic() - began < 10


def test_an_end_that_came_before_the_timeout_stands(ordered: Callable[..., Ordered], tmp_path: Path) -> None:
    """The main process has ended well; what it left behind takes its grace to end."""
    stays = f"""
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open({str(tmp_path / "stays")!r}, "w").close()
    count(1)
add(0)
while not os.path.exists({str(tmp_path / "stays")!r}):
    time.sleep(0.01)
"""
    tree = ordered(stays, "--grace-s", "1")
    eventually(lambda: len(tree.tree()) == 1 and is_alive(tree.tree()[0]) and tree.running(0.05) == [1])
    tree.order("timeout")
    report = tree.report()
    assert (report["status"], report["timed_out"], report["survivors"]) == (0, False, 1)


def test_what_is_being_ended_is_not_stopped_any_more(ordered: Callable[..., Ordered]) -> None:
    tidy = """
def end(*_):
    time.sleep(0.5)
    os._exit(5)
signal.signal(signal.SIGTERM, end)
add(0)
while True:
    time.sleep(0.01)
"""
    tree = ordered(tidy, "--grace-s", "30")
    tree.child.terminate()
    time.sleep(0.1)
    tree.order("stop")
    began = time.monotonic()
    assert tree.report()["status"] == 5
    assert time.monotonic() - began < 10


def test_term_to_the_owner_ends_a_stopped_tree(ordered: Callable[..., Ordered]) -> None:
    family = ordered(FAMILY)
    family.order("stop")
    ids = family.tree()
    family.child.terminate()
    assert family.report()["cancelled"]
    assert not any(map(is_alive, ids))


def test_a_stopped_tree_whose_main_process_is_killed_is_reported_at_once(
    ordered: Callable[..., Ordered],
) -> None:
    family = ordered(FAMILY)
    family.order("stop")
    ids = family.tree()
    began = time.monotonic()
    os.kill(ids[0], signal.SIGKILL)
    assert family.report()["signal"] == signal.SIGKILL
    assert time.monotonic() - began < 10
    assert not any(map(is_alive, ids))


def test_no_stopped_process_outlives_the_parent_of_its_owner(
    owning: Owning, pyz: Path, tmp_path: Path, ids_to_end: list[int]
) -> None:
    """The parent is killed; the whole family stands still at that moment."""
    (tmp_path / "counters").write_bytes(bytes(8 * SLOTS))
    owner = [sys.executable, "-I", "-S", str(pyz), "own", "--log", str(owning.log), "--log-limit-b", "9999"]
    subject = [sys.executable, "-S", "-c", COUNT + FAMILY, str(tmp_path / "counters")]
    command = [*owner, *QUICK, "--orders", "--", *subject]
    code = f"""
import os, subprocess, sys, time
owner = subprocess.Popen({command!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
while not all(open("counters", "rb").read()[::8][:{len(KINDS)}]):  # the lowest byte of each
    time.sleep(0.001)
owner.stdin.write(b"stop\\n")
owner.stdout.readline()
with open("pid.tmp", "w") as file:
    file.write(str(owner.pid))
os.rename("pid.tmp", "pid")
time.sleep(1000)
"""
    parent = subprocess.Popen([sys.executable, "-S", "-c", code], cwd=tmp_path)
    owner_pid = pid_in(tmp_path / "pid")
    ids = [one.pid for one in process.lineage([owner_pid])]
    ids_to_end += [owner_pid, *ids]
    assert len(ids) == len(KINDS)  # the thread is none, the parent of the grandchild is one more
    parent.kill()
    parent.wait()
    eventually(lambda: not any(map(is_alive, [owner_pid, *ids])))


def test_an_unknown_word_is_answered_and_changes_nothing(ordered: Callable[..., Ordered]) -> None:
    tree = ordered("count(0)")
    assert tree.order("sotp") == {"unknown": 1}
    assert tree.order("") == {"unknown": 1}
    assert tree.running() == [0]


def test_orders_may_come_in_pieces_or_together(ordered: Callable[..., Ordered]) -> None:
    tree = ordered("count(0)")
    tree.tell(b"st")
    time.sleep(0.05)
    tree.tell(b"op\ngo\nstop\n")
    assert [list(tree.answer()) for _ in range(3)] == [["stopped"], ["going"], ["stopped"]]
    assert tree.running() == []


def test_the_end_of_the_orders_means_nothing(ordered: Callable[..., Ordered]) -> None:
    tree = ordered("time.sleep(0.001)\nadd(0)\ntime.sleep(1)\nos._exit(4)")
    assert tree.child.stdin is not None
    tree.child.stdin.close()
    tree.child.stdin = None
    before_s = cpu_s(tree.child.pid)
    time.sleep(0.5)
    assert cpu_s(tree.child.pid) - before_s <= 0.02  # nor does it keep the owner busy
    assert tree.report()["status"] == 4


def test_whoever_does_not_read_the_answers_does_not_keep_the_tree(ordered: Callable[..., Ordered]) -> None:
    tree = ordered("count(0)")
    assert tree.child.stdout is not None
    tree.child.stdout.close()
    tree.child.stdout = None
    tree.tell(b"stop\n")
    eventually(lambda: tree.running() == [])
    ids = tree.tree()
    tree.child.terminate()
    tree.child.wait(timeout=60)
    assert not any(map(is_alive, ids))

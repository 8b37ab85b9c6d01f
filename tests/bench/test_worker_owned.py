"""The worker's side of an owner: its report, its answers, and owners that are lost or say nothing.

The owner is a command that the worker is given; here it is one of a few lines that answers as it is told.
The real one is in tests/pods/test_owner_orders.py.
"""

import contextlib
import json
import signal
import sys
import time

import pytest

from bench.worker import owned
from bench.worker.owned import Owned, Ownership, Start

REPORT = {"not_started": None, "status": 0, "cancelled": False}
ANSWERS = f"""
import os, signal, sys
for line in sys.stdin:
    word = line.strip()
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "end":
        print('{json.dumps(REPORT)}', flush=True)
        break
    if word == "stand":
        os.kill(os.getpid(), signal.SIGSTOP)
    print('{{"stopped": 3}}', flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Starts owners that run this code; none outlives the test."""
    trees = []

    def begin(code=ANSWERS):
        ownership = Ownership([sys.executable, "-S", "-c", code], None, 0.1)
        trees.append(ownership.start(Start(["true"], tmp_path, {}, tmp_path / "log", 5.0), has_orders=True))
        return ownership, trees[-1]

    yield begin
    for tree in trees:
        tree.kill()
        with contextlib.suppress(ValueError):  # its streams are closed: it was forgotten
            tree.owned()


def end_of(ownership, tree):
    while not tree.has_ended:
        tree.read()
        time.sleep(0.005)
    return ownership.forget(tree)


def test_the_last_word_of_an_owner_is_its_report(start):
    ownership, tree = start()
    assert tree.order("stop")
    tree.order("end")
    assert end_of(ownership, tree) == Owned(REPORT)


def test_an_owner_that_is_killed_after_an_answer_is_lost(start):
    ownership, tree = start()
    tree.order("stop")
    assert not tree.order("die")
    assert end_of(ownership, tree) == Owned(None, "the owner ended with -9: no word")


def test_orders_to_an_owner_that_is_gone_are_not_carried_out(start):
    ownership, tree = start("")
    for _ in range(3):
        assert not tree.order("stop")
    assert end_of(ownership, tree).record is None


def test_an_owner_that_does_not_answer_is_killed(start, monkeypatch):
    monkeypatch.setattr(owned, "ANSWER_LIMIT_S", 0.2)
    ownership, tree = start()
    began = time.monotonic()
    assert not tree.order("stand")
    assert end_of(ownership, tree).error == f"the owner ended with -{signal.SIGKILL:d}: no word"
    assert time.monotonic() - began < 5


def test_an_owner_that_is_not_heard_of_after_its_limit_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(owned, "OWNER_SLACK_S", 0.2)
    ownership = Ownership([sys.executable, "-S", "-c", "import time; time.sleep(1000)"], None, 0.1)
    ticks = []
    ended = ownership.run(Start(["true"], tmp_path, {}, tmp_path / "log", 0.1), lambda: ticks.append(1))
    assert ended == Owned(None, "the owner ended with -9: no word")

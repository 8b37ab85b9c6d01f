"""The worker's side of a gate, against whoever can reach it: the subject can."""

import json
import socket
import threading
import time

import pytest

from bench.worker import gate
from bench.worker.gate import Door, read_line

KEY = "0123456789abcdef"
HOOK = {"key": KEY, "place": "steps", "steps": 7}


@pytest.fixture
def door():
    door = Door()
    yield door
    door.close()


@pytest.fixture
def knocking(door):
    """Connects and says something; whoever knocks stays until the test has ended."""
    held = []

    def knock(words):
        held.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        held[-1].connect(door.address)
        held[-1].sendall(words)
        return held[-1]

    yield knock
    for one in held:
        one.close()


def line(**said):
    return json.dumps(said).encode() + b"\n"


def test_the_hook_that_knows_the_key_is_let_in(door, knocking):
    knocking(line(**HOOK, reserved=5, device=9))
    connection, said = door.met(KEY)
    connection.close()
    assert said == {**HOOK, "reserved": 5, "device": 9}


def test_whoever_does_not_know_the_key_is_sent_away(door, knocking):
    knocked = knocking(line(**{**HOOK, "key": "f" * 16}))
    assert door.met(KEY) is None
    assert knocked.recv(10) == b""


@pytest.mark.parametrize(
    "words",
    [
        b"\n",
        b"no json\n",
        b"[1]\n",
        b"null\n",
        b"\xff\xfe\n",
        b"[" * 4000 + b"\n",  # deeper than a parser goes
        b"{" + b" " * 5000,  # longer than a line
        line(**HOOK) + line(**HOOK),
        line(key=KEY, steps=1),
        line(key=KEY, place="nowhere", steps=1),
        line(key=KEY, place=["steps"], steps=1),
        line(key=KEY, place="steps"),
        line(key=KEY, place="steps", steps=True),
        line(key=KEY, place="steps", steps=1.5),
        line(key=KEY, place="steps", steps=-1),
        line(key=KEY, place="steps", steps=10**400),  # no float holds it
        line(**HOOK, reserved="all"),
        line(**HOOK, device=[1]),
        line(**HOOK, device=float("inf")),
    ],
)
def test_words_that_no_hook_says_are_none(door, knocking, words):
    knocking(words)
    assert door.met(KEY) is None


def test_whoever_has_gone_again_is_nobody(door, knocking):
    knocking(b"").close()
    assert door.met(KEY) is None


@pytest.mark.parametrize("words", [b"", b'{"key": '])
def test_whoever_does_not_come_to_the_end_of_a_line_is_not_waited_for(door, knocking, monkeypatch, words):
    monkeypatch.setattr(gate, "LINE_S", 0.1)
    knocking(words)
    began = time.monotonic()
    assert door.met(KEY) is None
    assert time.monotonic() - began < 5


def test_a_word_now_and_then_does_not_buy_time(monkeypatch):
    monkeypatch.setattr(gate, "LINE_S", 0.3)
    ours, theirs = socket.socketpair()
    has_ended = threading.Event()

    def drip():
        while not has_ended.wait(0.05):
            theirs.sendall(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    began = time.monotonic()
    assert read_line(ours) == {}
    assert time.monotonic() - began < 3
    has_ended.set()
    dripping.join()
    ours.close()
    theirs.close()


def test_doors_do_not_know_each_other(door, knocking):
    """Somebody who waits at one does not hold up the other."""
    other = Door()
    knocking(b"")
    reached = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    reached.connect(other.address)
    reached.sendall(line(**HOOK))
    connection, said = other.met(KEY)
    assert said == HOOK
    for one in (connection, reached, other):
        one.close()

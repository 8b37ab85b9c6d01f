"""The hook's side of a gate: it waits for the token, and harms no subject that does odd things to sockets."""

import contextlib
import json
import os
import secrets
import socket
import threading

import pytest

from tests.bench.hook_modules import hook_module

gate_module = hook_module("gate")
timeline_module = hook_module("timeline")


class Worker:
    """The other end: listens, keeps what the hook said, answers what it is told to."""

    def __init__(self):
        self.address = f"\0test-{secrets.token_hex(8)}"
        self.said = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.address)
        self._listener.listen()
        self._connections = []
        self._threads = []

    def answers(self, *words, after_s=0.0):
        """In the background: take the next connection and answer line by line with `words`."""

        def serve():
            connection, _ = self._listener.accept()
            self._connections.append(connection)
            with connection.makefile("rb") as lines:
                for word in words:
                    self.said.append(json.loads(lines.readline()))
                    threading.Event().wait(after_s)
                    connection.sendall(word)
            self.rest = connection

        self._threads.append(threading.Thread(target=serve))
        self._threads[-1].start()

    def heard_all(self):
        for thread in self._threads:
            thread.join(10)

    def has_lost_the_hook(self):
        """Whether nobody holds the other end any more."""
        self.heard_all()
        self.rest.settimeout(0.2)
        try:
            return self.rest.recv(100) == b""
        except TimeoutError:
            return False

    def close(self):
        self.heard_all()
        for one in (*self._connections, self._listener):
            one.close()


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


class Hook:
    def __init__(self, address):
        self.events = []
        self.timeline = timeline_module.Timeline(self.write)
        self.gate = gate_module.Gate({"gate": address, "key": "k"}, self.timeline, self.write)

    def write(self, kind, **fields):
        self.events.append((kind, fields))

    def gates(self):
        return [(fields["window"], fields["place"]) for kind, fields in self.events if kind == "gate"]


@pytest.fixture
def hook(worker):
    hook = Hook(worker.address)
    yield hook
    hook.gate._close()


def steps(number):
    return json.dumps({"steps": number}).encode() + b"\n"


def test_the_hook_says_where_it_is_and_is_due_after_as_many_steps_as_it_was_given(hook, worker):
    worker.answers(steps(1), steps(5), steps(None))
    hook.gate.enter(0, {"reserved": 7})
    assert [hook.gate.is_due(n) for n in (0, 1)] == [False, True]
    hook.gate.wait("steps", 1, {})
    assert [hook.gate.is_due(n) for n in (5, 6)] == [False, True]
    hook.gate.wait("end", 4, {})
    assert not hook.gate.is_due(10**6)
    assert worker.said == [
        {"key": "k", "place": "enter", "steps": 0, "reserved": 7},
        {"key": "k", "place": "steps", "steps": 1},
        {"key": "k", "place": "end", "steps": 4},
    ]
    assert hook.gates() == [(0, "enter"), (1, "steps"), (2, "end")]


def test_the_time_at_a_gate_is_in_no_phase(hook, worker):
    worker.answers(steps(1), after_s=0.2)
    hook.gate.enter(0, {})
    hook.timeline.finish()
    [waited] = [fields["end"] - fields["begin"] for kind, fields in hook.events if kind == "gate"]
    phases = [fields["end"] - fields["begin"] for kind, fields in hook.events if kind == "phase"]
    assert waited >= 0.2
    assert sum(phases) < 0.1


@pytest.mark.parametrize("address", [None, "\0test-nobody-listens-here"])
def test_without_a_gate_nothing_waits(address):
    hook = Hook(address)
    hook.gate.enter(0, {})
    hook.gate.wait("steps", 1, {})
    assert not hook.gate.is_due(1)
    assert hook.events == []


def test_a_worker_that_is_gone_is_not_waited_for(hook, worker):
    worker.answers(steps(1))
    hook.gate.enter(0, {})
    worker.heard_all()
    worker.rest.close()
    hook.gate.wait("steps", 1, {})
    assert not hook.gate.is_due(1)
    hook.gate.wait("steps", 2, {})
    assert hook.gates() == [(0, "enter"), (1, "steps")]


def test_a_default_timeout_of_the_subject_does_not_end_the_waiting(hook, worker):
    worker.answers(steps(3), after_s=0.3)
    socket.setdefaulttimeout(0.01)
    try:
        hook.gate.enter(0, {})
    finally:
        socket.setdefaulttimeout(None)
    assert hook.gate.is_due(3)


def test_a_subject_that_replaces_the_socket_class_is_met_all_the_same(hook, worker, monkeypatch):
    class ThroughAProxy(socket.socket):
        def connect(self, address):
            raise OSError("the proxy does not answer")

    worker.answers(steps(2))
    monkeypatch.setattr(socket, "socket", ThroughAProxy)
    hook.gate.enter(0, {})
    assert hook.gate.is_due(2)


def test_what_got_the_gates_descriptor_is_neither_written_to_nor_closed(hook, worker):
    """A subject that closes all descriptors, and then opens a connection of its own."""
    worker.answers(steps(1))
    hook.gate.enter(0, {})
    number = hook.gate._connection.fileno()
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), number)
    hook.gate.wait("steps", 1, {})
    theirs.settimeout(0.2)
    with pytest.raises(TimeoutError):
        theirs.recv(100)
    os.write(number, b"still open")
    assert theirs.recv(100) == b"still open"
    os.close(number)
    ours.close()
    theirs.close()
    assert not hook.gate.is_due(1)


def test_a_closed_descriptor_is_left_alone(hook, worker):
    worker.answers(steps(1))
    hook.gate.enter(0, {})
    os.close(hook.gate._connection.fileno())
    hook.gate.wait("steps", 1, {})
    assert not hook.gate.is_due(1)


def test_a_forked_child_does_not_keep_the_gate_open(hook, worker):
    """A loader worker that outlives the process that trains."""
    worker.answers(steps(1))
    hook.gate.enter(0, {})
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(writer)
            os.read(reader, 1)
        os._exit(0)
    hook.gate._close()
    assert worker.has_lost_the_hook()
    os.close(reader)
    os.close(writer)
    os.waitpid(child, 0)


def test_a_subject_that_trains_again_comes_back_to_the_gate(hook, worker):
    worker.answers(steps(1), steps(None), steps(2))
    hook.gate.enter(0, {})
    hook.gate.wait("end", 5, {})
    hook.gate.enter(5, {})
    worker.heard_all()
    assert [said["place"] for said in worker.said] == ["enter", "end", "enter"]
    assert [hook.gate.is_due(n) for n in (6, 7)] == [False, True]

"""Ctrl-C while a pod is frozen: about a second, status 130, and nothing that looks like a fault."""

import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.test_main_job import running
from tests.e2e.test_pods import PodLife

pytestmark = pytest.mark.ssh
IS_WAITING_S = 3.0
"""A command has been started, and waits for an answer that does not come."""
SOON_S = 2.0
"""About a second, and what a loaded machine takes to end a process."""


@pytest.fixture
def life(tmp_path, daemons):
    # What a shell starts with `&` ignores it, and so does whatever that starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    life = PodLife(tmp_path, daemons)
    yield life
    life.close()
    signal.signal(signal.SIGINT, before)


def interrupted(life, *arguments):
    """Status, standard error and how long the end took."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", *arguments],
        env=life.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(IS_WAITING_S)
    assert process.poll() is None, process.stderr.read()
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    return process.returncode, err, time.monotonic() - began


def test_whatever_waits_for_a_frozen_pod_ends_at_an_interrupt(life):
    number = life.file(life.body(seconds="60"))
    process = life.start_agent()
    life.until(running(life, number))
    life.kill(process)
    config, pods = ("--config", str(life.config)), ("pods", "--pods", str(life.folder / "pods.toml"))
    alpha, beta = life.daemons.values()
    with alpha.frozen(), beta.frozen():
        for arguments in (
            pods,
            (*pods, "choose"),
            (*pods, "leases"),
            (*pods, "bootstrap", "alpha"),
            (*pods, "trust", "alpha"),
            ("pods", "gc", *config),
            ("logs", str(number), "--follow", *config),
            ("doctor", *config),
        ):
            status, err, took_s = interrupted(life, *arguments)
            assert (status, err) == (130, ""), arguments
            assert took_s < SOON_S, arguments
        status, err, took_s = interrupted(life, "agent", *config)
        assert status == 130
        again = f"stopped; jobs go on where they run. Carry on: paceline agent --config {life.config}"
        assert err.splitlines()[-1] == again
        assert took_s < SOON_S


def test_an_agent_that_was_interrupted_carries_on(life):
    number = life.file(life.body(arms="", criteria="sleep:end_to_end_s<=9"))
    process = life.start_agent()
    life.until(running(life, number))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    life.start_agent()
    life.until_verdict(number)
    assert len(life.jobs()) == 1

"""Real training on a pod over SSH while its link is killed, frozen and cut: one job, one result."""

import json
import os
import signal
import threading

import pytest

from tests.daemons.relay import Relay
from tests.e2e.conftest import commit, subject
from tests.e2e.test_main_job import running
from tests.e2e.test_pods import PodLife

pytestmark = [pytest.mark.ssh, pytest.mark.train, pytest.mark.slow]
CONFIG = """
[recipe.plain]
run = ["{python}", "plain_trainer.py", "--out", "{out}"]
"""


class TrainingLife(PodLife):
    """`alpha` is reached through a relay, and is the only pod that training fits on."""

    def __init__(self, folder, daemons) -> None:
        super().__init__(folder, daemons)
        files = {"paceline.toml": CONFIG, "plain_trainer.py": subject("plain_trainer.py")}
        self.first = self.second = commit(self.repo, files)
        self.relay = Relay(self.daemons["alpha"].port)
        inventory = self.folder / "pods.toml"
        text = inventory.read_text().split("[pod.beta]")[0]
        port = f"port = {self.daemons['alpha'].port}"
        assert port in text
        inventory.write_text(text.replace(port, f"port = {self.relay.port}"))

    def close(self):
        self.relay.close()
        super().close()


@pytest.fixture
def life(tmp_path, daemons):
    life = TrainingLife(tmp_path, daemons)
    yield life
    life.close()


def trouble(life, alpha):
    """One fault after the other, until there is a verdict."""
    while True:
        for pid in alpha.connections():
            os.kill(pid, signal.SIGKILL)
        yield
        for pid in (frozen := alpha.connections()):
            os.kill(pid, signal.SIGSTOP)
        yield
        for pid in frozen:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        alpha.stop()
        alpha.start()
        yield
        life.relay.cut()
        yield
        life.relay.delay_s = 0.02
        yield
        life.relay.delay_s = 0.0
        life.relay.is_black_hole = True
        yield
        life.relay.is_black_hole = False
        yield


def test_training_goes_on_whatever_the_link_does_and_its_result_arrives(life):
    body = life.body(arms="", criteria="plain:end_to_end_s<=9").replace("\nsleep\n", "\nplain\n")
    number = life.file(body)
    life.start_agent()
    life.until(running(life, number))
    is_over = threading.Event()

    def disturb():
        for _ in trouble(life, life.daemons["alpha"]):
            if is_over.wait(1.5):
                return

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    try:
        life.until(lambda: list(life.jobs()[0].glob("exit.json")), limit_s=300)
    finally:
        is_over.set()
        disturbing.join()
        life.relay.is_black_hole = False
    life.until_verdict(number)
    [job] = life.jobs()
    assert json.loads((job / "exit.json").read_text())["outcome"] == "finished"
    records = list(job.glob("runs/plain/*/*/exit.json"))
    assert len({json.loads(path.read_text())["owner"]["pid"] for path in records}) == len(records) >= 6
    assert life.command("verify", life.command.workplace / ".paceline").out == "identical\n"

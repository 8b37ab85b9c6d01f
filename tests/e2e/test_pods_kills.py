"""Whatever dies on a pod in the middle of lockstep: nothing of it survives, and its slot comes back.

A real daemon, supervisor, worker, owners, hook and arms; only the libraries an arm imports are stand-ins.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from pods.paths import JobPaths
from pods.supervisor import process, started
from tests.e2e.conftest import commit
from tests.e2e.test_lockstep import ARMS, QUICK, state, told
from tests.e2e.test_pods import PodLife

pytestmark = pytest.mark.ssh
COMMAND = ["{python}", "train.py", "--recipe", "long", "--out", "{out}", "--seed", "{seed}"]
SETTINGS = {"long": {"steps": 4000, "loaders": 1, "trouble": "daemon@1"}}


class LockstepLife(PodLife):
    """`alpha` is the only pod; each arm has a loader, and a child that left its session."""

    def __init__(self, folder, daemons) -> None:
        super().__init__(folder, daemons)
        inventory = self.folder / "pods.toml"
        inventory.write_text(inventory.read_text().split("[pod.beta]")[0])
        self.notes = folder / "notes"
        self.notes.mkdir()
        command = [*COMMAND, "--notes", str(self.notes)]
        files = {str(path.relative_to(QUICK)): path.read_text() for path in QUICK.rglob("*.py")}
        files["paceline.toml"] = f"[recipe.long]\nlimit_s = 300\nrun = {json.dumps(command)}\n"
        self.first = self.second = commit(self.repo, {**files, "settings.json": json.dumps(SETTINGS)})

    @property
    def alpha(self):
        return self.daemons["alpha"]

    def there(self):
        """Living processes of the jobs on the pod: what runs with the daemon's environment, but its own."""
        home = f"HOME={self.alpha.folder}".encode()
        own = {self.alpha.process.pid, *self.alpha.connections()}
        found = []
        for pid in process.every_pid():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if home in environment and pid not in own and process.process_of(pid) is not None:
                found.append(pid)
        return found

    def arms(self):
        """(main process, owner) by arm, once all take part in a round."""
        found = {}
        for pid in self.there():
            if "train.py" not in told(pid):
                continue
            arm = Path(f"/proc/{pid}/cwd").readlink().name
            parent = process.stat_of(pid).parent
            if "own" in told(parent):
                found[arm] = (pid, parent)
        return found if set(found) == set(ARMS) and self.has_begun(found) else {}

    def has_begun(self, arms):
        """Whether the token goes round: one arm stands still, another does not."""
        return len({state(pid) == "T" for pid, _ in arms.values()}) == 2

    def job(self, attempt):
        return next((job for job in self.jobs() if job.name.endswith(f"-a{attempt}")), None)

    def in_the_middle(self, attempt):
        self.until(lambda: self.job(attempt) and self.arms())
        return self.arms() or self.in_the_middle(attempt)

    def worker(self):
        [worker] = [pid for pid in self.there() if told(pid)[1:2] and told(pid)[1].endswith("worker.pyz")]
        return worker

    def supervising(self):
        """The supervisor, its fork, and every owner: nobody is left who would end what the arms started."""
        return [pid for pid in self.there() if told(pid)[3:4] and told(pid)[3].endswith("supervisor.pyz")]

    def until_nothing_is_left_of(self, attempt):
        job = self.job(attempt)
        self.until(lambda: not [pid for pid in self.there() if str(job) in " ".join(told(pid))], limit_s=60)
        self.until(lambda: started.living(JobPaths(job)) == set(), limit_s=60)


@pytest.fixture
def life(tmp_path, daemons):
    life = LockstepLife(tmp_path, daemons)
    yield life
    life.close()


def test_whatever_is_killed_on_a_pod_nothing_of_it_survives_and_its_slot_comes_back(life):
    body = life.body(arms="third = baseline", criteria="long/third:end_to_end_s<=9", hours="1.0")
    number = life.file(body.replace("\nsleep\n", "\nlong\n"))
    life.start_agent()

    arms = life.in_the_middle(1)
    subject, _ = arms["optimized"]
    _, owner = arms["third"]
    left = [*process.lineage([subject]), *process.lineage([owner])]
    os.kill(subject, signal.SIGKILL)
    os.kill(owner, signal.SIGKILL)
    life.until(lambda: not [one for one in left if process.process_of(one.pid) == one], limit_s=60)
    assert process.process_of(arms["baseline"][0]) is not None, "the arm that was well goes on"
    os.kill(life.worker(), signal.SIGKILL)
    life.until_nothing_is_left_of(1)

    life.in_the_middle(2)
    for pid in life.supervising():
        os.kill(pid, signal.SIGKILL)
    life.until_nothing_is_left_of(2)
    life.until((life.job(2) / "exit.json").exists)

    life.in_the_middle(3)
    life.ask(f"/issues/{number}", {"state": "closed"}, method="PATCH")
    life.until(lambda: "Status: stopped" in life.stages(number))
    life.until_nothing_is_left_of(3)
    life.until(lambda: life.there() == [])
    assert list((life.alpha.pod().machine / "leases").iterdir()) == []

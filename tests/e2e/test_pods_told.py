"""What somebody is told who asks for logs that are empty, or has made a mistake in pods.toml."""

import json
import re

import pytest

from tests.e2e.test_main_job import running
from tests.e2e.test_pods import PodLife

pytestmark = pytest.mark.ssh


@pytest.fixture
def life(tmp_path, daemons):
    life = PodLife(tmp_path, daemons)
    yield life
    life.close()


def test_logs_that_are_empty_name_the_runs_and_runs_that_are_not_there_are_refused(life):
    number = life.file(life.body(seconds="2.0"))
    life.start_agent()
    life.until(running(life, number))
    told = life.run("logs", str(number), "--follow", "--run", "sleep/3/slow")
    assert (told.returncode, told.stdout) == (0, "slept\n")
    assert told.stderr.startswith("paceline: sleep/3/slow has not begun; ")
    life.until_verdict(number)
    runs = [f"sleep/{n}/{arm}" for n in (1, 2, 3) for arm in ("baseline", "optimized", "slow")]
    lines = [f"  --run {run}" for run in runs]
    told = life.run("logs", str(number))
    assert (told.returncode, told.stdout, told.stderr.splitlines()[1:]) == (0, "", lines)
    assert re.match(r"paceline: job acme-target-\d+-[0-9a-f]+-a1 itself has printed nothing; ", told.stderr)
    told = life.run("logs", str(number), "--run", "sleep/1/quick")
    assert (told.returncode, told.stderr.splitlines()[1:]) == (2, lines)
    told = life.run("logs", "9")
    assert (told.returncode, told.stderr) == (2, life.run("watch", "9").stderr)


@pytest.mark.parametrize("run", ["sleep/4/slow", "nap/1/slow", "sleep/x/slow", "sleep/1/quick"])
def test_a_run_that_will_never_come_is_not_waited_for(life, run):
    number = life.file(life.body(seconds="60"))
    life.start_agent()
    life.until(running(life, number))
    told = life.run("logs", str(number), "--follow", "--run", run)
    assert (told.returncode, told.stdout) == (2, "")
    assert f"has no run {run}; runs that have begun:\n  --run sleep/1/" in told.stderr


def test_a_mistake_in_the_inventory_stops_nobody_who_asks_no_pod(life):
    number = life.file(life.body())
    (life.folder / "pods.toml").write_text("[pod.alpha]\nprice = 1\n")
    [status] = json.loads(life.run("status", "--json").stdout)["issues"]
    assert status["issue"] == number
    assert "is cancelled" in life.run("cancel", str(number)).stdout
    life.ask(f"/issues/{number}", {"state": "closed"}, method="PATCH")
    assert life.run("watch", str(number)).returncode == 0
    told = life.run("logs", str(number))
    assert (told.returncode, "unknown key 'pod.alpha.price'" in told.stderr) == (2, True)

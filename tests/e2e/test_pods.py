"""An issue's life on pods over SSH: the same comments as on this machine, with the pod's name and ranking.

Real daemons on loopback; the subject only sleeps. What a link does to a job: tests/pods/test_remote_job.py.
"""

import json
import os
import shutil
import signal
import time

import pytest

from pods.host_keys import pin
from pods.paths import JobPaths
from pods.supervisor import started
from tests.e2e.test_main_job import MOMENTS, WHOLE, Life, running

pytestmark = pytest.mark.ssh


class PodLife(Life):
    """A life whose agent has two pods, and does not measure on its own machine."""

    def __init__(self, folder, daemons) -> None:
        super().__init__(folder)
        self.daemons = {name: daemons(name) for name in ("alpha", "beta")}
        text = ""
        for price, (name, daemon) in enumerate(self.daemons.items(), 1):
            pod = daemon.pod()
            where = {
                "host": "127.0.0.1",
                "port": daemon.port,
                "key": str(daemon.user_key),
                "user": daemon.hop.user,
            }
            where |= {"workspace": str(pod.workspace), "machine": str(pod.machine), "python": pod.python}
            text += f"[pod.{name}]\nprice_per_hour = {price}.0\n"
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in where.items())
            pin(folder / "pods.known_hosts", name, daemon.key)
        (folder / "pods.toml").write_text(text)
        self.config.write_text(self.config.read_text().replace("[agent]\n", '[agent]\npods = "pods.toml"\n'))

    def jobs(self):
        """On the pods."""
        return sorted(
            path for daemon in self.daemons.values() for path in daemon.pod().workspace.glob("jobs/acme-*")
        )

    def copies(self):
        return super().jobs()

    def log(self):
        return (self.folder / "agent.log").read_text()

    def close(self):
        for job in self.jobs():
            started.end_living(JobPaths(job), 0.1)
        super().close()


@pytest.fixture
def life(tmp_path, daemons):
    life = PodLife(tmp_path, daemons)
    yield life
    life.close()


def test_an_issue_is_measured_on_the_freest_pod_with_the_same_comments(life):
    number = life.file(life.body())
    life.start_agent()
    life.until_verdict(number)
    assert life.markers(number) == WHOLE
    [job] = life.jobs()
    assert job.is_relative_to(life.daemons["alpha"].folder)  # equally free, and cheaper
    intent = life.comments(number)[1]["body"]
    assert "attempt 1, pod `alpha`, slot `cpu`" in intent
    assert "**Pods, the freest first:**" in intent
    assert "1. alpha: 1 of 1 free" in intent
    assert "1. beta: 1 of 1 free" in intent
    assert "REGRESSED" in life.verdict(number)
    [copy] = life.copies()
    assert copy.name == job.name
    assert life.command("verify", life.command.workplace / ".paceline").out == "identical\n"
    held = life.daemons["alpha"].pod().machine / "leases"
    assert list(held.iterdir()) == []


def test_two_issues_spread_over_two_pods(life):
    numbers = [life.file(life.body(seconds="1.0")), life.file(life.body(seconds="0.9"))]
    life.start_agent()
    for number in numbers:
        life.until_verdict(number)
    where = {
        daemon.name
        for daemon in life.daemons.values()
        for job in life.jobs()
        if job.is_relative_to(daemon.folder)
    }
    assert len(life.jobs()) == 2
    assert where == {"alpha", "beta"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_agent_that_was_killed_carries_on_over_ssh_and_repeats_nothing(life, moment):
    number = life.file(life.body())
    process = life.start_agent()
    life.until(lambda: MOMENTS[moment](life, number))
    life.kill(process)
    life.start_agent()
    life.until_verdict(number)
    markers = life.markers(number)
    assert len(set(markers)) == len(markers)
    [job] = life.jobs()
    records = [json.loads(path.read_text()) for path in job.glob("runs/sleep/*/*/exit.json")]
    assert len({record["owner"]["pid"] for record in records}) == len(records) == 9


def test_an_agent_that_lost_its_copies_takes_them_again(life):
    number = life.file(life.body(seconds="1.0"))
    process = life.start_agent()
    life.until(running(life, number))
    life.kill(process)
    shutil.rmtree(life.command.workplace / ".paceline" / "jobs", ignore_errors=True)
    life.start_agent()
    life.until_verdict(number)


def test_the_link_to_the_pod_is_cut_while_it_measures(life):
    number = life.file(life.body(seconds="1.0"))
    life.start_agent()
    life.until(running(life, number))
    for _ in range(3):
        for pid in life.daemons["alpha"].connections():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
    life.until_verdict(number)
    assert len(life.jobs()) == 1


def test_a_pod_that_comes_back_is_found_again_and_nothing_is_measured_twice(life):
    number = life.file(life.body(seconds="0.5"))
    life.start_agent()
    life.until(running(life, number))
    alpha = life.daemons["alpha"]
    alpha.stop()
    for pid in alpha.orphans:
        os.kill(pid, signal.SIGKILL)
    life.until(lambda: "the pod cannot be reached" in life.log() or "Connection refused" in life.log())
    assert life.stages(number)[-1] == "Status: measuring"
    alpha.start()
    life.until_verdict(number)
    assert len(life.jobs()) == 1


def test_a_closed_issue_frees_its_pod(life):
    number = life.file(life.body(seconds="60"))
    life.start_agent()
    life.until(running(life, number))
    life.ask(f"/issues/{number}", {"state": "closed"}, method="PATCH")
    life.until(lambda: "Status: stopped" in life.stages(number))
    [job] = life.jobs()
    assert json.loads((job / "exit.json").read_text())["outcome"] == "cancelled"
    assert started.living(JobPaths(job)) == set()


def test_a_pod_that_is_no_more_what_it_was_costs_an_attempt(life):
    """Its disk is empty after it was replaced: the next attempt goes elsewhere."""
    number = life.file(life.body(seconds="60"))
    life.start_agent()
    life.until(running(life, number))
    [job] = life.jobs()
    alpha = life.daemons["alpha"]
    started.end_living(JobPaths(job), 0.1)
    shutil.rmtree(alpha.pod().workspace)
    shutil.rmtree(alpha.pod().machine)
    life.until(lambda: any(path.is_relative_to(life.daemons["beta"].folder) for path in life.jobs()))
    assert life.jobs()[-1].name.endswith("-a2")
    assert "its job folder is gone" in life.log()


def test_a_changed_host_key_is_told_and_nothing_is_sent_there(life):
    alpha = life.daemons["alpha"]
    alpha.stop()
    alpha.make_key()
    alpha.start()
    number = life.file(life.body())
    life.start_agent()
    life.until_verdict(number)
    assert all(job.is_relative_to(life.daemons["beta"].folder) for job in life.jobs())
    assert "alpha: " in life.comments(number)[1]["body"]
    assert "its host key has changed" in life.comments(number)[1]["body"]


def test_a_key_that_is_trusted_anew_is_taken_by_the_agent_that_runs(life):
    number = life.file(life.body(seconds="1.0"))
    life.start_agent()
    life.until(running(life, number))
    alpha = life.daemons["alpha"]
    alpha.stop()
    for pid in alpha.orphans:
        os.kill(pid, signal.SIGKILL)
    alpha.make_key()
    alpha.start()
    said = "its host key has changed"
    life.until(lambda: said in life.comments(number)[-1]["body"])
    pin(life.folder / "pods.known_hosts", "alpha", alpha.key)
    life.until_verdict(number)
    assert len(life.jobs()) == 1


def test_logs_of_job_and_run_are_followed_over_ssh(life):
    number = life.file(life.body(seconds="1.0"))
    life.start_agent()
    life.until(running(life, number))
    told = life.run("logs", str(number), "--follow", "--run", "sleep/3/slow")
    assert (told.returncode, told.stdout) == (0, "slept\n")
    life.until_verdict(number)
    assert life.run("logs", str(number)).returncode == 0
    assert "RECIPE/REPLICATE/ARM" in life.run("logs", str(number), "--run", "../../x").stderr


def test_doctor_says_which_pods_can_be_used(life):
    assert "ok   pods: 2 usable" in life.run("doctor").stdout
    life.daemons["beta"].stop()
    assert "FAIL pods: 1 of 2 usable; not beta (" in life.run("doctor").stdout


def test_a_job_folder_goes_once_its_verdict_stands(life):
    number = life.file(life.body(arms="", criteria="sleep:end_to_end_s<=9"))
    life.start_agent()
    life.until(lambda: "results v1" in life.markers(number))
    life.until_verdict(number)
    [job] = life.jobs()
    ended = life.daemons["beta"].pod().workspace / "jobs" / "another"
    ended.mkdir(parents=True)
    (ended / "exit.json").write_text("{}")
    told = life.run("pods", "gc")
    assert told.returncode == 0
    assert f"alpha: job {job.name} may go" in told.stdout
    assert job.exists()
    assert f"alpha: removed {job.name}" in life.run("pods", "gc", "alpha", "--yes").stdout
    assert not job.exists()
    assert life.run("pods", "gc", "alfa").returncode == 2
    life.daemons["alpha"].stop()
    lost = life.run("pods", "gc", "--days", "0")
    assert lost.returncode == 3
    assert lost.stderr.startswith("paceline: alpha: ")
    assert "Connection refused" in lost.stderr
    assert "beta: another stays: it is no job of this repository's issues" in lost.stdout


def test_a_job_folder_without_a_verdict_stays(life):
    number = life.file(life.body(seconds="60"))
    process = life.start_agent()
    life.until(running(life, number))
    life.kill(process)
    [job] = life.jobs()
    assert f"{job.name} stays: it has not ended" in life.run("pods", "gc", "--yes").stdout
    life.ask(f"/issues/{number}", {"state": "closed"}, method="PATCH")
    life.start_agent()
    life.until(lambda: "Status: stopped" in life.stages(number))
    assert f"{job.name} stays: #{number} has no verdict" in life.run("pods", "gc", "--yes").stdout
    assert job.exists()


def test_commits_travel_to_pods_that_cannot_fetch_them(life):
    """The repository's address leads nowhere from there."""
    for daemon in life.daemons.values():
        nowhere = f'[url "http://127.0.0.1:1/"]\ninsteadOf = "{life.repo.as_uri()}"\n'
        (daemon.folder / ".gitconfig").write_text(nowhere)
    number = life.file(life.body(arms="", criteria="sleep:end_to_end_s<=9"))
    life.start_agent()
    life.until_verdict(number)
    [job] = life.jobs()
    assert (job / "inputs" / "repository.bundle").stat().st_size > 0
    settings = json.loads((job / "worker.json").read_text())
    assert settings["source"] == str(job / "inputs" / "repository.bundle")
    assert life.command("verify", life.command.workplace / ".paceline").out == "identical\n"
    assert "of pod `alpha`" in life.comments(number)[3]["body"]

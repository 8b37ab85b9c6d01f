"""The agent is killed before and after everything that it changes, as the code lists it, and started again.

On a pod over SSH: between the intent and the lease, and between the lease and the launch, in particular.
"""

import json

import pytest

from agent.effects import EFFECTS, VARIABLE
from pods.supervisor import lease
from pods.supervisor.paths import MachinePaths
from tests.e2e.test_main_job import WHOLE, running
from tests.e2e.test_pods import PodLife

pytestmark = pytest.mark.ssh

OF_A_LIFE = [
    *("post progress approved", "post progress intent", "prepare", "take", "launch"),
    *("post progress running", "fetch", "write folder", "write branch", "post results"),
    *("post reviewer-verdict", "post verdict", "post note", "fold", "label"),
]
"""Those that every measured issue meets, in their order."""
OF_A_LONG_LIFE = ["refresh"]  # after 30 s: it changes one line that is never read back
OF_AN_END = ["cancel", "post progress"]
"""When nobody wants it any more, in their order."""
OF_TROUBLE = {
    "post failure": "test_loop: an attempt that came to nothing is told once",
    "react": "test_conversation: an answer whose post was unsure is given once",
    "enough": "test_early: it may be told again",
}


@pytest.fixture
def life(tmp_path, daemons):
    life = PodLife(tmp_path, daemons)
    yield life
    life.close()


def start_to_die(life, moment):
    """An agent that dies at the moment; one that was not met fails the test."""
    life.extra = {VARIABLE: moment}
    process = life.start_agent()
    life.extra = {}
    return process


def until_dead(life, process):
    life.until(lambda: process.poll() is not None)
    assert process.returncode == -9, life.log()


def is_whole(life, number, outcome):
    """One job folder, one process a run, no lease left, no marker twice."""
    markers = life.markers(number)
    assert len(set(markers)) == len(markers)
    [job] = life.jobs()
    assert json.loads((job / "exit.json").read_text())["outcome"] == outcome
    for daemon in life.daemons.values():
        assert lease.show(MachinePaths(daemon.pod().machine), None, 0.0) == {"leases": []}
    return job


def live_through(life, effects):
    """An agent after the other, each dying before or after the next effect."""
    for name in effects:
        for when in ("before", "after"):
            moment = f"{when} {name}"
            with (life.folder / "agent.log").open("a") as log:
                log.write(f"to die {moment}\n")
            until_dead(life, start_to_die(life, moment))


def test_whatever_it_was_about_to_do_or_had_just_done_the_next_one_carries_on(life):
    with life.config.open("a") as config:
        config.write('[results]\nbranch = "paceline-results"\nfolder = "results"\n')
    number = life.file(life.body(arms="", criteria="sleep:end_to_end_s<=9"))
    live_through(life, OF_A_LIFE)
    life.start_agent()
    life.until(lambda: all(comment.get("minimized") for comment in life.comments(number)[:3]))
    assert life.markers(number) == WHOLE
    job = is_whole(life, number, "finished")
    records = [json.loads(path.read_text()) for path in job.glob("runs/sleep/*/*/exit.json")]
    assert len({record["owner"]["pid"] for record in records}) == len(records) == 6
    [files] = life.ask("/git/matching-refs/heads/paceline-results")
    assert len(list((life.folder / "results").glob(f"issue-{number}/*/manifest.json"))) == 1
    assert files["object"]["sha"] in life.comments(number)[3]["body"]


def test_an_end_that_was_broken_off_is_brought_about(life):
    number = life.file(life.body(seconds="60"))
    process = life.start_agent()
    life.until(running(life, number))
    life.kill(process)
    life.ask(f"/issues/{number}", {"state": "closed"}, method="PATCH")
    live_through(life, OF_AN_END)
    assert life.stages(number).count("Status: stopped") == 1
    is_whole(life, number, "cancelled")


def test_no_effect_is_forgotten():
    assert {*OF_A_LIFE, *OF_A_LONG_LIFE, *OF_AN_END, *OF_TROUBLE} == set(EFFECTS)

"""A machine's noise is measured, stored, used and told; the subject only sleeps."""

import json
import re

import pytest

from tests.e2e.conftest import git, make_repository
from tests.e2e.test_main_job import Life

CONFIG = """
[recipe.sleep]
run = ["{python}", "-c", "import time; time.sleep({seconds})"]
primary = "end_to_end_s"
[recipe.sleep.params]
seconds = 0.1
"""


@pytest.fixture
def repo(tmp_path):
    return make_repository(tmp_path / "repo", {"paceline.toml": CONFIG})


def test_a_floor_that_was_measured_is_used_and_told_with_its_age(repo, paceline):
    before = paceline("plan", "sleep", "--effect", "50%", "--repo", repo)
    assert (before.status, before.err) == (0, "")
    assert "run `paceline noise sleep` first" in before.out

    measured = paceline("noise", "sleep", "--repo", repo)
    assert measured.status == 0, measured.err
    assert "## sleep: 6 A/A replicates added" in measured.out
    assert re.search(r"\| end to end +\|.*%.*%.*% \|.* 6 \|", measured.out)
    [stored] = paceline.machine.glob("noise/*/*.json")
    effects = [one["effects"]["end_to_end_s"] for one in json.loads(stored.read_text())["replicates"]]
    assert len(effects) == 6

    benched = paceline.bench(repo, "sleep", replicates=3)
    assert benched.status == 0, benched.err
    [compared] = [one for one in benched.document["comparisons"] if one["metric"] == "end_to_end_s"]
    assert compared["floor"] >= abs(sum(effects)) / 6  # an end of the interval lies beyond its mean
    assert "floor unknown" not in compared["warnings"]
    report = (benched.folder / "report.md").read_text()
    # The tests may run at midnight.
    assert re.search(
        r"- A/A floor of sleep on this machine: [0-9.,]+ %"
        r" \(end to end, 6 replicates, abba, (measured the same day|1 day old)\)\n"
        r"- forecast [0-9 mins]+, took [0-9 mins]+ \([+-]?[0-9.,]+ %\);"
        r" sleep: expected half width ±[0-9.,]+ %, was ±[0-9.,]+ %\n",
        report,
    ), report
    assert paceline("verify", benched.folder).out == "identical\n"

    after = paceline("plan", "sleep", "--effect", "50%", "--price", "3.6", "--repo", repo)
    assert after.status == 0
    assert "From 6 A/A replicates on this machine (abba, the oldest of 20" in after.out

    other = paceline("plan", "sleep", "--effect", "50%", "--param", "seconds=0.2", "--repo", repo)
    assert "run `paceline noise sleep --param seconds=0.2` first" in other.out


def test_a_baseline_that_fails_stores_nothing(tmp_path, paceline):
    config = "[recipe.dies]\nrun = ['{python}', '-c', 'raise SystemExit(3)']\n"
    repo = make_repository(tmp_path / "repo", {"paceline.toml": config})
    measured = paceline("noise", "dies", "--repo", repo, "--replicates", "1")
    assert measured.status == 3
    assert "nothing to store, no replicate gave a pair (dies: baseline: crashed 1; again: crashed 1)" in (
        measured.err
    )
    assert list(paceline.machine.glob("noise/*/*")) == []


@pytest.fixture
def life(tmp_path):
    life = Life(tmp_path)
    yield life
    life.close()


def test_the_agent_uses_the_floor_that_was_measured_on_its_machine(life):
    clone = life.folder / "target"  # of the name that the tracker's repository has
    git(life.folder, "clone", "--quiet", str(life.repo), str(clone))
    measured = life.command("noise", "sleep", "--repo", clone)
    assert measured.status == 0, measured.err
    number = life.file(life.body())
    life.start_agent()
    life.until_verdict(number)
    results = next(c["body"] for c in life.comments(number) if c["body"].startswith("<!-- epm:results"))
    assert "- A/A floor of sleep on this machine: unknown (fewer than 6 fitting replicates of" in results
    [job] = life.jobs()
    floors = json.loads((job / "floors.json").read_text())["floors"]
    assert [(one["metric"], one["n"]) for one in floors if one["metric"] == "end_to_end_s"] == [
        ("end_to_end_s", 6)
    ]
    [compared] = [
        one
        for one in json.loads((job / "result.json").read_text())["comparisons"]
        if (one["metric"], one["arm"]) == ("end_to_end_s", "slow")
    ]
    assert compared["floor"] == pytest.approx(floors[0]["floor"])
    assert life.command("verify", life.command.workplace / ".paceline").out == "identical\n"

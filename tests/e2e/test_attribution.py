"""A range taken apart, searched and swept on the command line: real commits, real reverts, real processes.

The subject sleeps for the seconds that lie in its files, so what each commit does is known beforehand.
"""

import json
import signal

import pytest

from tests.e2e.conftest import Paceline, git, make_repository

CONFIG = """
[recipe.sleep]
run = ["{python}", "sleep.py", "{more}"]
primary = "end_to_end_s"
[recipe.sleep.params]
more = 0.0
"""
SUBJECT = """
import pathlib, sys, time
time.sleep(float(sys.argv[1]) + sum(float(path.read_text()) for path in pathlib.Path("s").iterdir()))
"""


def commit(repo, message, **seconds):
    for name, text in seconds.items():
        (repo / "s" / name).write_text(f"{text}\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", message)
    return git(repo, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A takes off 0.45 s, B as much in two commits, C touches what A did and does nothing in truth."""
    files = {"paceline.toml": CONFIG, "sleep.py": SUBJECT, "s/a": "0.5\n", "s/b": "0.5\n"}
    repo = make_repository(tmp_path_factory.mktemp("attribution") / "repo", files)
    git(repo, "tag", "v0")
    commit(repo, "A: sleep less", a="0.05")
    commit(repo, "B: sleep less", b="0.3")
    commit(repo, "sleep even less\n\nChange: B", b="0.05")
    commit(repo, "C: write it in another way", a="0.050")
    return repo


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    command = Paceline(folder / "work", folder / "machine")
    yield command
    assert command.processes() == [], "processes were left behind"


@pytest.fixture(scope="module")
def attributed(repo, command):
    asked = ("--baseline", "v0", "--optimized", "main", "--replicates", 3, "--engine", "abba")
    ended = command("attribute", "sleep", *asked, "--repo", repo, "--json")
    assert ended.status == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def contributions(attributed):
    [found] = attributed.document["attributions"]
    return {one["change"]: one for one in found["contributions"]}


def test_changes_are_named_by_subject_and_trailer(contributions, repo):
    assert list(contributions) == ["A", "B", "C"]
    assert contributions["B"]["commits"] == [git(repo, "rev-parse", name) for name in ("main~2", "main~1")]


def test_each_change_is_measured_in_turn(contributions):
    """From 1 s of sleep to 0.55 s, to 0.1 s, to 0.1 s; and whatever a process costs on a busy machine."""
    ladder = {name: one["ladder"] for name, one in contributions.items()}
    assert 0.4 < ladder["A"]["ratio"] < 0.85
    assert 0.2 < ladder["B"]["ratio"] < 0.75
    assert 0.5 < ladder["C"]["ratio"] < 2.0
    assert [one["n"] for one in ladder.values()] == [3, 3, 3]


def test_a_reverted_change_is_measured_and_the_tree_is_what_was_reverted(attributed, contributions, repo):
    assert 0.2 < contributions["B"]["without"]["ratio"] < 0.75
    folder = attributed.folder / "runs" / "sleep" / "1" / "without-B"
    record = json.loads((folder / "exit.json").read_text())
    assert record["commit"] == git(repo, "rev-parse", "main")
    mirror = next((attributed.folder.parents[1] / "mirrors").glob("*.git"))
    assert git(mirror, "show", f"{record['tree']}:s/b") == "0.5"
    assert git(mirror, "show", f"{record['tree']}:s/a") == "0.050"


def test_what_does_not_revert_is_not_measured_and_stops_nothing(attributed, contributions, repo):
    why = f"without-A: does not revert cleanly: commit {git(repo, 'rev-parse', 'main~3')[:12]}"
    assert contributions["A"]["without"] == {"why": why}
    assert attributed.document["attributions"][0]["residual"] == {"why": why}
    assert not (attributed.folder / "runs" / "sleep" / "1" / "without-A").exists()
    assert (attributed.folder / "exit.json").exists()


def test_a_job_folder_shows_its_attribution_again(attributed, command):
    again = command("attribute", attributed.folder, "--json")
    assert again.document == attributed.document
    page = command("attribute", attributed.folder).out
    assert "| A " in page
    assert "NOT MEASURED: without-A: does not revert cleanly: commit" in page
    assert page.count("\n| ") == 2 + 5 - 1  # header, three changes, all together, interactions


def test_the_job_of_an_attribution_verifies(attributed, command):
    assert command("verify", attributed.folder).out == "identical\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("sleep",), "sleep is not a job folder"),
        (("sleep", "--baseline", "v0"), "attribute takes recipes with --baseline and --optimized"),
        (("sleep", "--baseline", "main", "--optimized", "v0"), "is not before"),
        (("sleep", "--baseline", "main~1", "--optimized", "main"), "'C' is the only change of this range"),
        (("sleap", "--baseline", "v0", "--optimized", "main"), "unknown recipe 'sleap'"),
    ],
)
def test_what_cannot_be_attributed_is_one_line(command, repo, arguments, line):
    ended = command("attribute", *arguments, *(("--repo", repo) if len(arguments) > 1 else ()))
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert line in ended.err


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """v0 and eight commits: the second sleeps 0.8 s instead of 0.1 s, the fourth crashes."""
    files = {"paceline.toml": CONFIG, "sleep.py": SUBJECT, "s/a": "0.1\n"}
    repo = make_repository(tmp_path_factory.mktemp("history") / "repo", files)
    git(repo, "tag", "v0")
    for number, seconds in enumerate(("0.10", "0.8", "0.80", "x", "0.8", "0.80", "0.8", "0.80"), start=1):
        commit(repo, f"{number}: {seconds} | s", a=seconds)
    return repo


def test_bisect_finds_the_commit_and_passes_one_that_crashes(command, history):
    asked = ("--good", "v0", "--bad", "main", "--metric", "end_to_end_s", "--threshold", 2, "--replicates", 5)
    ended = command("bisect", "sleep", *asked, "--engine", "abba", "--repo", history, "--json")
    assert ended.status == 0, ended.err
    document = ended.document
    assert (document["answer"], document["found"]) == ("found", git(history, "rev-parse", "main~6"))
    judged = {one["subject"][0]: one["judged"] for one in document["probes"]}
    assert judged == {"8": "worse", "4": "skipped", "2": "worse", "1": "not worse"}
    crashed = next(one for one in document["probes"] if one["judged"] == "skipped")
    assert crashed["why"].startswith("crashed: ValueError: could not convert string to float")
    first = document["probes"][0]
    assert first["comparison"]["ratio"] > 2
    assert len(first["jobs"]) >= 1
    assert command("verify", first["jobs"][0]).out == "identical\n"


def test_bisect_shows_each_probe_as_it_goes_and_says_where_nothing_is_worse(command, history):
    asked = ("--good", "v0", "--bad", "main~7", "--threshold", 4, "--replicates", 5, "--repo", history)
    ended = command("bisect", "sleep", *asked, "--engine", "abba")
    good, bad = (git(history, "rev-parse", name)[:12] for name in ("v0", "main~7"))
    lines = ended.out.splitlines()
    assert lines[0] == (
        f"1 commit behind {good} up to {bad}; worse is end_to_end_s above 4 of the good commit's in sleep;"
        " at most 5 replicates a commit"
    )
    assert lines[2].startswith(f"1. {bad} 1: 0.10 | s: not worse (")
    assert lines[-1] == f"{bad} 1: 0.10 | s is not worse: there is nothing to find"


def test_a_search_that_is_interrupted_says_what_it_knows(command, history):
    process = command.start(
        *("bisect", "sleep", "--good", "v0", "--bad", "main", "--replicates", 5, "--engine", "abba"),
        *("--threshold", 2, "--repo", history),
    )
    for line in process.stderr:
        if "replicate 1/" in line:
            process.send_signal(signal.SIGINT)
            break
    ended = command.ended(process)
    assert ended.status == 130
    lines = ended.out.splitlines()
    assert lines[3].startswith("one of these is the first worse commit; it lies behind ")
    assert len(lines) == 4 + 8
    assert lines[4].endswith("(was not asked)")
    assert lines[-1].endswith("(was not judged)")


def test_bisect_asks_for_another_metric_where_the_good_commit_has_none(command, history):
    ended = command(
        *("bisect", "sleep", "--good", "v0", "--bad", "main~7", "--metric", "tokens_per_s"),
        *("--replicates", 2, "--repo", history),
    )
    assert ended.status == 2
    assert ended.err.splitlines()[-1].endswith("has a tokens_per_s: name another --metric")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--metric", "speed"), "--metric: no metric 'speed'"),
        (("--threshold", "0.9"), "--threshold: 0.9 is not worse: lower end_to_end_s is better"),
        (("--replicates", "1"), "--replicates 1: from 2 to 100 a commit"),
    ],
)
def test_what_cannot_be_searched_is_one_line(command, history, arguments, line):
    ended = command("bisect", "sleep", "--good", "v0", "--bad", "main", *arguments, "--repo", history)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"paceline: {line}")


def test_a_sweep_is_measured_in_folders_of_its_own(command, history):
    asked = ("--baseline", "v0", "--optimized", "main~7", "--sweep", "more=0.0,0.3")
    options = ("--repo", history, "--replicates", 1, "--engine", "abba", "--json")
    ended = command("bench", "sleep", *asked, *options)
    assert ended.status == 0, ended.err
    assert [run["arm"] for run in ended.document["runs"]] == ["baseline", "optimized", "more=0.3"]
    assert ended.document["params"]["more=0.3"] == {"more": 0.3}
    assert (ended.folder / "runs" / "sleep" / "1" / "more=0.3" / "exit.json").exists()
    assert ended.run("sleep", "more=0.3")["wall_s"] > 0.3  # it slept as long as that

"""Subjects that deceive, each really measured: what finds it, or why it does no harm.

The baseline is honest, the optimized arm is what its file in `tests/subjects/tampering` says, on stand-ins
for torch and transformers. What no rule can find is listed in docs/measurement.md.
"""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Paceline, commit, git, make_repository

SUBJECTS = Path(__file__).parent.parent / "subjects"
CORPUS = SUBJECTS / "tampering"
LIBRARIES = {
    name: (SUBJECTS / "quick" / name).read_text()
    for name in ("torch.py", "transformers/__init__.py", "transformers/trainer.py")
}
SHARED = ("honest.py", "forged.py", "others.py")
HONEST = "from honest import trainer\n\ntrainer().train()\n"


def deceptions() -> list[str]:
    return sorted(path.stem for path in CORPUS.glob("*.py") if path.name not in SHARED)


def made_repository(folder: Path, *names: str) -> tuple[Path, str]:
    """A recipe for each name; on the branch honest the trainer is what it says, on main it deceives."""
    recipes = "".join(f"[recipe.{name}]\nrun = ['{{python}}', '{name}.py']\nlimit_s = 30\n" for name in names)
    texts = {path.name: path.read_text() for path in CORPUS.glob("*.py")}
    shared = {name: texts[name] for name in SHARED}
    honest = {f"{name}.py": HONEST for name in names}
    repo = make_repository(folder, {"paceline.toml": recipes, **LIBRARIES, **shared, **honest})
    git(repo, "branch", "honest")
    return repo, commit(repo, {f"{name}.py": texts[f"{name}.py"] for name in names})


def benched(command: Paceline, folder: Path, engine: str, *names: str, replicates: int = 1):
    repo, deceiving = made_repository(folder / "repo", *names)
    made = command.bench(
        repo, *names, "--optimized", deceiving, "--engine", engine, rev="honest", replicates=replicates
    )
    assert made.status == 0, made.err
    return made


# What is found in the arm that deceives: outcome, and a part of its reason or of its warnings.
FOUND = {
    "appends_events": ("tainted", "was not written by the hook, or was changed"),
    "constant_step": ("ok", "the same loss: 0.5 at each of 12 steps"),
    "exits_hard": ("tainted", "events cut off: no end line"),
    "fast_clock": ("tainted", "lies outside the process's own time by the owner's clock"),
    "idle_steps": ("ok", "steps without work: "),
    "kills_its_owner": ("tainted", "the owner of the process was lost"),
    "leaves_a_burner": ("ok", "1 processes outlived the main one and were ended"),
    "loses_the_hook": ("no trainer", "no optimizer step of a transformers or TRL trainer was seen"),
    "lowers_its_priority": ("ok", "lower priority: a process of the job ran 5 levels nicer"),
    "more_rows": ("ok", "steps do not follow from rows and batch: 12 for 480 rows"),
    "patched_time": ("ok", ""),
    "replaces_events": ("tainted", "events file: another file took its place"),
    "rewrites_events": ("tainted", "outer clock: "),
    "slow_clock": ("tainted", "outer clock: "),
    "steps_not_made": ("tainted", "no batch went through step 1"),
    "trains_in_a_fork": ("tainted", "no batch went through step 1"),
}
# These have tests of their own: they are of another run, or need the other arm beside them.
APART = {"kills_the_baseline", "spoils_the_baseline", "stops_the_baseline", "writes_records"}


def test_the_whole_corpus_is_measured():
    assert {*FOUND, *APART} == set(deceptions())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One whole process after the other, each recipe once."""
    folder = tmp_path_factory.mktemp("alone")
    command = Paceline(folder / "work", folder / "machine")
    made = benched(command, folder, "abba", *FOUND)
    assert command.processes() == []
    assert command("verify", made.folder).out == "identical\n"
    return made


@pytest.mark.parametrize("name", FOUND)
def test_what_deceives_is_found_or_does_no_harm(alone, name):
    outcome, told = FOUND[name]
    run = alone.run(name, "optimized")
    assert run["outcome"] == outcome, run["reason"]
    assert told in " ".join([run["reason"], *run["warnings"]])


@pytest.mark.parametrize("name", FOUND)
def test_the_honest_arm_beside_it_is_not_accused(alone, name):
    run = alone.run(name, "baseline")
    assert (run["outcome"], run["reason"]) == ("ok", "")
    accusing = ("same loss", "without work", "outlived", "do not follow", "priority")
    assert [text for text in run["warnings"] if any(word in text for word in accusing)] == []


def test_clocks_that_the_subject_patches_are_not_the_hooks(alone):
    """20 steps of 0.05 s by a clock that nobody patched."""
    phases_s = alone.run("patched_time", "optimized")["phases_s"]
    assert phases_s["first"] + phases_s["train"] >= 20 * 0.05


def test_more_rows_and_tokens_are_not_equivalent(alone):
    [parity] = [one for one in alone.document["equivalence"] if one["recipe"] == "more_rows"]
    assert parity["state"] == "not equivalent"
    assert parity["reasons"][0].startswith("rows differ undeclared: 48 in the baseline, 480 in the arm")


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """In lockstep, where the worker's turns are the outer clock and the other arm is within reach."""
    folder = tmp_path_factory.mktemp("together")
    command = Paceline(folder / "work", folder / "machine")
    names = ("slow_clock", "replaces_events", "stops_the_baseline", "kills_the_baseline")
    made = benched(command, folder, "lockstep", *names)
    assert command.processes() == []
    return made


@pytest.mark.parametrize("name", ["slow_clock", "replaces_events"])
def test_in_lockstep_the_turns_are_the_outer_clock(together, name):
    run = together.run(name, "optimized")
    assert run["outcome"] == "tainted", run


def test_an_arm_that_stops_the_other_cannot_keep_it_stopped_in_its_turn(together):
    one, other = together.run("stops_the_baseline"), together.run("stops_the_baseline", "optimized")
    assert (one["outcome"], other["outcome"]) == ("ok", "ok")
    assert any("lower priority" in text for text in one["warnings"])


def test_an_arm_that_ends_the_other_has_nobody_to_beat(together):
    assert together.run("kills_the_baseline")["outcome"] == "crashed"
    [pairs] = [text for text in together.document["verdict"]["reasons"] if text.startswith("too few")]
    assert "kills_the_baseline: 0 of 1 pairs are valid" in pairs


def test_records_that_a_subject_writes_are_not_read(tmp_path, paceline):
    made = benched(paceline, tmp_path, "abba", "writes_records", replicates=2)
    for replicate in (1, 2):
        run = made.run("writes_records", "optimized", replicate)
        assert run["outcome"] == "tainted"
        assert run["reason"].startswith("files that are not the run's were changed while it lasted: runs/")
    assert "planted" not in (made.folder / "runs/writes_records/2/optimized/exit.json").read_text()
    assert not list(made.folder.glob("runs/writes_records/3/*/*"))


def test_a_baseline_that_the_other_arm_spoils_is_put_right(tmp_path, paceline):
    """The order is reversed in the second replicate: there the baseline runs behind what spoils it."""
    made = benched(paceline, tmp_path, "abba", "spoils_the_baseline", replicates=2)
    for replicate in (1, 2):
        run = made.run("spoils_the_baseline", "baseline", replicate)
        assert (run["outcome"], run["reason"]) == ("ok", "")
        assert run["wall_s"] < 15.0
    told = [made.run("spoils_the_baseline", "optimized", replicate)["reason"] for replicate in (1, 2)]
    assert all("hook/sitecustomize.py" in reason for reason in told)
    assert "runs/spoils_the_baseline/1/baseline/exit.json" in told[0]
    record = json.loads((made.folder / "runs/spoils_the_baseline/1/baseline/exit.json").read_text())
    assert record["owner"]["status"] == 0

"""Real training under the hook, code unchanged: what is counted is what was made, and phases sum."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from tests.e2e.conftest import commit, make_repository, subject

pytestmark = pytest.mark.train
pytest.importorskip("transformers", reason="needs the train extra")

# 16 rows of 5, 8, ..., 50 tokens in batches of 4, one epoch.
ROWS = 16
TOKENS = sum(5 + 3 * number for number in range(ROWS))

CONFIG = """
[recipe.overridden]
run = ["{python}", "plain_trainer.py", "--out", "{out}", "--seed", "{seed}", "--overridden"]
[recipe.accumulated]
run = ["{python}", "plain_trainer.py", "--out", "{out}", "--accumulate", "2"]
[recipe.workers]
run = ["{python}", "plain_trainer.py", "--out", "{out}", "--workers", "2"]
[recipe.launched]
run = ["{python}", "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "--num_machines", "1",
       "--mixed_precision", "no", "--dynamo_backend", "no", "plain_trainer.py", "--out", "{out}"]
[recipe.twice]
run = ["{python}", "plain_trainer.py", "--out", "{out}", "--twice"]
[recipe.nan]
run = ["{python}", "plain_trainer.py", "--out", "{out}", "--overridden", "--nan"]
[recipe.dies]
run = ["{python}", "plain_trainer.py", "--out", "{out}", "--overridden", "--dies-at", "3"]
[recipe.chained]
run = ["{python}", "with_sitecustomize.py", "plain_trainer.py", "--out", "{out}"]
[recipe.own]
run = ["{python}", "own_events.py"]
events = "own"
"""
# A launcher that puts a sitecustomize of its own behind ours, and wants it to have run.
WITH_SITECUSTOMIZE = """
import os, sys
os.environ["PYTHONPATH"] += os.pathsep + os.path.abspath("site")
os.environ["WANTS"] = "sitecustomize_of_the_subject"
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    """One bench over all recipes, one replicate."""
    from tests.e2e.conftest import Paceline

    folder = tmp_path_factory.mktemp("subjects")
    repo = make_repository(
        folder / "repo",
        {
            "paceline.toml": CONFIG,
            "plain_trainer.py": subject("plain_trainer.py"),
            "own_events.py": subject("own_events.py"),
            "with_sitecustomize.py": WITH_SITECUSTOMIZE,
            "site/sitecustomize.py": "MARK = 'of the subject'\n",
        },
    )
    command = Paceline(folder / "work", folder / "machine")
    names = [line[8:-1] for line in CONFIG.splitlines() if line.startswith("[recipe.")]
    benched = command.bench(repo, *names)
    assert benched.status == 0, benched.err
    assert command.processes() == []
    return benched


def log(benched, recipe):
    return (benched.folder / "runs" / recipe / "1" / "baseline" / "log").read_text()


@pytest.mark.parametrize("recipe", ["overridden", "accumulated", "workers", "launched", "chained"])
def test_counts_equal_the_rows_that_were_made(benched, recipe):
    run = benched.run(recipe)
    assert (run["outcome"], run["reason"]) == ("ok", "")
    assert (run["rows"], run["tokens"]) == (ROWS, TOKENS)
    assert run["supervised_tokens"] == TOKENS - ROWS
    assert run["steps"] == (2 if recipe == "accumulated" else 4)
    assert run["padded_tokens"] >= TOKENS


def test_an_overridden_training_step_still_sees_everything(benched):
    assert "losses seen: 4" in log(benched, "overridden")


def test_micro_batches_of_a_step_sum_to_its_loss(benched):
    # ln 64 = 4.16 is the loss of a random model over 64 tokens, however many micro-batches make a step.
    assert 3.9 < benched.run("accumulated")["first_loss"] < 4.5


def test_a_launcher_is_import_and_the_process_that_trains_has_the_claim(benched):
    folder = benched.folder / "runs" / "launched" / "1" / "baseline"
    record = json.loads((folder / "exit.json").read_text())
    start = json.loads((folder / "events.jsonl").read_text().splitlines()[0])
    assert record["claimed"]
    assert start["pid"] != record["owner"]["pid"]
    assert benched.run("launched")["phases_s"]["import"] > 1.0


def test_a_second_training_goes_on_counting(benched):
    run = benched.run("twice")
    assert (run["outcome"], run["steps"], run["rows"]) == ("ok", 8, 2 * ROWS)


def test_nan_and_a_crash_in_the_middle_are_named(benched):
    assert (benched.run("nan")["outcome"], benched.run("nan")["reason"]) == ("NaN", "loss is nan at step 1")
    run = benched.run("dies")
    assert (run["outcome"], run["reason"]) == (
        "crashed",
        "RuntimeError: the column went away (exit status 1)",
    )
    assert run["steps"] == 3


def test_self_reported_figures_say_so(benched):
    run = benched.run("own")
    assert (run["outcome"], run["steps"], run["tokens"], run["is_self_reported"]) == ("ok", 3, 30, True)
    assert run["choices"] == [
        {"name": "kernel", "requested": "fused", "used": "plain", "why": "a test"},
    ]


def test_phases_sum_to_the_outer_wall_time_within_1_percent(benched):
    for run in benched.document["runs"]:
        assert sum(run["phases_s"].values()) == pytest.approx(run["wall_s"], rel=0.01), run["recipe"]


def test_the_hooks_phases_leave_no_hole(benched):
    """What the reader fills in (interpreter start and end) is all that the hook did not write itself.

    At a gate the process stood still.
    """
    folder = benched.folder / "runs" / "overridden" / "1" / "baseline"
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    phases = sorted((e for e in events if e["kind"] == "phase"), key=lambda event: event["begin"])
    covered = sum(event["end"] - event["begin"] for event in events if event["kind"] in ("phase", "gate"))
    assert covered == pytest.approx(phases[-1]["end"] - phases[0]["begin"], rel=0.001)
    assert {"import", "prep", "first", "train", "save", "other"} <= {phase["name"] for phase in phases}


def test_the_harness_adds_less_than_2_s_to_a_run(benched):
    # In lockstep others run meanwhile, so it is known of the runs that were made alone.
    known = [run["harness_s"] for run in benched.document["runs"] if run["harness_s"] is not None]
    assert known
    assert max(known) < 2.0


def test_choices_of_the_trainer_are_kept(benched):
    choices = {choice["name"]: choice["used"] for choice in benched.run("overridden")["choices"]}
    assert choices["trainer"] == "Overridden"
    assert choices["per_device_train_batch_size"] == "4"


def wheel(folder, name="paceline_test_marker"):
    """A pure wheel with one module, so that an environment can be built without a network."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "MARK = 1\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


ISOLATED = 'run = ["{python}", "-I", "-c", "import paceline_test_marker, sys; print(sys.prefix)"]'


def test_pip_environments_are_built_once_per_lock_file_and_hold_the_hook(tmp_path, paceline):
    name = wheel(tmp_path).name
    repo = make_repository(
        tmp_path / "repo",
        {
            "paceline.toml": f'[recipe.r]\nenv = "pip"\n{ISOLATED}\n',
            "requirements.txt": f"--no-index\n./{name}\n",
        },
    )
    (repo / name).write_bytes((tmp_path / name).read_bytes())
    changed = commit(repo, {"README": "another commit, the same lock file"})
    benched = paceline.bench(repo, "r", "--optimized", changed)
    # Loaded under -I, where PYTHONPATH is not read: "no trainer", not "hook not loaded".
    assert [run["outcome"] for run in benched.document["runs"]] == ["no trainer", "no trainer"]
    assert len(list((paceline.workplace / ".paceline" / "environments").glob("*/complete"))) == 1


def test_an_environment_that_cannot_be_built_is_one_line(tmp_path, paceline):
    files = {
        "paceline.toml": f'[recipe.r]\nenv = "pip"\n{ISOLATED}\n',
        "requirements.txt": "--no-index\nnone==9\n",
    }
    benched = paceline.bench(make_repository(tmp_path / "repo", files), "r")
    assert benched.status == 3
    assert "failed: " in benched.err
    assert "none==9" in benched.err.rstrip().splitlines()[-1]


def test_uv_environments_are_built_from_the_lock_file(tmp_path, paceline):
    name = wheel(tmp_path).name
    project = (
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["paceline-test-marker"]\n'
        f'[tool.uv.sources]\npaceline-test-marker = {{ path = "{name}" }}\n'
    )
    files = {"paceline.toml": f'[recipe.r]\nenv = "uv"\n{ISOLATED}\n', "pyproject.toml": project}
    repo = make_repository(tmp_path / "repo", files)
    (repo / name).write_bytes((tmp_path / name).read_bytes())
    lock = [sys.executable, "-m", "uv", "lock", "--offline", "--quiet", "--python", sys.executable]
    subprocess.run(lock, cwd=repo, check=True, env={**os.environ, "UV_NO_CONFIG": "1"})
    revision = commit(repo, {})
    benched = paceline.bench(repo, "r", rev=revision)
    assert [run["outcome"] for run in benched.document["runs"]] == ["no trainer", "no trainer"], benched.err

"""The target repository: same commits everywhere, one file a change, rows that no arm cuts."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent.errors import TaskError
from agent.target import Commits, write_target

TRL_MAX_LENGTH_TOK = 1024


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def rows(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / "data" / name).read_text().splitlines()]


def tokens(messages: list[dict]) -> int:
    """`<|im_start|>ROLE\\nCONTENT<|im_end|>\\n`: a byte is a token, each of the two marks is one."""
    return sum(len(m["role"].encode()) + len(m["content"].encode()) + 4 for m in messages)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target") / "repository"
    write_target(folder)
    return folder


def test_history_is_the_baseline_and_one_commit_per_change(target: Path) -> None:
    history = git(target, "log", "--reverse", "--format=%s|%(trailers:key=Change,valueonly,separator=%x2C)")
    assert history.splitlines() == [
        "Fine-tune a tiny model with LoRA: SFT and DPO on TRL's defaults|",
        "train_sft: keep the activations|A",
        "train_sft: flatten the batch instead of padding it|B",
        "train_dpo: compute the reference log-probs before training|C",
    ]


def test_tags_are_the_ends_of_main_and_the_tree_is_clean(tmp_path: Path) -> None:
    commits = write_target(tmp_path / "target")
    assert git(tmp_path / "target", "rev-parse", "baseline", "optimized", "main").splitlines() == [
        commits.baseline,
        commits.optimized,
        commits.optimized,
    ]
    assert git(tmp_path / "target", "status", "--porcelain", "--branch") == "## main"


def test_commit_ids_are_the_same_on_every_machine(tmp_path: Path) -> None:
    """Pinned: when the target changes on purpose, put the new ids here."""
    assert write_target(tmp_path / "target") == Commits(
        baseline="ac0551748209262437c486447c239db85562ef18",
        changes=(
            "9e2ce2f591d7f8c9aca68d781ef3c2759131c759",
            "a2ff8b5139c35295fc845de78c2b71483dd48f36",
            "ca775269b72b485456997edb4c291280e4819d51",
        ),
    )


def test_settings_of_the_user_do_not_reach_the_commits(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    hooks, attributes = home / "hooks", home / ".config" / "git"
    hooks.mkdir(parents=True)
    attributes.mkdir(parents=True)
    (home / ".gitconfig").write_text(
        f"[user]\nname = Me\n[core]\nhooksPath = {hooks}\nautocrlf = true\n[commit]\ngpgSign = true\n"
        "[init]\ndefaultBranch = trunk\n"
    )
    (attributes / "attributes").write_text("*.py ident eol=crlf\n*.md filter=none\n")
    (attributes / "ignore").write_text("*.jsonl\n")
    for name in ("pre-commit", "applypatch-msg", "commit-msg"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    elsewhere = str(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for key in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_TEMPLATE_DIR"):
        monkeypatch.setenv(key, elsewhere)
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'commit.gpgsign=true'")

    commits = write_target(tmp_path / "target")

    assert not Path(elsewhere).exists()
    monkeypatch.undo()
    assert commits.optimized == git(target, "rev-parse", "optimized")


def test_umask_does_not_reach_the_commits(target: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        commits = write_target(tmp_path / "target")
    finally:
        os.umask(before)
    assert commits.optimized == git(target, "rev-parse", "optimized")


@pytest.mark.parametrize("name", ["a b", 'it\'s "here"; echo', "two\nlines", "-rf", "%s{out}", "naïve"])
def test_folder_with_a_hostile_name(target: Path, tmp_path: Path, name: str) -> None:
    commits = write_target(tmp_path / name)
    assert commits.optimized == git(tmp_path / name, "rev-parse", "HEAD") == git(target, "rev-parse", "HEAD")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_relative_folder_with_missing_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_target(Path("a/b/target"))
    assert (tmp_path / "a/b/target/paceline.toml").is_file()


def test_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "target"
    folder.mkdir()
    inode = folder.stat().st_ino
    write_target(folder)
    assert folder.stat().st_ino == inode
    assert git(folder, "status", "--porcelain", "--ignored") == ""


def test_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(TaskError, match=r"is not empty: name a new or an empty folder") as refusal:
        write_target(tmp_path)
    assert "\n" not in str(refusal.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(TaskError, match=r"is not a folder"):
        write_target(tmp_path / "mine")
    with pytest.raises(TaskError, match=r"cannot write the target to .*: (Not a directory|File exists)"):
        write_target(tmp_path / "mine" / "target")


def test_missing_git_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TaskError, match=r"git was not found: install git"):
        write_target(tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_each_change_touches_one_file(target: Path) -> None:
    touched = [
        git(target, "diff", "--name-only", f"{c}~", c)
        for c in git(target, "rev-list", "--reverse", "baseline..optimized").split()
    ]
    assert touched == ["train_sft.py", "train_sft.py", "train_dpo.py"]


@pytest.mark.parametrize("back", ["HEAD", "HEAD~1", "HEAD~2"])
def test_each_change_reverts_cleanly_from_the_tip(target: Path, tmp_path: Path, back: str) -> None:
    git(tmp_path, "clone", "--quiet", str(target), "clone")
    git(tmp_path / "clone", "revert", "--no-edit", back)


def test_every_commit_compiles(target: Path) -> None:
    for commit in git(target, "rev-list", "optimized").split():
        for name in ("make_model.py", "make_data.py", "train_sft.py", "train_dpo.py"):
            compile(git(target, "show", f"{commit}:{name}"), name, "exec")


def test_recipes_name_files_that_exist_and_fill_every_placeholder(target: Path) -> None:
    recipes = tomllib.loads((target / "paceline.toml").read_text())["recipe"]
    assert {name: recipe["params"] for name, recipe in recipes.items()} == {
        "sft": {"rows": 64, "epochs": 2, "packing": False},
        "dpo": {"rows": 64, "epochs": 1},
    }
    for recipe in recipes.values():
        words = {word.strip("{}") for word in recipe["run"] if word.startswith("{")}
        assert words == recipe["params"].keys() | {"python", "seed", "out"}
        assert (target / recipe["run"][1]).is_file()
        assert (target / recipe["eval"]).is_file()


def test_data_is_what_its_script_writes(target: Path, tmp_path: Path) -> None:
    (tmp_path / "make_data.py").write_bytes((target / "make_data.py").read_bytes())
    subprocess.run([sys.executable, tmp_path / "make_data.py"], check=True)
    for file in (target / "data").iterdir():
        assert (tmp_path / "data" / file.name).read_bytes() == file.read_bytes()


def test_no_row_is_long_enough_to_be_cut(target: Path) -> None:
    for name in ("sft.jsonl", "sft_eval.jsonl"):
        assert max(tokens(row["messages"]) for row in rows(target, name)) < TRL_MAX_LENGTH_TOK
    for name in ("preferences.jsonl", "dpo_eval.jsonl"):
        for row in rows(target, name):
            assert tokens(row["prompt"] + row["chosen"]) < TRL_MAX_LENGTH_TOK
            assert tokens(row["prompt"] + row["rejected"]) < TRL_MAX_LENGTH_TOK


def test_held_out_rows_were_never_trained_on(target: Path) -> None:
    for train, held_out in (("sft.jsonl", "sft_eval.jsonl"), ("preferences.jsonl", "dpo_eval.jsonl")):
        seen = {json.dumps(row) for row in rows(target, train)}
        assert len(seen) == 256
        assert not seen & {json.dumps(row) for row in rows(target, held_out)}


# Runs a training script as it is and prints what went into each step, and its loss.
RECORD = """
import json, runpy, sys
from transformers import Trainer
step = Trainer.training_step
def recorded(self, model, inputs, *args, **kwargs):
    flat = "attention_mask" not in inputs
    loss = step(self, model, inputs, *args, **kwargs)
    real = inputs["input_ids"].numel() if flat else int(inputs["attention_mask"].sum())
    rows = int((inputs["position_ids"] == 0).sum()) if flat else len(inputs["input_ids"])
    print("STEP", json.dumps({"rows": rows, "tokens": real, "loss": float(loss)}))
    return loss
Trainer.training_step = recorded
sys.path.insert(0, ".")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def steps(tree: Path, out: Path, *command: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-c", RECORD, *command, "--rows=32", "--epochs=1", "--seed=1", f"--out={out}"],
        check=False,
        cwd=tree,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("STEP ")]


@pytest.mark.train
@pytest.mark.slow
def test_arms_train_on_the_same_rows_and_tokens_with_the_same_losses(target: Path, tmp_path: Path) -> None:
    git(target, "worktree", "add", "--quiet", str(tmp_path / "baseline"), "baseline")

    baseline = steps(tmp_path / "baseline", tmp_path / "out", "train_sft.py")
    optimized = steps(target, tmp_path / "out", "train_sft.py")
    packed = steps(target, tmp_path / "out", "train_sft.py", "--packing", "true")
    reference = steps(tmp_path / "baseline", tmp_path / "out", "train_dpo.py")
    precomputed = steps(target, tmp_path / "out", "train_dpo.py")

    assert len(baseline) == 8
    assert [(s["rows"], s["tokens"]) for s in optimized] == [(s["rows"], s["tokens"]) for s in baseline]
    assert [s["loss"] for s in optimized] == pytest.approx([s["loss"] for s in baseline], abs=1e-4)
    assert len(packed) < len(baseline)
    counted = sum(tokens(row["messages"]) for row in rows(target, "sft.jsonl")[:32])
    for run in (baseline, packed):
        assert (sum(s["rows"] for s in run), sum(s["tokens"] for s in run)) == (32, counted)
    assert [s["loss"] for s in precomputed] == pytest.approx([s["loss"] for s in reference], abs=1e-4)
    assert precomputed[0]["loss"] == pytest.approx(0.693147, abs=1e-5)

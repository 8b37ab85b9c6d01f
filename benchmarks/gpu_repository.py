"""Makes the repository that `gpu_ab.py` measures: the subject as it is, and a commit for each change of it.

The working tree stays at the default commit; `paceline.toml` and the rows in data/ are the same in all.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from gpu_parts import DEFAULT

SUBJECT = Path(__file__).resolve().parent / "gpu_subject"
CHANGES = {
    "kept": ("train_sft.py", "gradient_checkpointing=False"),
    "packed": ("train_sft.py", "packing=True,\n        max_length=1024"),
    "precomputed": ("train_dpo.py", "precompute_ref_log_probs=True"),
}
"""Commit -> the settings of the trainer that it adds."""
BEFORE = '        save_strategy="no",\n'
RECIPE = """[recipe.{name}]
run = [
    "{{python}}", "train_{name}.py", "--shape", "{{shape}}", "--rows", "{{rows}}",
    "--seed", "{{seed}}", "--out", "{{out}}",
]
eval = "data/{name}_eval.jsonl"
limit_s = 300
cache = "warm"
[recipe.{name}.params]
shape = "{shape}"
rows = {rows}

"""


def make_repository(folder: Path, shape: str, rows: Mapping[str, int]) -> dict[str, str]:
    """Name -> commit; `rows` are how many each recipe has, and trains on."""
    shutil.copytree(SUBJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    recipes = [RECIPE.format(name=name, shape=shape, rows=count) for name, count in rows.items()]
    (folder / "paceline.toml").write_text("".join(recipes), encoding="utf-8")
    counts = [str(rows[name]) for name in ("sft", "dpo")]
    subprocess.run([sys.executable, "make_rows.py", *counts], cwd=folder, check=True)
    git(folder, "init", "--quiet", f"--initial-branch={DEFAULT}")
    commits = {DEFAULT: committed(folder, DEFAULT)}
    for name, (file, setting) in CHANGES.items():
        git(folder, "checkout", "--quiet", "-b", name, DEFAULT)
        text = (folder / file).read_text(encoding="utf-8")
        if text.count(BEFORE) != 1:
            raise RuntimeError(f"{file} has {text.count(BEFORE)} places for {setting}")
        (folder / file).write_text(text.replace(BEFORE, f"        {setting},\n{BEFORE}"), encoding="utf-8")
        commits[name] = committed(folder, name)
    git(folder, "checkout", "--quiet", DEFAULT)
    return commits


def committed(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=gpu", "-c", "user.email=gpu@localhost", "-C", str(folder)]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout.strip()

"""Repositories to review: real git, fixed names and dates, so that the same commits have the same ids."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from agent.task import AskedChange

TOKEN = "hf_" + "aB3dE6gH9k" * 4
"""A Hugging Face token that nobody has; made up here so that no scanner finds it in this file."""

RUFF = '[lint]\nselect = ["E", "F", "I"]\n'
CHANGES = (
    AskedChange("A", "trainer.py:98", '`attn_implementation="sdpa"` to FlashAttention 2', "+15-20% SFT"),
    AskedChange("B", "trainer.py:321", "packing from the configuration", "+15-20% multi-epoch"),
    AskedChange("C", "trainer.py:302-322 (SFTConfig)", "dataloader workers", "+10-30% GPU util"),
    AskedChange("D", "trainer.py:302-322 and trainer.py:545-563", "Liger kernels", "+20% throughput"),
    AskedChange("E", "trainer.py:545-563 (DPOConfig)", "reference log-probs before training", "+30-50% DPO"),
    AskedChange("F", "trainer.py:32-53", "harden the tokenizer's shim", "0% perf"),
    AskedChange("G", "sft.py:151 (standalone SFTConfig)", "the same set in sft.py", "Same as A-D"),
)
PROTECTED = ("configs/dpo/default.yaml:beta", "configs/training/default.yaml:epochs")
TRAINER, SFT = "src/train/trainer.py", "src/train/sft.py"


class Repository:
    """Commits trees of files, a minute apart."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0
        root.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", "--object-format=sha1", "--template=")

    def git(self, *arguments: str) -> str:
        date = f"2026-11-20T12:{self.count % 60:02}:00+00:00"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = {
            f"GIT_{role}_{what}": "t@localhost"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *arguments],
            cwd=self.root,
            env=kept | who | dates | config,
            check=True,
            capture_output=True,
        )
        return done.stdout.decode(errors="replace").strip()

    def write(self, path: str, data: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())

    def commit(self, message: str, files: dict[str, str | bytes] | None = None) -> str:
        for path, data in (files or {}).items():
            self.write(path, data)
        return self.commit_all(message)

    def commit_all(self, message: str) -> str:
        self.count += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def edit(self, path: str, *pairs: tuple[str, str]) -> None:
        text = (self.root / path).read_text()
        for before, after in pairs:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        self.write(path, text)


def trainer() -> str:
    """600 lines that ruff likes; what the issue names stands in the lines that it names."""
    lines = [f"STEP_{n:03} = {n}" for n in range(1, 601)]
    lines[:6] = [
        '"""In-process LoRA training."""',
        "",
        "import transformers",
        "",
        "STEP_005 = 5",
        "STEP_006 = 6",
    ]
    lines[31:35] = ["try:", "    SHIM = transformers.shim", "except AttributeError:", "    SHIM = None"]
    lines[97] = 'ATTENTION = "sdpa"'
    sft = [f'    "sft_{n:02}": {n},' for n in range(1, 20)]
    sft[18] = '    "packing": False,'
    lines[301:322] = ["SFT = {", *sft, "}"]
    lines[544:563] = ["DPO = {", *(f'    "dpo_{n:02}": {n},' for n in range(1, 18)), "}"]
    assert len(lines) == 600
    return "\n".join(lines) + "\n"


def sft() -> str:
    lines = [f"STEP_{n:03} = {n}" for n in range(1, 201)]
    lines[150] = 'CONFIG = {"attention": "sdpa"}'
    return "\n".join(lines) + "\n"


HARNESS = "scripts/bench harness.py"
HARNESS_TEXT = f'''"""Runs both recipes."""

import json
import os
import subprocess

TOKEN = "{TOKEN}"


def run(recipe):
    subprocess.run("python bench.py "+recipe, shell=True)
    return TOKEN
'''


DPO_YAML = "# DPO\nname: dpo\nlr: 1.0e-5\nschedule: cosine\nsteps: 10\nbeta: 0.1\n"
OLD_SHIM = "try:\n    SHIM = transformers.shim\nexcept AttributeError:\n    SHIM = None"
NEW_SHIM = """VERSION = transformers.__version__
if VERSION.partition(".")[0] != "5":
    raise ImportError(VERSION)
SHIM = None"""


def issue_36(root: Path) -> tuple[Repository, str, str]:
    """The issue's changes as commits, with what goes wrong in life, and both ends of the range.

    B and C are one commit, E never landed, no message names G, a token was added and taken out again, a fix
    of D follows, beta was touched.
    """
    repository = Repository(root)
    files = {
        "ruff.toml": RUFF,
        TRAINER: trainer(),
        SFT: sft(),
        "configs/dpo/default.yaml": DPO_YAML,
        "configs/training/default.yaml": "# Training\nname: default\nepochs: 1\n",
    }
    baseline = repository.commit("training as it was", files)
    more = "\n".join(f"ADDED_{n:02} = {n}" for n in range(20))
    repository.edit(TRAINER, (OLD_SHIM, NEW_SHIM), ("STEP_020 = 20", f"STEP_020 = 20\n{more}"))
    repository.commit_all("perf(train): harden tokenizer compat shim with explicit version check — Change F")
    repository.edit(TRAINER, ('ATTENTION = "sdpa"', 'ATTENTION = "flash_attention_2"'))
    repository.commit_all("perf(train): swap SDPA for FlashAttention-2 with fallback\n\nChange: A")
    repository.edit(TRAINER, ('"packing": False', '"packing": True'))
    repository.edit(TRAINER, ('    "sft_01": 1,', '    "sft_01": 1,\n    "workers": 4,'))
    repository.commit_all("perf(train): packing and dataloader workers — Changes B and C")
    repository.edit(TRAINER, ('    "sft_05": 5,', '    "sft_05": 5,\n    "liger": True,'))
    repository.edit(TRAINER, ('    "dpo_05": 5,', '    "dpo_05": 5,\n    "liger_dpo": True,'))
    repository.commit_all("perf(train): opt in to Liger-Kernel fused ops when available (D)")
    repository.edit(SFT, ('"sdpa"', '"flash_attention_2"'))
    repository.commit_all("perf(train): align sft.py with trainer.py")
    repository.commit("bench: add the harness", {HARNESS: HARNESS_TEXT})
    repository.edit(TRAINER, ('    "liger": True,', '    "liger": False,'))
    repository.commit_all("fix(train): disable Liger on LoRA paths (-2x regression)")
    repository.edit(HARNESS, (f'"{TOKEN}"', 'os.environ["HF_TOKEN"]'))
    repository.edit("configs/dpo/default.yaml", ("beta: 0.1", "beta: 5.0"))
    return repository, baseline, repository.commit_all("fix(bench): read the token from the environment")

"""`gpu_ab.py` from end to end on the CPU: the tiny shape, one replicate of everything, real training."""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from gpu_ab import parts_named

from agent.result import Result, result_of
from agent.verify import differences
from bench.run import Run
from tests.benchmarks import BENCHMARKS

pytestmark = [pytest.mark.train, pytest.mark.slow]
pytest.importorskip("trl", reason="needs the train extra")

SPECIAL = ("<|im_start|>", "<|im_end|>")
LIMIT_S = 900


def gpu_ab(machine: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu_ab.py"), *map(str, arguments)],
        env={**os.environ, "PACELINE_MACHINE": str(machine), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@dataclass
class Measured:
    out: Path
    printed: str

    @property
    def summary(self) -> dict:
        return json.loads((self.out / "summary.json").read_text())

    def job(self, name: str) -> Result:
        return result_of(self.out / name)

    def run(self, job: str, arm: str = "baseline") -> Run:
        [found] = [run for run in self.runs(job) if run.arm == arm]
        return found

    def runs(self, job: str) -> list[Run]:
        """Without those that others on the machine spoiled and that were made again."""
        return [run for run in self.job(job).runs if not run.set_aside]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="module")
def measured(machine, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "2026-11-20-cpu"
    options = ("--shape", "tiny", "--replicates", 1, "--budget-s", LIMIT_S, "--out", out)
    done = gpu_ab(machine, *options)
    assert done.returncode == 0, done.stderr
    return Measured(out, done.stdout)


SFT, ABBA, DPO = "1-sft-lockstep", "2-sft-abba", "3-dpo-lockstep"
DISTURBED = ("heavy load: ", "heavy steal: ")
"""What drops an ABBA run on a machine that others use too; nothing is wrong with the run."""


def test_every_part_is_measured_and_stands_in_the_table(measured):
    assert "not run" not in measured.printed
    rows = [line.split("|")[2:5] for line in measured.printed.splitlines() if line.startswith("| ")]
    n, both = ("1", "1 + 1") if {run.outcome for run in measured.runs(ABBA)} == {"ok"} else ("0", "0")
    assert [[cell.strip() for cell in row] for row in rows[2:]] == [
        ["sft: keep the activations", "lockstep", "1"],
        ["sft: keep the activations", "abba", n],
        ["sft: agreement", "lockstep / abba", both],
        ["sft: A/A", "lockstep", "1"],
        ["dpo: A/A", "lockstep", "1"],
        ["sft: packing", "lockstep", "1"],
        ["dpo: reference computed before training", "lockstep", "1"],
    ]


def test_the_summary_says_when_on_what_and_with_which_versions(measured):
    summary = measured.summary
    assert summary["shape"] == "tiny"
    assert "core" in summary["device"]
    assert {"python", "torch", "transformers", "trl"} <= set(summary["versions"])
    assert summary["driver"] == ""
    assert [job["status"] for job in summary["jobs"]] == [0, 0, 0]
    assert 0 < sum(job["seconds"] for job in summary["jobs"]) < summary["took_s"]


@pytest.mark.parametrize("job", [SFT, ABBA, DPO])
def test_the_kept_raw_runs_of_a_job_verify_as_identical(measured, job):
    assert differences(measured.out / job) == []


def test_the_command_line_says_identical_too(measured, machine):
    command = [sys.executable, "-m", "agent", "verify", str(measured.out / ABBA)]
    done = subprocess.run(command, cwd=BENCHMARKS.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "identical\n")


def test_the_corpus_is_small_and_holds_no_worktree_archive_or_mirror(measured):
    files = [path for path in measured.out.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1 << 20
    assert {path.suffix for path in files} <= {".json", ".jsonl", ".csv", ".md", ""}
    assert {path.name for path in files if not path.suffix} <= {"log"}


def test_the_table_can_be_printed_again_from_the_raw_runs(measured, machine):
    assert gpu_ab(machine, "--table", measured.out).stdout == measured.printed


def test_each_engine_is_the_one_that_was_asked_for(measured):
    assert {run.engine for run in measured.runs(SFT)} == {"lockstep"}
    assert {run.engine for run in measured.runs(ABBA)} == {"abba"}
    assert len(measured.run(SFT).windows) > 1


def test_every_run_was_ok_and_trained_on_the_same_tokens(measured):
    for job in (SFT, ABBA, DPO):
        assert all(run.outcome == "ok" or run.reason.startswith(DISTURBED) for run in measured.runs(job))
        assert len({(run.rows, run.tokens) for run in measured.runs(job)}) == 1


def test_each_arm_is_the_baseline_but_for_what_it_changes(measured):
    def used(job, arm):
        return {choice.name: choice.used for choice in measured.run(job, arm).choices}

    def changed(job, arm):
        return {name for name, value in used(job, arm).items() if value != used(job, "baseline").get(name)}

    assert changed(SFT, "again") == set()
    assert changed(SFT, "optimized") == {"gradient_checkpointing"}
    assert changed(SFT, "packed") == {"packing", "padding_free"}
    assert changed(DPO, "optimized") == set()
    assert measured.run(SFT, "packed").steps < measured.run(SFT).steps


def test_the_reference_pass_is_seen_before_training_only_where_it_was_moved(measured):
    assert measured.run(DPO).phases_s.get("reference", 0.0) == 0.0
    assert measured.run(DPO, "precomputed").phases_s["reference"] > 0.0


def test_the_model_is_made_inside_loading_and_starts_the_same_in_every_arm(measured):
    runs = measured.runs(SFT)
    assert all(run.phases_s["load"] > 0.0 for run in runs)
    assert len({run.first_loss for run in runs if run.arm != "packed"}) == 1
    assert measured.run(DPO).first_loss == pytest.approx(0.693147, abs=1e-3)


def test_rows_have_a_median_of_68_tokens_counted_without_the_tokenizer(measured, tmp_path):
    from gpu_repository import make_repository

    commits = make_repository(tmp_path / "subject", "tiny", {"sft": 64, "dpo": 16})
    chats = lengths(tmp_path / "subject" / "data" / "sft.jsonl")
    pairs = lengths(tmp_path / "subject" / "data" / "preferences.jsonl")
    assert (len(chats), len(pairs)) == (64, 16)
    assert statistics.median(chats) == pytest.approx(68, abs=1)
    assert statistics.median(pairs) == pytest.approx(68, abs=2)
    assert measured.run(SFT).tokens == sum(chats)
    assert set(commits) == {"default", "kept", "packed", "precomputed"}


def lengths(path: Path) -> list[int]:
    """Tokens of each row, chosen answers only: a byte is one, and so is each special token."""
    found = []
    for row in map(json.loads, path.read_text().splitlines()):
        messages = row["messages"] if "messages" in row else row["prompt"] + row["chosen"]
        text = "".join(f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in messages)
        for special in SPECIAL:
            text = text.replace(special, "#")
        found.append(len(text.encode()))
    return found


def test_a_folder_with_something_in_it_is_refused_before_anything_runs(machine, tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    refused = gpu_ab(machine, "--shape", "tiny", "--out", tmp_path)
    assert (refused.returncode, "is not empty" in refused.stderr) == (2, True)


def test_the_large_shape_has_as_many_weights_as_qwen2_5_7b():
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    spec = spec_from_file_location("make_model", BENCHMARKS / "gpu_subject" / "make_model.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.device("meta"):
        model = Qwen2ForCausalLM(Qwen2Config(**module.SHAPES["7b"], tie_word_embeddings=False))
    assert sum(weights.numel() for weights in model.parameters()) == 7_615_616_512


@pytest.mark.parametrize("parts", ["5", "", "packing"])
def test_a_part_that_there_is_not_is_refused(machine, tmp_path, parts):
    refused = gpu_ab(machine, "--shape", "tiny", "--parts", parts, "--out", tmp_path / "out")
    assert (refused.returncode, "argument --parts: invalid" in refused.stderr) == (2, True)


def test_parts_are_named_by_their_numbers():
    assert [part.key for part in parts_named("4,3")] == ["sft/lockstep/packed", "dpo/lockstep/precomputed"]


def test_without_a_gpu_the_large_shape_is_refused(machine, tmp_path):
    # Where there is a GPU, it is not found: nothing is on the path.
    refused = gpu_ab(machine, "--out", tmp_path / "out", PATH=str(tmp_path))
    assert refused.returncode == 2
    assert "--shape 7b needs a GPU, and here is none" in refused.stderr

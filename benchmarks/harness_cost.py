"""What measuring costs: seconds of the harness per run, and microseconds of the hook per step.

1. Runs: the test subject on plain transformers, started by hand and through `paceline bench`, in turn; the
   harness's own seconds per run come from the records, the hook's from the difference of the processes.
2. Steps: the hook's own code around an empty training step, on a batch of 4 x 512 ids with mask and labels,
   writing real events. The share is of a step of 20 ms.

Prints Markdown and ends in one JSON line. Takes about 3 minutes on 2 cores.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench" / "hook")]
REPLICATES = 6
STEPS = 3000
STEP_S = 0.020
CONFIG = '[recipe.plain]\nrun = ["{python}", "plain_trainer.py", "--out", "{out}"]\n'


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = cost_of_runs(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        step_s = cost_of_a_step(Path(folder))
    result = {**runs, "hook_us_per_step": step_s * 1e6, "share_of_20_ms_pct": 100 * step_s / STEP_S}
    import torch
    import transformers

    host = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{host}, torch {torch.__version__}, transformers {transformers.__version__}\n")
    print("| what | measured |\n|:---|---:|")
    print(f"| harness beside a run, median of {runs['runs']} | {runs['harness_s_median']:.3f} s |")
    print(f"| harness beside a run, largest | {runs['harness_s_max']:.3f} s |")
    print(f"| process under the hook / by hand, median of {REPLICATES} pairs | {runs['ratio_median']:.3f} |")
    print(f"| hook per step | {step_s * 1e6:.0f} µs, {result['share_of_20_ms_pct']:.2f} % of 20 ms |")
    print(json.dumps(result))


def cost_of_runs(folder: Path) -> dict[str, float]:
    repo = folder / "repo"
    repo.mkdir()
    source = (ROOT / "tests" / "subjects" / "plain_trainer.py").read_text(encoding="utf-8")
    (repo / "plain_trainer.py").write_text(source, encoding="utf-8")
    (repo / "paceline.toml").write_text(CONFIG, encoding="utf-8")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(repo)]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    by_hand, in_harness, beside = [], [], []
    for _ in range(REPLICATES):
        by_hand.append(seconds_by_hand(repo, folder / "out"))
        for run in benched(repo, folder)["runs"][:1]:
            in_harness.append(run["wall_s"])
            beside.append(run["harness_s"])
    ratios = [inside / alone for inside, alone in zip(in_harness, by_hand, strict=True)]
    return {
        "runs": len(beside),
        "harness_s_median": statistics.median(beside),
        "harness_s_max": max(beside),
        "by_hand_s": by_hand,
        "in_harness_s": in_harness,
        "ratio_median": statistics.median(ratios),
    }


def seconds_by_hand(repo: Path, out: Path) -> float:
    began = time.monotonic()
    command = [sys.executable, "plain_trainer.py", "--out", str(out)]
    subprocess.run(command, cwd=repo, check=True, capture_output=True)
    return time.monotonic() - began


def benched(repo: Path, folder: Path) -> dict:
    command = [sys.executable, "-m", "agent", "bench", "plain", "--repo", str(repo), "--json"]
    command += ["--baseline", "main", "--optimized", "main", "--replicates", "1"]
    environment = {**os.environ, "PACELINE_MACHINE": str(folder / "machine"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return json.loads(done.stdout)


def cost_of_a_step(folder: Path) -> float:
    """Seconds that one step spends in the hook's code, loop and empty step taken off."""
    import torch
    from _paceline_hook.measure import Measure
    from _paceline_hook.trainer import Training

    settings = {
        "events": str(folder),
        "claim": str(folder / "claim"),
        "key": "k",
        "worktree": "/",
        "hook": "",
    }
    ids = torch.randint(0, 1000, (4, 512))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
    loss = torch.tensor(1.5)

    class Empty:
        def training_step(self, _model, _inputs):
            return loss

        def get_batch_samples(self):
            return inputs

    def seconds(begins, samples, step) -> float:
        began = time.perf_counter()
        for _ in range(STEPS):
            samples()
            begins()
            step(None, inputs)
        return (time.perf_counter() - began) / STEPS

    empty = Empty()
    training = Training(Measure(settings), empty)
    hooked = (
        training.step_begins,
        training._waited(empty.get_batch_samples),
        training._counted(empty.training_step),
    )
    bare = (lambda: None, empty.get_batch_samples, empty.training_step)
    pairs = [seconds(*hooked) - seconds(*bare) for _ in range(5)]
    return statistics.median(pairs)


if __name__ == "__main__":
    main()

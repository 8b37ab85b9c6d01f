"""What the hook costs in lockstep, against its gates alone; and what a gate costs.

1. Three arms of one commit in lockstep: the full hook twice, and the gates alone (the subject takes the rest
   of the hook out of its process). What is compared are the worker's own clock's turns, window by window,
   since without the hook nobody else says how long a step took. Arms with the full hook twice say what
   nothing looks like.
2. A gate, from the worker's records: from the end of one arm's turn to the begin of the next one's.
3. A gate, in a loop: asking whether one is due, and a round trip through the socket to an echo.

Prints Markdown and ends in one JSON line. Takes about 8 minutes on 2 cores; nothing else may run meanwhile.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench" / "hook")]

from bench.compare import t_interval  # noqa: E402

REPLICATES = 8
STEPS = 700
ROUND_TRIPS = 2000
CONFIG = f"""[recipe.train]
run = ["{{python}}", "train.py", "--steps", "{{steps}}", "--hook", "{{hook}}", "--out", "{{out}}"]
[recipe.train.params]
steps = {STEPS}
hook = "full"
"""
FULL, AGAIN, GATES = "baseline", "optimized", "gates"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        turns = turns_of_a_job(Path(folder))
    due_s, round_trip_s = cost_of_a_gate()
    step_s = statistics.median(
        seconds / STEPS for one in turns for seconds in [sum(end - begin for begin, end in one[FULL])]
    )
    hook, nothing = cost(turns, FULL, GATES), cost(turns, FULL, AGAIN)
    handover_s = statistics.median(handovers_s(turns))
    print(f"{REPLICATES} replicates of {STEPS} steps of {1000 * step_s:.1f} ms\n")
    print("| what | measured |\n|:---|---:|")
    print(f"| full hook / gates alone, in lockstep | {_text(hook)} |")
    print(f"| full hook / full hook | {_text(nothing)} |")
    print(f"| from one arm's turn to the next one's, median | {1000 * handover_s:.2f} ms |")
    print(f"| asking whether a gate is due | {1e9 * due_s:.0f} ns |")
    print(f"| round trip of a gate through its socket | {1e6 * round_trip_s:.0f} µs |")
    print(
        json.dumps(
            {
                "hook": hook, "nothing": nothing, "handover_s": handover_s,
                "due_s": due_s, "round_trip_s": round_trip_s, "step_s": step_s,
            }
        )
    )  # fmt: skip


def turns_of_a_job(folder: Path) -> list[dict[str, list[tuple[float, float]]]]:
    """Of each replicate: arm -> its turns from the first steady window to the last, in monotonic seconds."""
    repository = folder / "repository"
    shutil.copytree(ROOT / "benchmarks" / "gate_subject", repository)
    (repository / "paceline.toml").write_text(CONFIG, encoding="utf-8")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(repository)]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    command = [sys.executable, "-m", "agent", "bench", "train", "--repo", str(repository)]
    command += ["--baseline", "main", "--optimized", "main", "--arm", f"{GATES}=main,hook=gates"]
    command += ["--replicates", str(REPLICATES)]
    environment = {**os.environ, "PACELINE_MACHINE": str(folder / "machine"), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    [runs] = folder.glob(".paceline/jobs/*/runs/train")
    return [
        {arm: steady_turns(runs / str(number) / arm) for arm in (FULL, AGAIN, GATES)}
        for number in range(1, REPLICATES + 1)
    ]


def steady_turns(run: Path) -> list[tuple[float, float]]:
    """Without the turn to the first gate, the first step's and the one after the last gate."""
    record: dict[str, Any] = json.loads((run / "exit.json").read_text(encoding="utf-8"))
    return [(begin, end) for begin, end in record["turns"][2:-1]]


def cost(
    turns: list[dict[str, list[tuple[float, float]]]], arm: str, base: str
) -> tuple[float, float, float]:
    """(mean, low, high) of log(seconds of arm / seconds of base) over replicates, 95 %."""
    ratios = [math.log(sum(e - b for b, e in one[arm]) / sum(e - b for b, e in one[base])) for one in turns]
    found = t_interval(ratios, 0.95)
    assert found is not None
    return statistics.fmean(ratios), found.low, found.high


def handovers_s(turns: list[dict[str, list[tuple[float, float]]]]) -> list[float]:
    """Seconds between the turns of a replicate, which follow each other arm by arm."""
    found = []
    for one in turns:
        ordered = sorted(turn for arm in one.values() for turn in arm)
        found += [after[0] - before[1] for before, after in pairwise(ordered)]
    return found


def cost_of_a_gate() -> tuple[float, float]:
    """Seconds of (asking whether one is due, a round trip to an echo in another thread)."""
    from _paceline_hook.gate import Gate

    class Timeline:
        def skip(self, begin: float, end: float) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/gate"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            echo = threading.Thread(target=answer, args=(listener,))
            echo.start()
            gate = Gate({"gate": path, "key": "k"}, Timeline(), lambda *_, **__: None)
            gate.enter(0, {})
            began = time.perf_counter()
            for _ in range(ROUND_TRIPS):
                gate.wait("steps", 0, {})
            round_trip_s = (time.perf_counter() - began) / ROUND_TRIPS
            began = time.perf_counter()
            for _ in range(100 * ROUND_TRIPS):
                gate.is_due(0)
            due_s = (time.perf_counter() - began) / (100 * ROUND_TRIPS)
            gate._close()
            echo.join()
    return due_s, round_trip_s


def answer(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        for _ in lines:
            connection.sendall(b'{"steps": 5}\n')


def _text(found: tuple[float, float, float]) -> str:
    mean, low, high = (100 * math.expm1(value) for value in found)
    return f"{mean:+.2f} % [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main()

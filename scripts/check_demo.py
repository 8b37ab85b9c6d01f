"""Checks what `make demo` left: the outcome that any machine must come to, whatever its speed.

The times are the machine's; that all runs ended well, that nothing was lost or trained differently, and that
the reference pass shows, are not. Runs that the machine spoiled are set aside and made again: they are left
out, and nothing but they may have been made twice.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent / ".paceline" / "demo"
ASKED_FOR = 15
MARKER = re.compile(r"\A<!-- epm:([a-z-]+) v(\d+) -->")


ONCE = ("results v1", "reviewer-verdict v1", "verdict v1", "note v1")


def troubles(document: dict, demo: Path = DEMO) -> list[str]:
    runs = [run for run in document["runs"] if not run["set_aside"]]
    found = [
        f"{run['recipe']} {run['replicate']} {run['arm']}: {run['outcome']}: {run['reason']}"
        for run in runs
        if run["outcome"] != "ok"
    ]
    if len(runs) != ASKED_FOR:
        found.append(f"{len(runs)} runs, {ASKED_FOR} were asked for")
    found += repeated(demo, len(document["runs"]) - len(runs))
    left = [*processes_of(demo / "jobs"), *processes_of(demo / "pods")]
    if left:
        found.append(f"processes were left behind: {left}")
    states = {(e["recipe"], e["arm"]): e["state"] for e in document["equivalence"]}
    wanted = {("sft", "optimized"): "equivalent", ("dpo", "optimized"): "equivalent"}
    wanted["sft", "packing"] = "not equivalent"  # a third of the steps: it trains something else
    found += [
        f"{key}: {states.get(key)}, not {state}" for key, state in wanted.items() if states.get(key) != state
    ]
    for run in runs:
        precomputes = (run["recipe"], run["arm"]) == ("dpo", "optimized")
        if precomputes != (run["phases_s"].get("reference", 0.0) > 0.05):
            found.append(f"{run['recipe']} {run['arm']}: reference pass {run['phases_s'].get('reference')} s")
        if abs(sum(run["phases_s"].values()) - run["wall_s"]) > 0.01 * run["wall_s"]:
            found.append(f"{run['recipe']} {run['arm']}: phases do not sum to the wall time")
    learned = [
        r["eval"]["before"] - r["eval"]["loss"]
        for r in runs
        if r["recipe"] == "sft" and r["arm"] == "baseline"
    ]
    if min(learned) < 0.5:
        found.append(f"the SFT baseline learned {min(learned):.3f} nat, at least 0.5 are promised")
    return found


def repeated(demo: Path, set_aside: int) -> list[str]:
    """Whether more was measured than the runs that count and those that were set aside."""
    records = list(demo.glob("jobs/*/runs/*/*/*/exit.json"))
    owners = {json.loads(path.read_text(encoding="utf-8"))["owner"]["pid"] for path in records}
    if len(records) == len(owners) == ASKED_FOR + set_aside:
        return []
    told = f"{len(records)} records of {len(owners)} processes"
    return [f"{told}; {ASKED_FOR} runs were asked for, and {set_aside} were set aside"]


def processes_of(folder: Path) -> list[int]:
    """Processes that work in the folder, or were started with a path in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_in = str(folder).encode() in (process / "cmdline").read_bytes()
            is_in = is_in or (process / "cwd").readlink().is_relative_to(folder)
        except OSError:  # it has ended, or is another user's
            continue
        if is_in:
            found.append(int(process.name))
    return found


def unsaid(comments: list[dict]) -> list[str]:
    """The markers that an issue with a verdict has: one of each of `ONCE`, the rest progress."""
    found = [MARKER.match(comment["body"]) for comment in comments]
    said = [f"{match[1]} v{match[2]}" for match in found if match]
    wrong = [f"{text}: {said.count(text)} times" for text in ONCE if said.count(text) != 1]
    others = [text for text in said if text not in ONCE and not text.startswith("progress")]
    return wrong + [f"{text} was not expected" for text in others]


if __name__ == "__main__":
    trouble = troubles(json.loads((DEMO / "report.json").read_text(encoding="utf-8")))
    trouble += unsaid(json.loads((DEMO / "issue.json").read_text(encoding="utf-8"))["comments"])
    print("\n".join(trouble) or "demo: as it should be")
    sys.exit(bool(trouble))

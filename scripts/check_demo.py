"""Checks what `make demo` left: the outcome that any machine must come to, whatever its speed.

The times are the machine's; that all runs ended well, that nothing was lost or trained differently, and that
the reference pass shows, are not.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent / ".paceline" / "demo"
MARKER = re.compile(r"\A<!-- epm:([a-z-]+) v(\d+) -->")


def troubles(document: dict) -> list[str]:
    found = [
        f"{run['recipe']} {run['replicate']} {run['arm']}: {run['outcome']}: {run['reason']}"
        for run in document["runs"]
        if run["outcome"] != "ok"
    ]
    if len(document["runs"]) != 15:
        found.append(f"{len(document['runs'])} runs, 15 were asked for")
    states = {(e["recipe"], e["arm"]): e["state"] for e in document["equivalence"]}
    wanted = {("sft", "optimized"): "equivalent", ("dpo", "optimized"): "equivalent"}
    wanted["sft", "packing"] = "not equivalent"  # a third of the steps: it trains something else
    found += [
        f"{key}: {states.get(key)}, not {state}" for key, state in wanted.items() if states.get(key) != state
    ]
    for run in document["runs"]:
        precomputes = (run["recipe"], run["arm"]) == ("dpo", "optimized")
        if precomputes != (run["phases_s"].get("reference", 0.0) > 0.05):
            found.append(f"{run['recipe']} {run['arm']}: reference pass {run['phases_s'].get('reference')} s")
        if abs(sum(run["phases_s"].values()) - run["wall_s"]) > 0.01 * run["wall_s"]:
            found.append(f"{run['recipe']} {run['arm']}: phases do not sum to the wall time")
    learned = [
        r["eval"]["before"] - r["eval"]["loss"]
        for r in document["runs"]
        if r["recipe"] == "sft" and r["arm"] == "baseline"
    ]
    if min(learned) < 0.5:
        found.append(f"the SFT baseline learned {min(learned):.3f} nat, at least 0.5 are promised")
    return found


def unsaid(comments: list[dict]) -> list[str]:
    """The markers that an issue with a verdict has: one results, one verdict, the rest progress."""
    found = [MARKER.match(comment["body"]) for comment in comments]
    said = [f"{match[1]} v{match[2]}" for match in found if match]
    wrong = [
        f"{text}: {said.count(text)} times" for text in ("results v1", "verdict v1") if said.count(text) != 1
    ]
    return wrong + [f"{text} was not expected" for text in said if text.startswith(("note", "failure"))]


if __name__ == "__main__":
    trouble = troubles(json.loads((DEMO / "report.json").read_text(encoding="utf-8")))
    trouble += unsaid(json.loads((DEMO / "issue.json").read_text(encoding="utf-8"))["comments"])
    print("\n".join(trouble) or "demo: as it should be")
    sys.exit(bool(trouble))

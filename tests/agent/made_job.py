"""A job folder as `paceline bench` leaves it, from raw runs with figures that can be worked out by hand.

A run takes 8 s and `train_s` by the owner's clock: 3 s import, 0.5 s load, 1.5 s preparation, 1 s first step,
`train_s` of further training, 1 s evaluation, 1 s after it. It trains on 8 rows with 200 real tokens in 2
steps, so a baseline's `job_tokens_per_s` is 200 / (1.5 + 1 + 2) = 44.4.
"""

import json
from pathlib import Path

from agent.report import report_text
from agent.result import json_text, result_of
from bench.plan import Arm, Criterion, Plan, Recipe
from tests.bench.raw_run import START, RawRun, batch, lines_of, owner_record, phase, step

SFT = Recipe("sft", ("{python}", "train.py", "--seed", "{seed}"), eval="eval.jsonl", eval_sha256="e" * 64)
ARMS = (Arm("baseline", "a" * 40), Arm("optimized", "b" * 40))
CRITERION = Criterion("sft:job_tokens_per_s>=1.1", "sft", "job_tokens_per_s", ">=", 1.1, "optimized")
TRAIN_S = {"baseline": (2.0, 2.02, 1.98), "optimized": (1.0, 1.02, 0.99)}
HOST = {"device": "2 cores of a made CPU", "slot": "cpu", "cores": 2}


def made_plan(**changes) -> Plan:
    fields = {"repo": "target", "task": "t", "recipes": (SFT,), "arms": ARMS, "replicates": 3}
    return Plan(**{**fields, "criteria": (CRITERION,), **changes})


def events_of(train_s: float, replicate: int, losses=(2.0, 1.5), heldout=1.6) -> list[dict]:
    end = 16.0 + train_s
    return [
        START,
        {"kind": "choice", "name": "trainer", "requested": "", "used": "SFTTrainer", "why": ""},
        phase("import", 10.1, 13.0),
        phase("load", 13.0, 13.5),
        phase("prep", 13.5, 15.0),
        batch(1, digest=f"first-{replicate}"),
        step(1, 15.0, 16.0, losses[0]),
        phase("first", 15.0, 16.0),
        batch(2),
        step(2, 16.0, end, losses[1]),
        phase("train", 16.0, end),
        {"kind": "eval", "rows": 8, "tokens": 400, "loss": heldout + 0.01 * replicate, "before": 2.1},
        phase("eval", end, end + 1.0),
        phase("other", end + 1.0, end + 1.8),
        {"kind": "end", "at": end + 1.8, "steps": 2, "rows": 8, "tokens": 200},
    ]


def made_raw(arm: str, replicate: int, **changes) -> RawRun:
    """`changes` are fields of RawRun; the record names recipe, arm and replicate."""
    train_s = TRAIN_S.get(arm, TRAIN_S["optimized"])[(replicate - 1) % 3]
    record = {"recipe": "sft", "arm": arm, "replicate": replicate, "wall_s": 8.5 + train_s}
    fields = {
        "events": lines_of(events_of(train_s, replicate)),
        "owner": owner_record(end=18.0 + train_s),
        **changes,
    }
    return RawRun(**{**fields, "record": {**record, **changes.get("record", {})}})


def write_job(folder: Path, plan: Plan | None = None, raws: dict | None = None, host=HOST) -> Path:
    """The folder of a job that has ended, with its result; `raws` replaces runs by (arm, replicate)."""
    plan = plan or made_plan()
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "plan.json", plan.to_dict())
    write(folder / "job.json", {"schema": 1, "plan": plan.hash})
    write(folder / "host.json", host)
    write(folder / "exit.json", {"schema": 1, "outcome": "finished"})
    for replicate, recipe, arms in plan.rounds():
        for arm in arms:
            raw = (raws or {}).get((arm.name, replicate)) or made_raw(arm.name, replicate)
            raw.write(folder / "runs" / recipe.name / str(replicate) / arm.name)
    return folder


def write(path: Path, data: dict) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def store_result(folder: Path) -> Path:
    result = result_of(folder)
    (folder / "result.json").write_text(json_text(result))
    (folder / "report.md").write_text(report_text(result))
    return folder

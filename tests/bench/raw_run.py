"""Writes the raw files of one run as worker and hook leave them; a test bends one thing in them."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from bench.events import chained

KEY = "00112233445566ff"


def step(n, begin, end, loss=1.0):
    return {"kind": "step", "n": n, "begin": begin, "end": end, "loss": loss, "grad_norm": None}


def batch(step, rows=4, real=100, padded=150, supervised=100, digest=None):
    counts = {"rows": rows, "real": real, "padded": padded, "supervised": supervised}
    return {"kind": "batch", "step": step, **counts, "digest": digest}


def phase(name, begin, end, **memory):
    return {"kind": "phase", "name": name, "begin": begin, "end": end, **memory}


START = {"kind": "start", "schema": 1, "at": 10.1, "pid": 7}


def trained_events():
    """A run from 10.0 to 20.0 by the owner's clock: two steps, one of 1 s and one of 2 s."""
    return [
        START,
        phase("import", 10.1, 13.0),
        phase("load", 13.0, 13.5),
        phase("prep", 13.5, 15.0),
        batch(1, digest="abcd"),
        step(1, 15.0, 16.0, 2.0),
        phase("first", 15.0, 16.0),
        batch(2),
        step(2, 16.0, 18.0, 1.5),
        phase("train", 16.0, 18.0),
        {"kind": "eval", "rows": 8, "tokens": 400, "loss": 1.6, "before": 2.1},
        phase("eval", 18.0, 19.0),
        phase("other", 19.0, 19.8),
        {"kind": "end", "at": 19.8, "steps": 2, "rows": 8, "tokens": 200},
    ]


def owner_record(**changes):
    record = {
        "begin": 10.0,
        "end": 20.0,
        "pid": 7,
        "status": 0,
        "signal": None,
        "timed_out": False,
        "cancelled": False,
        "survivors": 0,
        "max_rss_b": 5_000_000,
        "user_s": 9.0,
        "system_s": 0.5,
        "log_b": 0,
        "log_dropped_b": 0,
        "not_started": None,
    }
    return {**record, **changes}


def lines_of(events, key=KEY):
    """The events as the hook writes them, each line chained to the one before; key None: without chain."""
    lines, previous = [], key
    for event in events:
        body = json.dumps(event)
        if key is not None:
            previous = chained(previous, body)
            body = f'{body[:-1]}, "chain": "{previous}"}}'
        lines.append(body + "\n")
    return "".join(lines)


@dataclass
class RawRun:
    events: str = ""
    owner: dict | None = field(default_factory=owner_record)
    log: str = ""
    record: dict = field(default_factory=dict)
    choices: str = ""
    gpu: str = ""

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            "events.jsonl": self.events,
            "log": self.log,
            "choices.jsonl": self.choices,
            "gpu.csv": self.gpu,
        }
        digests = {}
        for name, text in files.items():
            if text:
                (folder / name).write_text(text)
                digests[name] = hashlib.sha256(text.encode()).hexdigest()
        record = {
            "schema": 1,
            "recipe": "sft",
            "arm": "baseline",
            "replicate": 1,
            "owner": self.owner,
            "owner_error": "",
            "engine": "abba",
            "turns": [],
            "oom_kills": 0,
            "key": KEY,
            "environment": "e",
            "protected": {},
            "events": "hook",
            "wall_s": 10.5,
            "files": digests,
            **self.record,
        }
        (folder / "exit.json").write_text(json.dumps(record))
        return folder


def trained(**changes) -> RawRun:
    return RawRun(events=lines_of(trained_events()), **changes)

"""What the worker is told beside the plan: where things lie on this machine. Written by `agent/dispatch.py`.

The plan says what is measured and is hashed; these settings say where, and are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """`source` is a path or URL that git can fetch from; `workspace` holds mirrors and environments.

    `python` is the interpreter of `env = "none"`. `owner` is the command that owns one process tree (see
    `pods/supervisor/owner.py` for what it takes and answers). `gpu` is a UUID, None on a machine without.
    A window of a lockstep round has at least `window_steps` steps and lasts at least `window_s`.
    `inputs` is the folder with `<recipe>.eval.jsonl` and `<recipe>.driver`.
    """

    source: str
    workspace: str
    python: str
    owner: tuple[str, ...]
    inputs: str
    harness: str
    gpu: str | None = None
    started: str | None = None
    grace_s: float = 10.0
    window_steps: int = 2
    window_s: float = 0.2
    environment: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, sort_keys=True)

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Raises ValueError on a foreign schema."""
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema", None) != SCHEMA:
            raise ValueError(f"{path}: settings of a foreign schema")
        return cls(**{**data, "owner": tuple(data["owner"])})

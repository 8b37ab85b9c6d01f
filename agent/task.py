"""What an issue asks for, as data: a Task, or the Problems that keep it from being one.

Pure. Reads the headings of `.github/ISSUE_TEMPLATE/infra.yml` as GitHub renders them. Issue text names
recipes, commits and values; it never chooses a command. What is not understood is a problem that names its
field and line and shows an example; nothing is guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bench.plan import canonical


@dataclass(frozen=True, slots=True)
class AskedArm:
    """A further arm as it was asked for: a revision (or `baseline`, `optimized`) and parameter texts."""

    name: str
    revision: str
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskedChange:
    """A row of the table of changes; `expected` is the promised effect in the author's words."""

    name: str
    place: str
    change: str
    expected: str


@dataclass(frozen=True, slots=True)
class Task:
    """An issue understood. `criteria` are texts like `sft:job_tokens_per_s>=1.3`; `loss_band` a share."""

    baseline: str
    optimized: str
    recipes: tuple[str, ...]
    arms: tuple[AskedArm, ...] = ()
    criteria: tuple[str, ...] = ()
    loss_band: float | None = None
    gpu_hours: float | None = None
    replicates: int | None = None
    changes: tuple[AskedChange, ...] = ()
    unchanged: tuple[str, ...] = ()
    context: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of what is asked; context and wording around it do not count."""
        asked = {key: value for key, value in asdict(self).items() if key != "context"}
        return hashlib.sha256(canonical(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read: field, line of the body (from 1; None where the field is missing), example."""

    field: str
    what: str
    example: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Problems:
    found: tuple[Problem, ...]

"""A task: what an issue asks for, understood, as data with a digest. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from bench.plan import canonical

from agent.task.claims import Claim, claims_of
from agent.task.values import AskedArm, AskedChange, Specified, Stated, Withheld


@dataclass(frozen=True, slots=True)
class Task:
    """An issue understood.

    `criteria` are texts like `sft:peak_memory_b<=1.1`, in one spelling; `sft:primary>=1.3` waits for
    `criteria.resolved`; `stated` are criteria that no benchmark decides. `loss_band` is a share.
    `withheld` are changes that must not be applied; `protected` are `path:key` that no change may touch,
    `unchanged` what else must not change, in the author's words: withheld changes are in one or the other.
    `protocol` is what is said of the runs: shown beside what was done, never applied. `report` and
    `follow_ups` are for people.
    """

    baseline: str
    optimized: str
    recipes: tuple[str, ...]
    arms: tuple[AskedArm, ...] = ()
    criteria: tuple[str, ...] = ()
    loss_band: float | None = None
    gpu_hours: float | None = None
    replicates: int | None = None
    changes: tuple[AskedChange, ...] = ()
    protected: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    context: str = ""
    kind: str = "infra"
    stated: tuple[Stated, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    protocol: tuple[Specified, ...] = ()
    report: tuple[str, ...] = ()
    follow_ups: tuple[str, ...] = ()

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What the changes promise; of what is scored, not of what decides."""
        return claims_of(self.changes, self.recipes)

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of what is asked; context and wording around it do not count.

        Of a promise its target counts, not its words; of a withheld change what must not change.
        """
        asked = asdict(self)
        for key in ("context", "withheld", "report", "follow_ups"):
            del asked[key]
        asked["changes"] = [[one.name, one.place, one.change] for one in self.changes]
        asked["protocol"] = [one.text for one in self.protocol]
        asked["claims"] = [
            [one.change, one.recipe, one.metric, one.relation, one.target]
            for one in self.claims
            if one.is_scorable
        ]
        return hashlib.sha256(canonical(asked).encode()).hexdigest()

"""The result of a job folder, computed from its raw runs, and its JSON form (schema 1, docs/json.md).

Reads `plan.json`, `host.json`, `floors.json`, `forecast.json`, `exit.json` and `runs/`; the stored
`result.json` is never read to compute anything. The same folder gives the same text, which is what
`paceline verify` rests on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.attribute import Attribution, attributions
from bench.compare import Comparison
from bench.epochs import EpochCost, epoch_costs
from bench.judge import Judgement, judge
from bench.phases import PhaseLedger, phase_ledgers
from bench.plan import Plan
from bench.record import read_runs
from bench.run import Run
from bench.score import Scored
from bench.verdict import ArmVerdict
from pods.paths import JobPaths

from agent.errors import TaskError
from agent.floors import Floor, floor_lines, floors_of, read_floors
from agent.forecast import Forecast, error_lines, read_forecasts

SCHEMA = 1
RESULT = "result.json"
REPORT = "report.md"
HOST = "host.json"


@dataclass(frozen=True, slots=True)
class Result:
    """`host` is what the runs were made on; `ended` how the job ended, None where it has not.

    `environments` are the installed packages by digest, `history` commits and changed files by arm,
    `unfit` the recipes whose arms could not run beside each other and `not_measured` the arms that could not
    be made, each with one line why. `floors`
    and `forecasts` are what was known of the machine's noise when the job was prepared.
    """

    folder: Path
    plan: Plan
    runs: tuple[Run, ...]
    judgement: Judgement
    host: Mapping[str, Any]
    ended: Mapping[str, Any] | None
    error: str
    environments: Mapping[str, Any]
    history: Mapping[str, Any]
    unfit: Mapping[str, str] = field(default_factory=dict)
    not_measured: Mapping[str, str] = field(default_factory=dict)
    floors: tuple[Floor, ...] | None = None
    forecasts: tuple[Forecast, ...] = ()

    @property
    def attributions(self) -> tuple[Attribution, ...]:
        """One a recipe where the plan names changes."""
        return attributions(
            self.plan,
            self.runs,
            floors=floors_of(self.floors, self.plan, self.runs),
            not_measured=self.not_measured,
            parities=self.judgement.parities,
        )

    @property
    def device(self) -> str:
        return str(self.host.get("device", ""))

    @property
    def judged_runs(self) -> tuple[Run, ...]:
        """Those up to the look at which everything was decided; all where there was none."""
        look = self.judgement.look
        counting = (run for run in self.runs if not run.set_aside)
        return tuple(run for run in counting if look is None or run.replicate <= look)

    @property
    def ledgers(self) -> tuple[PhaseLedger, ...]:
        return phase_ledgers(self.plan, self.judged_runs, self.judgement.comparisons)

    @property
    def epochs(self) -> tuple[EpochCost, ...]:
        return epoch_costs(self.plan, self.judged_runs, self.judgement.comparisons)

    @property
    def noise_lines(self) -> tuple[str, ...]:
        """What is known of the machine's noise, with its age, and how far the forecast from it was off."""
        plan, runs = self.plan, self.runs
        return (
            *floor_lines(self.floors, plan, runs, self.ended),
            *error_lines(self.forecasts, plan, runs, self.judgement, self.ended),
        )


def result_of(folder: Path) -> Result:
    """Raises TaskError where the folder is no job folder, or its plan is not the one it was made for."""
    paths = JobPaths(folder)
    if not paths.plan.is_file() or not paths.job.is_file():
        raise TaskError(f"{folder} is not a job folder: it has no plan.json and job.json")
    try:
        plan = Plan.from_dict(json.loads(paths.plan.read_text(encoding="utf-8")))
        meant = json.loads(paths.job.read_text(encoding="utf-8"))["plan"]
        runs = read_runs(paths.runs, plan)
    except (ValueError, KeyError, TypeError, AttributeError) as trouble:
        raise TaskError(f"{folder} cannot be read: {trouble!r}") from None
    if plan.hash != meant:
        raise TaskError(f"{paths.plan} was changed: its hash is {plan.hash[:12]}, the job's is {meant[:12]}")
    host = _json_of(folder / HOST) or {}
    error = (_json_of(paths.runs / "error.json") or {}).get("text", "")
    floors = read_floors(folder)
    not_measured = _json_of(paths.runs / "not_measured.json") or {}
    judgement = judge(
        plan,
        runs,
        floors=floors_of(floors, plan, runs),
        device=str(host.get("device", "")),
        unmade=not_measured,
    )
    return Result(
        folder=folder,
        plan=plan,
        runs=tuple(runs),
        judgement=judgement,
        host=host,
        ended=_json_of(paths.exit),
        error=error,
        environments=_json_of(paths.runs / "environments.json") or {},
        history=_json_of(paths.runs / "history.json") or {},
        unfit=_unfit(paths, plan),
        not_measured=not_measured,
        floors=floors,
        forecasts=read_forecasts(folder),
    )


def _unfit(paths: JobPaths[Path], plan: Plan) -> dict[str, str]:
    found = {recipe.name: _json_of(paths.runs / recipe.name / "engine.json") for recipe in plan.recipes}
    return {name: str(said.get("why", "")) for name, said in found.items() if said}


def _json_of(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def json_text(result: Result) -> str:
    return json.dumps(document_of(result), indent=1, allow_nan=False) + "\n"


def document_of(result: Result) -> dict[str, Any]:
    """The document that `--json` prints; see docs/json.md for every field."""
    judgement, plan = result.judgement, result.plan
    return {
        "schema": SCHEMA,
        "plan": plan.hash,
        "repo": plan.repo,
        "verdict": {"arm": judgement.verdict.arm, **_verdict(judgement.verdict)},
        "arms": {name: _verdict(verdict) for name, verdict in judgement.arms.items()},
        "commits": {arm.name: arm.commit for arm in plan.arms},
        "params": {arm.name: dict(arm.params) for arm in plan.arms},
        "reverts": {arm.name: list(arm.reverts) for arm in plan.arms if arm.reverts},
        "not_measured": dict(result.not_measured),
        "replicates": plan.replicates,
        "look": judgement.look,
        "confidence": judgement.confidence,
        "is_decided": judgement.is_decided,
        "unused": judgement.unused,
        "comparisons": [_comparison(comparison) for comparison in judgement.comparisons],
        "criteria": [_scored(scored) for scored in judgement.criteria],
        "claims": [_scored(scored) for scored in judgement.claims],
        "primaries": [_scored(scored) for scored in judgement.primaries],
        "equivalence": [asdict(parity) for parity in judgement.parities],
        "attributions": [asdict(one) for one in result.attributions],
        "runs": [_run(run) for run in result.runs],
        "phases": [asdict(ledger) for ledger in result.ledgers],
        "epochs": [asdict(cost) for cost in result.epochs],
        "host": dict(result.host),
        "ended": result.ended.get("outcome") if result.ended else None,
        "error": result.error or None,
    }


def _verdict(verdict: ArmVerdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome,
        "rule": verdict.rule,
        "reasons": [reason.text for reason in verdict.reasons],
        "warnings": list(verdict.warnings),
        "not_said": verdict.caveat,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {**asdict(comparison), "warnings": list(comparison.warnings)}


def _scored(scored: Scored) -> dict[str, Any]:
    return asdict(scored)


def _run(run: Run) -> dict[str, Any]:
    """The raw losses stay finite numbers or become null: JSON has no NaN."""
    return {
        "recipe": run.recipe,
        "arm": run.arm,
        "replicate": run.replicate,
        "set_aside": run.set_aside,
        "engine": run.engine,
        "outcome": run.outcome,
        "reason": run.reason,
        "wall_s": run.wall_s,
        "phases_s": dict(run.phases_s),
        "rows": run.rows,
        "steps": run.steps,
        "tokens": run.tokens,
        "padded_tokens": run.padded_tokens,
        "supervised_tokens": run.supervised_tokens,
        "first_loss": _finite(run.first_loss),
        "final_loss": _finite(run.final_loss),
        "eval": _eval(run),
        "peak_memory_b": _peak_memory_b(run),
        "memory": {phase: asdict(memory) for phase, memory in run.memory.items()},
        "gpu": asdict(run.gpu) if run.gpu else None,
        "harness_s": run.harness_s,
        "environment": run.environment,
        "is_self_reported": run.is_self_reported,
        "choices": [asdict(choice) for choice in run.choices],
        "warnings": list(run.warnings),
        "files": dict(run.files),
    }


def _eval(run: Run) -> dict[str, Any] | None:
    if run.eval is None:
        return None
    return {**asdict(run.eval), "loss": _finite(run.eval.loss), "before": _finite(run.eval.before)}


def _peak_memory_b(run: Run) -> float | None:
    from bench.metrics import BY_NAME
    from bench.sample import value

    sample = value(BY_NAME["peak_memory_b"], run)
    return run.peak_rss_b if sample is None else sample


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

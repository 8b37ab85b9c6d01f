"""`paceline attribute`: what each change of a range contributes, measured; or shown again from a job folder.

A range becomes changes (`changes.py`), those become the arms of an ordinary plan (`bench/attribute.py`), and
the job is measured as any other. Everything that is printed is computed from the job folder, whose plan names
the changes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.attribute import Attribution
from bench.attribution_table import attribution_table
from bench.metrics import BY_NAME
from bench.plan import Engine
from pods.shell import PodError

from agent.bench_command import completed, measured_here
from agent.changes import changes_of
from agent.errors import TaskError
from agent.planning import Planned, Request, plan_for
from agent.report import environment_of_templates
from agent.repository import Repository, open_repository
from agent.result import Result
from agent.sweeps import MOST_ARMS

SCHEMA = 1
FEWEST_CHANGES = 2
MOST_CHANGES = MOST_ARMS // 2


@dataclass(frozen=True, slots=True)
class Range:
    """What somebody asked to have taken apart: revisions, and a fixed number of replicates."""

    recipes: Sequence[str]
    baseline: str
    optimized: str
    replicates: int
    engine: Engine = "lockstep"


def attribute_here(asked: Range, repo: Path, *, as_json: bool) -> int:
    """Measure and print; the exit status. Raises TaskError and PodError."""
    repository = open_repository(repo)
    status, result = measured_here(planned_for(asked, repository), repository)
    print(attribution_text(result, as_json=as_json), end="")
    print(f"\npaceline: {result.folder}", file=sys.stderr)
    if status == 0 and result.error:
        raise PodError(result.error)
    return status


def planned_for(asked: Range, repository: Repository) -> Planned:
    """Raises TaskError."""
    baseline, tip = repository.commit_of(asked.baseline), repository.commit_of(asked.optimized)
    changes = changes_of(repository.line(baseline, tip))
    if len(changes) < FEWEST_CHANGES:
        raise TaskError(f"{changes[0].name!r} is the only change of this range: `paceline bench` measures it")
    if len(changes) > MOST_CHANGES:
        raise TaskError(
            f"{len(changes)} changes: at most {MOST_CHANGES}, each takes two arms; put commits together with"
            " a `Change: NAME` trailer, or take a shorter range"
        )
    request = Request(
        recipes=asked.recipes,
        baseline=baseline,
        optimized=tip,
        changes=changes,
        replicates=asked.replicates,
        engine=asked.engine,
    )
    return plan_for(request, repository)


def show_attribution(folder: Path, *, as_json: bool) -> None:
    """Print the attribution of a job that was measured. Raises TaskError."""
    print(attribution_text(completed(folder), as_json=as_json), end="")


def attribution_text(result: Result, *, as_json: bool) -> str:
    """The page, or the JSON document. Raises TaskError where the job attributes nothing."""
    found = attributed(result)
    if as_json:
        return json.dumps(document_of(result, found), indent=1, allow_nan=False) + "\n"
    template = environment_of_templates().get_template("attribution.md.j2")
    tables = [(one, BY_NAME[one.metric], attribution_table(one)) for one in found]
    return template.render(result=result, plan=result.plan, tables=tables)


def attributed(result: Result) -> tuple[Attribution, ...]:
    """Raises TaskError where the plan names no changes."""
    plan = result.plan
    if not plan.changes:
        raise TaskError(
            f"{result.folder} attributes nothing: its plan names no changes; see `paceline report`"
        )
    return result.attributions


def document_of(result: Result, found: Sequence[Attribution]) -> dict[str, Any]:
    """The document that `--json` prints; see docs/attribution.md for every field."""
    plan = result.plan
    return {
        "schema": SCHEMA,
        "plan": plan.hash,
        "repo": plan.repo,
        "baseline": plan.arms[0].commit,
        "optimized": plan.arms[1].commit,
        "replicates": plan.replicates,
        "arms": {arm.name: {"commit": arm.commit, "reverts": list(arm.reverts)} for arm in plan.arms},
        "attributions": [asdict(one) for one in found],
        "host": dict(result.host),
        "ended": result.ended.get("outcome") if result.ended else None,
        "error": result.error or None,
    }

"""What an issue promises and states beside its criteria, scored: a row a claim, and a stated criterion.

Pure. A claim is of one change: it is scored where the plan's only change is that one; where several are
measured together it is NOT MEASURED, and said how it would be. What no benchmark decides is decided by how
the runs ended or by the review, or is NOT MEASURED with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.metrics import BY_NAME
from bench.plan import Criterion
from bench.score import score
from bench.tables import Table

from agent.result import Result
from agent.task import Claim, Stated, Task
from agent.task.criteria import OPTIMIZED, PRIMARY

NOT_MEASURED = "NOT MEASURED"
LINT = ("lint", "format", "syntax")
"""Rules of the review."""
TOGETHER = "this run measures all changes together"


def promises_table(result: Result, task: Task | None, review: Mapping[str, Any]) -> Table:
    """`review` is the payload of the reviewer's verdict, empty where there is none."""
    header = ("what", "in the author's words", "score", "why")
    return Table("promises", header, tuple(_rows(result, task, review)))


def _rows(result: Result, task: Task | None, review: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    if task is None:
        return
    for claim in task.claims:
        for outcome, why in _claimed(result, task, claim):
            yield f"change {claim.change}", claim.text, outcome, why
    silent = {change.name for change in task.changes} - {claim.change for claim in task.claims}
    for change in task.changes:
        if change.name in silent:
            yield f"change {change.name}", change.expected or "-", NOT_MEASURED, "it promises no effect"
    for one in task.stated:
        yield "stated", one.text, *stated_score(result, one, review)


def _claimed(result: Result, task: Task, claim: Claim) -> Iterator[tuple[str, str]]:
    """One outcome and why for each recipe that the claim is of."""
    if not claim.is_scorable or claim.metric is None or claim.target is None:
        yield NOT_MEASURED, claim.why
        return
    if len(task.changes) > 1:
        yield NOT_MEASURED, TOGETHER
        return
    recipes = [one for one in result.plan.recipes if claim.recipe in (None, one.name)]
    if not recipes:
        yield NOT_MEASURED, f"recipe {claim.recipe} is not measured"
    for recipe in recipes:
        metric = recipe.primary if claim.metric == PRIMARY else claim.metric
        target, relation = claim.target, claim.relation
        if claim.metric == PRIMARY and BY_NAME[metric].better == "lower":
            target, relation = 1 / target, "<="
        asked = Criterion(recipe.name, OPTIMIZED, metric, relation, target, claim.text)
        found = next(
            (
                one
                for one in result.judgement.comparisons
                if (one.recipe, one.arm, one.metric) == (recipe.name, OPTIMIZED, metric)
            ),
            None,
        )
        scored = score(asked, found)
        yield scored.score, f"{recipe.name}: {scored.reason}"


def stated_score(result: Result, stated: Stated, review: Mapping[str, Any]) -> tuple[str, str]:
    """The outcome of a criterion that no benchmark decides, and what decided it."""
    match stated.check:
        case "outcomes":
            bad = [run for run in result.judged_runs if not run.is_well]
            if not result.judged_runs:
                return NOT_MEASURED, "no run was made"
            if bad:
                return "NOT MET", f"{bad[0].place}: {bad[0].outcome}"
            return "MET", "every run ended well"
        case "lint":
            return _by_review(review, LINT, "ruff says nothing new of the touched files")
        case "changes":
            states = {name: status for name, status, _ in review.get("changes", ())}
            missing = [name for name, status in states.items() if status != "LANDED"]
            if not states:
                return NOT_MEASURED, "the review looked for no change"
            told = f"not shown to have landed: {', '.join(missing)}" if missing else "all of them landed"
            return ("NOT MET", told) if missing else ("MET", told)
        case _:
            return NOT_MEASURED, "no check of ours decides it"


def _by_review(review: Mapping[str, Any], rules: tuple[str, ...], clean: str) -> tuple[str, str]:
    if review.get("outcome") is None or not review.get("ruff"):
        return NOT_MEASURED, "nothing was reviewed"
    found = {rule: count for rule, count in review.get("findings", {}).items() if rule in rules}
    told = ", ".join(f"{count} of {rule}" for rule, count in found.items())
    return ("NOT MET", f"the review has findings: {told}") if found else ("MET", clean)

"""The closing note of a task: what was asked against what was seen, what did not change, what is left to do.

Pure. Figures come from the verdict's marker, whose payload is signed; follow-ups are a list that is ready to
be filed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.tables import Table

from agent.bodies import rendered
from agent.ledger import Ledger, Said
from agent.report import escaped, in_code
from agent.task import Task

MET = "MET"
REGRESSION = 3
"""The rule of the verdict under which metrics got worse that nobody asked about, and work that only moved."""
MOST = 30


def closing_text(ledger: Ledger, verdict: Said, task: Task | None) -> str:
    payload = verdict.marker.payload
    reviewed = ledger.review_for(str(payload.get("plan", "")))
    review = reviewed.marker.payload if reviewed else {}
    rows = tuple(
        (text, arm, observed, score)
        for (text, arm, score), observed in zip(
            payload.get("criteria", ()), payload.get("observed", ()), strict=False
        )
    )
    return rendered(
        "comments/closing.md.j2",
        outcome=payload.get("outcome", "?"),
        criteria=Table("closing", ("asked", "arm", "observed", "status"), rows),
        unchanged=tuple(_unchanged(review, task))[:MOST],
        follow_ups=tuple(dict.fromkeys(_follow_ups(payload, review, task)))[:MOST],
    )


def _unchanged(review: Mapping[str, Any], task: Task | None) -> Iterator[str]:
    for name, state in review.get("held", ()):
        yield f"`{in_code(name)}`: {escaped(state)}"
    for one in task.unchanged if task else ():
        yield f"{escaped(one)} (in the author's words: no rule checks it)"


def _follow_ups(payload: Mapping[str, Any], review: Mapping[str, Any], task: Task | None) -> Iterator[str]:
    for text, arm, score in payload.get("criteria", ()):
        if score != MET:
            yield f"`{in_code(text)}` of {escaped(arm)} is {score}"
    texts = [text for text, _, _ in payload.get("criteria", ())]
    for rule, outcome, detail in payload.get("reasons", ()):
        # A criterion is a follow-up already.
        if rule == REGRESSION and not any(f"{text}: " in detail for text in texts):
            yield f"{outcome}: {escaped(detail)}"
    for name, status, _ in review.get("changes", ()):
        if status != "LANDED":
            yield f"change {escaped(name)} is {escaped(status)} in the commits"
    for name, state in review.get("held", ()):
        if state != "untouched":
            yield f"`{in_code(name)}` was to stay as it is, and is {escaped(state)}"
    for held in task.withheld if task else ():
        yield f"{escaped(held.name)}: {escaped(held.change)} (left out here: {escaped(held.why)})"
    for known in task.follow_ups if task else ():
        yield escaped(known)

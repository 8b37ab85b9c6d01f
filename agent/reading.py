"""What has to be read before the next step of an issue can be decided: no more than its row may need.

Pure, and level-triggered like `decide.py`, whose rows it knows. A plan costs a dozen requests to the tracker,
a job a process on its machine; an issue at rest costs nothing.
"""

from __future__ import annotations

from typing import Literal

from pods.job import Absent, Finished, Prepared

from agent.ledger import State
from agent.planning import Planned
from agent.situation import Situation

Need = Literal["job", "results", "slot", "plan", "approval"]


def needs(now: Situation) -> frozenset[Need]:
    """What has to be read before this can be decided; for an issue at rest nothing.

    Read in the order of `Need`, and asked again after each: what is known may make the rest needless.
    """
    state = now.state
    if not now.is_wanted:
        return frozenset({"job"}) if state and state.intent and not now.has_verdict else frozenset()
    if now.ledger.broken:
        return frozenset()
    if state is None:
        return frozenset({"plan", "approval"})
    if state.body != now.body:
        return _needs_of_new_text(now)
    if now.has_verdict:
        return frozenset()
    match state.stage:
        case "waiting":
            return frozenset({"plan", "approval"})
        case "approved":
            return _needs_of_approved(now, state)
        case "intent" | "running":
            return _needs_of_intended(now)
        case "stopped" if now.may_start_again or now.ledger.is_retried:
            return frozenset({"plan", "approval"})
        case _:
            return frozenset()


def _needs_of_new_text(now: Situation) -> frozenset[Need]:
    if now.is_only_wording:
        return frozenset()
    return frozenset({"job"} if now.has_work else {"plan", "approval"})


def _needs_of_intended(now: Situation) -> frozenset[Need]:
    is_to_start = isinstance(now.observed, Absent | Prepared)
    found: frozenset[Need] = frozenset({"job", "plan"} if is_to_start else {"job"})
    return found | {"results"} if now.unjudged else found


def _needs_of_approved(now: Situation, state: State) -> frozenset[Need]:
    if now.unjudged is not None and isinstance(now.measured, Finished | None):
        return frozenset({"results"})
    if not now.is_slot_free:
        return frozenset({"slot"})
    has_moved_on = isinstance(now.planned, Planned) and now.planned.plan.hash != state.plan
    return frozenset({"slot", "plan", "approval"} if has_moved_on else {"slot", "plan"})

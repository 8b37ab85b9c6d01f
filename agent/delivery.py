"""Brings what a job left to where people can look at it: the results branch, a local folder, or both.

Written before `results` is posted, so that the comment can link it. A place that refuses for good is told in
the comment and does not keep the results back; one that may take them later is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pods.supervisor.redact import Redactor

from agent.branch import Bundle, folder_of, links_of, payload_of
from agent.branch_files import read_bundle, write_local
from agent.effects import effect
from agent.errors import TaskError
from agent.ledger import Intent
from agent.look import Look
from agent.report import escaped, in_code
from agent.result import Result
from agent.tracker import Limited, Revoked, TrackerError, Unsure


@dataclass(frozen=True, slots=True)
class Delivered:
    """`lines` say where the files are, or why they are not; `payload` names them by digest."""

    lines: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)


def deliver(look: Look, result: Result, intent: Intent) -> Delivered:
    """Raises TrackerError where another try may do; nothing is written twice."""
    operator = look.desk.operator
    if not operator.results_branch and not operator.results_folder:
        return Delivered()
    folder = folder_of(look.number, result.plan.hash, intent.attempt)
    try:
        bundle = read_bundle(result, folder, cleaner(look.desk.keys[0].hidden))
    except TaskError as error:
        return Delivered((f"the files could not be read: {escaped(str(error))}",))
    lines: list[str] = []
    payload: dict[str, Any] = {}
    if operator.results_folder:
        lines.append(_local(look, bundle))
    if operator.results_branch:
        on_branch = _on_branch(look, bundle, operator.results_branch)
        lines += on_branch.lines
        payload |= on_branch.payload
    lines += [f"left out: `{in_code(name)}` ({escaped(why)})" for name, why in bundle.left_out.items()]
    return Delivered(tuple(lines), payload)


def cleaner(secrets: Collection[str]) -> Callable[[bytes], bytes]:
    """Takes secrets out of a whole file."""

    def clean(content: bytes) -> bytes:
        redactor = Redactor(secrets)
        return redactor.feed(content) + redactor.end()

    return clean


def _local(look: Look, bundle: Bundle) -> str:
    root = look.desk.operator.results_folder
    assert root is not None
    try:
        with effect("write folder"):
            where = write_local(root, bundle.folder, bundle.files)
    except (TaskError, TrackerError) as error:
        return f"the results folder could not be written: {escaped(str(error))}"
    return f"in the agent's results folder: `{in_code(str(where))}`"


def _on_branch(look: Look, bundle: Bundle, branch: str) -> Delivered:
    tracker = look.desk.tracker
    message = f"results of #{look.number}: {bundle.folder}"
    try:
        with effect("write branch"):
            commit = tracker.write_files(branch, bundle.folder, bundle.files, message)
    except (Unsure, Limited, Revoked):
        raise
    except TrackerError as error:
        return Delivered((f"the results branch could not be written: {escaped(str(error))}",))
    first, *others = links_of(tracker.page(), commit, bundle)
    links = [f"[all files]({first.address})", *(f"[{escaped(one.name)}]({one.address})" for one in others)]
    return Delivered((", ".join(links),), {"files": payload_of(bundle, branch, commit)})

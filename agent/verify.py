"""Recomputes a job folder from its raw runs and names every place that does not agree.

Three questions: is each raw file the one that was measured (digests of the exit records); does the stored
`result.json` say what the runs give; is the stored `report.md` what the result prints.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from bench.events import read_events
from bench.worker.files import sha256_of

from agent.errors import TaskError
from agent.marker import Marker, unverified
from agent.report import report_text
from agent.result import REPORT, RESULT, Result, document_of, result_of
from agent.result_bodies import results_text, verdict_text
from agent.task import Task, parse_task

MOST_LINES = 20


def differences(folder: Path) -> list[str]:
    """One line a difference, at most 20; none where everything is identical. Raises TaskError.

    `folder` is a job's, or an agent's workspace: then every job that has a result is verified, and what lies
    beside them (`report.json`, the comments in `issue.json`) is held against it.
    """
    if (folder / "jobs").is_dir() and not (folder / "plan.json").exists():
        return _bounded(_workspace(folder))
    return _bounded(_job(folder))


def _bounded(found: list[str]) -> list[str]:
    if len(found) > MOST_LINES:
        return [*found[:MOST_LINES], f"and {len(found) - MOST_LINES} more"]
    return found


def _workspace(folder: Path) -> list[str]:
    """Raises TaskError where no job has a result."""
    jobs = sorted(path.parent for path in (folder / "jobs").glob(f"*/{RESULT}"))
    if not jobs:
        raise TaskError(f"{folder} holds no job that has a result")
    found = [f"jobs/{job.name}/{line}" for job in jobs for line in _job(job)]
    results = [result_of(job) for job in jobs]
    if (folder / "report.json").exists():
        found += _report_json(folder / "report.json", results)
    if (folder / "issue.json").exists():
        found += _comments(folder / "issue.json", results)
    return found


def _report_json(path: Path, results: Sequence[Result]) -> Iterator[str]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        result = {result.plan.hash: result for result in results}[stored["plan"]]
    except (ValueError, KeyError, TypeError) as error:
        yield f"{path.name}: cannot be read, or of another plan: {error!r}"
        return
    for place, said, given in _unlike("", stored, json.loads(json.dumps(document_of(result)))):
        yield f"{path.name}: {place} is {_short(said)}, the runs give {_short(given)}"


def _comments(path: Path, results: Sequence[Result]) -> Iterator[str]:
    """The text of every results and verdict marker is made anew from the runs of its job; older ones name
    only their plan."""
    document = json.loads(path.read_text(encoding="utf-8"))
    markers = [unverified(comment["body"]) for comment in document["comments"]]
    asked = parse_task(document["issue"]["body"] or "", _answers(markers))
    for marker in markers:
        if marker is None or marker.kind not in ("results", "verdict"):
            continue
        place = f"{path.name}: {marker.kind} v{marker.version}"
        plan, job = marker.payload.get("plan"), marker.payload.get("job")
        told = [one for one in results if one.plan.hash == plan and job in (None, one.folder.name)]
        if not told:
            yield f"{place}: no stored runs of its {'job' if job else 'plan'}"
            continue
        result = told[-1]
        hours, earlier_h = (float(marker.payload.get(key, 0.0)) for key in ("gpu_hours", "earlier_h"))
        task = asked if isinstance(asked, Task) else None
        is_results = marker.kind == "results"
        files = marker.payload.get("where", ())
        text = (
            results_text(result, hours, earlier_h, files=files, task=task)
            if is_results
            else verdict_text(result, task, _review(markers, result.plan.hash))
        )
        for number, (said, given) in enumerate(
            zip_longest(marker.text.split("\n"), text.split("\n"), fillvalue=""), start=1
        ):
            if said.rstrip() != given.rstrip():
                yield f"{place}: line {number} is {_short(said)}, the runs give {_short(given)}"


def _answers(markers: Sequence[Marker | None]) -> dict[str, str]:
    """What `/set` gave, by key, as the agent's notes have it."""
    settings = (one for marker in markers if marker for one in marker.payload.get("settings", ()))
    return {one["key"]: one["value"] for one in settings}


def _review(markers: Sequence[Marker | None], plan: str) -> Mapping[str, Any]:
    """What the reviewer said of a plan."""
    found = [one for one in markers if one is not None and one.kind == "reviewer-verdict"]
    return next((one.payload for one in reversed(found) if one.payload.get("plan") == plan), {})


def _job(folder: Path) -> list[str]:
    result = result_of(folder)
    if not (folder / RESULT).is_file():
        why = "was never summed up" if result.ended else "has not ended"
        raise TaskError(f"{folder} has no {RESULT}: the job {why}; see `paceline report`")
    return [*_raw_files(result), *_document(result), *_report(result)]


def _raw_files(result: Result) -> Iterator[str]:
    measured = {run.place for run in result.runs}
    last = result.judgement.look or result.plan.replicates  # a job may end at the look that decides
    for replicate, recipe, arms in result.plan.rounds():
        for arm in arms:
            own = f"{recipe.name}/{replicate}/{arm.name}"
            place = f"runs/{own}"
            is_owed = _has_finished(result) and replicate <= last and arm.name not in result.not_measured
            if own not in measured and (is_owed or (result.folder / place).exists()):
                yield f"{place}/exit.json: missing"
    for run in result.runs:
        place = f"runs/{run.place}"
        for name, digest in run.files.items():
            path = result.folder / place / name
            if not path.is_file():
                yield f"{place}/{name}: missing"
            elif sha256_of(path) != digest:
                yield f"{place}/{name}: not the file that was measured{_where(path)}"


def _has_finished(result: Result) -> bool:
    """Whether every run of the plan must be there: the worker came to its end and met no error."""
    return result.ended is not None and result.ended.get("outcome") == "finished" and not result.error


def _where(path: Path) -> str:
    """For events, the line at which the chain breaks."""
    if path.name != "events.jsonl":
        return ""
    record = json.loads((path.parent / "exit.json").read_text(encoding="utf-8"))
    key = record["key"] if record["events"] == "hook" else None
    why = read_events(path.read_bytes(), key).why
    return f": {why}" if why else ""


def _document(result: Result) -> Iterator[str]:
    try:
        stored = json.loads((result.folder / RESULT).read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"{RESULT}: not JSON: {error}"
        return
    # Through JSON and back, so that tuples and numbers compare as they were stored.
    computed = json.loads(json.dumps(document_of(result)))
    for place, said, given in _unlike("", stored, computed):
        yield f"{RESULT}: {place} is {_short(said)}, the runs give {_short(given)}"


def _unlike(place: str, stored: Any, computed: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(stored, dict) and isinstance(computed, dict):
        for key in [*computed, *(key for key in stored if key not in computed)]:
            inner = f"{place}.{key}" if place else str(key)
            yield from _unlike(inner, stored.get(key), computed.get(key))
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for number, (one, other) in enumerate(zip(stored, computed, strict=True)):
            yield from _unlike(f"{place}[{number}]", one, other)
    elif stored != computed:
        yield place, stored, computed


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _report(result: Result) -> Iterator[str]:
    try:
        stored = (result.folder / REPORT).read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        yield f"{REPORT}: missing"
        return
    computed = report_text(result).split("\n")
    for number, (said, given) in enumerate(zip(stored, computed, strict=False), start=1):
        if said != given:
            yield f"{REPORT}: line {number} is {_short(said)}, the runs give {_short(given)}"
    if len(stored) != len(computed):
        yield f"{REPORT}: {len(stored)} lines, the runs give {len(computed)}"

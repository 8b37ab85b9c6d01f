"""Starts the job of an intent on its pod: last look, files, lease, supervisor; each part may be repeated.

On a pod that cannot fetch the repository by itself the commits travel with the job. What the pod lacks is
found before anything is put there. Nothing is posted here.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pods import job
from pods.preflight import install, preflight
from pods.shell import NoSuchFile, PodError, Refused

from agent.bundle import NAME, bundle_of
from agent.dispatch import Place, files_of, spec_of
from agent.effects import effect
from agent.floors import known_noise
from agent.forecast import noise_files
from agent.ledger import Intent
from agent.planning import Planned
from agent.result import HOST
from agent.yard import Bench, Yard, host_of, packages_of


@dataclass(frozen=True, slots=True)
class Begun:
    """`warnings` are about noise that could not be read."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Somebody else has the slot: no attempt is spent."""

    why: str


@dataclass(frozen=True, slots=True)
class Lacking:
    """The pod cannot do it: an attempt is spent, the next one goes elsewhere if it can."""

    why: str


def begin(
    yard: Yard, planned: Planned, intent: Intent, source: str, limit_s: float, now: datetime
) -> Begun | NotTaken | Lacking:
    """Raises PodError: then it may be repeated."""
    bench = yard.bench(intent.pod)
    found_slot = yard.slot(intent.pod, intent.slot)
    if found_slot is None:
        return Lacking(f"slot {intent.slot}: the pod was replaced, or its GPU")
    state, slot = found_slot
    if slot.busy and PurePosixPath(slot.holder).name != intent.job:  # a pod resolves links in its paths
        _drop(bench, intent.job)
        return NotTaken(slot.busy)
    origin, bundle = source, b""
    added: frozenset[str] = frozenset()
    if not bench.is_here:
        packages = packages_of(planned.plan)
        found = preflight(bench.shell, state, intent.slot, packages, source)
        missing = [lack.package for lack in found.lacks if lack.package]
        if bench.may_install:
            added = _added(bench) | {*missing}
        if missing and bench.may_install:
            # Noted before it is done, so that no kill hides it.
            bench.shell.put(_added_path(bench), json.dumps(sorted(added)).encode())
            install(bench.shell, missing)
            found = preflight(bench.shell, state, intent.slot, packages, source)
        added &= {*packages}
        if found.lacks:
            return Lacking("; ".join(map(str, found.lacks)))
        if not found.reaches:
            origin = str(bench.paths(intent.job).root / "inputs" / NAME)
            bundle = bundle_of(planned.plan, source, yard.here)
    host = host_of(state, slot) | ({"added": sorted(added)} if added else {})
    return _begun(bench, planned, intent, host, (origin, bundle), limit_s, now)


def _begun(
    bench: Bench,
    planned: Planned,
    intent: Intent,
    host: dict[str, Any],
    source: tuple[str, bytes],
    limit_s: float,
    now: datetime,
) -> Begun | NotTaken | Lacking:
    plan, paths, (origin, bundle) = planned.plan, bench.paths(intent.job), source
    place = Place(paths, intent.slot, bench.machine, bench.workspace, bench.shell.python)
    spec = spec_of(plan, intent.job, place)
    spec = replace(spec, limit_s=min(spec.limit_s, limit_s))
    known = known_noise(bench.shell, bench.machine, intent.slot, host, plan, now)
    files = files_of(plan, origin, planned.eval_rows, place)
    files |= noise_files(known.noise, plan)
    files[HOST] = (json.dumps(host, indent=1, sort_keys=True) + "\n").encode()
    files |= {f"inputs/{NAME}": bundle} if bundle else {}
    try:
        with effect("prepare"):
            job.prepare(bench.shell, spec, files)
        with effect("take"):
            taken = job.take(bench.shell, paths, bench.machine, spec.slot)
    except Refused as error:
        with contextlib.suppress(PodError):
            _drop(bench, intent.job)
        return Lacking(str(error))
    if isinstance(taken, job.Held):
        _drop(bench, intent.job)
        return NotTaken(taken.why)
    with effect("launch"):
        launched = job.launch(bench.shell, paths)
    if isinstance(launched, job.NotLaunched):
        return Begun((*known.warnings, f"not launched: {launched.why}"))
    return Begun(known.warnings)


def _added_path(bench: Bench) -> PurePosixPath | Path:
    return bench.workspace / "added.json"


def _added(bench: Bench) -> frozenset[str]:
    """The packages that were ever installed for jobs into the pod's own environment."""
    try:
        return frozenset(json.loads(bench.shell.get(_added_path(bench), 1 << 20)))
    except NoSuchFile:
        return frozenset()


def _drop(bench: Bench, name: str) -> None:
    """The folder of a job that will not be: it ends as one that did not start, so that it may go."""
    if not isinstance(job.observe(bench.shell, bench.paths(name)), job.Absent):
        job.cancel(bench.shell, bench.paths(name))

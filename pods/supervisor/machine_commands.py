"""The subcommands that ask or change a machine rather than one job; each answers with one dict.

lease take|release|show|lift --machine DIR [--slot NAME] [--job JOB] [--token T] [--start-within-s S]
noise --machine DIR [--unit NAME]
probe --machine DIR --workspace DIR --ask JSON [--limit-s S] (argument lists by name)
jobs --machine DIR --workspace DIR (and which slots are held)
preflight --python PATH --source URL [--gpu UUID] [--package NAME]...
bootstrap --machine DIR --workspace DIR
tidy --workspace DIR [--job NAME]... [--environment NAME]... (without names: what there is)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from . import bootstrap, lease, noise, preflight, probe, quarantine, tidy
from .paths import MachinePaths

Commands = Any
"""What argparse's `add_subparsers` gives: it has no public name."""


def add_to(commands: Commands) -> None:
    leases = _new(commands, "lease", _lease)
    leases.add_argument("action", choices=("take", "release", "show", "lift"))
    leases.add_argument("--machine", required=True)
    for name in ("--slot", "--job", "--token"):
        leases.add_argument(name)
    leases.add_argument("--start-within-s", type=float, default=lease.START_WITHIN_S)
    noises = _new(commands, "noise", lambda one: noise.show(_machine(one), one.unit))
    noises.add_argument("--machine", required=True)
    noises.add_argument("--unit")
    asked = _new(commands, "probe", _probe)
    for name in ("--machine", "--workspace", "--ask"):
        asked.add_argument(name, required=True)
    asked.add_argument("--limit-s", type=float, default=20.0)
    jobs = _new(commands, "jobs", lambda one: probe.under_way(_machine(one), Path(one.workspace)))
    for name in ("--machine", "--workspace"):
        jobs.add_argument(name, required=True)
    checks = _new(commands, "preflight", _preflight)
    checks.add_argument("--python", required=True)
    checks.add_argument("--source", required=True)
    checks.add_argument("--gpu")
    checks.add_argument("--package", action="append", default=[])
    boot = _new(commands, "bootstrap", lambda one: bootstrap.bootstrap(_machine(one), Path(one.workspace)))
    boot.add_argument("--machine", required=True)
    boot.add_argument("--workspace", required=True)
    tidies = _new(commands, "tidy", _tidy)
    tidies.add_argument("--workspace", required=True)
    tidies.add_argument("--job", action="append", default=[])
    tidies.add_argument("--environment", action="append", default=[])


def _new(commands: Commands, name: str, answer: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, allow_abbrev=False)
    parser.set_defaults(answer=answer)
    return parser


def _probe(arguments: argparse.Namespace) -> dict[str, Any]:
    asked = json.loads(arguments.ask)
    return probe.probe(_machine(arguments), Path(arguments.workspace), asked, arguments.limit_s)


def _preflight(arguments: argparse.Namespace) -> dict[str, Any]:
    return preflight.preflight(arguments.python, arguments.package, arguments.source, arguments.gpu)


def _tidy(arguments: argparse.Namespace) -> dict[str, Any]:
    workspace = Path(arguments.workspace).resolve()
    if arguments.job or arguments.environment:
        return tidy.remove(workspace, arguments.job, arguments.environment)
    return tidy.listed(workspace)


def _lease(arguments: argparse.Namespace) -> dict[str, Any]:
    machine = _machine(arguments)
    if arguments.action == "show":
        shown = lease.show(machine, arguments.slot, arguments.start_within_s)
        return {**shown, "quarantine": quarantine.show(machine)}
    if arguments.slot is None:
        raise ValueError("--slot is missing")
    if arguments.action == "take":
        if arguments.job is None:
            raise ValueError("--job is missing")
        return lease.take(machine, arguments.slot, Path(arguments.job).resolve(), arguments.start_within_s)
    if arguments.action == "lift":
        return {"lifted": quarantine.lift(machine, arguments.slot)}
    if arguments.token is None:
        raise ValueError("--token is missing")
    return lease.release(machine, arguments.slot, arguments.token)


def _machine(arguments: argparse.Namespace) -> MachinePaths[Path]:
    return MachinePaths(Path(arguments.machine).resolve())

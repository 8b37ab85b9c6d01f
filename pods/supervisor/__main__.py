"""`python supervisor.pyz SUBCOMMAND`: reads argument lists, answers with one JSON line on standard output.

own --log FILE --log-limit-b N [--limit-s S] [--grace-s S] [--gentle-s S] [--cwd DIR] [--started DIR]
    [--parent PID] [--orders] -- ARGV...
run JOB | spawn JOB | state JOB | cancel JOB [--wait-s S] | unpack JOB (a zip on standard input)
files JOB | pack JOB (names on standard input, separated by NUL; answers with a zip)
Those of the machine are in machine_commands.py.

Exit status: 0 answered, 2 wrong arguments, 3 refused or failed with one line on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import files, launch, machine_commands, owner, record, state, supervise, unpack


def main(argv: list[str]) -> int:
    argv, command = _split(argv)
    arguments = _parser().parse_args(argv)
    try:
        if arguments.subcommand == "pack":
            names = sys.stdin.buffer.read().decode(errors="surrogateescape").split("\0")
            files.pack(Path(arguments.job).resolve(), names, sys.stdout.buffer)
            return 0
        answer = _answer(arguments, command)
    except (supervise.Refused, record.BrokenRecord, ValueError, OSError) as error:
        sys.stderr.write(f"supervisor: {arguments.subcommand}: {error}\n")
        return 3
    with contextlib.suppress(OSError):  # whoever asked may have gone; what was to be done is done
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


def _answer(arguments: argparse.Namespace, command: list[str]) -> dict[str, Any]:
    if arguments.subcommand == "own":
        return owner.own(_order(arguments, command))
    if (answer := getattr(arguments, "answer", None)) is not None:
        return dict(answer(arguments))
    job = Path(arguments.job).resolve()
    if arguments.subcommand == "files":
        return files.listed(job)
    if arguments.subcommand == "run":
        return supervise.run(job)
    if arguments.subcommand == "spawn":
        return launch.spawn(job)
    if arguments.subcommand == "state":
        return state.state(job)
    if arguments.subcommand == "cancel":
        return state.cancel(job, arguments.wait_s)
    return unpack.unpack(job, io.BytesIO(sys.stdin.buffer.read()))


def _order(arguments: argparse.Namespace, command: list[str]) -> owner.Order:
    if not command:
        raise ValueError("no command after --")
    return owner.Order(
        argv=tuple(command),
        log=arguments.log,
        log_limit_b=arguments.log_limit_b,
        limit_s=arguments.limit_s,
        parent=arguments.parent if arguments.parent is not None else os.getppid(),
        grace_s=arguments.grace_s,
        gentle_s=arguments.gentle_s,
        cwd=arguments.cwd,
        started=arguments.started,
        has_orders=arguments.orders,
    )


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first `--`."""
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="supervisor.pyz", allow_abbrev=False)
    commands = parser.add_subparsers(dest="subcommand", required=True)
    own = commands.add_parser("own", allow_abbrev=False)
    own.add_argument("--log", type=Path, required=True)
    own.add_argument("--log-limit-b", type=int, required=True)
    own.add_argument("--limit-s", type=float)
    own.add_argument("--grace-s", type=float, default=10.0)
    own.add_argument("--gentle-s", type=float, default=0.0)
    own.add_argument("--cwd", type=Path)
    own.add_argument("--started", type=Path)
    own.add_argument("--parent", type=int)
    own.add_argument("--orders", action="store_true")
    for name in ("run", "spawn", "state", "unpack", "files", "pack"):
        commands.add_parser(name, allow_abbrev=False).add_argument("job")
    cancel = commands.add_parser("cancel", allow_abbrev=False)
    cancel.add_argument("job")
    cancel.add_argument("--wait-s", type=float)
    machine_commands.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command `python -m agent.hub`: makes what is asked for, prints the address, serves until TERM.

Exit status: 0 ended by TERM or INT; 2 what was asked cannot be done (one line says why). A token is never an
argument, where others could read it: it comes from a file, or goes into a new one with mode 0600.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent.hub.database import DatabaseError
from agent.hub.faults import ordered_from_outside
from agent.hub.rate import PEOPLE_LIMIT
from agent.hub.serve import Hub, Listen, ServeError

EXAMPLE = """example:
  python -m agent.hub --db tracker.db --port 8000 --repo acme/target=./target \\
    --role acme/target:ada=write --token-file ada=ada.token
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m agent.hub",
        description="A tracker in a box that speaks GitHub's REST API.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--db", type=Path, required=True, metavar="PATH", help="the tracker's file; made where it is missing")
    add("--port", type=int, default=0, metavar="N", help="0 (the default) takes a free one")
    add("--listen", metavar="ADDRESS", help="another address than loopback")
    add("--public-url", metavar="URL", help="how others reach a hub that listens elsewhere")
    for name, what in (("--repo", "a public"), ("--private-repo", "a private")):
        told = f"{what} repository on a git repository of this disk"
        add(name, action="append", default=[], metavar="OWNER/NAME=PATH", help=told)
    add("--role", action="append", default=[], metavar="OWNER/NAME:LOGIN=ROLE", help="read ... admin")
    told = "a token of a user: read from the file, or made and written there"
    add("--token-file", action="append", default=[], metavar="LOGIN=FILE", help=told)
    add("--rate-limit", type=int, default=PEOPLE_LIMIT, metavar="N", help="requests an hour and person")
    add("--test-faults", action="store_true", help="for tests only: take orders at /_faults to fail")
    return made


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    if given.test_faults and given.listen:
        return _told("--test-faults is for loopback only")
    listen = Listen(given.port, given.listen, given.public_url)
    around = ordered_from_outside if given.test_faults else None
    try:
        hub = Hub(
            given.db,
            listen=listen,
            rate_limit=given.rate_limit,
            around=around,
        )
    except (ServeError, DatabaseError) as error:
        return _told(str(error))
    try:
        _prepare(hub, given)
    except (ValueError, OSError) as error:
        hub.close()
        return _told(str(error))
    hub.serve(lambda address: print(address, flush=True))
    return 0


def _prepare(hub: Hub, given: argparse.Namespace) -> None:
    for is_private, texts in ((False, given.repo), (True, given.private_repo)):
        for text in texts:
            name, path = _pair(text, "OWNER/NAME=PATH")
            hub.admin.repository(name, Path(path), is_private=is_private)
    for text in given.role:
        whose, role = _pair(text, "OWNER/NAME:LOGIN=ROLE")
        name, _, login = whose.partition(":")
        hub.admin.role(name, login, role)
    for text in given.token_file:
        login, path = _pair(text, "LOGIN=FILE")
        _token(hub, login, Path(path))


def _token(hub: Hub, login: str, path: Path) -> None:
    if path.exists():
        token = path.read_text(encoding="utf-8").strip()
        if len(token) < 20:
            raise ValueError(f"{path} holds no token: it needs 20 characters or more")
        hub.admin.token(login, text=token)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(hub.admin.token(login) + "\n")


def _pair(text: str, form: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise ValueError(f"{text!r} is not {form}")
    return left, right


def _told(message: str) -> int:
    print(f"paceline hub: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

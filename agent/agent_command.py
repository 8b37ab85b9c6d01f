"""`paceline agent`, `status`, `watch` and `cancel`: the operator's file opened, the work handed on."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import sys
import threading
from pathlib import Path

from agent import talk
from agent.desk import open_desk
from agent.gather import Desk
from agent.labels import to_ensure
from agent.loop import Loop, utc_now
from agent.operator import CONFIG_NAME, LABEL, Operator, read_operator


def run_agent(config: Path, *, once: bool, is_dry: bool) -> int:
    """Until TERM, after the tick that is under way, or INT, at once: 130. Jobs go on when this process ends,
    and are found again."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    operator = _operator(config)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a background shell ignores it
    try:
        with open_desk(operator) as desk:
            _run(desk, stop, once=once, is_dry=is_dry)
    except KeyboardInterrupt:
        _say(f"stopped; jobs go on where they run. Carry on: {shlex.join(_again(config))}")
        return 130
    return 0


def _run(desk: Desk, stop: threading.Event, *, once: bool, is_dry: bool) -> None:
    if not is_dry:
        label = desk.operator.label
        desk.tracker.ensure_labels([(label, *LABEL[1:]), *to_ensure(label)])
    loop = Loop(desk, utc_now, _say, is_dry=is_dry)
    if once:
        loop.tick()
        return
    _say(f"{desk.tracker.repository} as {desk.me.login}: every {desk.operator.poll_s:g} s")
    loop.run(stop)


def _again(config: Path) -> list[str]:
    return ["paceline", "agent", *(() if str(config) == CONFIG_NAME else ("--config", str(config)))]


def show_status(config: Path, *, as_json: bool) -> None:
    with open_desk(_operator(config), has_pods=False) as desk:
        if as_json:
            print(json.dumps({"schema": 1, "issues": talk.status_dicts(desk)}, indent=1))
            return
        for line in talk.lines_of(talk.statuses(desk)):
            print(line)


def watch_issue(config: Path, number: int) -> None:
    with open_desk(_operator(config), has_pods=False) as desk:
        talk.watch(desk, number, _say)


def show_issue_logs(config: Path, number: int, run: str | None, *, follow: bool) -> None:
    from agent.logs_command import show_logs

    with open_desk(_operator(config)) as desk:
        show_logs(desk, number, run, follow=follow, say=lambda text: print(text, flush=True), note=_note)


def gc_pods(config: Path, name: str | None, *, days: float, is_meant: bool) -> None:
    from pods.inventory import InventoryError

    from agent.errors import TaskError
    from agent.gc_command import gc

    with open_desk(_operator(config)) as desk:
        try:
            for line in gc(desk, name, days=days, is_meant=is_meant):
                print(line, flush=True)
        except InventoryError as error:
            raise TaskError(str(error)) from None


def cancel_issue(config: Path, number: int) -> None:
    with open_desk(_operator(config), has_pods=False) as desk:
        print(talk.cancel(desk, number))


def _operator(config: Path) -> Operator:
    """The operator's file read; from here on nothing that is started inherits the token."""
    operator = read_operator(config)
    os.environ.pop(operator.token_env, None)
    return operator


def _note(line: str) -> None:
    _say(f"paceline: {line}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""Trouble on purpose, for tests of clients: an answer that is lost, late or wrong though the write happened.

Only a hub that was started with it (`around=`, `--test-faults`) has this; otherwise there is no code on the
way and no address that reaches it. A fault waits for its request, happens once (or `times`) and is gone.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESS = "/_faults"
BAD_GATEWAY = "<html><body><h1>Bad Gateway</h1></body></html>"
ABORTED = struct.pack("ii", 1, 0)  # a socket that is closed without lingering sends a reset
REMEMBERED = 500
Kind = Literal["answer", "drop", "reset", "delay", "hang", "stale"]


@dataclass(frozen=True, slots=True)
class Fault:
    """`happens` says on which side of the work: with "after" the request is carried out in full first.

    `answer` gives `status` and `headers` (with `message` as GitHub's JSON, else a proxy's page) instead of
    the true answer; `drop` closes the connection without a byte, `reset` breaks it; `delay` waits `delay_s`
    and goes on, `hang` says nothing for so long or until the client leaves; `stale` gives the answer that
    the same read was given last. `path` is a regular expression that is searched in the address.
    """

    method: str
    path: str
    kind: Kind
    happens: Literal["before", "after"] = "after"
    status: int = 502
    delay_s: float = 0.0
    times: int = 1
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Faults:
    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._happened: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        re.compile(fault.path)
        with self._lock:
            self._waiting.append(fault)

    @property
    def happened(self) -> int:
        """How many faults there were."""
        with self._lock:
            return len(self._happened)

    @property
    def waiting(self) -> int:
        with self._lock:
            return len(self._waiting)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for place, fault in enumerate(self._waiting):
                if fault.method == method and re.search(fault.path, path):
                    left = replace(fault, times=fault.times - 1)
                    self._waiting[place : place + 1] = [left] if left.times > 0 else []
                    self._happened.append(fault)
                    return fault
        return None


def ordered_from_outside(app: ASGIApp) -> ASGIApp:
    """The application with faults that another process orders at `/_faults`."""
    return with_faults(app, Faults(), has_address=True)


def with_faults(app: ASGIApp, faults: Faults, *, has_address: bool = False) -> ASGIApp:
    """The application with faults; with `has_address` also other processes may order them."""

    given: dict[tuple[object, ...], list[Message]] = {}

    async def troubled(scope: Scope, receive: Receive, send: Send) -> None:
        if has_address and scope["type"] == "http" and scope["path"] == ADDRESS:
            await _ordered(faults, receive, send)
            return
        fault = faults.take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None or fault.kind == "stale":
            await _remembered(app, given, scope, receive, send, is_stale=fault is not None)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        if fault.happens == "before":
            await asyncio.sleep(fault.delay_s if fault.kind != "hang" else 0)
            if fault.kind == "delay":
                await app(scope, receive, send)
                return
        else:
            await app(scope, receive, hold)
            await asyncio.sleep(fault.delay_s if fault.kind != "hang" else 0)
        match fault.kind:
            case "drop" | "reset":
                await _drop(send, is_reset=fault.kind == "reset")
            case "hang":
                await _hang(send, fault.delay_s)
            case "answer":
                await _answer(send, fault)
            case _:
                for message in held:
                    await send(message)

    return troubled


async def _remembered(
    app: ASGIApp,
    given: dict[tuple[object, ...], list[Message]],
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    is_stale: bool,
) -> None:
    """The true answer, kept for later; or the one that was kept, whatever has happened since."""
    if scope["type"] != "http" or scope["method"] != "GET":
        await app(scope, receive, send)
        return
    headers = dict(scope["headers"])
    key = (scope["path"], scope["query_string"], headers.get(b"authorization"))
    old = given.get(key) if is_stale else None
    if old is not None:
        etag = dict(old[0]["headers"]).get(b"etag", b"")
        if etag and headers.get(b"if-none-match") == etag:
            old = [{**old[0], "status": 304}, {"type": "http.response.body", "body": b""}]
        for message in old:
            await send(message)
        return
    held: list[Message] = []

    async def copy(message: Message) -> None:
        held.append(message)
        await send(message)

    await app(scope, receive, copy)
    if held and held[0].get("status") == 200 and len(given) < REMEMBERED:
        given[key] = held


async def _ordered(faults: Faults, receive: Receive, send: Send) -> None:
    """Takes one fault as JSON; an empty body only asks. Answers how many happened and how many wait."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if body:
        faults.add(Fault(**json.loads(body)))
    told = json.dumps({"happened": faults.happened, "waiting": faults.waiting})
    await _send(send, 200, {"content-type": "application/json"}, told)


async def _answer(send: Send, fault: Fault) -> None:
    if fault.message:
        body = json.dumps({"message": fault.message, "status": str(fault.status)})
        await _send(send, fault.status, {"content-type": "application/json", **fault.headers}, body)
    else:
        await _send(send, fault.status, {"content-type": "text/html", **fault.headers}, BAD_GATEWAY)


async def _send(send: Send, status: int, headers: Mapping[str, str], body: str) -> None:
    told = {**headers, "content-length": str(len(body.encode()))}
    coded = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": coded})
    await send({"type": "http.response.body", "body": body.encode()})


async def _hang(send: Send, limit_s: float) -> None:
    """Until the client has had enough."""
    cycle: Any = getattr(send, "__self__", None)
    for _ in range(int(limit_s / 0.01)):
        if cycle.disconnected:
            return
        await asyncio.sleep(0.01)
    await _drop(send, is_reset=False)


async def _drop(send: Send, *, is_reset: bool) -> None:
    """Close the socket under uvicorn's feet: `send` is a method of its request cycle, which has it."""
    cycle: Any = getattr(send, "__self__", None)
    if is_reset:
        raw = cycle.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTED)
    cycle.transport.abort()
    while not cycle.disconnected:
        await asyncio.sleep(0.001)

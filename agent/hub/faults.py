"""Trouble on purpose, for tests of clients: an answer that is lost, late or wrong though the write happened.

Only a hub that was started with it (`around=`, `--test-faults`) has this; otherwise there is no code on the
way and no address that reaches it. A fault waits for its request, happens once (or `times`) and is gone.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import dataclass, replace
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESS = "/_faults"
BAD_GATEWAY = b"<html><body><h1>Bad Gateway</h1></body></html>"
Kind = Literal["answer", "drop", "delay"]


@dataclass(frozen=True, slots=True)
class Fault:
    """`happens` says on which side of the work: with "after" the request is carried out in full first.

    `answer` gives `status` instead of the true answer, `drop` closes the connection without a byte, `delay`
    waits `delay_s` and goes on. `path` is a regular expression that is searched in the address.
    """

    method: str
    path: str
    kind: Kind
    happens: Literal["before", "after"] = "after"
    status: int = 502
    delay_s: float = 0.0
    times: int = 1


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

    async def troubled(scope: Scope, receive: Receive, send: Send) -> None:
        if has_address and scope["type"] == "http" and scope["path"] == ADDRESS:
            await _ordered(faults, receive, send)
            return
        fault = faults.take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        if fault.happens == "before":
            await asyncio.sleep(fault.delay_s)
            if fault.kind == "delay":
                await app(scope, receive, send)
                return
        else:
            await app(scope, receive, hold)
            await asyncio.sleep(fault.delay_s)
        if fault.kind == "drop":
            await _drop(send)
        elif fault.kind == "answer":
            await _answer(send, fault.status)
        else:
            for message in held:
                await send(message)

    return troubled


async def _ordered(faults: Faults, receive: Receive, send: Send) -> None:
    """Takes one fault as JSON; an empty body only asks. Answers how many happened and how many wait."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if body:
        faults.add(Fault(**json.loads(body)))
    told = json.dumps({"happened": faults.happened, "waiting": faults.waiting}).encode()
    await _answer(send, 200, told)


async def _answer(send: Send, status: int, body: bytes = BAD_GATEWAY) -> None:
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _drop(send: Send) -> None:
    """Close the socket under uvicorn's feet: `send` is a method of its request cycle, which has it."""
    cycle: Any = getattr(send, "__self__", None)
    cycle.transport.abort()
    while not cycle.disconnected:
        await asyncio.sleep(0.001)

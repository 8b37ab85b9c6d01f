"""Starts a hub: on a thread of this process, or as a process of its own.

Loopback unless an address is named with `listen`; port 0 takes a free one. One process serves a file (a lock
beside it says so); operators may work on the file at the same time. `stop` lets requests under way end.

    with Hub(Path("tracker.db")) as hub:
        hub.admin.repository("acme/target", Path("target"))
        github.Github(base_url=hub.base_url, auth=Auth.Token(hub.admin.token("ada")))
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import BinaryIO
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from agent.hub.admin import Admin
from agent.hub.app import Server, Settings, now_utc
from agent.hub.database import Database
from agent.hub.rate import PEOPLE_LIMIT, Rates
from agent.hub.urls import REST, Urls

LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = (LOOPBACK, "localhost", "[::1]", "::1")
START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
KEEP_ALIVE_S = 75  # longer than a client's poll, so that no request meets a connection that is just closing


class ServeError(Exception):
    """A hub that cannot start; the text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listen:
    """`address` is None for loopback; `public_url` is how others reach a hub that listens elsewhere."""

    port: int = 0
    address: str | None = None
    public_url: str | None = None


class Hub:
    """A hub on a thread of this process."""

    def __init__(
        self,
        path: Path,
        *,
        listen: Listen | None = None,
        rate_limit: int = PEOPLE_LIMIT,
        around: Callable[[ASGIApp], ASGIApp] | None = None,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        """Binds the address, but serves nothing yet. `around` wraps the application: tests look in there.

        Raises ServeError and DatabaseError.
        """
        self._lock = _locked(path)
        try:
            self._socket = _bound(listen or Listen())
            self.address = _address(listen or Listen(), self._socket)
            self._database = Database(path)
        except BaseException:
            with contextlib.suppress(AttributeError):
                self._socket.close()
            self._lock.close()
            raise
        self.admin = Admin(self._database, clock)
        urls = Urls(self.address)
        hosts = tuple(dict.fromkeys((*LOOPBACK_NAMES, urlsplit(self.address).hostname or LOOPBACK)))
        app: ASGIApp = Server(self._database, Settings(urls, hosts, clock), Rates(rate_limit)).application()
        app = around(app) if around else app
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=5,
        )
        self._server = _Uvicorn(config)
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """What PyGithub takes as `base_url`."""
        return self.address + REST

    def start(self) -> Hub:
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
        self._thread.start()
        if not self._server.is_up.wait(START_LIMIT_S):
            raise ServeError(f"the hub at {self.address} did not start in {START_LIMIT_S:.0f} s")
        return self

    def serve(self, ready: Callable[[str], None]) -> None:
        """Serve on this thread until TERM or INT; tells the address as soon as it answers."""

        def tell() -> None:
            self._server.is_up.wait()
            ready(self.address)

        threading.Thread(target=tell, daemon=True).start()
        self._run()
        self.close()

    def stop(self) -> None:
        """Let requests under way end, then close everything."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._database.close()
        self._lock.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Hub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class HubProcess:
    """A hub in a process of its own, for those who want to kill it."""

    def __init__(self, path: Path, *arguments: str) -> None:
        """Returns when it answers. Raises ServeError with what it said instead."""
        command = [sys.executable, "-m", "agent.hub", "--db", str(path), *arguments]
        # A file: a pipe that nobody reads would stop the hub once it is full.
        self._said = tempfile.TemporaryFile("a+b")  # noqa: SIM115 (closed with the hub)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._said)
        out = self._process.stdout
        self.address = out.readline().decode().strip() if out else ""
        if not self.address.startswith("http"):
            self._process.communicate()
            told = self.said()
            self._said.close()
            raise ServeError(told or "the hub did not start")

    def said(self) -> str:
        """What it wrote on standard error: warnings, and the traceback of every 500."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace").strip()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def base_url(self) -> str:
        return self.address + REST

    def kill(self) -> None:
        """At once, as a lost machine would."""
        self._process.kill()
        self._process.communicate()

    def stop(self) -> int:
        """Returns the exit status."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.returncode

    def __enter__(self) -> HubProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self.stop()
        self._said.close()


def open_admin(path: Path, clock: Callable[[], datetime] = now_utc) -> Admin:
    """For the file of a hub that this process does not serve; use it as a context. Raises DatabaseError."""
    return Admin(Database(path), clock)


class _Uvicorn(uvicorn.Server):
    """Says when it is up, and ends with status 0 on TERM: uvicorn would raise the signal once more."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _locked(path: Path) -> BinaryIO:
    lock = path.with_name(f"{path.name}.lock")
    try:
        file = lock.open("ab")
    except OSError as error:
        raise ServeError(f"cannot write {lock}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ServeError(f"another hub serves {path}: stop it, or give another --db") from None
    return file


def _bound(listen: Listen) -> socket.socket:
    address = listen.address or LOOPBACK
    try:
        [(family, kind, protocol, _, target), *_] = socket.getaddrinfo(
            address, listen.port, type=socket.SOCK_STREAM
        )
    except OSError as error:
        raise ServeError(f"cannot listen on {address}: {error.strerror}") from None
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(target)
    except OSError as error:
        made.close()
        raise ServeError(f"cannot listen on {address}:{listen.port}: {error.strerror}") from None
    return made


def _address(listen: Listen, bound: socket.socket) -> str:
    if listen.public_url:
        return listen.public_url.rstrip("/")
    host, port = bound.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        raise ServeError(f"listening on {host} needs --public-url: the address by which others reach it")
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


__all__: Sequence[str] = ("Hub", "HubProcess", "Listen", "ServeError", "open_admin")

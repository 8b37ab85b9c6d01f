"""An authenticated connection to a pod, over all the hops of its route, and looked after until it is closed.

A host whose key is not the pinned one is refused before anything is sent to it. Every wait has a limit.
paramiko's keepalive does not notice a peer that is frozen or gone, so a thread of our own opens a channel
every `every_s` seconds; three that are not answered close the connection, and whatever waits on it learns
that it is lost. What runs on the pod goes on.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from pods.host_keys import HostKey
from pods.route import Hop, Route, Settings
from pods.shell import PodError
from pods.ssh.talk import TROUBLE

logging.getLogger("paramiko").setLevel(logging.CRITICAL)
"""It logs the traceback of every fault of a link beside raising it; ours are told in one line."""


class HostKeyRefused(PodError):
    """The key that the host shows is not the one that was trusted; nothing was sent to it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `every_s`: between two looks at whether the peer is there; `misses` of them close the link."""

    connect_s: float = 15.0
    banner_s: float = 15.0
    auth_s: float = 20.0
    channel_s: float = 15.0
    every_s: float = 15.0
    answer_s: float = 5.0
    misses: int = 3


LIMITS = Limits()
SILENCE = ("No existing session", "Error reading SSH protocol banner", "Negotiation failed.")
LEAST_SILENCE_S = 0.5
NO_KEY = "No authentication methods available"
JUMP_KEY = (
    "; `key` is for the pod alone: give this host an IdentityFile in ~/.ssh/config, or load it into ssh-agent"
)


class Link:
    """An authenticated connection over all its hops, looked after until it is closed."""

    def __init__(self, clients: Sequence[paramiko.SSHClient], limits: Limits) -> None:
        transport = clients[-1].get_transport()
        assert transport is not None, "a client that is connected has one"
        self.heard_at = time.monotonic()
        self._clients = clients
        self._transport = transport
        self._limits = limits
        self._closed = threading.Event()
        threading.Thread(target=self._look_after, name="paceline-link", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return not self._closed.is_set() and self._transport.is_active()

    def open(self, timeout_s: float) -> paramiko.Channel:
        return self._transport.open_session(timeout=timeout_s)

    def close(self) -> None:
        self._closed.set()
        for client in reversed(self._clients):
            with contextlib.suppress(*TROUBLE):
                client.close()

    @contextlib.contextmanager
    def closed_at(self, deadline: float) -> Iterator[None]:
        """Closes the link where what is inside waits past the deadline: some waits of paramiko have none."""
        timer = threading.Timer(max(0.0, deadline - time.monotonic()), self.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _look_after(self) -> None:
        misses = 0
        while not self._closed.wait(self._limits.every_s) and self._transport.is_active():
            if time.monotonic() - self.heard_at < self._limits.every_s:
                continue
            try:
                self.open(self._limits.answer_s).close()
            except TROUBLE:
                misses += 1
            else:
                misses, self.heard_at = 0, time.monotonic()
            if misses >= self._limits.misses:
                break
        self.close()


def connect(name: str, route: Route, pins: Mapping[str, HostKey], limits: Limits) -> Link:
    """Raises PodError: HostKeyRefused before anything is sent to a host whose key is not pinned."""
    clients: list[paramiko.SSHClient] = []
    try:
        for hop in route.hops:
            with _named(hop, route.trust or f"paceline pods trust {name}"):
                sock = _way_to(hop, route, clients, limits)
                clients.append(_connected(hop, sock, pins, limits))
    except PodError:
        for client in reversed(clients):
            client.close()
        raise
    return Link(clients, limits)


def host_key_of(name: str, route: Route, pins: Mapping[str, HostKey], limits: Limits) -> tuple[Hop, HostKey]:
    """The key of the first hop whose key is not the pinned one, or of the last; asks, trusts nothing.

    Raises PodError.
    """
    clients: list[paramiko.SSHClient] = []
    try:
        for hop in route.hops:
            with _named(hop, route.trust or f"paceline pods trust {name}"):
                shown = _shown_by(_way_to(hop, route, clients, limits), limits)
                if hop is route.hops[-1] or pins.get(hop.pin) != shown:
                    return hop, shown
                clients.append(_connected(hop, _way_to(hop, route, clients, limits), pins, limits))
        raise AssertionError("a route has a last hop")
    finally:
        for client in reversed(clients):
            client.close()


def settings_by_paramiko(host: str, config: Path | None) -> Settings:
    """What ~/.ssh/config says of a host, as far as paramiko understands it. Raises PodError."""
    path = config or Path("~/.ssh/config").expanduser()
    try:
        found = paramiko.SSHConfig.from_path(str(path)).lookup(host) if path.exists() else {}
    except (OSError, paramiko.SSHException, paramiko.ConfigParseError) as error:
        raise PodError(f"{path}: {told(error)}") from error
    return {key: value if isinstance(value, list) else [value] for key, value in found.items()}


def _way_to(hop: Hop, route: Route, clients: Sequence[paramiko.SSHClient], limits: Limits) -> Any:
    """Something like a socket: ours with TCP_NODELAY, which paramiko never sets; or a channel of a hop."""
    if clients:
        transport = clients[-1].get_transport()
        assert transport is not None
        there = (hop.host, hop.port)
        return transport.open_channel("direct-tcpip", there, ("127.0.0.1", 0), timeout=limits.channel_s)
    if route.proxy:
        return paramiko.ProxyCommand(route.proxy)
    sock = socket.create_connection((hop.host, hop.port), timeout=limits.connect_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _connected(hop: Hop, sock: Any, pins: Mapping[str, HostKey], limits: Limits) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    pinned = pins.get(hop.pin)
    client.set_missing_host_key_policy(_Refuse(pinned))
    try:
        if pinned is not None:
            client.get_host_keys().add(hop.pin, pinned.kind, _public_key(hop.pin, pinned))
        client.connect(
            hop.pin,  # the name that its key is looked up by: the way there is `sock`
            username=hop.user,
            sock=sock,
            key_filename=[str(key) for key in hop.keys] or None,  # type: ignore[arg-type] # a list is taken
            allow_agent=not hop.has_only_keys,
            look_for_keys=not hop.has_only_keys,
            timeout=limits.connect_s,
            banner_timeout=limits.banner_s,
            auth_timeout=limits.auth_s,
            channel_timeout=limits.channel_s,
        )
    except BaseException as error:
        client.close()
        sock.close()
        if isinstance(error, TROUBLE) and (why := _why_no_key(hop)):
            raise PodError(f"{_where(hop)}: {why}") from error
        raise
    return client


def _public_key(pin: str, pinned: HostKey) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_type_string(pinned.kind, pinned.blob)
    except Exception as error:  # what it makes of a key that is none differs by kind
        raise PodError(
            f"the key that is pinned for {pin} is none; take its line out of known_hosts"
        ) from error


def _why_no_key(hop: Hop) -> str:
    """Why the one key that may be shown cannot be; "" where it can, or others may be shown too."""
    if not hop.has_only_keys or len(hop.keys) != 1:
        return ""
    [path] = hop.keys
    try:
        paramiko.PKey.from_path(path)
    except OSError as error:
        return f"key {path}: {error.strerror}; a private key is expected there, as ssh-keygen makes it"
    except TypeError:  # of cryptography
        return f"key {path} has a passphrase: leave `key` out and load it into ssh-agent, or name another"
    except Exception:
        hint = f"; the private one is {path.with_suffix('')}" if path.suffix == ".pub" else ""
        return f"key {path} is no private key as ssh-keygen makes it{hint}"
    return ""


def _shown_by(sock: Any, limits: Limits) -> HostKey:
    transport = paramiko.Transport(sock)
    transport.banner_timeout = limits.banner_s
    try:
        transport.start_client(timeout=limits.connect_s)
        key = transport.get_remote_server_key()
        return HostKey(key.get_name(), key.asbytes())
    finally:
        transport.close()


class _Refuse(paramiko.MissingHostKeyPolicy):
    def __init__(self, pinned: HostKey | None) -> None:
        self._pinned = pinned

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002 - paramiko's signature
        raise _refused(self._pinned, HostKey(key.get_name(), key.asbytes()))


def _refused(pinned: HostKey | None, shown: HostKey) -> HostKeyRefused:
    if pinned is None:
        return HostKeyRefused(f"its host key is not known: {shown}")
    return HostKeyRefused(f"its host key has changed: it was {pinned}, now it is {shown}")


@contextlib.contextmanager
def _named(hop: Hop, trust: str) -> Iterator[None]:
    """Whatever goes wrong on the way to a hop, told in one line with what to do."""
    where, began = _where(hop), time.monotonic()
    try:
        yield
    except HostKeyRefused as error:
        raise HostKeyRefused(f"{where}: {error}; look, then: {trust}") from None
    except paramiko.BadHostKeyException as error:
        shown = HostKey(error.key.get_name(), error.key.asbytes())
        pinned = HostKey(error.expected_key.get_name(), error.expected_key.asbytes())
        raise HostKeyRefused(f"{where}: {_refused(pinned, shown)}; look, then: {trust}") from None
    except TROUBLE as error:
        waited_s = time.monotonic() - began
        if _is_silence(error, waited_s):
            raise PodError(f"{where}: no answer within {waited_s:.0f} s") from error
        if isinstance(error, paramiko.AuthenticationException) or str(error) == NO_KEY:
            hint = JUMP_KEY if hop.is_jump else ""
            raise PodError(f"{where}: not let in: {told(error).rstrip('.')}{hint}") from error
        raise PodError(f"{where}: {told(error)}") from error


def _where(hop: Hop) -> str:
    return f"{hop.user}@{hop.host}:{hop.port}"


def _is_silence(error: BaseException, waited_s: float) -> bool:
    """Which of its errors paramiko raises for a peer that says nothing depends on which of its waits ends
    first; the same ones raised at once mean that the peer hung up."""
    if isinstance(error, paramiko.AuthenticationException):
        return "timeout" in str(error).casefold()
    return isinstance(error, TimeoutError) or (str(error) in SILENCE and waited_s > LEAST_SILENCE_S)


def told(error: BaseException) -> str:
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
    return " ".join(text.split())

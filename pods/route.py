"""The way to a pod: which hosts, ports, users and keys, hop by hop, as `ssh` itself would go.

`~/.ssh/config` is asked through `ssh -G`, which knows Include, Match and tokens; where there is no `ssh`
program the caller's own reader stands in, and the route carries a warning. What `ssh -G` leaves as it stands
(tokens, `~`, variables) is filled in here. Pure but for that one question, and which files exist.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pods.inventory import Pod
from pods.shell import PodError

Settings = Mapping[str, Sequence[str]]
"""Lower-case key of ssh_config: its values."""
MOST_HOPS = 5
JUMP = "jump:"
"""Begins the pin of a machine on the way; no pod's name holds a colon."""
ASK_S = 20.0


@dataclass(frozen=True, slots=True)
class Hop:
    """`pin` is the name under which its host key was trusted. No `keys`: the agent's and the usual ones."""

    pin: str
    host: str
    port: int
    user: str
    keys: tuple[Path, ...] = ()
    has_only_keys: bool = False  # no others are offered

    @property
    def is_jump(self) -> bool:
        return self.pin.startswith(JUMP)


@dataclass(frozen=True, slots=True)
class Route:
    """`hops` in the order in which they are passed, the pod last. `proxy` is a command that stands in for
    the connection to the first of them: the user's own, from their own configuration. `trust` is what to type
    where a key on the way is not the pinned one."""

    hops: tuple[Hop, ...]
    proxy: str | None = None
    warnings: tuple[str, ...] = ()
    trust: str = ""


def route_to(pod: Pod, config: Path | None, fallback: Callable[[str, Path | None], Settings]) -> Route:
    """Raises PodError."""
    asked = _Asked(config, fallback)
    hops: list[Hop] = []
    settings = asked.settings(pod.host, pod.user, pod.port)
    jump = pod.jump or _value(settings, "proxyjump")
    proxy = None if pod.jump else _value(settings, "proxycommand")
    for place in (jump or "").split(",") if jump and jump != "none" else ():
        user, host, port = _place(place.strip())
        on_the_way = asked.settings(host, user, port)
        if len(hops) == MOST_HOPS:
            raise PodError(f"{pod.name}: more than {MOST_HOPS} jumps")
        hop = _hop(f"{JUMP}{host}", host, on_the_way, user, port, None)
        # Machines on the way may share an address. Port 22 goes without saying, as it does in older pins.
        hops.append(hop if hop.port == 22 else replace(hop, pin=f"{JUMP}{_bracketed(host)}:{hop.port}"))
    hops.append(_hop(pod.name, pod.host, settings, pod.user, pod.port, pod.key))
    # it stands in for a jump: then the pod is the only hop
    through = None if proxy in (None, "none") else _filled(proxy, _proxy_tokens(pod.host, hops[0]))
    return Route(tuple(hops), through, tuple(asked.warnings))


def parse_settings(text: str) -> Settings:
    """What `ssh -G` prints: a key and its value a line; keys may come again."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        settings.setdefault(key.lower(), []).append(value)
    return settings


@dataclass
class _Asked:
    config: Path | None
    fallback: Callable[[str, Path | None], Settings]

    def __post_init__(self) -> None:
        self.warnings: list[str] = []

    def settings(self, host: str, user: str | None, port: int | None) -> Settings:
        argv = ["ssh", "-G"]
        argv += ["-F", str(self.config)] if self.config else []
        argv += ["-l", user] if user else []
        argv += ["-p", str(port)] if port else []
        try:
            done = subprocess.run([*argv, "--", host], capture_output=True, timeout=ASK_S, check=False)
        except FileNotFoundError:
            warning = "there is no ssh program: Include, Match and tokens of ~/.ssh/config are not understood"
            self.warnings = [warning]
            return self.fallback(host, self.config)
        except subprocess.TimeoutExpired:
            raise PodError(f"ssh -G {host}: no answer in {ASK_S:.0f} s") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").split("\n")[0].strip()
            raise PodError(f"ssh -G {host}: {said or 'no message'}")
        return parse_settings(done.stdout.decode(errors="replace"))


def _hop(
    pin: str, host: str, settings: Settings, user: str | None, port: int | None, key: Path | None
) -> Hop:
    hop = Hop(
        pin=pin,
        host=_value(settings, "hostname") or host,
        port=port or int(_value(settings, "port") or 22),
        user=user or _value(settings, "user") or getpass.getuser(),
        has_only_keys=key is not None or _value(settings, "identitiesonly") == "yes",
    )
    if key is not None:
        return replace(hop, keys=(key,))
    tokens = _file_tokens(host, hop, settings)
    named = [_file(one, tokens) for one in settings.get("identityfile", ())]
    return replace(hop, keys=tuple(one for one in named if one.exists()))


def _file(text: str, tokens: Mapping[str, str]) -> Path:
    """Variables are filled in as well as tokens; one that is not set leaves a name that no file has."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~somebody who is not there
        path = Path(text)
    variables = {f"${{{name}}}": value for name, value in os.environ.items()}
    return Path(_filled(str(path), {**variables, **tokens}))


def _filled(text: str, values: Mapping[str, str]) -> str:
    """In one pass: what a value holds is no token. What is none stays as it stands."""
    return re.sub(r"%.|\$\{[^}]*\}", lambda found: values.get(found[0], found[0]), text)


def _proxy_tokens(host: str, hop: Hop) -> Mapping[str, str]:
    """Those that a ProxyCommand may hold, by ssh_config(5); `host` is what was asked for."""
    return {"%%": "%", "%h": hop.host, "%n": host, "%p": str(hop.port), "%r": hop.user}


def _file_tokens(host: str, hop: Hop, settings: Settings) -> Mapping[str, str]:
    """Those that an IdentityFile may hold, but for %C: a digest that is for the names of sockets."""
    here = socket.gethostname()
    return {
        **_proxy_tokens(host, hop),
        "%d": str(Path.home()),
        "%i": str(os.getuid()),
        "%j": _value(settings, "proxyjump") or "",
        "%k": _value(settings, "hostkeyalias") or host,
        "%L": here.partition(".")[0],
        "%l": here,
        "%u": getpass.getuser(),
    }


def _place(text: str) -> tuple[str | None, str, int | None]:
    """(user, host, port) of `user@host:port`, with or without `ssh://` and brackets around the host."""
    user, at, rest = text.removeprefix("ssh://").rpartition("@")
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = rest.partition(":") if rest.count(":") == 1 else (rest, "", "")
    return (user if at else None), host, int(port) if port else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _value(settings: Settings, key: str) -> str | None:
    values = settings.get(key, ())
    return values[0] if values else None

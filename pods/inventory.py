"""`pods.toml`: the machines that may be measured on, as the operator describes them. Trusted.

Owns the file's form and its defaults; unknown keys are refused with a near miss. Nothing here reaches a
machine: `route.py` says how to get there, `probe.py` what it is like now.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE = "pods.toml"
MACHINE = PurePosixPath("/var/tmp/paceline")  # noqa: S108 - one folder for all users of a machine
WORKSPACE = PurePosixPath("/var/tmp/paceline-workspace")  # noqa: S108 - has to outlive a restart
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
HOST = r"^[A-Za-z0-9_\[][A-Za-z0-9_.:%\[\]-]*$"
"""A host never begins with a dash: it is an argument of `ssh`."""
USER = r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$"
_PORT = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_PLACE = rf"([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[A-Za-z0-9:.%_-]+\])(:{_PORT})?|[0-9A-Fa-f]*(:[0-9A-Fa-f.]*){{2,}}"
_HOP = rf"([A-Za-z0-9_][A-Za-z0-9_.-]*@)?({_PLACE})"
JUMP = rf"^{_HOP}(,{_HOP})*$"
WANTED = {
    NAME: "a name of letters, digits, dots, dashes and underscores, 64 at most, the first a letter or digit",
    HOST: "a host: a name, an alias of ~/.ssh/config or an address, without user and port",
    USER: "a user's name",
    JUMP: "USER@HOST:PORT of a machine on the way, USER and PORT where they are needed; several: with commas",
}
"""What is told instead of a pattern."""

Engine = Literal["ssh", "local"]
Tenancy = Literal["secure", "community"]


class InventoryError(Exception):
    """The file cannot be used as it is; one line says where and why."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One machine. What is None is left to ~/.ssh/config. `leave` are GPUs that are never taken, by index or
    UUID; `price_per_hour` is that of one GPU. `tenancy` is the file's `class`. `may_install`: what a recipe
    needs and `python` lacks may be put there."""

    name: str
    engine: Engine = "ssh"
    host: str = ""
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    jump: str | None = None
    price_per_hour: float | None = None
    tenancy: Tenancy = "secure"
    tags: tuple[str, ...] = ()
    leave: frozenset[str] = frozenset()
    workspace: PurePosixPath = WORKSPACE
    machine: PurePosixPath = MACHINE
    python: str = "python3"
    may_install: bool = False

    def leaves(self, slot: str, index: int | None) -> bool:
        """Whether a slot is to be left alone; `index` is the driver's, None where there is no GPU."""
        return any(_is_named(slot, index, entry) for entry in self.leave)

    def absent(self, gpus: Sequence[str]) -> list[str]:
        """What `leave` names and none of these is, in the driver's order: who is wrong about that may be
        wrong about which one to leave."""
        there = [("cpu", None), *((gpu, index) for index, gpu in enumerate(gpus))]
        return sorted(one for one in self.leave if not any(_is_named(*where, one) for where in there))


@dataclass(frozen=True, slots=True)
class Inventory:
    """`pins` holds the host keys that were trusted; `ssh_config` stands in for ~/.ssh/config; `name` is the
    file's, as it was given."""

    pods: tuple[Pod, ...]
    pins: Path
    ssh_config: Path | None = None
    name: str = FILE

    def pod(self, name: str) -> Pod:
        """Raises InventoryError."""
        for pod in self.pods:
            if pod.name == name:
                return pod
        raise InventoryError(f"no pod {name!r}{_near(name, [pod.name for pod in self.pods])}")

    def trusting(self, name: str) -> str:
        """What to type to trust a pod's key."""
        options = () if self.name == FILE else ("--pods", self.name)
        return shlex.join(["paceline", "pods", *options, "trust", name])


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Pod(_Table):
    engine: Engine = "ssh"
    host: Annotated[str | None, Field(pattern=HOST)] = None
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    user: Annotated[str | None, Field(pattern=USER)] = None
    key: str | None = None
    jump: Annotated[str | None, Field(pattern=JUMP)] = None
    price_per_hour: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    tenancy: Annotated[Tenancy, Field(alias="class")] = "secure"
    tags: list[str] = []
    leave_gpus: list[Annotated[str, Field(min_length=1)] | int] = []
    workspace: str = str(WORKSPACE)
    machine: str = str(MACHINE)
    python: Annotated[str, Field(min_length=1)] = "python3"
    install_packages: bool = False


class _File(_Table):
    pod: dict[Annotated[str, Field(pattern=NAME)], _Pod] = {}
    known_hosts: str = "pods.known_hosts"
    ssh_config: str | None = None


def read_inventory(path: Path) -> Inventory:
    """Raises InventoryError naming file and key. Paths in the file are relative to its folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InventoryError(f"{path} is not UTF-8") from None
    except OSError as error:
        raise InventoryError(
            f"cannot read {path}: {error.strerror}; docs/pods.md says what it holds"
        ) from None
    return parse_inventory(text, str(path), path.parent)


def parse_inventory(text: str, name: str, folder: Path) -> Inventory:
    """Raises InventoryError."""
    try:
        parsed = _File.model_validate(tomllib.loads(text))
        pods = tuple(_pod(name, table, folder) for name, table in parsed.pod.items())
    except tomllib.TOMLDecodeError as error:
        raise InventoryError(f"{name} is not TOML: {error}") from None
    except ValidationError as error:
        raise InventoryError(f"{name}: {_told(error)}") from None
    except ValueError as error:
        raise InventoryError(f"{name}: {error}") from None
    if not pods:
        raise InventoryError(
            f"{name} names no pod: write [pod.NAME], and host, port, user below it (docs/pods.md)"
        )
    config = folder / Path(parsed.ssh_config).expanduser() if parsed.ssh_config else None
    return Inventory(pods, folder / Path(parsed.known_hosts).expanduser(), config, name)


def _pod(name: str, table: _Pod, folder: Path) -> Pod:
    if table.engine == "local" and (table.host or table.port or table.user or table.key or table.jump):
        raise ValueError(
            f"pod.{name}: engine 'local' is this machine, and takes no host, port, user, key, jump"
        )
    for key, folder_there in (("workspace", table.workspace), ("machine", table.machine)):
        if not folder_there.startswith("/") or "\0" in folder_there:
            raise ValueError(f"pod.{name}.{key}: {folder_there!r} is not an absolute path on the pod")
    if ":" in table.workspace:
        raise ValueError(f"pod.{name}.workspace: a colon is nothing that PYTHONPATH can hold")
    return Pod(
        name=name,
        engine=table.engine,
        host=table.host or name,
        port=table.port,
        user=table.user,
        key=folder / Path(table.key).expanduser() if table.key else None,
        jump=table.jump,
        price_per_hour=table.price_per_hour,
        tenancy=table.tenancy,
        tags=tuple(table.tags),
        leave=frozenset(str(gpu) for gpu in table.leave_gpus),
        workspace=PurePosixPath(table.workspace),
        machine=PurePosixPath(table.machine),
        python=table.python,
        may_install=table.install_packages,
    )


def _is_named(slot: str, index: int | None, entry: str) -> bool:
    """By its index or by the beginning of its UUID, in whatever case, as `nvidia-smi -i` takes them."""
    return entry == str(index) or slot.casefold().startswith(entry.casefold())


def _told(error: ValidationError) -> str:
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"] if part != "[key]"]
    if first["type"] == "extra_forbidden":
        known = _names(_Pod) if len(path) > 2 else _names(_File)
        return f"unknown key {'.'.join(path)!r}{_near(path[-1], known)}"
    if first["type"] == "string_pattern_mismatch":
        return f"{'.'.join(path)}: {first['input'][:80]!r} is not {WANTED[first['ctx']['pattern']]}"
    return f"{'.'.join(path)}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _names(table: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]


def _near(name: str, known: list[str]) -> str:
    close: list[Any] = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known) or 'none'}"

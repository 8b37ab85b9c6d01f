"""The last look before a job is launched: what the pod lacks for it, by name, and whether it can fetch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pods import answers
from pods.archive import supervisor_archive
from pods.probe import PodState
from pods.shell import PodError, Shell

TIMEOUT_S = 240.0
INSTALL_S = 1800.0
LEAST_FREE_B = 2 << 30
LEAST_INODES = 10_000
LEAST_MEMORY_MIB = 1024


@dataclass(frozen=True, slots=True)
class Lack:
    """`what` is a name of its own (disk, inodes, memory, python, git, package, gpu); `mend` is what to do."""

    what: str
    why: str
    mend: str = ""
    package: str = ""  # that does not import

    def __str__(self) -> str:
        return f"{self.what}: {self.why}{f'; {self.mend}' if self.mend else ''}"


@dataclass(frozen=True, slots=True)
class Preflight:
    """`reaches`: whether the pod itself can fetch the repository, without anybody's credentials."""

    lacks: tuple[Lack, ...]
    reaches: bool


def preflight(shell: Shell, state: PodState, slot: str, packages: Sequence[str], source: str) -> Preflight:
    """One round trip. Raises PodError."""
    argv = ["preflight", "--python", shell.python, "--source", source]
    argv += [] if slot == "cpu" else ["--gpu", slot]
    argv += [part for name in packages for part in ("--package", name)]
    answer = answers.bring(shell, supervisor_archive(), argv, timeout_s=TIMEOUT_S)
    asked = [Lack(**one) for one in answer["lacks"]]
    return Preflight((*seen_lacks(state), *asked), bool(answer["reaches"]))


def install(shell: Shell, packages: Sequence[str]) -> tuple[str, ...]:
    """Into the pod's own environment, where the operator allows it; what was installed. Raises PodError."""
    names = [name.replace("_", "-") for name in packages]
    argv = [shell.python, "-m", "pip", "install", "--quiet", "--no-input", *names]
    done = shell.run(argv, timeout_s=INSTALL_S)
    if done.status != 0:
        raise PodError(f"{' '.join(names)} could not be installed: {done.last_words or 'no answer'}")
    return tuple(names)


def seen_lacks(state: PodState) -> tuple[Lack, ...]:
    """What the probe already tells: room on the disk, and memory."""
    lacks = []
    disk, host = state.disk, state.host
    if disk is None or not disk.is_writable:
        lacks.append(Lack("disk", f"{state.pod.workspace} cannot be written to"))
    elif disk.free_b < LEAST_FREE_B:
        lacks.append(Lack("disk", f"{disk.free_b >> 20} MiB free", f"paceline pods gc {state.pod.name}"))
    elif disk.free_inodes is not None and disk.free_inodes < LEAST_INODES:
        lacks.append(Lack("inodes", f"{disk.free_inodes} free", f"paceline pods gc {state.pod.name}"))
    available_mib = host.memory_mib if host.available_mib is None else host.available_mib
    if available_mib < LEAST_MEMORY_MIB:
        lacks.append(Lack("memory", f"{available_mib} MiB available, {LEAST_MEMORY_MIB} are needed"))
    return tuple(lacks)

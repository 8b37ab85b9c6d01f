"""The machines that an agent measures on: those of pods.toml, or this one alone where there is none."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pods.fleet import Fleet
from pods.inventory import MACHINE as DEFAULT_MACHINE
from pods.inventory import Inventory, InventoryError, Pod, read_inventory

from agent.errors import TaskError
from agent.here import MACHINE


def fleet_of(path: Path) -> Fleet:
    """Raises TaskError."""
    try:
        inventory = read_inventory(path)
    except InventoryError as error:
        raise TaskError(str(error)) from None
    return Fleet(replace(inventory, pods=tuple(map(_here, inventory.pods))))


def fleet_here(workspace: Path) -> Fleet:
    """This machine as the only pod."""
    pod = Pod(
        name=socket.gethostname(),
        engine="local",
        workspace=PurePosixPath(workspace.resolve()),
        machine=PurePosixPath(MACHINE),
    )
    return Fleet(Inventory((pod,), workspace / "pods.known_hosts"))


def _here(pod: Pod) -> Pod:
    """Who holds what on this machine stands where `paceline bench` looks for it too."""
    if pod.engine == "local" and pod.machine == DEFAULT_MACHINE:
        return replace(pod, machine=PurePosixPath(MACHINE))
    return pod

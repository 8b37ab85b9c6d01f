"""The pods of one agent behind their shells: one connection each, made when it is needed, and kept."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from pods.host_keys import read_pins
from pods.inventory import Inventory, Pod
from pods.probe import PodState, Unusable, probe, probe_all
from pods.route import Route, route_to
from pods.shell import PodError, Shell
from pods.shell_local import LocalShell

LOCAL_PYTHON = "python3"


@dataclass
class Fleet:
    inventory: Inventory
    _shells: dict[str, Shell] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def shell(self, name: str) -> Shell:
        """Raises PodError, InventoryError."""
        if name not in self._shells:
            shell = self._opened(self.inventory.pod(name))
            with self._lock:  # of two that were opened at once, one is kept; neither has a connection yet
                self._shells.setdefault(name, shell)
        return self._shells[name]

    def probe(self, names: Collection[str] | None = None) -> tuple[PodState | Unusable, ...]:
        """All pods, or the named ones, at once; in the order of the inventory."""
        pods = [pod for pod in self.inventory.pods if names is None or pod.name in names]
        return probe_all(pods, self._probed)

    def probe_one(self, name: str) -> PodState | Unusable:
        """Raises InventoryError."""
        return self._probed(self.inventory.pod(name))

    def route(self, name: str) -> Route:
        """Raises PodError, InventoryError."""
        from pods.ssh.link import settings_by_paramiko

        route = route_to(self.inventory.pod(name), self.inventory.ssh_config, settings_by_paramiko)
        return replace(route, trust=self.inventory.trusting(name))

    def close(self) -> None:
        for shell in self._shells.values():
            shell.close()
        self._shells.clear()

    def _probed(self, pod: Pod) -> PodState | Unusable:
        try:
            return probe(self.shell(pod.name), pod)
        except PodError as error:
            return Unusable(pod, str(error))

    def _opened(self, pod: Pod) -> Shell:
        if pod.engine == "local":
            return LocalShell(pod.name, sys.executable if pod.python == LOCAL_PYTHON else pod.python)
        from pods.ssh.shell import SshShell

        pins = self.inventory.pins
        return SshShell(pod.name, pod.python, self.route(pod.name), lambda: read_pins(pins))

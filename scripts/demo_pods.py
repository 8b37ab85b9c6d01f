"""Two stand-ins for rented machines: SSH daemons on loopback with folders of their own, and a pods.toml."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pods.host_keys import pin  # noqa: E402
from tests.daemons.sshd import SSHD, Daemon, make_user_key, new_daemon  # noqa: E402

NAMES = {"alpha": 2.0, "beta": 3.0}
"""Their price an hour: both are equally free, and one is cheaper."""


def start_pods(folder: Path) -> list[Daemon]:
    """Daemons in `folder`/pods, `folder`/pods.toml, and their keys pinned beside it."""
    if SSHD is None:
        raise SystemExit("PODS=1 needs sshd: apt-get install openssh-server")
    (folder / "pods").mkdir()
    key = make_user_key(folder)
    daemons = [new_daemon(folder / "pods" / name, name, key) for name in NAMES]
    text = ""
    for daemon in daemons:
        pod = daemon.pod()
        table = {"host": "127.0.0.1", "port": daemon.port, "user": daemon.hop.user, "key": str(key)}
        table |= {"workspace": str(pod.workspace), "machine": str(pod.machine), "python": pod.python}
        table |= {"price_per_hour": NAMES[daemon.name]}
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        text += "\n".join([f"[pod.{daemon.name}]", *lines, "", ""])
        pin(folder / "pods.known_hosts", daemon.name, daemon.key)
    (folder / "pods.toml").write_text(text, encoding="utf-8")
    return daemons

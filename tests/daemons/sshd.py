"""Real SSH daemons on loopback as pods: own port, host key, users' key and PATH; nothing of the machine's.

As root the daemon wants /run/sshd: it gets a mount namespace with a /run of its own, so that nothing is
written to this machine.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pods.host_keys import HostKey, parse_pins
from pods.inventory import Pod
from pods.route import Hop, Route
from pods.ssh.link import Limits
from pods.ssh.shell import SshShell

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
COMES_UP_S = 20.0
OWN_RUN = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"'
QUICK = Limits(connect_s=5, banner_s=5, auth_s=10, channel_s=5, every_s=0.3, answer_s=0.5, misses=2)


@dataclass
class Daemon:
    """`programs` comes first on the PATH of whatever is run over SSH."""

    name: str
    folder: Path
    user_key: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    shells: list[SshShell] = field(default_factory=list)
    orphans: list[int] = field(default_factory=list)

    @property
    def programs(self) -> Path:
        return self.folder / "programs"

    @property
    def key(self) -> HostKey:
        text = (self.folder / "host_key.pub").read_text()
        return parse_pins(f"{self.name} {text}")[self.name]

    @property
    def hop(self) -> Hop:
        return Hop(self.name, "127.0.0.1", self.port, getpass.getuser(), (self.user_key,), has_only_keys=True)

    @property
    def pins(self) -> dict[str, HostKey]:
        return {self.name: self.key}

    def pod(self, **changes: object) -> Pod:
        values = {
            "name": self.name,
            "host": "127.0.0.1",
            "port": self.port,
            "key": self.user_key,
            "workspace": self.folder / "work",
            "machine": self.folder / "machine",
            "python": sys.executable,
        }
        return Pod(**{**values, **changes})  # type: ignore[arg-type]

    def shell(self, limits: Limits = QUICK, port: int | None = None) -> SshShell:
        hop = self.hop if port is None else Hop(**{**_fields(self.hop), "port": port})
        pins = self.pins  # as they are now: a key that changes later is not trusted
        shell = SshShell(self.name, sys.executable, Route((hop,)), lambda: pins, limits)
        self.shells.append(shell)
        return shell

    def make_key(self) -> None:
        path = self.folder / "host_key"
        path.unlink(missing_ok=True)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)

    def start(self) -> None:
        self.programs.mkdir(exist_ok=True)
        self.port = self.port or free_port()
        authorized = self.folder / "authorized_keys"
        authorized.write_text(self.user_key.with_suffix(".pub").read_text())
        authorized.chmod(0o600)
        config = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": f'"{self.folder}/host_key"',
            "AuthorizedKeysFile": f'"{authorized}"',
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PidFile": "none",
            "SetEnv": " ".join(f'{name}="{value}"' for name, value in self._environment().items()),
            "MaxStartups": 200,
        }
        path = self.folder / "sshd_config"
        path.write_text("".join(f"{key} {value}\n" for key, value in config.items()))
        assert SSHD is not None
        argv = [SSHD, "-D", "-e", "-f", str(path)]
        if os.geteuid() == 0:
            argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", OWN_RUN, "sh", *argv]
        log = (self.folder / "sshd.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                argv, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        until = time.monotonic() + COMES_UP_S
        while not _listens(self.port):
            assert self.process.poll() is None, (self.folder / "sshd.log").read_text()
            assert time.monotonic() < until, "sshd did not come up"
            time.sleep(0.02)

    def _environment(self) -> dict[str, str]:
        """Of whatever is run there; one thread each, since others run beside it on few cores."""
        path = f"{self.programs}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def connections(self) -> list[int]:
        """Process ids of the daemon's processes for its connections."""
        assert self.process is not None
        return [pid for pid in _below(self.process.pid) if _name(pid).startswith("sshd")]

    def sessions(self) -> list[str]:
        """What still runs there for somebody: names of all processes that are no sshd."""
        assert self.process is not None
        return [name for pid in _below(self.process.pid) if not (name := _name(pid)).startswith("sshd")]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Neither it nor what it started does anything; the kernel still takes connections."""
        assert self.process is not None
        pids = [self.process.pid, *_below(self.process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """The daemon alone; connections live on, as with a real restart."""
        if self.process is not None:
            self.orphans += self.connections()
            self.process.terminate()
            self.process.wait()
            self.process = None

    def end(self) -> None:
        for shell in self.shells:
            shell.close()
        left = [*self.orphans]
        if self.process is not None:
            left += [*_below(self.process.pid), self.process.pid]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()


def new_daemon(folder: Path, name: str, user_key: Path) -> Daemon:
    folder.mkdir(parents=True)
    daemon = Daemon(name, folder, user_key)
    daemon.make_key()
    daemon.start()
    return daemon


def make_user_key(folder: Path) -> Path:
    path = folder / "user_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _below(pid: int) -> list[int]:
    from pods.supervisor import process

    return [one.pid for one in process.lineage([pid])]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _fields(hop: Hop) -> dict[str, object]:
    return {name: getattr(hop, name) for name in ("pin", "host", "port", "user", "keys", "has_only_keys")}

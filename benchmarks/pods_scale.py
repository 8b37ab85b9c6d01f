"""What many pods cost: a probe of 100, ten of them hung; what a steady tick asks; how long a launch takes.

    python benchmarks/pods_scale.py                 # about 2 minutes on 2 cores; needs openssh-server

Real SSH daemons on loopback stand for the pods: 100 entries of an inventory over five daemons, ten of which
lead to a daemon whose `nvidia-smi` hangs. Prints Markdown and ends in one JSON line.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.yard import Yard  # noqa: E402
from pods import job  # noqa: E402
from pods.choose import Need, freest  # noqa: E402
from pods.fleet import Fleet  # noqa: E402
from pods.inventory import Inventory, read_inventory  # noqa: E402
from pods.job import JobSpec  # noqa: E402
from pods.paths import JobPaths  # noqa: E402
from pods.probe import LIMIT_S, PodState  # noqa: E402
from pods.route import Route  # noqa: E402
from pods.shell import Completed  # noqa: E402
from pods.ssh.link import LIMITS  # noqa: E402
from pods.ssh.shell import SshShell  # noqa: E402
from tests.daemons.nvidia import Card, install  # noqa: E402
from tests.daemons.sshd import Daemon, make_user_key, new_daemon  # noqa: E402

PODS, HUNG, DAEMONS = 100, 10, 5
LAUNCHES = 7
TASKS, FOLLOWED, TICKS = 20, 10, 5
FIRST_LINE = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).write_text(str(time.monotonic()))"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="paceline-pods-") as folder:
        daemons = []
        try:
            key = make_user_key(Path(folder))
            daemons = [new_daemon(Path(folder) / f"pod {n}", f"daemon-{n}", key) for n in range(DAEMONS)]
            for daemon in daemons:
                install(daemon.programs, [Card("GPU-1"), Card("GPU-2")])
            (daemons[-1].programs / "hangs").touch()
            measured = {**probed(daemons, Path(folder)), **followed(daemons[:-1]), **launched(daemons[0])}
        finally:
            for daemon in daemons:
                daemon.end()
    print("| what | measured | asked |\n|:---|---:|---:|")
    for what, text, asked in rows(measured):
        print(f"| {what} | {text} | {asked} |")
    print(json.dumps(measured))


def rows(measured: dict[str, float]) -> list[tuple[str, str, str]]:
    launch_s, hand_s = measured["launch_s"], measured["hand_s"]
    limit = f"{LIMIT_S + 2:g} s"
    return [
        (f"probe of {PODS} pods, {HUNG} hung, first time", f"{measured['first_s']:.1f} s", limit),
        ("the same over connections that are there", f"{measured['again_s']:.1f} s", limit),
        ("memory of the asking process at its peak", f"{measured['peak_mib']:.0f} MiB", "150 MiB"),
        ("connections made by both", f"{measured['connects']}", f"{PODS}"),
        (f"round trips of a tick, {TASKS} tasks on {FOLLOWED} pods", f"{measured['trips']:g}", f"{FOLLOWED}"),
        ("the longest such tick", f"{measured['tick_s']:.2f} s", ""),
        ("connections made by all of them", f"{measured['tick_connects']:g}", f"{FOLLOWED}"),
        (f"from launch to the first line, median of {LAUNCHES}", f"{launch_s:.2f} s", ""),
        ("the same command by hand over the same connection", f"{hand_s:.2f} s", ""),
        ("difference", f"{launch_s - hand_s:.2f} s", "2 s"),
    ]


def probed(daemons: list[Daemon], folder: Path) -> dict[str, float]:
    """100 entries of one `pods.toml`, each with a connection of its own: every tenth leads to the hung
    daemon, the rest over the others."""
    well, hung = daemons[:-1], daemons[-1]
    every = PODS // HUNG
    order = [hung if n % every == every - 1 else well[n % len(well)] for n in range(PODS)]
    fleet = Fleet(inventory_of(order, folder))
    began = time.monotonic()
    states = fleet.probe()
    first_s = time.monotonic() - began
    began = time.monotonic()
    again = fleet.probe()
    again_s = time.monotonic() - began
    for found in (states, again):
        free = sum(isinstance(state, PodState) and bool(state.free) for state in found)
        assert free == PODS - HUNG, [state for state in found if not isinstance(state, PodState)][:20]
    assert freest(again, Need(gpu_type="H100")).best is not None
    shells = [fleet.shell(pod.name) for pod in fleet.inventory.pods]
    connects = sum(shell.connects for shell in shells if isinstance(shell, SshShell))
    fleet.close()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"first_s": first_s, "again_s": again_s, "connects": connects, "peak_mib": peak_mib}


def inventory_of(order: list[Daemon], folder: Path) -> Inventory:
    """Written as a user writes it, and read."""
    (folder / "ssh_config").touch()
    text = 'ssh_config = "ssh_config"\n'
    pins = []
    for number, daemon in enumerate(order):
        pod = daemon.pod()
        where = {"host": pod.host, "key": str(pod.key), "python": pod.python}
        where |= {"workspace": str(pod.workspace), "machine": str(pod.machine)}
        text += f"[pod.pod-{number}]\nport = {pod.port}\n"
        text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in where.items())
        pins.append(f"pod-{number} {(daemon.folder / 'host_key.pub').read_text()}")
    (folder / "pods.toml").write_text(text)
    (folder / "pods.known_hosts").write_text("".join(pins))
    return read_inventory(folder / "pods.toml")


class Counted(SshShell):
    """Counts its round trips."""

    trips = 0

    def run(self, *arguments: Any, **options: Any) -> Completed:
        self.trips += 1
        return super().run(*arguments, **options)


def followed(daemons: list[Daemon]) -> dict[str, float]:
    """Jobs that sleep, two a pod, each pod a folder of one of the daemons; and the agent's look at all."""
    pods, shells = [], {}
    for number in range(FOLLOWED):
        daemon, name = daemons[number % len(daemons)], f"pod-{number}"
        pods.append(daemon.pod(name=name, workspace=PurePosixPath(daemon.folder / name)))
        pins = daemon.pins
        shells[name] = Counted(name, sys.executable, Route((daemon.hop,)), lambda pins=pins: pins, LIMITS)
    yard = Yard(Fleet(Inventory(tuple(pods), Path("pins")), dict(shells)), Path())
    jobs = [(pods[n % FOLLOWED].name, f"task-{n}") for n in range(TASKS)]
    for pod, name in jobs:
        bench = yard.bench(pod)
        spec = JobSpec(bench.paths(name), name, "0123456789ab", "cpu", 600.0, ("sleep", "600"), grace_s=0.1)
        job.prepare(bench.shell, spec, {})
        job.launch(bench.shell, spec.paths)
    seconds = []
    before = sum(shell.trips for shell in shells.values())
    for _ in range(TICKS):
        began = time.monotonic()
        yard.begin_tick()
        assert all(isinstance(yard.observe(*one), job.Running) for one in jobs)
        seconds.append(time.monotonic() - began)
    trips = sum(shell.trips for shell in shells.values()) - before
    for pod, name in jobs:
        job.cancel(yard.bench(pod).shell, yard.bench(pod).paths(name))
    connects = sum(shell.connects for shell in shells.values())
    yard.close()
    return {"trips": trips / TICKS, "tick_s": max(seconds), "tick_connects": connects}


def launched(daemon: Daemon) -> dict[str, float]:
    """Prepare, lease, launch, until the command has written; and the same command by hand. Monotonic time is
    the machine's, so both ends of a difference may be read by different processes."""
    shell, pod = daemon.shell(LIMITS), daemon.pod()
    shell.run(["true"], timeout_s=20)
    launches, hands = [], []
    for number in range(LAUNCHES):
        written = daemon.folder / f"written-{number}"
        command = (pod.python, "-c", FIRST_LINE, str(written))
        paths = JobPaths(pod.workspace / "jobs" / f"job-{number}")
        spec = JobSpec(paths, f"job-{number}", "0123456789ab", "cpu", 60.0, command, machine=pod.machine)
        began = time.monotonic()
        job.prepare(shell, spec, {})
        assert isinstance(job.take(shell, paths, pod.machine, "cpu"), job.Taken)
        job.launch(shell, paths)
        launches.append(_when(written) - began)
        while not isinstance(job.observe(shell, paths), job.Finished):
            time.sleep(0.05)
        by_hand = daemon.folder / f"by-hand-{number}"
        began = time.monotonic()
        shell.run([*command[:-1], str(by_hand)], timeout_s=20)
        hands.append(_when(by_hand) - began)
    shell.close()
    return {"launch_s": statistics.median(launches), "hand_s": statistics.median(hands)}


def _when(path: Path) -> float:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            return float(path.read_text())
        except (FileNotFoundError, ValueError):
            time.sleep(0.005)
    raise TimeoutError(path)


if __name__ == "__main__":
    main()

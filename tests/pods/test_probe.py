"""One question to a pod: what its answer becomes, and five real daemons in five states."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from pods import noise
from pods.choose import Need, freest
from pods.inventory import Pod
from pods.probe import PodState, Unusable, probe, probe_all
from pods.shell_local import LocalShell
from pods.ssh.link import LIMITS
from pods.supervisor import lease, process, quarantine
from pods.supervisor import probe as supervisor_probe
from pods.supervisor.paths import MachinePaths
from tests.daemons.nvidia import Card, install

pytestmark = pytest.mark.ssh


@pytest.fixture
def asked(daemon):
    """Probes the daemon with what is installed there."""

    def ask(*cards: Card, **changes) -> PodState | Unusable:
        if cards:
            install(daemon.programs, list(cards))
        return probe(daemon.shell(), daemon.pod(**changes))

    return ask


def why(state: PodState) -> list[str]:
    return [slot.busy for slot in state.slots]


def test_a_machine_without_a_gpu_has_the_slot_cpu(asked):
    state = asked()
    assert [(slot.name, slot.gpu, slot.busy) for slot in state.slots] == [("cpu", None, "")]
    assert state.host.cores >= 1
    assert state.disk.free_b > 0
    assert state.versions["git"].startswith("2.")
    assert state.versions["python"].startswith("3.")


def test_what_the_driver_says_of_a_free_gpu(asked):
    [slot] = asked(Card("GPU-1", watts=71.5)).slots
    assert (slot.name, slot.busy, slot.gpu.name) == ("GPU-1", "", "NVIDIA H100 80GB HBM3")
    assert (slot.power_w, slot.power_limit_w, slot.throttle) == (71.5, 700.0, "0x0000000000000000")


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (Card("GPU-1", app="/usr/bin/python3"), "in use by python3 (4711)"),
        (Card("GPU-1", used_mib=60_000), "60000 MiB in use"),
        (Card("GPU-1", use_pct="97"), "97 % utilised"),
        (Card("GPU-1", use_pct="[N/A]"), ""),
        (Card("GPU-1", use_pct="[Not Supported]", used_mib=60_000), "60000 MiB in use"),
        (Card("GPU-1", total_mib="[N/A]", used_mib="[N/A]"), ""),
        (Card("GPU-1", total_mib="[N/A]", used_mib="[N/A]", app="train"), "in use by train (4711)"),
        (Card("GPU-1", total_mib="[N/A]", used_mib="[N/A]", use_pct="97"), "97 % utilised"),
        (
            Card("GPU-1", total_mib="[N/A]", used_mib="[N/A]", use_pct="[N/A]"),
            "neither its memory in use nor its utilisation is known",
        ),
        (Card("GPU-1", mode="Exclusive_Process"), ""),
        (Card("GPU-1", mode="Prohibited"), "its compute mode is prohibited: nobody may compute there"),
    ],
)
def test_a_gpu_is_busy_by_its_processes_its_memory_or_its_utilisation(asked, card, reason):
    assert why(asked(card)) == [reason]


@pytest.mark.parametrize("left", ["GPU-1", "0"])
def test_a_gpu_that_is_to_be_left_alone_is_busy(asked, left):
    state = asked(Card("GPU-1"), Card("GPU-2"), leave=frozenset({left}))
    assert why(state) == ["to be left alone (pods.toml)", ""]


def test_a_pod_whose_list_of_gpus_to_leave_is_wrong_is_busy(asked):
    state = asked(Card("GPU-1"), Card("GPU-2"), leave=frozenset({"GPU-1", "GPU-3"}))
    assert state.why == "counts as busy: leave_gpus names GPU-3, which is not there"


def test_little_power_at_full_use_is_shared_tenancy(asked):
    state = asked(Card("GPU-1", use_pct="100", watts=150.0), Card("GPU-2", use_pct="100", watts=600.0))
    assert [slot.is_shared for slot in state.slots] == [True, False]


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("errs", "", "counts as busy: nvidia-smi: exit status 255: Failed to initialize NVML"),
        ("gpus", "GPU-1, half a li", "counts as busy: nvidia-smi: cannot read"),
        ("gpus", "", "counts as busy: nvidia-smi lists no GPU"),
        ("apps", "nonsense", "counts as busy: nvidia-smi: cannot read 'nonsense'"),
    ],
)
def test_what_cannot_be_known_counts_as_busy(asked, daemon, file, text, reason):
    install(daemon.programs, [Card("GPU-1")])
    (daemon.programs / file).write_text(text)
    state = asked()
    assert isinstance(state, Unusable)
    assert state.why.startswith(reason)
    assert state.is_reached


def test_a_driver_that_hangs_costs_its_own_deadline_and_is_ended(daemon):
    install(daemon.programs, [Card("GPU-1")])
    (daemon.programs / "hangs").touch()
    began = time.monotonic()
    state = probe(daemon.shell(), daemon.pod(), limit_s=1.0)
    assert state == Unusable(daemon.pod(), "counts as busy: no answer in time", is_reached=True)
    assert time.monotonic() - began < 15
    assert daemon.sessions() == []


def test_leases_quarantine_noise_and_jobs_come_with_the_same_answer(asked, daemon):
    pod = daemon.pod()
    machine, job = MachinePaths(pod.machine), pod.workspace / "jobs" / "x-1-0123456789ab-a1"
    job.mkdir(parents=True)
    (job / "job.json").write_text(json.dumps({"schema": 1, "name": job.name}))
    assert lease.take(machine, "GPU-1", job, 120.0)["taken"]
    quarantine.put(machine, "GPU-2", "its memory did not come back", job)
    noise.add(LocalShell(), pod.machine, "GPU-3", "bench", {"n": 1})
    state = asked(Card("GPU-1"), Card("GPU-2"), Card("GPU-3"))
    assert why(state)[0].startswith("leased: taken")
    assert why(state)[1:] == ["quarantined: its memory did not come back", ""]
    assert state.slots[0].holder == str(job)
    assert [record["n"] for record in state.noise["GPU-3"].records.values()] == [1]
    [found] = state.jobs
    assert (found.name, found.has_ended, found.state["is_prepared"]) == (job.name, False, True)


def test_five_pods_in_five_states_and_the_free_one_is_chosen(daemons):
    named = {name: daemons(name) for name in ("free", "busy", "errs", "hangs", "container")}
    for daemon in named.values():
        install(daemon.programs, [Card("GPU-1"), Card("GPU-2")])
    install(named["busy"].programs, [Card("GPU-1", app="train"), Card("GPU-2", used_mib=70_000)])
    install(named["container"].programs, [Card("GPU-1", used_mib=30_000, use_pct="99"), Card("GPU-2")])
    (named["errs"].programs / "errs").touch()
    (named["hangs"].programs / "hangs").touch()
    gone = named["free"].pod(name="gone", port=1)
    shells = {name: daemon.shell() for name, daemon in named.items()}
    shells["gone"] = named["free"].shell(port=1)
    pods = [*(daemon.pod() for daemon in named.values()), gone]
    states = probe_all(pods, lambda pod: probe(shells[pod.name], pod, limit_s=2.0))
    choice = freest(states, Need(gpu_type="H100"))
    assert [(one.pod, one.slot) for one in choice.ranked] == [
        ("free", "GPU-1"),
        ("container", "GPU-2"),
        ("busy", None),
        ("errs", None),
        ("hangs", None),
        ("gone", None),
    ]
    reasons = {one.pod: one.reason for one in choice.ranked}
    assert reasons["busy"] == "0 of 2 fitting GPUs free: in use by train (4711)"
    assert reasons["hangs"] == "counts as busy: no answer in time"
    assert "Connection refused" in reasons["gone"]
    assert "1 of 2 free" in reasons["container"]


def test_a_pod_that_does_not_answer_at_all_costs_the_deadline_and_no_other_pod(daemons):
    frozen, well = daemons("frozen"), daemons("well")
    shells = {name: daemon.shell(LIMITS) for name, daemon in (("frozen", frozen), ("well", well))}
    with frozen.frozen():
        began = time.monotonic()
        states = probe_all([frozen.pod(), well.pod()], lambda pod: probe(shells[pod.name], pod), within_s=3.0)
        assert time.monotonic() - began < LIMITS.banner_s
    assert states[0] == Unusable(frozen.pod(), "no answer within 3 s")
    assert isinstance(states[1], PodState)


def test_what_is_our_own_mistake_is_raised_and_not_taken_for_a_pod_that_is_gone():
    def breaks(_pod):
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        probe_all([Pod(name="alpha")], breaks)


def test_a_slow_start_leaves_less_time_for_a_driver_that_hangs(monkeypatch, tmp_path):
    def seconds(age_s):
        monkeypatch.setattr(process, "age_s", lambda _process: age_s)
        began = time.monotonic()
        answer = supervisor_probe.probe(machine, tmp_path / "work", {"gpus": ["sleep", "60"]}, limit_s=4.0)
        assert answer["answers"]["gpus"]["status"] is None
        return time.monotonic() - began

    machine = MachinePaths(tmp_path / "machine")
    assert seconds(0.0) >= 4.0
    assert seconds(1.0) >= 3.0
    assert 2.0 <= seconds(3600.0) < 4.0, "half of it is left, whatever the clock of a sandbox says"


def test_the_age_of_a_process_is_counted_from_its_start():
    began = time.monotonic()
    with subprocess.Popen(["sleep", "60"]) as child:
        time.sleep(0.5)
        age_s = process.age_s(process.process_of(child.pid))
        assert 0.4 <= age_s <= time.monotonic() - began + 0.1
        child.kill()

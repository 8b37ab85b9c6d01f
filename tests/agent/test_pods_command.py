"""`paceline pods` on real daemons: what is shown, what is trusted, what is given back."""

from __future__ import annotations

import json
import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.dispatch import harness_digest
from agent.doctor import _pods, why_unusable
from agent.errors import TaskError
from agent.fleet import fleet_of
from agent.leases_command import lease_text
from agent.operator import Operator
from agent.pods_command import trust
from bench.noise import NoiseRecord, Replicate
from pods import noise
from pods.host_keys import read_pins
from pods.inventory import _Pod, parse_inventory
from pods.leases import Lease
from pods.preflight import seen_lacks
from pods.shell import PodError
from pods.shell_local import LocalShell
from pods.supervisor import lease, quarantine
from pods.supervisor.paths import MachinePaths
from tests.daemons.nvidia import Card, install

pytestmark = pytest.mark.ssh
POD = """
[pod.{name}]
host = "127.0.0.1"
port = {port}
user = "{user}"
key = "{key}"
workspace = "{folder}/work"
machine = "{folder}/machine"
python = "{python}"
price_per_hour = {price}
class = "community"
"""


@pytest.fixture
def inventory(tmp_path, daemons):
    """Writes pods.toml for daemons by name and price; nobody's key is trusted yet."""

    def write(**prices):
        found = {name: daemons(name) for name in prices}
        text = ""
        for name, daemon in found.items():
            pod = daemon.pod()
            where = {"name": name, "port": daemon.port, "user": daemon.hop.user, "key": daemon.user_key}
            text += POD.format(**where, folder=daemon.folder, python=pod.python, price=prices[name])
        (tmp_path / "pods.toml").write_text(text)
        return found

    return write


@pytest.fixture
def paceline(tmp_path):
    def run(*arguments, text=""):
        return CliRunner().invoke(
            app, ["pods", "--pods", str(tmp_path / "pods.toml"), *arguments], input=text
        )

    return run


def trusted(tmp_path, name):
    return list(trust(tmp_path / "pods.toml", name, lambda _: "yes"))


def test_a_pod_whose_key_nobody_trusted_is_unusable_and_says_what_to_do(inventory, paceline, tmp_path):
    inventory(alpha=2)
    out = paceline().output
    assert "its host key is not known: ssh-ed25519 SHA256:" in out
    hint = shlex.join(["paceline", "pods", "--pods", str(tmp_path / "pods.toml"), "trust", "alpha"])
    assert f"look, then: {hint}" in out


def test_a_key_is_shown_asked_about_and_pinned(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    done = paceline("trust", "alpha", text="y\n")
    assert "pinned: none" in done.output
    assert f"shown:  {alpha.key} by 127.0.0.1:{alpha.port}" in done.output
    assert read_pins(tmp_path / "pods.known_hosts") == {"alpha": alpha.key}
    assert "shows the key that is pinned" in paceline("trust", "alpha").output


@pytest.mark.parametrize("text", ["n\n", "\n", ""])
def test_anything_but_yes_trusts_nothing(inventory, paceline, tmp_path, text):
    inventory(alpha=2)
    done = paceline("trust", "alpha", text=text)
    assert isinstance(done.exception, TaskError)
    assert read_pins(tmp_path / "pods.known_hosts") == {}


def test_a_changed_key_shows_both_fingerprints(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    before = alpha.key
    alpha.stop()
    alpha.make_key()
    alpha.start()
    assert f"it was {before}, now it is {alpha.key}" in paceline().output
    out = paceline("trust", "alpha", "--yes").output
    assert "[y/N]" not in out
    assert f"pinned: {before}" in out
    assert f"shown:  {alpha.key}" in out
    assert "alpha  community  free" in paceline().output


def test_the_table_says_what_each_pod_has_and_which_is_first(inventory, paceline, tmp_path):
    found = inventory(alpha=3, beta=2)
    for name in found:
        trusted(tmp_path, name)
    install(found["alpha"].programs, [Card("GPU-1", app="train"), Card("GPU-2", watts=140)])
    install(found["beta"].programs, [Card("GPU-3")])
    rows = [line.split() for line in paceline().output.splitlines()[2:4]]
    assert [(*row[:4], row[-1]) for row in rows] == [
        ("alpha", "community", "free", "1/2", "2"),
        ("beta", "community", "free", "1/1", "first"),
    ]
    pods = json.loads(paceline("--json").output)["pods"]
    assert [(pod["name"], pod["rank"], pod["slot"]) for pod in pods] == [
        ("alpha", 2, "GPU-2"),
        ("beta", 1, "GPU-3"),
    ]
    assert pods[0]["slots"][1]["power_w"] == 140
    done = paceline("choose", "--gpu-type", "H100", "--explain")
    assert done.output.splitlines()[0] == "beta GPU-3"
    assert done.exit_code == 0
    assert paceline("choose", "--gpu-type", "B200").exit_code == 3
    ranked = json.loads(paceline("choose", "--memory-gib", "60", "--json").output)["ranked"]
    assert [(one["pod"], one["slot"]) for one in ranked] == [("beta", "GPU-3"), ("alpha", "GPU-2")]
    assert json.loads(paceline("choose", "--tag", "x", "--json").output)["ranked"][0] == {
        "pod": "alpha",
        "slot": None,
        "reason": "has no tag x",
    }


def test_a_narrow_terminal_gets_a_block_a_pod(inventory, paceline, tmp_path, monkeypatch):
    inventory(alpha=3)
    trusted(tmp_path, "alpha")
    monkeypatch.setenv("COLUMNS", "60")
    lines = paceline().output.splitlines()
    assert lines[:4] == ["alpha:", "  class    community", "  state    free", "  free     1/1"]
    assert "  price    3" in lines
    monkeypatch.setenv("COLUMNS", "200")
    assert paceline().output.startswith("pod    class")


@pytest.mark.parametrize(
    "arguments",
    [
        ("choose", "--memory-gib", "-5"),
        ("choose", "--disk-gib", "nan"),
        ("gc", "--days", "-1"),
        ("gc", "--days", "nan"),
    ],
)
def test_amounts_below_nothing_are_refused(paceline, arguments):
    done = paceline(*arguments)
    assert (done.exit_code, "is not 0 or more" in done.output) == (2, True)


@pytest.mark.parametrize("text", ["garbage", None])
def test_a_file_of_pins_that_is_none_is_told_in_one_line(inventory, paceline, tmp_path, text):
    inventory(alpha=3)
    pins = tmp_path / "pods.known_hosts"
    pins.mkdir() if text is None else pins.write_text(text)
    done = paceline("trust", "alpha", "--yes")
    assert isinstance(done.exception, PodError)
    wanted = (
        f"cannot read {pins}: Is a directory" if text is None else f"{pins}: line 1 is not NAME KIND BASE64"
    )
    assert str(done.exception).startswith(f"host keys: {wanted}")


def test_pins_that_cannot_be_written_are_told_in_one_line(inventory, paceline, tmp_path):
    inventory(alpha=3)
    text = (tmp_path / "pods.toml").read_text()
    (tmp_path / "pods.toml").write_text(f'known_hosts = "/proc/paceline/pins"\n{text}')
    done = paceline("trust", "alpha", "--yes")
    assert str(done.exception) == "host keys: cannot write /proc/paceline/pins: No such file or directory"


def test_what_is_no_python_is_told_with_its_key(inventory, paceline, tmp_path):
    inventory(alpha=3)
    trusted(tmp_path, "alpha")
    text = (
        (tmp_path / "pods.toml").read_text().replace(f'python = "{sys.executable}"', 'python = "/bin/true"')
    )
    (tmp_path / "pods.toml").write_text(text)
    assert "not an answer of the supervisor: b''; is `python` in pods.toml a Python?" in paceline().output


def test_what_the_driver_says_of_a_slot_is_told(inventory, paceline, tmp_path):
    alpha = inventory(alpha=3)["alpha"]
    trusted(tmp_path, "alpha")
    capped = {"mode": "Exclusive_Process", "throttle": "0x0000000000000004"}
    gb10 = {"total_mib": "[N/A]", "used_mib": "[N/A]"}
    install(alpha.programs, [Card("GPU-1", **capped), Card("GPU-2", mode="Prohibited")])
    exclusive, prohibited = json.loads(paceline("--json").output)["pods"][0]["slots"]
    assert (exclusive["compute_mode"], exclusive["busy"]) == ("exclusive process", "")
    assert exclusive["throttle"] == ["power cap"]
    assert prohibited["busy"] == "its compute mode is prohibited: nobody may compute there"
    assert "NVIDIA H100 80GB HBM3 (exclusive process)" in paceline().output
    install(alpha.programs, [Card("GPU-1", name="NVIDIA GB10", **gb10)])
    [slot] = json.loads(paceline("--json").output)["pods"][0]["slots"]
    assert (slot["memory_total_mib"], slot["memory_used_mib"], slot["busy"]) == (None, None, "")
    assert "? GiB" in paceline().output
    assert paceline("choose", "--memory-gib", "60").exit_code == 3


def test_the_noise_floor_of_a_slot_is_told(inventory, paceline, tmp_path):
    alpha = inventory(alpha=3)["alpha"]
    trusted(tmp_path, "alpha")
    install(alpha.programs, [Card("GPU-1"), Card("GPU-2")])
    replicates = tuple(Replicate({"job_tokens_per_s": 0.01 * sign}, 60.0) for sign in (1, -1) * 3)
    today = datetime.now(UTC).date().isoformat()
    record = NoiseRecord("w", "sft", "lockstep", "e", harness_digest(), "c", "j", today, 1.0, replicates)
    noise.add(LocalShell(), alpha.pod().machine, "GPU-2", "sft", record.to_dict())
    noise.add(LocalShell(), alpha.pod().machine, "GPU-2", "other", {"schema": 99})
    quiet, measured = json.loads(paceline("--json").output)["pods"][0]["slots"]
    assert quiet["floors"] == []
    [floor] = measured["floors"]
    assert (floor["recipe"], floor["metric"], floor["n"]) == ("sft", "job_tokens_per_s", 6)
    assert floor["floor"] == pytest.approx(2.571 * 0.010954 / 6**0.5, rel=1e-3)


def test_a_pod_whose_driver_errs_was_reached_and_one_that_is_away_was_not(inventory, paceline, tmp_path):
    found = inventory(alpha=3, beta=2)
    for name in found:
        trusted(tmp_path, name)
    install(found["alpha"].programs, [Card("GPU-1")])
    (found["alpha"].programs / "errs").touch()
    found["beta"].stop()
    alpha, beta = json.loads(paceline("--json").output)["pods"]
    assert (alpha["is_reached"], beta["is_reached"]) == (True, False)
    assert alpha["reason"].startswith("counts as busy: nvidia-smi: exit status 255")


def test_what_was_not_understood_of_the_way_to_a_pod_is_said(inventory, paceline, tmp_path, monkeypatch):
    inventory(alpha=3, beta=2)
    for name in ("alpha", "beta"):
        trusted(tmp_path, name)
    assert paceline().stderr == ""
    monkeypatch.setenv("PATH", "/nowhere")
    warning = "there is no ssh program: Include, Match and tokens of ~/.ssh/config are not understood"
    assert paceline().stderr.splitlines() == [f"alpha: {warning}", f"beta: {warning}"]
    done = paceline("--json")
    assert [pod["warnings"] for pod in json.loads(done.stdout)["pods"]] == [[warning], [warning]]
    operator = Operator("acme/target", "https://api.example", "token", pods=tmp_path / "pods.toml")
    assert _pods(operator) == f"2 usable; alpha: {warning}; beta: {warning}"


def test_a_lease_of_a_dead_job_is_given_back_and_that_of_a_living_one_is_not(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    machine, job = MachinePaths(alpha.pod().machine), alpha.folder / "work" / "jobs" / "x"
    job.mkdir(parents=True)
    lease.take(machine, "cpu", job, 120.0)
    head = rf"alpha cpu: leased by {job} for \d+ s: "
    assert re.fullmatch(rf"{head}taken \d+ s ago, may start within 120 s\n", paceline("leases").output)
    refused = paceline("leases", "alpha", "--release", "cpu")
    assert "may start within" in str(refused.exception)
    assert "only what is dead is given back" in str(refused.exception)
    (job / "exit.json").write_text("{}")
    assert re.fullmatch(rf"{head}its job is dead, it may be reclaimed\n", paceline("leases").output)
    assert paceline("leases", "alpha", "--release", "cpu").output == "alpha cpu: released\n"
    assert paceline("leases").output == "alpha: nothing is held\n"
    assert "alpha cpu is not held" in str(paceline("leases", "alpha", "--release", "cpu").exception)


def test_leases_and_quarantine_of_gpus_that_are_gone_are_listed_also_where_the_driver_errs(
    inventory, paceline, tmp_path
):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    machine = MachinePaths(alpha.pod().machine)
    for slot in ("GPU-1", "GPU-gone"):
        lease.take(machine, slot, alpha.folder / slot, 120.0)
    quarantine.put(machine, "GPU-gone-2", "it smells", alpha.folder)
    holder = machine.lease("GPU-1") / lease.HOLDER
    holder.write_text(json.dumps({**json.loads(holder.read_text()), "boot": "another"}))
    install(alpha.programs, [Card("GPU-1")])
    (alpha.programs / "errs").touch()
    lines = paceline("leases").output.splitlines()
    head = f"alpha GPU-1: leased by {alpha.folder}/GPU-1 since before a restart: "
    assert lines[0] == f"{head}its job is dead, it may be reclaimed"
    assert re.match(rf"alpha GPU-gone: leased by {alpha.folder}/GPU-gone for \d+ s: taken", lines[1])
    assert lines[2:] == ["alpha GPU-gone-2: quarantined: it smells"]


@pytest.mark.parametrize(
    ("age_s", "text"),
    [(59.0, "for 59 s"), (60.0, "for 1 min"), (3599.0, "for 60 min"), (5400.0, "for 1.5 h"), (None, "since")],
)
def test_a_lease_says_how_long_it_stands(age_s, text):
    assert f"leased by /x {text}" in lease_text(Lease("cpu", "/x", age_s, "its supervisor lives"))


def test_a_lease_that_cannot_be_read_says_so_and_no_age():
    assert lease_text(Lease("cpu", "", None, "unreadable: x")) == "leased: unreadable: x"


def test_a_slot_comes_out_of_quarantine(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    quarantine.put(MachinePaths(alpha.pod().machine), "cpu", "it smells", alpha.folder)
    assert paceline("leases").output == "alpha cpu: quarantined: it smells\n"
    assert paceline("leases", "alpha", "--lift", "cpu").output == "alpha cpu: out of quarantine\n"
    refused = paceline("leases", "alpha", "--lift", "cpu").exception
    assert (type(refused), str(refused)) == (TaskError, "alpha cpu is not in quarantine")


def test_a_slot_without_its_pod_is_refused(inventory, paceline):
    inventory(alpha=2)
    assert "name the pod" in str(paceline("leases", "--lift", "cpu").exception)
    both = paceline("leases", "alpha", "--lift", "cpu", "--release", "cpu").exception
    assert "not both at once" in str(both)
    assert "no pod 'alfa'; did you mean 'alpha'" in str(paceline("trust", "alfa").exception)


def test_a_pod_is_made_ready_once(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    lines = paceline("bootstrap", "alpha").output.splitlines()
    assert lines[0] == f"alpha: made {alpha.folder}/machine"
    assert lines[-1] == "alpha: ready"
    assert paceline("bootstrap", "alpha").output == "alpha: was ready, nothing changed\n"


@pytest.mark.parametrize(("key", "place"), [("workspace", "work"), ("machine", "machine")])
def test_a_folder_that_cannot_be_made_is_told_with_pod_and_key(inventory, paceline, tmp_path, key, place):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    (alpha.folder / place).touch()
    told = str(paceline("bootstrap", "alpha").exception)
    assert told.startswith(f"alpha lacks the folder {alpha.folder / place}")
    assert f" ({key} in pods.toml), it cannot be made: " in told


@pytest.mark.parametrize("workspace", ["/proc/paceline", "{folder}/sshd_config/work"])
def test_a_workspace_that_cannot_be_made_is_no_use_and_nobody_is_sent_to_tidy_it(
    inventory, paceline, tmp_path, workspace
):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    wanted = workspace.format(folder=alpha.folder)
    text = (tmp_path / "pods.toml").read_text().replace(f"{alpha.folder}/work", wanted)
    (tmp_path / "pods.toml").write_text(text)
    assert f"alpha: its workspace {wanted} cannot be written to" in paceline().output
    fleet = fleet_of(tmp_path / "pods.toml")
    [state] = fleet.probe()
    fleet.close()
    assert why_unusable(state) == (
        f"its workspace {wanted} cannot be made or written to: pod.alpha.workspace of pods.toml"
    )
    assert [lack.mend for lack in seen_lacks(state)] == [""]


def test_the_inventory_of_the_docs_is_one():
    text = (Path(__file__).parents[2] / "docs" / "pods.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    inventory = parse_inventory(example, "pods.toml", Path("/etc"))
    assert [pod.name for pod in inventory.pods] == ["alpha", "runpod-1", "here"]


def test_every_key_of_a_pod_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "pods.md").read_text()
    table = text.split("| key | meaning")[1].split("\n\n")[0]
    keys = [field.alias or name for name, field in _Pod.model_fields.items()]
    assert [key for key in keys if f"`{key}`" not in table] == []

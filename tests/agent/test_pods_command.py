"""`paceline pods` on real daemons: what is shown, what is trusted, what is given back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.errors import TaskError
from agent.pods_command import trust
from pods.host_keys import read_pins
from pods.inventory import _Pod, parse_inventory
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


def test_a_pod_whose_key_nobody_trusted_is_unusable_and_says_what_to_do(inventory, paceline):
    inventory(alpha=2)
    out = paceline().output
    assert "its host key is not known: ssh-ed25519 SHA256:" in out
    assert "look, then: paceline pods trust alpha" in out


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
    assert f"pinned: {before}" in out
    assert f"shown:  {alpha.key}" in out
    assert "alpha  free" in paceline().output


def test_the_table_says_what_each_pod_has_and_which_is_first(inventory, paceline, tmp_path):
    found = inventory(alpha=3, beta=2)
    for name in found:
        trusted(tmp_path, name)
    install(found["alpha"].programs, [Card("GPU-1", app="train"), Card("GPU-2", watts=140)])
    install(found["beta"].programs, [Card("GPU-3")])
    rows = [line.split() for line in paceline().output.splitlines()[2:4]]
    assert [(row[0], row[1], row[2], row[-1]) for row in rows] == [
        ("alpha", "free", "1/2", "2"),
        ("beta", "free", "1/1", "first"),
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


def test_a_lease_of_a_dead_job_is_given_back_and_that_of_a_living_one_is_not(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    machine, job = MachinePaths(alpha.pod().machine), alpha.folder / "work" / "jobs" / "x"
    job.mkdir(parents=True)
    lease.take(machine, "cpu", job, 120.0)
    assert "alpha cpu: leased: taken" in (out := paceline("leases").output)
    assert str(job) in out
    refused = paceline("leases", "alpha", "--release", "cpu")
    assert "may start within" in str(refused.exception)
    (job / "exit.json").write_text("{}")
    assert paceline("leases", "alpha", "--release", "cpu").output == "alpha cpu: released\n"
    assert paceline("leases").output == "alpha: nothing is held\n"


def test_a_slot_comes_out_of_quarantine(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    quarantine.put(MachinePaths(alpha.pod().machine), "cpu", "it smells", alpha.folder)
    assert paceline("leases").output == "alpha cpu: quarantined: it smells\n"
    assert paceline("leases", "alpha", "--lift", "cpu").output == "alpha cpu: out of quarantine\n"
    assert paceline("leases", "alpha", "--lift", "cpu").output == "alpha cpu: was not in quarantine\n"


def test_a_slot_without_its_pod_is_refused(inventory, paceline):
    inventory(alpha=2)
    assert "name the pod" in str(paceline("leases", "--lift", "cpu").exception)
    assert "no pod 'alfa'; did you mean 'alpha'" in str(paceline("trust", "alfa").exception)


def test_a_pod_is_made_ready_once(inventory, paceline, tmp_path):
    alpha = inventory(alpha=2)["alpha"]
    trusted(tmp_path, "alpha")
    lines = paceline("bootstrap", "alpha").output.splitlines()
    assert lines[0] == f"alpha: made {alpha.folder}/machine"
    assert lines[-1] == "alpha: ready"
    assert paceline("bootstrap", "alpha").output == "alpha: was ready, nothing changed\n"


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

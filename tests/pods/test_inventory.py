"""`pods.toml`: what it may hold, and what is said where it holds something else."""

from pathlib import Path, PurePosixPath

import pytest

from pods.inventory import MACHINE, WORKSPACE, InventoryError, Pod, parse_inventory, read_inventory

WHOLE = """
known_hosts = "keys"
ssh_config = "config"

[pod.alpha]
host = "10.0.0.7"
port = 2222
user = "root"
key = "id_pods"
jump = "me@bastion:22,second"
price_per_hour = 2.5
class = "community"
tags = ["h100"]
leave_gpus = [0, "GPU-1"]
workspace = "/workspace/pace line"
machine = "/srv/paceline"
python = "/opt/env/bin/python"
install_packages = true

[pod.beta]

[pod.here]
engine = "local"
"""


def parse(text: str):
    return parse_inventory(text, "pods.toml", Path("/etc/pods"))


def test_every_key_is_read_and_paths_are_relative_to_the_file():
    inventory = parse(WHOLE)
    assert inventory.pins == Path("/etc/pods/keys")
    assert inventory.ssh_config == Path("/etc/pods/config")
    assert inventory.pod("alpha") == Pod(
        name="alpha",
        host="10.0.0.7",
        port=2222,
        user="root",
        key=Path("/etc/pods/id_pods"),
        jump="me@bastion:22,second",
        price_per_hour=2.5,
        tenancy="community",
        tags=("h100",),
        leave=frozenset({"0", "GPU-1"}),
        workspace=PurePosixPath("/workspace/pace line"),
        machine=PurePosixPath("/srv/paceline"),
        python="/opt/env/bin/python",
        may_install=True,
    )


def test_a_name_alone_is_a_host_of_ssh_config():
    beta = parse(WHOLE).pod("beta")
    assert (beta.host, beta.engine, beta.port, beta.user, beta.key) == ("beta", "ssh", None, None, None)
    assert (beta.workspace, beta.machine, beta.python) == (WORKSPACE, MACHINE, "python3")


def test_this_machine_may_be_a_pod():
    assert parse(WHOLE).pod("here").engine == "local"


def test_a_pod_that_is_not_there_is_told_with_a_near_miss():
    with pytest.raises(InventoryError, match="no pod 'alfa'; did you mean 'alpha'"):
        parse(WHOLE).pod("alfa")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"pods.toml names no pod: write \[pod.NAME\], and host, port, user below it"),
        ("[pod]", "names no pod"),
        ("[pod.a]\nprice = 1", "unknown key 'pod.a.price'; did you mean 'price_per_hour'"),
        ("[pods.a]", "unknown key 'pods'; did you mean 'pod'"),
        ('[pod.a]\nhost = "-oProxyCommand=x"', "pod.a.host: '-oProxyCommand=x' is not a host:"),
        ('[pod.a]\nhost = "a b"', "pod.a.host: 'a b' is not a host: a name, an alias of"),
        ('[pod.a]\nuser = "-l"', "pod.a.user: '-l' is not a user's name"),
        ('[pod.a]\njump = "b,-x"', "pod.a.jump: 'b,-x' is not USER@HOST:PORT of a machine on the way"),
        ('[pod.a]\njump = "me@:x"', "pod.a.jump: 'me@:x' is not USER@HOST:PORT"),
        ('[pod.a]\njump = "me@gate:x"', "pod.a.jump: 'me@gate:x' is not USER@HOST:PORT"),
        ('[pod.a]\njump = "gate:65536"', "pod.a.jump: 'gate:65536' is not USER@HOST:PORT"),
        ('[pod.a]\nleave_gpus = [""]', "pod.a.leave_gpus.0"),
        ("[pod.a]\nport = 0", "pod.a.port: input should be greater"),
        ('[pod.a]\nport = "22"', "pod.a.port: input should be a valid integer"),
        ("[pod.a]\nprice_per_hour = nan", "pod.a.price_per_hour: input should be a finite"),
        ('[pod.a]\nclass = "spot"', "pod.a.class: input should be 'secure' or 'community'"),
        ('[pod.a]\nworkspace = "~/x"', "pod.a.workspace: '~/x' is not an absolute path"),
        ('[pod.a]\nworkspace = "/a:b"', "a colon"),
        ('[pod.a]\nengine = "local"\nport = 1', "engine 'local' is this machine"),
        ('[pod."a/b"]', r"pod.a/b: 'a/b' is not a name of letters, digits"),
        ("[pod.a", "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(text, message):
    with pytest.raises(InventoryError, match=message):
        parse(text)


@pytest.mark.parametrize(
    "jump", ["gate", "me@gate:22", "10.0.0.1:65535,b", "me@[::1]:2022", "fe80::1", "none"]
)
def test_a_machine_on_the_way_is_written_as_ssh_writes_it(jump):
    assert parse(f'[pod.a]\njump = "{jump}"').pod("a").jump == jump


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        ("0", ["GPU-8f3a"]),
        ("GPU-8f3a", ["GPU-8f3a"]),
        ("gpu-8F", ["GPU-8f3a"]),
        ("GPU-", ["GPU-8f3a", "GPU-91bc"]),
        ("8f3a", []),
        ("2", []),
    ],
)
def test_gpus_are_named_as_for_nvidia_smi_and_what_names_none_is_known(entry, left):
    pod, gpus = Pod("a", leave=frozenset({entry})), ["GPU-8f3a", "GPU-91bc"]
    assert [gpu for index, gpu in enumerate(gpus) if pod.leaves(gpu, index)] == left
    assert pod.absent(gpus) == ([] if left else [entry])


def test_a_machine_without_a_gpu_has_no_gpu_to_leave():
    assert Pod("a", leave=frozenset({"0", "GPU-1"})).absent([]) == ["0", "GPU-1"]
    assert not Pod("a", leave=frozenset({"0"})).leaves("cpu", None)
    assert Pod("a", leave=frozenset({"cpu"})).absent([]) == []


def test_what_to_type_to_trust_a_pod_names_the_file_where_it_is_another_one():
    assert parse(WHOLE).trusting("alpha") == "paceline pods trust alpha"
    inventory = parse_inventory(WHOLE, "my pods/x.toml", Path("my pods"))
    assert inventory.trusting("alpha") == "paceline pods --pods 'my pods/x.toml' trust alpha"


def test_a_file_that_is_not_there_says_where_to_read(tmp_path):
    with pytest.raises(InventoryError, match=r"cannot read .*pods.toml: No such file.*docs/pods.md"):
        read_inventory(tmp_path / "pods.toml")

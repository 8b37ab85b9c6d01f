"""The way to a pod, as `ssh -G` tells it from a configuration of ours."""

import getpass
import os
import socket
from pathlib import Path

import pytest

from pods.inventory import Pod
from pods.route import Hop, parse_settings, route_to
from pods.shell import PodError
from pods.ssh.link import settings_by_paramiko

CONFIG = """
Include {folder}/more
Host alpha
  HostName 10.0.0.7
  Port 2222
  User trainer
  IdentityFile {folder}/id_alpha
  IdentitiesOnly yes
Host behind
  HostName inner
  ProxyJump first,me@second:2200
Host proxied
  ProxyCommand nc %h %p
Host first
  HostName gate.example
"""
MORE = "Host included\n  HostName far.example\n"


def never(host: str, config: Path | None):
    raise AssertionError("there is an ssh program")


@pytest.fixture
def config(tmp_path):
    (tmp_path / "id_alpha").touch()
    (tmp_path / "more").write_text(MORE)
    path = tmp_path / "config"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


pytestmark = pytest.mark.ssh


def test_an_alias_is_resolved(config, tmp_path):
    [hop] = route_to(Pod("pod-1", host="alpha"), config, never).hops
    assert hop == Hop("pod-1", "10.0.0.7", 2222, "trainer", (tmp_path / "id_alpha",), has_only_keys=True)


def test_includes_are_followed(config):
    [hop] = route_to(Pod("x", host="included"), config, never).hops
    assert (hop.host, hop.port, hop.user) == ("far.example", 22, getpass.getuser())


def test_the_inventory_has_the_last_word(config, tmp_path):
    pod = Pod("x", host="alpha", port=22, user="root", key=tmp_path / "other")
    [hop] = route_to(pod, config, never).hops
    assert (hop.host, hop.port, hop.user, hop.keys) == ("10.0.0.7", 22, "root", (tmp_path / "other",))
    assert hop.has_only_keys


def test_jumps_are_hops_each_with_its_own_settings(config):
    route = route_to(Pod("x", host="behind"), config, never)
    assert [(hop.pin, hop.host, hop.port, hop.user) for hop in route.hops] == [
        ("jump:first", "gate.example", 22, getpass.getuser()),
        ("jump:second:2200", "second", 2200, "me"),
        ("x", "inner", 22, getpass.getuser()),
    ]


def test_a_jump_of_the_inventory_stands_in_for_that_of_the_configuration(config):
    route = route_to(Pod("x", host="behind", jump="root@[::1]:2022"), config, never)
    assert [(hop.host, hop.port, hop.user) for hop in route.hops[:-1]] == [("::1", 2022, "root")]


def test_machines_on_the_way_that_share_an_address_have_pins_of_their_own(config):
    jump = "10.0.0.1:2201,10.0.0.1:2202,10.0.0.1,[::1]:2022"
    route = route_to(Pod("x", host="alpha", jump=jump), config, never)
    pins = ["jump:10.0.0.1:2201", "jump:10.0.0.1:2202", "jump:10.0.0.1", "jump:[::1]:2022", "x"]
    assert [hop.pin for hop in route.hops] == pins
    assert [hop.is_jump for hop in route.hops] == [True, True, True, True, False]


def test_a_proxy_command_is_kept(config):
    assert route_to(Pod("x", host="proxied"), config, never).proxy == "nc proxied 22"


def test_a_proxy_command_may_name_the_host_that_was_asked_for(config):
    with config.open("a") as file:
        file.write("Host named\n  HostName 10.0.0.9\n  ProxyCommand hop %n %h %r %% %d\n  User me\n")
    assert route_to(Pod("x", host="named"), config, never).proxy == "hop named 10.0.0.9 me % %d"


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("%d/k", "k"),
        ("~/k", "k"),
        ("${KEYS}/k", "k"),
        ("%d/%h-%n", "10.0.0.8-tokens"),
        ("%d/%r:%p", "me:2022"),
        ("%d/%u", getpass.getuser()),
        ("%d/%i", str(os.getuid())),
        ("%d/%l", socket.gethostname()),
        ("%d/%L", socket.gethostname().partition(".")[0]),
        ("%d/%k%j", "tokens"),
        ("%d/%%h", "%h"),
        ("%d/${PERCENT}", "%h"),
    ],
)
def test_tokens_of_an_identity_file_are_filled_in_as_ssh_does(tmp_path, monkeypatch, named, file):
    for name, value in (("HOME", str(tmp_path)), ("KEYS", str(tmp_path)), ("PERCENT", "%h")):
        monkeypatch.setenv(name, value)
    (tmp_path / file).touch()
    text = f"Host tokens\n HostName 10.0.0.8\n Port 2022\n User me\n IdentityFile {named}\n"
    (tmp_path / "config").write_text(text)
    [hop] = route_to(Pod("x", host="tokens"), tmp_path / "config", never).hops
    assert hop.keys == (tmp_path / file,)


def test_an_identity_file_that_is_not_there_is_not_offered(tmp_path, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    names = "".join(f" IdentityFile {one}\n" for one in ("%d/none", "${NOT_SET}/k", "~nobody-of-that-name/k"))
    (tmp_path / "config").write_text(f"Host x\n{names}")
    assert route_to(Pod("x"), tmp_path / "config", never).hops[0].keys == ()


def test_settings_with_more_than_one_value_keep_their_order():
    assert parse_settings("user me\nidentityfile a\nidentityfile b c\n") == {
        "user": ["me"],
        "identityfile": ["a", "b c"],
    }


def test_what_ssh_refuses_is_told(tmp_path):
    (tmp_path / "config").write_text("Nonsense yes\n")
    with pytest.raises(PodError, match=r"^ssh -G x: .*nonsense$"):
        route_to(Pod("p", host="x"), tmp_path / "config", never)


def test_without_an_ssh_program_paramiko_reads_the_file_and_it_is_said(config, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    route = route_to(Pod("x", host="alpha"), config, settings_by_paramiko)
    [hop] = route.hops
    assert (hop.host, hop.port, hop.user) == ("10.0.0.7", 2222, "trainer")
    assert route.warnings == (
        "there is no ssh program: Include, Match and tokens of ~/.ssh/config are not understood",
    )

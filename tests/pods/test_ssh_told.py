"""What is said where a connection cannot be made: one line, with the value and what to do."""

from __future__ import annotations

import socket
import subprocess
import threading
from dataclasses import replace

import paramiko
import pytest

from pods.host_keys import HostKey
from pods.route import Route
from pods.shell import PodError
from pods.ssh.link import HostKeyRefused, Limits, _is_silence, connect
from tests.daemons.relay import Relay
from tests.daemons.sshd import QUICK

pytestmark = pytest.mark.ssh


def refusal(daemon, limits=QUICK, **hop):
    """What is said of a pod that is reached with another hop than the daemon's own."""
    with pytest.raises(PodError) as told:
        connect("alpha", Route((replace(daemon.hop, **hop),)), daemon.pins, limits).close()
    assert "\n" not in str(told.value)
    return str(told.value).removeprefix(f"{daemon.hop.user}@127.0.0.1:{hop.get('port', daemon.port)}: ")


def test_a_key_file_that_is_missing_is_named_with_what_is_expected(daemon, tmp_path):
    expected = "a private key is expected there, as ssh-keygen makes it"
    told = refusal(daemon, keys=(tmp_path / "no",))
    assert told == f"key {tmp_path / 'no'}: No such file or directory; {expected}"
    assert refusal(daemon, keys=(tmp_path,)) == f"key {tmp_path}: Is a directory; {expected}"


def test_a_public_key_is_told_from_the_private_one(daemon):
    public = daemon.user_key.with_suffix(".pub")
    told = refusal(daemon, keys=(public,))
    assert (
        told == f"key {public} is no private key as ssh-keygen makes it; the private one is {daemon.user_key}"
    )


def test_a_file_that_is_no_key_is_named(daemon, tmp_path):
    (tmp_path / "id").write_text("hello\n")
    assert refusal(daemon, keys=(tmp_path / "id",)) == (
        f"key {tmp_path / 'id'} is no private key as ssh-keygen makes it"
    )


def test_a_key_with_a_passphrase_is_for_an_agent(daemon, tmp_path):
    path = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", path], check=True)
    told = refusal(daemon, keys=(path,))
    assert told.startswith(f"key {path} has a passphrase: leave `key` out and load it into ssh-agent")


def test_a_pinned_key_that_is_none_is_told_with_its_pin(daemon):
    odd = HostKey("ssh-odd", b"\0\0\0\x07ssh-odd\0\0\0\x01k")
    with pytest.raises(PodError, match="the key that is pinned for alpha is none; take its line out"):
        connect("alpha", Route((daemon.hop,)), {"alpha": odd}, QUICK)


@pytest.mark.parametrize(("banner_s", "connect_s"), [(1, 3), (3, 1), (1, 1)])
def test_a_peer_that_says_nothing_gave_no_answer_whichever_wait_ends_first(daemon, banner_s, connect_s):
    relay = Relay(daemon.port)
    relay.is_black_hole = True
    limits = Limits(connect_s=connect_s, banner_s=banner_s, auth_s=2)
    assert refusal(daemon, limits, port=relay.port) == "no answer within 1 s"
    relay.close()


def test_a_daemon_that_is_frozen_gave_no_answer(daemon):
    with daemon.frozen():
        assert refusal(daemon, Limits(connect_s=1, banner_s=1)) == "no answer within 1 s"


def test_a_login_that_is_not_answered_is_silence_and_one_that_is_refused_is_not():
    assert _is_silence(paramiko.AuthenticationException("Authentication timeout."), 20.0)
    assert not _is_silence(paramiko.AuthenticationException("Authentication failed."), 20.0)


def test_a_peer_that_hangs_up_is_no_silent_one(daemon):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        told = refusal(daemon, port=listener.getsockname()[1])
    assert "no answer" not in told


def test_who_is_not_let_in_at_a_machine_on_the_way_is_told_which_key_logs_in_there(daemon, daemons, tmp_path):
    gate = daemons("gate")
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    hop = replace(gate.hop, pin="jump:gate", keys=(other,))
    with pytest.raises(PodError) as told:
        connect("alpha", Route((hop, daemon.hop)), {"jump:gate": gate.key}, QUICK)
    where = f"{gate.hop.user}@127.0.0.1:{gate.port}"
    assert str(told.value) == (
        f"{where}: not let in: Authentication failed; `key` is for the pod alone: give this host an "
        "IdentityFile in ~/.ssh/config, or load it into ssh-agent"
    )


def test_the_hint_is_what_the_route_says(daemon):
    trust = "paceline pods --pods x.toml trust alpha"
    with pytest.raises(HostKeyRefused, match=f"; look, then: {trust}$"):
        connect("alpha", Route((daemon.hop,), trust=trust), {}, QUICK)

"""The SSH adapter against real daemons: what a command is told, what a fault is, whose key holds."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from pods.route import Route
from pods.shell import NoSuchFile, PodError
from pods.ssh.link import HostKeyRefused, Limits, host_key_of
from pods.ssh.shell import SshShell
from tests.daemons.relay import Relay
from tests.daemons.sshd import QUICK, free_port

pytestmark = pytest.mark.ssh
AWKWARD = "a 'quoted' \"name\"\n; echo x $HOME `id` \\ *"


@pytest.fixture
def relay(daemon):
    relay = Relay(daemon.port)
    yield relay
    relay.close()


def test_arguments_arrive_as_they_are(daemon):
    done = daemon.shell().run(["printf", "%s", AWKWARD], timeout_s=20)
    assert (done.status, done.out) == (0, AWKWARD.encode())


def test_a_command_reads_its_input_whole_and_has_its_own_status(daemon):
    done = daemon.shell().run(
        ["sh", "-c", "wc -c; echo no >&2; exit 7"], stdin=b"x" * 5_000_000, timeout_s=60
    )
    assert (done.status, done.out.strip(), done.err) == (7, b"5000000", b"no\n")


def test_output_is_bounded_and_said_to_be(daemon):
    done = daemon.shell().run(["head", "-c", "3000000", "/dev/zero"], timeout_s=60, limit_b=1000)
    assert (done.status, len(done.out), done.is_truncated) == (0, 1000, True)


def test_a_program_that_is_not_there_is_127(daemon):
    assert daemon.shell().run(["no-such-program"], timeout_s=20).status == 127


@pytest.mark.parametrize("script", ["kill -9 $$", "exit 255"])
def test_a_status_that_may_mean_a_lost_link_is_unknown(daemon, script):
    assert daemon.shell().run(["sh", "-c", script], timeout_s=20).status is None


def test_a_command_that_takes_too_long_is_unknown_and_ends_by_itself(daemon, tmp_path):
    shell, pid = daemon.shell(), tmp_path / "pid"
    done = shell.run(["sh", "-c", f"echo $$ > '{pid}'; exec sleep 600"], timeout_s=0.5)
    assert done.status is None
    until = time.monotonic() + 30
    while _lives(int(pid.read_text())):
        assert time.monotonic() < until, "it still lives"
        time.sleep(0.1)
    assert shell.run(["true"], timeout_s=20).status == 0
    assert shell.connects == 1


def test_what_a_command_leaves_behind_is_not_waited_for(daemon):
    began = time.monotonic()
    done = daemon.shell().run(["sh", "-c", "sleep 30 & echo on"], timeout_s=25)
    assert (done.status, done.out) == (0, b"on\n")
    assert time.monotonic() - began < 20


def test_files_are_put_and_got_whole(daemon):
    shell, path = daemon.shell(), daemon.folder / AWKWARD.replace("/", "")
    path.mkdir()
    data = os.urandom(300_000)
    shell.put(path / "file", data, mode=0o600)
    assert shell.get(path / "file", 300_000) == data
    assert (path / "file").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.iterdir()] == ["file"]
    with pytest.raises(PodError, match="longer than 299999 bytes"):
        shell.get(path / "file", 299_999)
    with pytest.raises(NoSuchFile):
        shell.get(path / "other", 1)
    with pytest.raises(PodError, match="No such file"):
        shell.put(path / "folder" / "file", b"")


def test_one_connection_serves_all_commands_also_of_several_threads(daemon):
    shell, statuses = daemon.shell(), []

    def ask():
        statuses.append(shell.run(["sleep", "0.2"], timeout_s=30).status)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert statuses == [0] * 5
    assert shell.connects == 1


def test_the_connection_does_not_wait_to_fill_packets(daemon):
    shell = daemon.shell()
    shell.run(["true"], timeout_s=20)
    sock = shell._link._transport.sock
    assert sock.getsockopt(6, 1) == 1  # IPPROTO_TCP, TCP_NODELAY


def test_a_machine_that_is_not_there_is_told_in_one_line(daemon):
    with pytest.raises(PodError, match=r"^[a-z]+@127.0.0.1:\d+: Connection refused$") as told:
        daemon.shell(port=free_port()).run(["true"], timeout_s=20)
    assert "\n" not in str(told.value)


def test_a_key_that_was_never_trusted_is_refused(daemon):
    shell = SshShell("alpha", "python3", Route((daemon.hop,)), dict, QUICK)
    with pytest.raises(HostKeyRefused, match=r"not known: ssh-ed25519 SHA256:.*paceline pods trust alpha"):
        shell.run(["true"], timeout_s=20)


def test_a_key_that_has_changed_is_refused_with_both_fingerprints(daemon):
    before = daemon.key
    shell = daemon.shell()
    daemon.stop()
    daemon.make_key()
    daemon.start()
    with pytest.raises(HostKeyRefused) as told:
        shell.run(["true"], timeout_s=20)
    assert f"it was {before}, now it is {daemon.key}" in str(told.value)


def test_a_key_that_somebody_comes_to_trust_is_taken_by_whoever_runs_already(daemon):
    pins = {}
    shell = SshShell(daemon.name, sys.executable, Route((daemon.hop,)), lambda: pins, QUICK)
    with pytest.raises(HostKeyRefused):
        shell.run(["true"], timeout_s=20)
    pins = daemon.pins
    assert shell.run(["true"], timeout_s=20).status == 0
    shell.close()


def test_the_key_is_shown_without_trusting_it(daemon):
    hop, key = host_key_of("alpha", Route((daemon.hop,)), dict, QUICK)
    assert (hop.pin, key) == ("alpha", daemon.key)


def test_a_pod_behind_another_is_reached_and_each_hop_has_its_own_key(daemon, daemons):
    inner = daemons("inner")
    route = Route((daemon.hop, inner.hop))
    shell = SshShell("inner", "python3", route, lambda: {**daemon.pins, **inner.pins}, QUICK)
    assert shell.run(["printenv", "HOME"], timeout_s=20).out.decode().strip() == str(inner.folder)
    shell.close()
    with pytest.raises(HostKeyRefused, match="not known"):
        SshShell("inner", "python3", route, lambda: inner.pins, QUICK).run(["true"], timeout_s=20)


def test_somebody_who_is_not_let_in_is_told_so(daemon):
    (daemon.folder / "authorized_keys").write_text("")
    with pytest.raises(PodError, match="not let in"):
        daemon.shell().run(["true"], timeout_s=20)


def test_a_killed_connection_is_unknown_and_the_next_command_makes_a_new_one(daemon):
    shell = daemon.shell()
    shell.run(["true"], timeout_s=20)
    threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGKILL) for pid in daemon.connections()]).start()
    done = shell.run(["sleep", "20"], timeout_s=20)
    assert (done.status, done.err) == (None, b"the link was lost: the connection ended before the command")
    assert shell.run(["true"], timeout_s=20).status == 0
    assert shell.connects == 2


def test_a_frozen_peer_is_noticed_long_before_the_command_would_time_out(daemon):
    shell = daemon.shell()
    shell.run(["true"], timeout_s=20)
    frozen = daemon.connections()
    threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGSTOP) for pid in frozen]).start()
    began = time.monotonic()
    assert shell.run(["sleep", "60"], timeout_s=60).status is None
    assert time.monotonic() - began < 30  # two misses of half a second each, here


def test_a_command_on_a_frozen_connection_takes_a_new_one(daemon):
    shell = daemon.shell()
    shell.run(["true"], timeout_s=20)
    for pid in daemon.connections():
        os.kill(pid, signal.SIGSTOP)
    assert shell.run(["echo", "on"], timeout_s=30).out == b"on\n"
    assert shell.connects == 2


def test_a_restarted_daemon_costs_at_most_one_connection(daemon):
    shell = daemon.shell()
    shell.run(["true"], timeout_s=20)
    daemon.stop()
    daemon.start()
    assert shell.run(["true"], timeout_s=20).status == 0
    assert shell.connects <= 2


def test_a_slow_link_is_slow_and_nothing_else(daemon, relay):
    relay.delay_s = 0.05
    shell = daemon.shell(port=relay.port)
    assert shell.run(["echo", "on"], timeout_s=60).out == b"on\n"
    assert shell.connects == 1


def test_a_cut_in_the_middle_is_unknown(daemon, relay):
    shell = daemon.shell(port=relay.port)
    shell.run(["true"], timeout_s=20)
    threading.Timer(0.5, relay.cut).start()
    assert shell.run(["sleep", "20"], timeout_s=20).status is None
    assert shell.run(["true"], timeout_s=20).status == 0


def test_a_link_into_nothing_is_lost_and_an_idle_one_is_found_out(daemon, relay):
    shell = daemon.shell(port=relay.port)
    shell.run(["true"], timeout_s=20)
    relay.is_black_hole = True
    until = time.monotonic() + 20
    while shell._link.is_alive:
        assert time.monotonic() < until, "nobody noticed"
        time.sleep(0.05)
    relay.is_black_hole = False
    assert shell.run(["true"], timeout_s=20).status == 0
    assert shell.connects == 2


def test_a_file_that_was_cut_on_the_way_is_not_there(daemon, relay):
    shell, path = daemon.shell(port=relay.port), daemon.folder / "file"
    shell.run(["true"], timeout_s=20)
    relay.delay_s = 0.02
    threading.Timer(0.3, relay.cut).start()
    with pytest.raises(PodError, match="unknown"):
        shell.put(path, bytes(20_000_000), timeout_s=30)
    assert not path.exists()


def test_a_peer_that_never_says_who_it_is_is_given_up(daemon, relay):
    relay.is_black_hole = True
    shell = SshShell(
        "alpha",
        "python3",
        Route((daemon.shell(port=relay.port)._route.hops[0],)),
        lambda: daemon.pins,
        Limits(connect_s=2, banner_s=1, auth_s=2, channel_s=2),
    )
    began = time.monotonic()
    with pytest.raises(PodError):
        shell.run(["true"], timeout_s=20)
    assert time.monotonic() - began < 15


def test_a_pod_that_costs_time_outs_is_left_alone_for_a_while(daemon, relay):
    relay.is_black_hole = True
    limits = Limits(connect_s=2, banner_s=1)
    route = daemon.shell(port=relay.port)._route
    shell = SshShell(daemon.name, "python3", route, lambda: daemon.pins, limits)
    with pytest.raises(PodError) as first:
        shell.run(["true"], timeout_s=20)
    began = time.monotonic()
    with pytest.raises(PodError) as second:
        shell.run(["true"], timeout_s=20)
    assert time.monotonic() - began < 0.5
    assert str(first.value) == str(second.value)
    relay.is_black_hole = False
    shell._lost = (time.monotonic(), shell._lost[1])
    assert shell.run(["true"], timeout_s=20).status == 0


def test_a_pod_that_refuses_at_once_is_asked_at_once(daemon):
    shell = daemon.shell(port=free_port())
    for _ in range(2):
        with pytest.raises(PodError, match="refused"):
            shell.run(["true"], timeout_s=20)
        assert shell._lost is None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

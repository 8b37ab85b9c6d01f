"""The file of pinned host keys."""

import base64
import subprocess

import pytest

from pods.host_keys import HostKey, parse_pins, pin, read_pins

BLOB = base64.b64encode(b"key").decode()


def test_no_file_is_no_pins(tmp_path):
    assert read_pins(tmp_path / "pods.known_hosts") == {}


def test_a_pin_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "new folder" / "pods.known_hosts"
    pin(path, "beta", HostKey("ssh-rsa", b"1"))
    pin(path, "alpha", HostKey("ssh-ed25519", b"2"))
    pin(path, "beta", HostKey("ssh-ed25519", b"3"))
    assert read_pins(path) == {"alpha": HostKey("ssh-ed25519", b"2"), "beta": HostKey("ssh-ed25519", b"3")}


def test_comments_and_empty_lines_are_passed_over():
    assert parse_pins(f"# trusted on Monday\n\nalpha ssh-ed25519 {BLOB} root@alpha\n") == {
        "alpha": HostKey("ssh-ed25519", b"key")
    }


@pytest.mark.parametrize("line", ["alpha ssh-ed25519", "alpha ssh-ed25519 !!!", "alpha"])
def test_a_line_that_is_none_is_named(line, tmp_path):
    (tmp_path / "pins").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match=r"pins: line 2 is not NAME KIND BASE64: 'alpha"):
        read_pins(tmp_path / "pins")


@pytest.mark.ssh
def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    printed = subprocess.run(["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True)
    [key] = parse_pins("pod " + path.with_suffix(".pub").read_text()).values()
    assert key.fingerprint == printed.stdout.split()[1]

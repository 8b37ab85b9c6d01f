"""The file of pinned host keys."""

import base64
import subprocess
from pathlib import Path

import pytest

from pods.host_keys import HostKey, parse_pins, pin, read_pins
from pods.shell import PodError


def key(rest: bytes, kind: str = "ssh-ed25519") -> HostKey:
    """As SSH sends it: each part behind its length."""
    return HostKey(kind, len(kind).to_bytes(4, "big") + kind.encode() + len(rest).to_bytes(4, "big") + rest)


BLOB = base64.b64encode(key(b"key").blob).decode()


def test_no_file_is_no_pins(tmp_path):
    assert read_pins(tmp_path / "pods.known_hosts") == {}


def test_a_pin_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "new folder" / "pods.known_hosts"
    pin(path, "beta", key(b"1", "ssh-rsa"))
    pin(path, "alpha", key(b"2"))
    pin(path, "beta", key(b"3"))
    assert read_pins(path) == {"alpha": key(b"2"), "beta": key(b"3")}


def test_comments_and_empty_lines_are_passed_over():
    assert parse_pins(f"# trusted on Monday\n\nalpha ssh-ed25519 {BLOB} root@alpha\n") == {
        "alpha": key(b"key")
    }


@pytest.mark.parametrize(
    "line",
    [
        "alpha ssh-ed25519",
        "alpha ssh-ed25519 !!!",
        "alpha",
        "alpha ssh-ed25519 a2V5",  # base64, and no key
        f"alpha ssh-rsa {BLOB}",
        "alpha ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",  # ends behind its kind
    ],
)
def test_a_line_that_is_none_is_named(line, tmp_path):
    (tmp_path / "pins").write_text(f"\n{line}\n")
    with pytest.raises(PodError, match=r"pins: line 2 is not NAME KIND BASE64: 'alpha.*; take it out"):
        read_pins(tmp_path / "pins")


def test_a_file_that_is_none_is_told_with_its_path(tmp_path):
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    for name, told in ((".", "Is a directory"), ("latin", "is not UTF-8"), ("latin/x", "Not a directory")):
        with pytest.raises(PodError, match=rf"^host keys: .*{tmp_path}.*{told}$"):
            read_pins(tmp_path / name)


def test_a_place_that_cannot_be_written_is_told_with_its_path(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PodError, match=rf"^host keys: cannot \w+ {tmp_path}/file/pins: "):
        pin(tmp_path / "file" / "pins", "alpha", key(b"1"))
    with pytest.raises(PodError, match=r"^host keys: cannot write /proc/paceline/pins: No such file"):
        pin(Path("/proc/paceline/pins"), "alpha", key(b"1"))


@pytest.mark.ssh
def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    printed = subprocess.run(["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True)
    [key] = parse_pins("pod " + path.with_suffix(".pub").read_text()).values()
    assert key.fingerprint == printed.stdout.split()[1]

"""Signing keys: private from the first byte, never overwritten, never shown."""

import hashlib
import os
import stat
import traceback
from pathlib import Path

import pytest

from agent.errors import TaskError
from agent.key import VARIABLE, key_path, load_keys, make_key

OLD, NEW = "ab" * 32, "0f" * 32


def written(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def told(*arguments):
    with pytest.raises(TaskError) as caught:
        load_keys(*arguments)
    return str(caught.value)


@pytest.fixture
def umask():
    before = os.umask(0)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_a_new_key_is_the_owners_alone_whatever_the_umask(tmp_path, umask, mask):
    umask(mask)
    path = tmp_path / "key"
    assert make_key(path) is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_key_has_32_random_bytes_and_can_be_loaded(tmp_path):
    one, other = make_key(tmp_path / "one"), make_key(tmp_path / "other")
    assert (len(one.secret), len(other.secret)) == (32, 32)
    assert one.secret != other.secret
    assert load_keys(tmp_path / "one", {}) == (one,)


def test_the_id_is_the_beginning_of_the_keys_digest(tmp_path):
    key = make_key(tmp_path / "key")
    assert key.id == hashlib.sha256(key.secret).hexdigest()[:8]


def test_the_folder_of_a_new_key_is_made_for_its_owner(tmp_path, umask):
    umask(0)
    make_key(tmp_path / "config" / "key")
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o700


def test_nothing_is_left_beside_a_new_key(tmp_path):
    make_key(tmp_path / "key")
    make_key(tmp_path / "key")
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("kind", ["file", "empty", "dangling link", "folder"])
def test_what_is_there_is_never_overwritten(tmp_path, kind):
    path = tmp_path / "key"
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text(OLD if kind == "file" else "")
    before = path.lstat()
    assert make_key(path) is None
    assert path.lstat() == before
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "config").write_text("")
    with pytest.raises(TaskError, match=r"cannot write a key to .*config/key"):
        make_key(tmp_path / "config" / "key")


def test_several_keys_are_loaded_newest_first(tmp_path):
    path = written(tmp_path / "key", f"{NEW}\n{OLD.upper()}\n\n{NEW}\n")
    assert [key.secret.hex() for key in load_keys(path, {})] == [NEW, OLD]


def test_the_environment_goes_before_the_file(tmp_path):
    path = written(tmp_path / "key", OLD)
    assert [key.secret.hex() for key in load_keys(path, {VARIABLE: f"{NEW} {OLD}"})] == [NEW, OLD]
    assert [key.secret.hex() for key in load_keys(path, {VARIABLE: " "})] == [OLD]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_file_that_others_may_read_is_refused_with_what_to_type(tmp_path, mode):
    path = written(tmp_path / "key", OLD, mode)
    assert told(path, {}) == f"others may read or write the key at {path}: chmod 600 {path}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "holds no key"),
        (OLD[:-1], "word 1 is not a key"),
        (f"{NEW}\n{OLD}00", "word 2 is not a key"),
        ("päss", "word 1 is not a key"),
        ("x" * 100_000, "word 1 is not a key"),
    ],
)
def test_a_file_that_is_no_list_of_keys_is_refused(tmp_path, text, what):
    assert what in told(written(tmp_path / "key", text), {})


def test_a_missing_key_says_how_to_make_one_where_that_makes_it(tmp_path):
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    usual = key_path(environment)
    assert told(usual, environment) == f"no key at {usual}: `paceline init` makes one"
    assert told(Path("sign.key"), environment) == (
        "no key at sign.key: put your agents' key there, or take `key` out of the agent's file and "
        f"`paceline init` makes {usual}"
    )


def test_a_folder_and_a_pipe_are_no_keys(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        assert told(path, {}) == f"the key at {path} is not a file"


def test_no_error_and_no_repr_shows_a_key(tmp_path):
    nearly = OLD[:-1] + "x"
    with pytest.raises(TaskError) as caught:
        load_keys(tmp_path / "key", {VARIABLE: f"{NEW} {nearly}"})
    shown = "".join(traceback.format_exception(caught.value))
    assert NEW not in shown and nearly not in shown
    [key] = load_keys(tmp_path / "key", {VARIABLE: NEW})
    assert NEW not in f"{key!r} {key}" and repr(key.secret)[2:-1] not in f"{key!r} {key}"


def test_a_user_has_one_key_below_their_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_path({}) == tmp_path / ".config" / "paceline" / "key"
    assert key_path({"XDG_CONFIG_HOME": "relative"}) == tmp_path / ".config" / "paceline" / "key"
    assert key_path({"XDG_CONFIG_HOME": "/etc/xdg"}).as_posix() == "/etc/xdg/paceline/key"

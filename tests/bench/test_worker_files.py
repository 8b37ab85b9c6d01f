"""Files that are there whole or not at all, their digests, and locks that die with who holds them."""

import fcntl
import hashlib
import json
import subprocess
import sys

import pytest

from bench.worker.files import locked, sha256_of, write_json, write_whole

# A process that may not write a file of more than 100 bytes: the disk is full for it.
FULL = """
import pathlib, resource, sys
from bench.worker.files import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_whole(pathlib.Path(sys.argv[1]), "x" * 101)
except OSError as error:
    print(error.strerror)
"""
HOLD = """
import pathlib, sys
from bench.worker.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def is_free(path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a"
    write_whole(path, "old")
    write_whole(path, "néw")
    assert path.read_bytes() == "néw".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_the_old_content_stands_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "a", "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "a", "x")


def test_json_is_written_with_sorted_keys_and_an_end_of_line(tmp_path):
    write_json(tmp_path / "a", {"b": 1, "a": None})
    assert (tmp_path / "a").read_text() == '{"a": null, "b": 1}\n'


@pytest.mark.parametrize("size_b", [0, 1, 1 << 20, (1 << 20) + 1])
def test_a_digest_is_that_of_all_bytes(tmp_path, size_b):
    (tmp_path / "a").write_bytes(b"x" * size_b)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"x" * size_b).hexdigest()


def test_a_lock_makes_its_folder_and_is_held_as_long_as_its_block(tmp_path):
    path = tmp_path / "new" / "lock"
    with locked(path):
        assert not is_free(path)
    assert is_free(path)


def test_a_lock_is_given_back_where_its_block_fails(tmp_path):
    with pytest.raises(ValueError, match="no"), locked(tmp_path / "lock"):
        raise ValueError("no")
    assert is_free(tmp_path / "lock")


def test_a_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        assert not is_free(path)
        holder.kill()
        holder.wait()
    assert is_free(path)


def test_what_is_locked_may_be_read(tmp_path):
    (tmp_path / "lock").write_text(json.dumps(1))
    with locked(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == "1"

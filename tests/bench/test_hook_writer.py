"""The writer of events: the reader's twin, and silent about everything that could stop it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.events import SCHEMA, chained, read_events
from tests.bench.hook_modules import HOOK, hook_module

writer = hook_module("writer")

KEY = "00112233445566ff"
FORKS = """
import os, sys
from _paceline_hook.writer import Writer
writer = Writer(sys.argv[1], "key")
writer.write("start", schema=1)
child = os.fork()
if child == 0:
    writer.write("phase", name="of the child")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
writer.write("end", steps=0)
"""
FILLS = """
import resource, sys
from _paceline_hook.writer import Writer
writer = Writer(sys.argv[1], "key")
writer.write("start", schema=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
for number in range(9):
    writer.write("choice", name="n", requested="", used="x" * 40)
print("goes on")
"""


@pytest.fixture
def written(tmp_path):
    """What has been written: the bytes of the one file in the folder."""

    def read() -> bytes:
        [path] = tmp_path.glob("*.jsonl")
        return path.read_bytes()

    return read


def run(script: str, folder) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, folder],
        env={**os.environ, "PYTHONPATH": str(HOOK)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_writer_and_reader_agree_on_the_schema():
    assert writer.SCHEMA == SCHEMA


@given(st.text(), st.text())
def test_writer_and_reader_chain_alike(previous, body):
    previous, body = previous.encode("utf-8", "replace").decode(), body.encode("utf-8", "replace").decode()
    assert writer.chained(previous, body) == chained(previous, body)


def test_what_is_written_is_read_back_with_its_key(tmp_path, written):
    events = writer.Writer(tmp_path, KEY)
    events.write("start", schema=SCHEMA, pid=7)
    events.write("step", n=1, begin=1.0, end=2.0, loss=None)
    found = read_events(written(), KEY)
    assert (found.fault, [event["kind"] for event in found.lines]) == (None, ["start", "step"])


def test_with_another_key_every_line_is_foreign(tmp_path, written):
    writer.Writer(tmp_path, KEY).write("start", schema=SCHEMA)
    assert read_events(written(), "f" * 16).fault == "tampered"


@given(st.dictionaries(st.text(min_size=1), st.text() | st.floats() | st.none(), max_size=3))
def test_any_fields_keep_the_chain(fields):
    fields = {f"f_{name}": value for name, value in fields.items()}
    with tempfile.TemporaryDirectory() as folder:
        events = writer.Writer(folder, KEY)
        events.write("start", schema=SCHEMA, **fields)
        events.close()
        assert read_events(Path(folder, f"{events.name}.jsonl").read_bytes(), KEY).fault is None


def test_a_value_that_is_not_json_is_its_text(tmp_path, written):
    writer.Writer(tmp_path, KEY).write("choice", used=set)
    assert json.loads(written())["used"] == "<class 'set'>"


def test_two_writers_of_one_process_have_files_of_their_own(tmp_path):
    assert writer.Writer(tmp_path, KEY).name != writer.Writer(tmp_path, KEY).name
    assert len(list(tmp_path.iterdir())) == 2


def test_the_name_begins_with_the_process(tmp_path):
    assert writer.Writer(tmp_path, KEY).name.startswith(f"{os.getpid()}-")


def test_a_folder_that_is_not_there_ends_the_writing_only(tmp_path):
    writer.Writer(tmp_path / "gone", KEY).write("start")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_was_closed_writes_nothing_more(tmp_path, written):
    events = writer.Writer(tmp_path, KEY)
    events.write("start")
    before = written()
    events.close()
    events.close()
    events.write("end")
    assert written() == before


def descriptor_of(folder) -> int:
    """The descriptor of the one open file below a folder."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")]
    [found] = [
        number for number in numbers if os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/")
    ]
    return found


def test_a_descriptor_that_the_subject_closed_never_raises(tmp_path, written):
    events = writer.Writer(tmp_path, KEY)
    os.close(descriptor_of(tmp_path))
    events.write("start")
    events.write("end")
    assert written() == b""


def test_a_full_disk_never_raises(tmp_path):
    events = writer.Writer(tmp_path, KEY)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, descriptor_of(tmp_path))
    os.close(full)
    events.write("start")
    events.write("end")


def test_a_disk_that_fills_up_cuts_the_last_line_and_ends_nothing(tmp_path, written):
    assert run(FILLS, tmp_path) == "goes on\n"
    assert len(written()) == 200
    assert read_events(written(), "key").fault == "cut"


def test_a_file_of_the_subject_under_the_same_number_is_not_written_to(tmp_path):
    (tmp_path / "events").mkdir()
    events = writer.Writer(tmp_path / "events", KEY)
    number = descriptor_of(tmp_path / "events")
    mine = os.open(tmp_path / "mine", os.O_WRONLY | os.O_CREAT)
    os.dup2(mine, number)
    os.close(mine)
    events.write("start")
    events.close()
    assert (tmp_path / "mine").read_bytes() == b""


def test_a_forked_child_writes_nothing(tmp_path, written):
    run(FORKS, tmp_path)
    found = read_events(written(), "key")
    assert (found.fault, [event["kind"] for event in found.lines]) == (None, ["start", "end"])

"""The collector of `noise.py`: it begins cleanly or says why not, and runs by hand what is run by hand."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from noise import HERE, IN_SEQUENCE, NAMES, busy, clear, collect, in_sequence, make_subject
from noise_pool import append, read_lines

CUT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with `&` ignores it
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from noise import run_to_its_end
run_to_its_end([sys.executable, "-c", sys.argv[3]], Path(sys.argv[4]))
"""
OBEDIENT = """
import signal, sys, time
def end(*_):
    time.sleep(0.5)  # a job takes its time to end
    open("ended", "w").close()
    sys.exit(130)
signal.signal(signal.SIGINT, end)
print("ready", file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_without_hyperfine_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="hyperfine is not on the PATH"):
        collect(tmp_path / "pool", 1)
    assert not (tmp_path / "pool").exists()


@pytest.fixture
def hyperfine(tmp_path, monkeypatch):
    """On the PATH, where nothing is left to be measured: it is looked for, not run."""
    program = tmp_path / "programs" / "hyperfine"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


def with_all_rounds(folder, rounds=2):
    folder.mkdir()
    for number in range(1, rounds + 1):
        for name in NAMES:
            append(folder, number, name, [{}])
    return folder


@pytest.mark.usefixtures("hyperfine")
def test_what_an_interrupted_call_left_is_cleared_before_anything_is_measured(tmp_path, capsys):
    folder = with_all_rounds(tmp_path / "pool")
    (folder / "work" / ".paceline" / "jobs" / "subject-local-0123-a1").mkdir(parents=True)
    collect(folder, 2)
    assert not (folder / "work").exists()
    assert capsys.readouterr().out == f"all 2 rounds are in {folder}\n"


@pytest.mark.usefixtures("hyperfine")
def test_where_a_job_holds_the_slot_nothing_is_cleared(tmp_path):
    folder = with_all_rounds(tmp_path / "pool")
    lease = folder / "work" / "machine" / "leases" / "cpu"
    lease.mkdir(parents=True)
    (lease / "holder.json").write_text("{")  # unreadable is held
    with pytest.raises(SystemExit, match="holds the slot"):
        collect(folder, 2)
    assert lease.exists()


def test_a_slot_that_was_given_back_is_free(tmp_path):
    assert busy(tmp_path) == ""
    (tmp_path / "machine" / "leases").mkdir(parents=True)
    assert busy(tmp_path) == ""


def test_a_command_line_that_is_interrupted_may_end_its_job(tmp_path):
    command = [sys.executable, "-c", CUT, str(HERE), str(HERE.parent), OBEDIENT, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            process.stderr.readline()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    assert (tmp_path / "ended").exists()


def test_arms_in_sequence_run_in_turn_each_at_its_commit(tmp_path):
    commits = make_subject(tmp_path / "subject")
    assert commits["baseline"] == commits["again"] != commits["plus2"] != commits["plus5"]
    told = tmp_path / "told"  # by a subject that trains nothing
    program = f"from slower import SLOWER\nopen({str(told)!r}, 'a').write(f'{{SLOWER}} ')\n"
    (tmp_path / "subject" / "train.py").write_text(program)
    lines = list(in_sequence(tmp_path, commits))
    assert tuple(line["arm"] for line in lines) == IN_SEQUENCE == ("baseline", "again", "plus5")
    assert told.read_text() == "0.0 0.0 0.05 "
    assert all(0 < line["wall_s"] < 30 for line in lines)


def test_clearing_what_is_not_there_is_fine(tmp_path):
    clear(tmp_path / "work")
    assert read_lines(tmp_path) == []

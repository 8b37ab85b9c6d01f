"""The hook at interpreter start: in by PYTHONPATH, next to other sitecustomizes, hardly to be seen."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.events import Events, read_events
from tests.bench.hook_modules import HOOK

KEY = "00112233445566ff"
MODULES = "import sys; print(*sorted(sys.modules))"
MARKED = "import sys; print(sys.modules['sitecustomize'].MARK)"
SLOW_MODULE = """
import time
until = time.monotonic() + 0.005
while time.monotonic() < until:
    pass
"""


@dataclass
class Ran:
    status: int
    out: str
    err: str
    events: list[Events]


class Subject:
    """A Python process with the hook on its path, with or without a run that is being measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worktree = folder / "worktree"
        self.settings = folder / "settings"
        self.events = folder / "events"
        for made in (self.worktree, self.events):
            made.mkdir()
        told = {"events": str(self.events), "claim": str(folder / "claim"), "worktree": str(self.worktree)}
        self.settings.write_text(json.dumps({**told, "eval": None, "key": KEY, "hook": "digest"}))

    def __call__(self, code: str, *, behind: tuple[Path, ...] = (), is_measured=True, has_hook=True) -> Ran:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("_paceline_", "PYTHON"))}
        path = [str(HOOK)] * has_hook + [str(folder) for folder in behind]
        run = {"_paceline_run": str(self.settings)} if is_measured else {}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.worktree,
            env={**kept, **run, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        events = [read_events(path.read_bytes(), KEY) for path in sorted(self.events.glob("*.jsonl"))]
        return Ran(done.returncode, done.stdout, done.stderr, events)


@pytest.fixture
def subject(tmp_path) -> Subject:
    return Subject(tmp_path)


def folder_with(path: Path, **modules: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in modules.items():
        (path / f"{name}.py").write_text(text)
    return path


def kinds(events: Events) -> list[str]:
    return [event["kind"] for event in events.lines]


def test_a_measured_process_leaves_a_start_phases_and_an_end(subject):
    [events] = subject("pass").events
    assert (events.fault, events.lines[0]["kind"], events.lines[-1]["kind"]) == (None, "start", "end")
    assert set(kinds(events)) <= {"start", "phase", "end"}


def test_the_start_says_who_it_is(subject):
    ran = subject("import os; print(os.getpid())")
    start = ran.events[0].lines[0]
    assert (start["pid"], start["hook"], start["schema"]) == (int(ran.out), "digest", 1)
    assert start["argv"][1] == "-c"


def test_without_a_run_nothing_is_written_and_nothing_of_the_hook_is_loaded(subject):
    ran = subject(MODULES, is_measured=False)
    assert (ran.status, ran.err, ran.events) == (0, "", [])
    assert [name for name in ran.out.split() if name.startswith("_paceline_")] == ["_paceline_hook"]


@pytest.mark.parametrize("is_measured", [True, False])
def test_beyond_the_standard_library_only_names_of_the_hook_are_loaded(subject, is_measured):
    without = set(subject(MODULES, has_hook=False, is_measured=False).out.split())
    added = set(subject(MODULES, is_measured=is_measured).out.split()) - without
    tops = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert {name for name in tops if not name.startswith("_paceline_")} <= {"sitecustomize"}


@pytest.mark.parametrize("is_measured", [True, False])
def test_the_next_sitecustomize_runs_as_if_it_were_the_only_one(subject, tmp_path, is_measured):
    behind = folder_with(tmp_path / "site", sitecustomize="MARK = f'mine, {__name__}'\n")
    ran = subject(MARKED, behind=(behind,), is_measured=is_measured)
    assert (ran.out, ran.err) == ("mine, sitecustomize\n", "")


def test_of_several_the_one_that_stands_next_runs_and_no_other(subject, tmp_path):
    first = folder_with(tmp_path / "first", sitecustomize="MARK = 'first'\n")
    second = folder_with(tmp_path / "second", sitecustomize="raise SystemExit('second')\n")
    assert subject(MARKED, behind=(first, second)).out == "first\n"


def test_a_sitecustomize_that_fails_does_so_as_it_would_without_the_hook(subject, tmp_path):
    behind = folder_with(tmp_path / "site", sitecustomize="raise ValueError('mine')\n")
    runs = [subject("print('goes on')", behind=(behind,), has_hook=has_hook) for has_hook in (False, True)]
    assert [(ran.status, ran.out, "ValueError: mine" in ran.err) for ran in runs] == [
        (0, "goes on\n", True)
    ] * 2


@pytest.mark.parametrize("text", [None, "", "{"])
def test_settings_that_cannot_be_read_do_not_reach_the_subject(subject, text):
    subject.settings.unlink() if text is None else subject.settings.write_text(text)
    ran = subject("print('goes on')")
    assert (ran.status, ran.out, ran.err, ran.events) == (0, "goes on\n", "", [])


def test_an_uncaught_error_is_an_event_and_its_traceback_is_printed_as_ever(subject):
    ran = subject("raise KeyError('text')")
    error = ran.events[0].last("error")
    assert (error["type"], error["text"]) == ("KeyError", "'text'")
    assert (ran.status, ran.err.splitlines()[0], ran.err.splitlines()[-1]) == (
        1,
        "Traceback (most recent call last):",
        "KeyError: 'text'",
    )


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "raise KeyboardInterrupt", "pass"])
def test_leaving_on_purpose_is_no_error(subject, code):
    assert "error" not in kinds(subject(code).events[0])


def test_an_error_without_text_is_printed_as_ever(subject):
    code = "class Odd(Exception):\n    def __str__(self):\n        raise ValueError('no text')\nraise Odd"
    ran = subject(code)
    assert (ran.status, "Error in sys.excepthook" in ran.err) == (1, False)


def test_a_forked_child_leaves_no_line(subject):
    code = "import os, sys\nif os.fork() == 0:\n    sys.exit(0)\nos.wait()\n"
    [events] = subject(code).events
    assert (events.fault, kinds(events).count("end")) == (None, 1)


def test_another_interpreter_of_the_run_has_a_file_of_its_own(subject):
    ran = subject("import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'], check=True)")
    assert [kinds(events)[0] for events in ran.events] == ["start", "start"]
    assert len({events.lines[0]["pid"] for events in ran.events}) == 2


def test_a_program_that_replaces_itself_has_a_file_for_each(subject):
    ran = subject("import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'pass'])")
    assert len(ran.events) == 2
    assert len({events.lines[0]["pid"] for events in ran.events}) == 1


def test_a_long_import_from_outside_the_worktree_is_import(subject, tmp_path):
    behind = folder_with(tmp_path / "library", slow_library=SLOW_MODULE)
    [events] = subject("import slow_library", behind=(behind,)).events
    assert "import" in [phase["name"] for phase in events.of("phase")]


def test_a_module_of_the_worktree_is_preparation(subject):
    folder_with(subject.worktree, own_module=SLOW_MODULE)
    [events] = subject("import own_module").events
    assert [phase["name"] for phase in events.of("phase")] == ["prep"]


def test_an_import_that_fails_fails_as_it_would_without_the_hook(subject):
    runs = [subject("import no_such_module", has_hook=has_hook) for has_hook in (False, True)]
    assert [ran.err.splitlines()[-1] for ran in runs] == [
        "ModuleNotFoundError: No module named 'no_such_module'"
    ] * 2

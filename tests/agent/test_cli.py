"""The command line: help with an example that parses, nothing slow before a command runs, exit statuses."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agent.cli import app
from tests.agent.made_job import store_result, write_job

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
COMMANDS = sorted(typer.main.get_command(app).commands)
SLOW = (
    "pydantic",
    "scipy",
    "numpy",
    "jinja2",
    "tabulate",
    "torch",
    "transformers",
    "pandas",
    "github",
    "paramiko",
)
IMPORTED = f"""
import sys
sys.argv = ["paceline", *sys.argv[1:]]
from agent.cli import main
try:
    main()
finally:
    print("SLOW", [name for name in {SLOW!r} if name in sys.modules])
"""


def paceline(*arguments: object, program=("-m", "agent")) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def help_of(command: str) -> str:
    shown = CliRunner().invoke(app, [command, "--help"], terminal_width=1000)
    assert shown.exit_code == 0
    return shown.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_ends_in_an_example_that_parses(command):
    example = " ".join(help_of(command).partition("Example: ")[2].split())
    program, name, *arguments = shlex.split(example.partition(" && ")[0])
    assert (program, name) == ("paceline", command)
    context = typer.main.get_command(app).commands[command].make_context(command, arguments)
    assert context.command.name == command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_in_a_sentence(command):
    assert re.search(r"^  [A-Z][^\n]+", help_of(command), re.MULTILINE)


def test_help_names_every_command():
    shown = paceline("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [name for name in COMMANDS if f"  {name} " not in shown.stdout] == []


def test_help_imports_nothing_slow():
    assert paceline("--help", program=("-c", IMPORTED)).stdout.splitlines()[-1] == "SLOW []"


@pytest.mark.parametrize("arguments", [["--version"], ["bench", "--help"], ["verify", "--help"]])
def test_before_a_command_runs_nothing_slow_is_imported(arguments):
    """Typer reads values with pydantic; that is all."""
    shown = paceline(*arguments, program=("-c", IMPORTED))
    assert shown.stdout.splitlines()[-1] in ("SLOW []", "SLOW ['pydantic']")


def test_the_version_is_that_of_the_distribution():
    shown = paceline("--version")
    assert (shown.returncode, shown.stdout) == (0, f"paceline {version('paceline')}\n")


def test_an_unknown_option_is_status_2_and_prints_nothing_on_standard_output():
    shown = paceline("report", "--jsn", ".")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "--jsn" in shown.stderr


def test_an_untouched_folder_verifies_with_status_0(tmp_path):
    shown = paceline("verify", store_result(write_job(tmp_path / "job")))
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "identical\n", "")


def test_a_difference_is_status_1_and_named(tmp_path):
    folder = store_result(write_job(tmp_path / "job"))
    (folder / "runs" / "sft" / "1" / "baseline" / "events.jsonl").unlink()
    shown = paceline("verify", folder)
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "runs/sft/1/baseline/events.jsonl: missing" in shown.stdout.splitlines()


@pytest.mark.parametrize("command", ["verify", "report"])
def test_a_folder_of_something_else_is_status_2_and_one_line(tmp_path, command):
    shown = paceline(command, tmp_path)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr == f"paceline: {tmp_path} is not a job folder: it has no plan.json and job.json\n"


def test_a_target_that_is_occupied_is_status_2_and_one_line(tmp_path):
    (tmp_path / "mine").touch()
    shown = paceline("target", tmp_path)
    assert (shown.returncode, shown.stdout, len(shown.stderr.splitlines())) == (2, "", 1)


def test_a_report_is_the_stored_one_and_json_the_stored_document(tmp_path):
    folder = store_result(write_job(tmp_path / "job"))
    assert paceline("report", folder).stdout == (folder / "report.md").read_text()
    assert paceline("report", folder, "--json").stdout == (folder / "result.json").read_text()


def test_report_writes_the_page_and_the_charts_where_it_is_told(tmp_path):
    folder = store_result(write_job(tmp_path / "job"))
    done = paceline("report", folder, "--html", tmp_path / "page.html", "--charts", tmp_path / "charts")
    assert done.returncode == 0
    assert done.stdout == (folder / "report.md").read_text()
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert {path.name for path in (tmp_path / "charts").iterdir()} >= {"sft-effects.svg", "sft-effects.png"}
    assert f"paceline: {tmp_path / 'page.html'}\n" in done.stderr


def test_report_draws_nothing_unless_it_is_told(tmp_path):
    folder = store_result(write_job(tmp_path / "job"))
    done = paceline("-X", "importtime", "-m", "agent", "report", folder, program=())
    assert done.returncode == 0
    assert "matplotlib" not in done.stderr


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with `&` ignores it
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
"""


def test_an_interrupt_before_the_command_line_is_there_is_silent():
    [module, function] = tomllib.loads(PROJECT.read_text())["project"]["scripts"]["paceline"].split(":")
    ended = paceline("--help", program=("-c", f"{INTERRUPTED}from {module} import {function}\n{function}()"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")

"""The workflows of this repository: pinned, without rights they do not need, and what they run exists."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
NAMES = sorted(path.name for path in FOLDER.iterdir())
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PIN = re.compile(r"uses: [a-z-]+/[a-z-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$")


def text_of(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def workflow(name):
    # YAML 1.1 reads the key `on` as true; a base loader leaves every scalar the text that it is.
    return yaml.load(text_of(name), Loader=yaml.BaseLoader)


def steps_of(name):
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def recipe_of(target):
    """The commands of a target of the Makefile, with this interpreter."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    return [
        shlex.split(line.replace("$(BIN)/python", shlex.quote(sys.executable)))
        for line in found[1].splitlines()
    ]


def test_there_is_a_gate_for_lint_and_one_for_tests():
    assert NAMES == ["lint.yml", "test.yml"]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(name):
    used = re.findall(r"uses: .*", text_of(name))
    assert len(used) == len([step for step in steps_of(name) if "uses" in step]) > 0
    assert [line for line in used if not PIN.fullmatch(line)] == []


def test_one_action_has_one_pin():
    used = {line for name in NAMES for line in re.findall(r"uses: .*", text_of(name))}
    assert len({line.partition("@")[0] for line in used}) == len(used)


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_may_do_nothing_and_its_jobs_may_read(name):
    assert workflow(name)["permissions"] == {}
    assert [job["permissions"] for job in workflow(name)["jobs"].values()] == [{"contents": "read"}]


@pytest.mark.parametrize("name", NAMES)
def test_a_checkout_leaves_no_token_behind(name):
    checkouts = [step for step in steps_of(name) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == ["false"]


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_runs_without_secrets_on_pull_requests_and_main(name):
    assert workflow(name)["on"] == {"push": {"branches": ["main"]}, "pull_request": ""}
    assert "secrets." not in text_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_ends_by_itself_and_one_of_a_branch_runs_at_a_time(name):
    assert "group" in workflow(name)["concurrency"]
    assert all(0 < int(job["timeout-minutes"]) <= 60 for job in workflow(name)["jobs"].values())


@pytest.mark.parametrize(("name", "targets"), [("lint.yml", ["lint", "types"]), ("test.yml", ["test"])])
def test_a_workflow_runs_targets_of_the_makefile_and_nothing_else(name, targets):
    commands = [shlex.split(step["run"]) for step in steps_of(name) if "run" in step]
    assert commands == [["make", *targets]]
    assert [target for target in targets if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)] == []


def test_lint_is_ruffs_check_and_format():
    assert [command[1:] for command in recipe_of("lint")] == [
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "."],
    ]


@pytest.mark.parametrize("command", recipe_of("lint"), ids=lambda command: " ".join(command[3:]))
def test_the_commands_of_the_lint_gate_pass_here(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing():
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        pytest.skip("zizmor is not installed beside this interpreter")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GH_TOKEN", "GITHUB_TOKEN")
    }
    done = subprocess.run(
        [zizmor, "--offline", "--no-progress", "--strict-collection", "--persona=pedantic", FOLDER],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

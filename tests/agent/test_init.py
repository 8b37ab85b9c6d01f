"""`paceline init`: what it writes is valid and explained, and what is there stays as it is."""

import re
import subprocess
from pathlib import Path

import pytest

from agent import config
from agent.config import parse_recipes
from agent.errors import TaskError
from agent.init_command import FORM, init_here
from agent.key import VARIABLE, key_path, load_keys
from agent.operator import LABEL

ROOT = Path(__file__).parent.parent.parent
TEMPLATE = (ROOT / "templates" / "init" / "paceline.toml").read_text(encoding="utf-8")
DOCUMENTED = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "a repository"
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


@pytest.fixture
def environment(tmp_path):
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def everything(folder):
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_writes_recipes_the_form_and_a_key_and_names_the_labels(repository, environment):
    key = key_path(environment)
    lines = init_here(repository, environment)
    [loaded] = load_keys(key, {})
    assert lines == [
        "made paceline.toml: fit it to your workloads and commit it",
        "made .github/ISSUE_TEMPLATE/infra.yml: commit it",
        f"made the signing key {key} (id {loaded.id}): every agent of this account needs the same",
        "the agent makes the label: bench",
    ]
    assert (repository / "paceline.toml").read_text() == TEMPLATE
    assert (repository / FORM).read_bytes() == (ROOT / FORM).read_bytes()


def test_a_second_run_changes_nothing_and_says_so(repository, environment):
    init_here(repository, environment)
    before = everything(repository.parent)
    assert init_here(repository, environment) == [
        "paceline.toml was there",
        ".github/ISSUE_TEMPLATE/infra.yml was there",
        f"the signing key {key_path(environment)} was there",
        "the agent makes the label: bench",
    ]
    assert everything(repository.parent) == before


def test_what_is_there_stays_and_what_is_missing_is_made(repository, environment):
    (repository / "paceline.toml").write_text("# mine\n")
    lines = init_here(repository, environment)
    assert lines[0] == "paceline.toml was there"
    assert lines[1].startswith("made ")
    assert (repository / "paceline.toml").read_text() == "# mine\n"


def test_a_link_to_nowhere_is_left_alone(repository, environment, tmp_path):
    (repository / "paceline.toml").symlink_to(tmp_path / "elsewhere")
    assert init_here(repository, environment)[0] == "paceline.toml was there"
    assert not (tmp_path / "elsewhere").exists()


def test_in_a_folder_below_it_writes_to_the_top_of_the_repository(repository, environment):
    (repository / "src").mkdir()
    init_here(repository / "src", environment)
    assert (repository / "paceline.toml").exists()
    assert not (repository / "src" / "paceline.toml").exists()


def test_where_the_operator_gives_a_key_none_is_made(repository, environment):
    given = environment | {VARIABLE: "ab" * 32}
    assert init_here(repository, given)[2] == "the signing key was there, in PACELINE_KEY"
    assert not key_path(environment).exists()


def test_a_folder_without_git_is_refused_and_nothing_is_written(tmp_path, environment):
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(TaskError, match="is not a git repository"):
        init_here(folder, environment)
    assert everything(tmp_path) == {}


def test_a_bare_repository_is_refused(tmp_path, environment):
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare"], check=True)
    with pytest.raises(TaskError, match="run `paceline init` in a clone"):
        init_here(tmp_path / "bare", environment)


def test_a_place_that_cannot_be_written_is_one_line(repository, environment):
    (repository / ".github").write_text("")
    with pytest.raises(TaskError, match=r"cannot write .*infra\.yml: "):
        init_here(repository, environment)


def test_the_file_of_recipes_is_valid_as_it_is():
    assert parse_recipes(TEMPLATE, "paceline.toml")["sft"].params == {"rows": 200, "packing": False}


def test_the_file_of_recipes_is_valid_with_every_line_that_is_commented_out():
    whole = re.sub(r"^# (?=\[|\w+ = )", "", TEMPLATE, flags=re.MULTILINE)
    recipe = parse_recipes(whole, "paceline.toml")["sft"]
    assert recipe.eval == "data/eval.jsonl"
    assert recipe.need.packages == ("flash_attn",)


def test_the_file_of_recipes_shows_every_key_but_the_operators_and_no_other():
    keys = set(re.findall(r"^(?:# )?(\w+) = ", TEMPLATE, re.MULTILINE)) - {"rows", "packing"}
    known = {*config._Recipe.model_fields, *config._Need.model_fields} - {"params", "need", "driver"}
    assert keys == known


def test_every_key_of_the_file_of_recipes_is_documented():
    for key in re.findall(r"^(?:# )?(\w+) = ", TEMPLATE, re.MULTILINE):
        assert f"\n{key} " in DOCUMENTED or f"`{key}`" in DOCUMENTED, key


def test_the_label_is_what_a_tracker_takes_and_what_the_form_asks_for():
    name, colour, description = LABEL
    assert 0 < len(name) <= 50 and len(description) <= 100
    assert re.fullmatch(r"[0-9a-f]{6}", colour)
    assert f"labels: [{name}]" in (ROOT / FORM).read_text(encoding="utf-8").splitlines()

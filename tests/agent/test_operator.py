"""The operator's file: what it holds, what is refused, and that the token stays out of sight."""

from pathlib import Path

import pytest

from agent.errors import TaskError
from agent.operator import GITHUB, read_operator

TOKEN = "ghp_" + "s3cret" * 6
LEAST = '[tracker]\nrepository = "acme/target"\n'


def read(folder, text=LEAST, environment=None):
    path = folder / "paceline-agent.toml"
    path.write_text(text)
    return read_operator(path, {"GITHUB_TOKEN": TOKEN} if environment is None else environment)


def refused(folder, text, environment=None) -> str:
    with pytest.raises(TaskError) as error:
        read(folder, text, environment)
    return str(error.value)


def test_a_repository_is_all_that_has_to_be_said(tmp_path):
    operator = read(tmp_path)
    assert (operator.repository, operator.url, operator.label) == ("acme/target", GITHUB, "bench")


def test_what_is_not_said_is_little_trust(tmp_path):
    operator = read(tmp_path)
    assert (operator.branches, operator.gpu_hours) == ((), 1.0)
    assert operator.roles == ("admin", "maintain", "write")


def test_everything_can_be_said(tmp_path):
    text = (
        '[tracker]\nrepository = "acme/target"\nurl = "https://git.acme.example/api/v3"\ntoken_env = "BOT"\n'
        '[agent]\nlabel = "measure"\nworkspace = "work"\nkey = "/etc/paceline.key"\npoll_s = 0.3\n'
        '[trust]\nbranches = ["main", "next"]\nroles = ["admin"]\ngpu_hours = 0.25\n'
    )
    operator = read(tmp_path, text, {"BOT": TOKEN})
    assert (operator.url, operator.token) == ("https://git.acme.example/api/v3", TOKEN)
    assert (operator.label, operator.workspace, operator.poll_s) == ("measure", tmp_path / "work", 0.3)
    assert operator.key == Path("/etc/paceline.key")
    assert (operator.branches, operator.roles, operator.gpu_hours) == (("main", "next"), ("admin",), 0.25)


def test_the_workspace_lies_beside_the_file(tmp_path):
    assert read(tmp_path).workspace == tmp_path / ".paceline"


def test_a_key_in_the_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(tmp_path, f'{LEAST}[agent]\nkey = "~/k"\n').key == tmp_path / "k"


# The token.


@pytest.mark.parametrize("environment", [{}, {"GITHUB_TOKEN": ""}, {"OTHER": TOKEN}])
def test_without_a_token_the_variable_is_named(tmp_path, environment):
    told = refused(tmp_path, LEAST, environment)
    assert "the environment variable GITHUB_TOKEN holds no token" in told


def test_the_token_is_never_in_the_operators_repr(tmp_path):
    operator = read(tmp_path)
    assert operator.token == TOKEN
    assert TOKEN not in repr(operator) + str(operator) + f"{operator}"


def test_a_token_in_the_file_is_refused_and_not_repeated(tmp_path):
    told = refused(tmp_path, f'{LEAST}token = "{TOKEN}"\n')
    assert "unknown key 'tracker.token'" in told
    assert TOKEN not in told


# What is refused.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'{LEAST}token_evn = "X"\n', "unknown key 'tracker.token_evn' (did you mean 'token_env'?)"),
        (f"{LEAST}[agent]\npol_s = 1\n", "unknown key 'agent.pol_s' (did you mean 'poll_s'?)"),
        (f"{LEAST}[trust]\ngpu_hour = 1\n", "unknown key 'trust.gpu_hour' (did you mean 'gpu_hours'?)"),
        (f"{LEAST}[trusts]\ngpu_hours = 1\n", "unknown key 'trusts' (did you mean 'trust'?)"),
        (f'{LEAST}[trust]\nrolls = ["x"]\n', "unknown key 'trust.rolls' (did you mean 'roles'?)"),
        (f"{LEAST}[agent]\nzzzz = 1\n", "unknown key 'agent.zzzz'"),
    ],
)
def test_an_unknown_key_is_refused_with_a_near_miss(tmp_path, text, told):
    assert told in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "tracker"),
        ("[tracker]\n", "tracker.repository"),
        ("[tracker]\nrepository = 7\n", "tracker.repository"),
        (f"{LEAST}[agent]\npoll_s = 0\n", "agent.poll_s"),
        (f'{LEAST}[agent]\npoll_s = "often"\n', "agent.poll_s"),
        (f"{LEAST}[trust]\ngpu_hours = -1\n", "trust.gpu_hours"),
        (f"{LEAST}[trust]\ngpu_hours = nan\n", "trust.gpu_hours"),
        (f"{LEAST}[trust]\ngpu_hours = inf\n", "trust.gpu_hours"),
        (f'{LEAST}[trust]\nbranches = "main"\n', "trust.branches"),
        (f"{LEAST}[trust]\nroles = [1]\n", "trust.roles.0"),
    ],
)
def test_a_value_that_is_not_right_is_refused_by_its_key(tmp_path, text, key):
    assert f"paceline-agent.toml: {key}: " in refused(tmp_path, text)


def test_a_file_that_is_no_toml_is_named(tmp_path):
    assert "paceline-agent.toml is not TOML" in refused(tmp_path, "tracker = [")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"absent\.toml: No such file or directory; "):
        read_operator(tmp_path / "absent.toml", {})


def test_a_file_that_is_not_utf_8_is_told(tmp_path):
    path = tmp_path / "paceline-agent.toml"
    path.write_bytes(b"# \xff\n" + LEAST.encode())
    with pytest.raises(TaskError):
        read_operator(path, {"GITHUB_TOKEN": TOKEN})


@pytest.mark.parametrize("role", ["writer", "Admin", "owner"])
def test_a_role_that_no_tracker_knows_is_refused(tmp_path, role):
    assert "trust.roles" in refused(tmp_path, f'{LEAST}[trust]\nroles = ["{role}"]\n')


@pytest.mark.parametrize("name", ["target", "acme/target/more", "https://github.com/acme/target", "acme/"])
def test_a_repository_that_is_no_owner_and_name_is_refused(tmp_path, name):
    assert "tracker.repository" in refused(tmp_path, f'[tracker]\nrepository = "{name}"\n')

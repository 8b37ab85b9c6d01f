"""Names from outside that git must take for nothing but names."""

import pytest
from github import GithubException

from agent.hub.git import is_ref, resolve

HOSTILE = [
    "--output=/tmp/owned",
    "-h",
    "main\n--all",
    "main; touch owned",
    "$(touch owned)",
    "main^{tree}",
    "main~1",
    "main@{0}",
    "@{-1}",
    ":/one",
    ":README",
    "main:README",
    "../../etc/passwd",
    "main..main",
    "",
    "x" * 300,
    "heads/../main",
    "\ud83d",
    "refs/heads/*",
]
NEVER_SENT = ("", "\ud83d", "heads/../main", "../../etc/passwd")  # clients see to it


def status_of(ask):
    with pytest.raises(GithubException) as told:
        ask()
    return told.value.status


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_revision(repository, name):
    assert resolve(repository.path, name) is None


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in NEVER_SENT])
def test_a_hostile_name_is_refused_over_rest(repo, tmp_path, name):
    assert status_of(lambda: repo.get_commit(name)) in (404, 422)
    assert status_of(lambda: repo.compare(name, "main")) == 404
    assert status_of(lambda: repo.compare("main", name)) == 404
    assert status_of(lambda: repo.get_branch(name)) == 404
    assert status_of(lambda: repo.get_contents("README", ref=name)) == 404
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize("name", ["main", "feature/x", "v1.0", "a-b_c", "ünïcode", "1234567"])
def test_a_name_that_people_use_is_a_ref(name):
    assert is_ref(name)


def test_a_branch_goes_before_a_tag_and_a_full_id_before_both(repository):
    first = repository("rev-parse", "main~1")
    tip = repository("rev-parse", "main")
    repository("tag", "main", first)
    repository("branch", first, tip)
    assert resolve(repository.path, "main") == tip
    assert resolve(repository.path, "tags/main") == first
    assert resolve(repository.path, first) == first
    assert resolve(repository.path, first[:7]) == first

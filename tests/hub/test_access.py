"""Who sees and who may: roles, tokens, private repositories."""

import pytest
from github import Auth, BadCredentialsException, Github, GithubException, UnknownObjectException

from agent.hub.roles import Role, legacy_permission, role_named
from tests.hub.conftest import NAME, ROLES, SECRET, UNHURRIED


@pytest.mark.parametrize(
    ("role", "permission"),
    [("read", "read"), ("triage", "read"), ("write", "write"), ("maintain", "write"), ("admin", "admin")],
)
def test_a_role_is_told_in_both_words(repo, role, permission):
    assert repo.get_collaborator_role_name(role) == role
    assert repo.get_collaborator_permission(role) == permission


def test_a_stranger_may_read_what_is_public_and_has_no_part_in_what_is_not(hub, connect):
    hub.admin.user("stranger")
    assert connect("write").get_repo(NAME).get_collaborator_role_name("stranger") == "read"
    assert connect("write").get_repo(SECRET).get_collaborator_role_name("stranger") == "none"
    assert legacy_permission(Role.NONE) == "none"


def test_a_role_is_told_only_to_who_may_write(connect):
    for login in ("read", "triage"):
        with pytest.raises(GithubException) as told:
            connect(login).get_repo(NAME).get_collaborator_permission("admin")
        assert told.value.status == 403
    with pytest.raises(GithubException) as told:
        connect("write").get_repo(NAME).get_collaborator_permission("nobody-of-that-name")
    assert told.value.status == 404


def test_a_role_that_is_taken_away_is_gone_at_once(hub, connect):
    tracker = connect("write")
    repo = tracker.get_repo(SECRET)
    hub.admin.role(SECRET, "write", "none")
    with pytest.raises(UnknownObjectException):
        list(repo.get_issues())
    assert role_named("none") is Role.NONE


@pytest.mark.parametrize("login", [None, "stranger"])
def test_what_is_private_does_not_exist_for_others(connect, login):
    with pytest.raises(UnknownObjectException):
        connect(login).get_repo(SECRET)
    assert connect(login).get_repo(NAME).full_name == NAME


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_what_is_private(connect, role):
    assert connect(role).get_repo(SECRET).private


def test_nobody_may_read_what_is_public_and_write_nothing(connect):
    repo = connect(None).get_repo(NAME)
    assert repo.get_issues().totalCount == 0
    for ask in (
        lambda: repo.create_issue("x"),
        lambda: repo.create_label("x", "ffffff"),
        lambda: repo.create_git_blob("x", "utf-8"),
        lambda: connect(None).get_user().login,
    ):
        with pytest.raises(GithubException) as told:
            ask()
        assert told.value.status == 401


def test_a_revoked_token_is_worth_nothing(hub, connect):
    tracker = connect("write")
    tracker.get_repo(NAME)
    token = hub.admin.token("write")
    hub.admin.revoke(token)
    with (
        Github(base_url=hub.base_url, auth=Auth.Token(token), **UNHURRIED) as gone,
        pytest.raises(BadCredentialsException),
    ):
        gone.get_repo(NAME)


@pytest.mark.parametrize("role", ["read", "triage"])
def test_git_is_written_only_by_who_may_write(connect, role):
    repo = connect(role).get_repo(NAME)
    sha = repo.get_branch("main").commit.sha
    for ask in (
        lambda: repo.create_git_blob("x", "utf-8"),
        lambda: repo.create_git_ref("refs/heads/x", sha),
        lambda: repo.create_git_commit("x", repo.get_git_tree(sha), []),
    ):
        with pytest.raises(GithubException) as told:
            ask()
        assert told.value.status == 403


def test_the_owner_of_a_repository_is_an_admin(hub, connect, repository):
    hub.admin.user("ada")
    hub.admin.repository("ada/own", repository.path, is_private=True)
    repo = connect("ada").get_repo("ada/own")
    assert repo.permissions.admin
    assert repo.create_issue("x").raw_data["author_association"] == "OWNER"


def test_scopes_of_the_token_are_told(connect):
    tracker = connect("write")
    tracker.get_repo(NAME)
    assert tracker.oauth_scopes == ["repo"]


@pytest.mark.parametrize("login", ["", "a/b", "../x", "a b", "-x", "x" * 40, "api", "static", "<script>"])
def test_a_login_that_github_would_not_have_is_refused(hub, login):
    with pytest.raises(ValueError, match="is not a login"):
        hub.admin.user(login)


@pytest.mark.parametrize("name", ["acme", "acme/", "acme/..", "acme/a/b", "acme/a b", "/x"])
def test_a_repository_name_that_github_would_not_have_is_refused(hub, repository, name):
    with pytest.raises(ValueError, match="is not"):
        hub.admin.repository(name, repository.path)


def test_a_folder_without_git_is_refused(hub, tmp_path):
    with pytest.raises(ValueError, match="is not a git repository"):
        hub.admin.repository("acme/none", tmp_path)

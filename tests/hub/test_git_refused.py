"""Writes into git that make no sense, and are refused in GitHub's words before git sees them."""

import subprocess

import pytest
from github import GithubException, InputGitTreeElement

from tests.hub.conftest import NAME

NOWHERE = "0123456789012345678901234567890123456789"
GIT = f"/repos/{NAME}/git"


@pytest.fixture
def ids(repository):
    return {
        "tip": repository("rev-parse", "main"),
        "first": repository("rev-parse", "main~1"),
        "tree": repository("rev-parse", "main^{tree}"),
        "blob": repository("rev-parse", "main:README"),
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/blobs", {}, 422),
        ("POST", "/blobs", {"content": "x", "encoding": "rot13"}, 422),
        ("POST", "/blobs", {"content": "x", "encoding": "base64"}, 422),
        ("POST", "/blobs", {"content": 7}, 422),
        ("GET", "/blobs/{tree}", None, 404),
        ("GET", f"/blobs/{NOWHERE}", None, 404),
        ("GET", "/blobs/main", None, 404),
        ("GET", f"/trees/{NOWHERE}", None, 404),
        ("GET", "/commits/{tree}", None, 404),
        ("POST", "/trees", {}, 422),
        ("POST", "/trees", {"tree": []}, 422),
        ("POST", "/trees", {"tree": ["x"]}, 422),
        ("POST", "/trees", {"tree": [{"path": "x", "mode": "100666", "sha": "{blob}"}]}, 422),
        ("POST", "/trees", {"tree": [{"path": "x", "mode": "100644"}]}, 422),
        ("POST", "/trees", {"tree": [{"path": "x", "mode": "100644", "sha": NOWHERE}]}, 422),
        ("POST", "/trees", {"tree": [{"path": "x", "mode": "100644", "sha": "{tree}"}]}, 422),
        (
            "POST",
            "/trees",
            {"tree": [{"path": "x", "mode": "100644", "sha": "{blob}"}], "base_tree": "no"},
            422,
        ),
        ("POST", "/commits", {"message": "x"}, 422),
        ("POST", "/commits", {"message": " ", "tree": "{tree}"}, 422),
        ("POST", "/commits", {"message": "x", "tree": "{blob}"}, 422),
        ("POST", "/commits", {"message": "x", "tree": "{tree}", "parents": "{tip}"}, 422),
        ("POST", "/commits", {"message": "x", "tree": "{tree}", "parents": ["{tree}"]}, 422),
        ("POST", "/commits", {"message": "x", "tree": "{tree}", "author": "Ada"}, 422),
        ("POST", "/commits", {"message": "x", "tree": "{tree}", "author": {"date": "soon"}}, 422),
        ("POST", "/refs", {"ref": "refs/heads/x"}, 422),
        ("POST", "/refs", {"ref": "refs/heads/x", "sha": NOWHERE}, 422),
        ("POST", "/refs", {"ref": "refs/heads/x", "sha": "main"}, 422),
        ("POST", "/refs", {"ref": "refs/heads/x", "sha": "{blob}"}, 422),
        ("PATCH", "/refs/heads/none", {"sha": "{tip}"}, 422),
        ("PATCH", "/refs/heads/none", {"sha": 7}, 422),
        ("DELETE", "/refs/heads/none", None, 422),
        ("GET", "/ref/heads", None, 404),
    ],
)
def test_what_makes_no_sense_is_refused(connect, repository, ids, method, path, body, status):
    def filled(value):
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        return value.format(**ids) if isinstance(value, str) else value

    before = repository("for-each-ref")
    requester = connect("write").requester
    with pytest.raises(GithubException) as told:
        requester.requestJsonAndCheck(method, GIT + filled(path), input=filled(body))
    assert told.value.status == status
    assert repository("for-each-ref") == before


def test_a_whole_tree_may_be_hung_into_another(repository, repo, ids):
    made = repo.create_git_tree([InputGitTreeElement("old/state", "040000", "tree", sha=ids["tree"])])
    assert repository("ls-tree", "-r", "--name-only", made.sha).split() == [
        "old/state/README",
        "old/state/paceline.toml",
    ]


def test_a_ref_under_another_is_a_conflict(repo, ids):
    repo.create_git_ref("refs/heads/results", ids["tip"])
    with pytest.raises(GithubException) as told:
        repo.create_git_ref("refs/heads/results/1", ids["tip"])
    assert told.value.status == 409


def test_a_commit_of_somebody_without_a_name_is_read(repository, repo):
    raw = f"tree {repository('rev-parse', 'main^{tree}')}\nauthor  <> 99999999999999999 +0000\n"
    raw += "committer A <a@b> -1 +0000\ngpgsig -----BEGIN\n -----END\n\nmessage"
    command = [
        "git",
        "-C",
        str(repository.path),
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--literally",
        "--stdin",
    ]
    sha = subprocess.run(command, input=raw.encode(), capture_output=True, check=True).stdout.decode().strip()
    told = repo.get_git_commit(sha)
    assert (told.author.name, told.author.email, told.author.date.year) == ("", "", 1970)
    assert told.verification.reason == "gpgverify_unavailable"
    assert told.message == "message"

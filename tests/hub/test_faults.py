"""The trouble that tests of clients order: a write that is stored while its answer is lost, late or wrong."""

import pytest
import requests
from github import GithubException, GithubRetry

from agent.hub.faults import Fault
from agent.hub.serve import HubProcess, open_admin
from tests.hub.conftest import NAME

COMMENTS = r"/issues/\d+/comments$"


def test_a_stored_comment_may_be_answered_with_502(faults, repo):
    issue = repo.create_issue("one")
    faults.add(Fault("POST", COMMENTS, "answer", status=502))
    with pytest.raises(GithubException) as told:
        issue.create_comment("stored")
    assert told.value.status == 502
    assert [one.body for one in issue.get_comments()] == ["stored"]
    assert (faults.happened, faults.waiting) == (1, 0)


def test_a_stored_comment_may_be_answered_with_nothing(faults, repo):
    issue = repo.create_issue("one")
    faults.add(Fault("POST", COMMENTS, "drop"))
    with pytest.raises(requests.ConnectionError):
        issue.create_comment("stored")
    assert [one.body for one in issue.get_comments()] == ["stored"]


def test_a_comment_may_be_refused_before_it_is_stored(faults, repo):
    issue = repo.create_issue("one")
    faults.add(Fault("POST", COMMENTS, "answer", happens="before", status=503))
    faults.add(Fault("POST", COMMENTS, "drop", happens="before"))
    for error in (GithubException, requests.ConnectionError):
        with pytest.raises(error):
            issue.create_comment("not stored")
    assert issue.get_comments().totalCount == 0


def test_an_answer_may_come_later_than_the_client_waits(faults, connect):
    issue = connect("write").get_repo(NAME).create_issue("one")
    faults.add(Fault("POST", COMMENTS, "delay", delay_s=2))
    hasty = connect("write", timeout=1).get_repo(NAME).get_issue(issue.number)
    with pytest.raises(requests.ReadTimeout):
        hasty.create_comment("stored")
    assert [one.body for one in issue.get_comments()] == ["stored"]


@pytest.mark.parametrize("kind", ["answer", "drop"])
def test_pygithub_repeats_a_post_by_itself_unless_told_not_to(faults, connect, kind):
    """Why an agent must switch its retries off: the comment is there twice."""
    careless = connect("write", retry=GithubRetry(total=3, backoff_factor=0))
    issue = careless.get_repo(NAME).create_issue("one")
    faults.add(Fault("POST", COMMENTS, kind))
    issue.create_comment("twice")
    assert [one.body for one in issue.get_comments()] == ["twice", "twice"]


def test_a_fault_happens_as_often_as_it_was_ordered(faults, repo):
    faults.add(Fault("GET", "/labels$", "answer", happens="before", times=2))
    for _ in range(2):
        with pytest.raises(GithubException):
            list(repo.get_labels())
    assert list(repo.get_labels()) == []


def test_other_processes_may_order_faults_only_where_that_was_switched_on(tmp_path, repository):
    file = tmp_path / "hub.db"
    with open_admin(file) as admin:
        admin.repository(NAME, repository.path)
    order = {"method": "GET", "path": "/rate_limit$", "kind": "answer", "status": 502}
    with HubProcess(file, "--test-faults") as hub:
        assert requests.post(f"{hub.address}/_faults", json=order, timeout=10).json()["waiting"] == 1
        assert requests.get(f"{hub.base_url}/rate_limit", timeout=10).status_code == 502
        assert requests.get(f"{hub.base_url}/rate_limit", timeout=10).status_code == 200
        assert requests.get(f"{hub.address}/_faults", timeout=10).json() == {"happened": 1, "waiting": 0}
    with HubProcess(file) as hub:
        assert requests.post(f"{hub.address}/_faults", json=order, timeout=10).status_code == 404
        assert requests.get(f"{hub.base_url}/rate_limit", timeout=10).status_code == 200


def test_pygithub_does_not_repeat_an_edit(faults, connect):
    careless = connect("write", retry=GithubRetry(total=3, backoff_factor=0))
    comment = careless.get_repo(NAME).create_issue("one").create_comment("before")
    faults.add(Fault("PATCH", r"/comments/\d+$", "answer"))
    with pytest.raises(GithubException):
        comment.edit("after")
    assert faults.happened == 1

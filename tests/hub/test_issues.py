"""Issues and comments: filters, who may change what, what became of issues that are gone."""

from datetime import UTC, datetime, timedelta

import pytest
from github import Auth, Github, GithubException, UnknownObjectException

from agent.hub.serve import Hub
from tests.hub.conftest import NAME, SECRET, UNHURRIED


def numbers(issues):
    return [issue.number for issue in issues]


def refused(status, ask):
    with pytest.raises(GithubException) as told:
        ask()
    assert told.value.status == status
    return told.value.data


def test_an_issue_is_listed_only_with_all_of_the_labels(repo):
    one = repo.create_issue("one", labels=["bench"])
    both = repo.create_issue("both", labels=["bench", "gpu"])
    assert numbers(repo.get_issues(labels=["bench"])) == [both.number, one.number]
    assert numbers(repo.get_issues(labels=["bench", "GPU"])) == [both.number]
    assert numbers(repo.get_issues(labels=["bench", "other"])) == []


def test_lists_are_sorted_as_asked(repo):
    first, second, third = (repo.create_issue(name) for name in "abc")
    first.create_comment("1")
    first.create_comment("2")
    third.create_comment("1")
    assert numbers(repo.get_issues(sort="comments")) == [first.number, third.number, second.number]
    assert numbers(repo.get_issues(sort="created", direction="asc")) == [1, 2, 3]


def test_since_takes_what_was_updated_at_that_second_or_later(repo):
    issue = repo.create_issue("one")
    assert numbers(repo.get_issues(since=issue.updated_at)) == [1]
    assert numbers(repo.get_issues(since=issue.updated_at + timedelta(seconds=1))) == []


def test_a_comment_moves_the_time_of_its_issue(tmp_path, repository):
    moments = iter(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(1000))
    with Hub(tmp_path / "timed.db", clock=lambda: next(moments)) as hub:
        hub.admin.repository(NAME, repository.path)
        auth = Auth.Token(hub.admin.token("ada"))
        with Github(base_url=hub.base_url, auth=auth, **UNHURRIED) as tracker:
            issue = tracker.get_repo(NAME).create_issue("one")
            comment = issue.create_comment("here")
            after_comment = tracker.get_repo(NAME).get_issue(1).updated_at
            comment.edit("there")
            after_edit = tracker.get_repo(NAME).get_issue(1).updated_at
    assert issue.updated_at < after_comment < after_edit


@pytest.mark.parametrize("filter_", [{"assignee": "ada"}, {"milestone": "*"}, {"milestone": "none"}])
def test_a_filter_that_there_is_not_is_refused_rather_than_ignored(repo, filter_):
    refused(422, lambda: list(repo.get_issues(**filter_)))


@pytest.mark.parametrize("state", ["merged", "", "open;--"])
def test_a_state_that_there_is_not_is_refused(repo, state):
    refused(422, lambda: list(repo.get_issues(state=state)))


@pytest.mark.parametrize(
    ("title", "body"), [("", "x"), ("  ", "x"), ("x" * 257, "x"), ("x", "x" * 65_537), ("a\0b", "x")]
)
def test_an_issue_out_of_bounds_is_refused(repo, title, body):
    refused(422, lambda: repo.create_issue(title, body=body))
    assert repo.get_issues(state="all").totalCount == 0


def test_a_blank_comment_is_refused(repo):
    issue = repo.create_issue("one")
    refused(422, lambda: issue.create_comment(" \n"))


def test_a_deleted_issue_is_410_and_its_number_is_not_given_again(hub, repo):
    issue = repo.create_issue("one", body="x")
    comment = issue.create_comment("here")
    hub.admin.delete_issue(NAME, issue.number)
    refused(410, lambda: repo.get_issue(issue.number))
    refused(410, lambda: issue.create_comment("again"))
    refused(404, lambda: repo.get_issue(issue.number + 1))
    refused(404, lambda: comment.edit("again"))
    assert repo.create_issue("two").number == issue.number + 1
    assert repo.get_issues(state="all").totalCount == 1


def test_a_transferred_issue_is_301_to_where_it_is_now(hub, connect, repository):
    hub.admin.repository("acme/other", repository.path)
    repo = connect("write").get_repo(NAME)
    issue = repo.create_issue("one", labels=["bench"])
    comment = issue.create_comment("here")
    number = hub.admin.transfer_issue(NAME, issue.number, "acme/other")
    moved = repo.get_issue(issue.number)  # PyGithub follows the redirect without a word
    assert moved.repository_url.endswith("/repos/acme/other")
    assert moved.number == number
    assert moved.labels == []
    assert [one.id for one in moved.get_comments()] == [comment.id]
    refused(404, lambda: issue.create_comment("to nowhere"))
    assert numbers(repo.get_issues(state="all")) == []


def test_an_issue_that_moved_out_of_sight_is_404(hub, connect, repository):
    hub.admin.repository("acme/hidden", repository.path, is_private=True)
    repo = connect("write").get_repo(NAME)
    issue = repo.create_issue("one")
    hub.admin.transfer_issue(NAME, issue.number, "acme/hidden")
    refused(404, lambda: repo.get_issue(issue.number))


def test_authors_may_edit_and_close_what_they_wrote_and_not_label_it(connect):
    issue = connect("read").get_repo(NAME).create_issue("one", labels=["bench"])
    assert issue.labels == []
    issue.edit(title="two", body="x", state="closed", labels=["bench"])
    assert (issue.title, issue.state, issue.labels) == ("two", "closed", [])
    refused(403, lambda: issue.add_to_labels("bench"))


def test_triage_may_close_and_label_and_not_rewrite(connect):
    connect("read").get_repo(NAME).create_issue("one")
    issue = connect("triage").get_repo(NAME).get_issue(1)
    issue.add_to_labels("bench")
    issue.edit(state="closed")
    refused(403, lambda: issue.edit(title="two"))
    refused(403, lambda: connect("triage").get_repo(NAME).create_label("new", "ffffff"))


def test_others_may_comment_and_react_and_change_nothing(connect):
    mine = connect("write").get_repo(NAME).create_issue("one").create_comment("mine")
    issue = connect("read").get_repo(NAME).get_issue(1)
    refused(403, lambda: issue.edit(state="closed"))
    theirs = issue.get_comment(mine.id)
    refused(403, lambda: theirs.edit("theirs"))
    refused(403, theirs.delete)
    theirs.create_reaction("eyes")
    issue.create_comment("hello")
    assert [one.body for one in issue.get_comments()] == ["mine", "hello"]


def test_somebody_who_may_not_cannot_minimise(connect):
    mine = connect("write").get_repo(NAME).create_issue("one").create_comment("mine")
    theirs = connect("read").get_repo(NAME).get_issue(1).get_comment(mine.id)
    assert "permissions" in str(refused(400, theirs.minimize))
    assert mine.minimize("RESOLVED")
    assert connect("read").get_repo(NAME).get_issue(1).get_comment(mine.id).raw_data["minimized"] == {
        "reason": "resolved"
    }


def test_minimising_what_is_out_of_sight_is_not_found(connect):
    secret = connect("admin").get_repo(SECRET).create_issue("one").create_comment("mine")
    with pytest.raises(UnknownObjectException):
        connect("stranger").requester.graphql_named_mutation(
            "minimizeComment",
            {"subjectId": secret.node_id, "classifier": "OUTDATED"},
            "minimizedComment { isMinimized }",
        )


@pytest.mark.parametrize("query", ["query { viewer { login } }", "mutation M { deleteIssue }", 7, None])
def test_any_other_graphql_is_refused(connect, query):
    with pytest.raises(GithubException):
        connect().requester.graphql_query(query, {})


def test_setting_labels_replaces_them_and_says_what_changed(repo):
    issue = repo.create_issue("one", labels=["a", "b"])
    issue.set_labels("b", "c")
    assert [one.name for one in issue.get_labels()] == ["b", "c"]
    issue.delete_labels()
    told = [(one.event, one.label.name) for one in issue.get_events()]
    assert sorted(told[2:4]) == [("labeled", "c"), ("unlabeled", "a")]
    assert set(told[4:]) == {("unlabeled", "b"), ("unlabeled", "c")}


def test_the_actor_of_a_label_is_who_put_it_there(connect):
    issue = connect("read").get_repo(NAME).create_issue("one")
    connect("triage").get_repo(NAME).get_issue(issue.number).add_to_labels("bench")
    [event] = issue.get_events()
    assert (event.actor.login, event.label.name) == ("triage", "bench")
    assert issue.user.login == "read"


def test_a_label_that_is_not_on_the_issue_cannot_be_removed(repo):
    refused(404, lambda: repo.create_issue("one").remove_from_labels("bench"))


def test_label_names_may_hold_what_addresses_must_quote(repo):
    name = "kind/über #1 ?"
    repo.create_label(name, "FFFFFF")
    assert repo.get_label(name).color == "ffffff"
    issue = repo.create_issue("one", labels=[name])
    issue.remove_from_labels(name)
    repo.get_label(name).edit("plain", "000000", "told")
    assert [(one.name, one.description) for one in repo.get_labels()] == [("plain", "told")]


def test_comments_of_a_repository_are_listed_since(repo):
    first = repo.create_issue("one").create_comment("1")
    second = repo.create_issue("two").create_comment("2")
    newest_first = repo.get_issues_comments(sort="created", direction="desc")
    assert [one.id for one in newest_first] == [second.id, first.id]
    assert [one.id for one in repo.get_issues_comments(since=first.updated_at)] == [first.id, second.id]


def test_renaming_is_told(repo):
    issue = repo.create_issue("one")
    issue.edit(title="two")
    [event] = issue.get_events()
    assert event.rename == {"from": "one", "to": "two"}

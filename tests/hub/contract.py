"""What Paceline needs of a tracker, as plain functions over PyGithub: `check(github, repo_name)`.

The embedded tracker passes them in the tests, GitHub when an operator runs them against a scratch repository.
Each makes what it needs (issues, one label, one branch), leaves its issues closed and deletes its branch. The
caller may write to the repository, which has at least two commits on its default branch.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

import github
import pytest
from github import Github, GithubException, InputGitTreeElement, UnknownObjectException
from github.Issue import Issue

LABEL = "paceline-contract"
MARKER = "<!-- epm:progress v1 -->\n## Understood\n\n| a | b |\n|---|---|\n| 1 | 2 |\n<!-- /epm:progress -->"


def made_issue(tracker: Github, repo_name: str, **more) -> Issue:
    return tracker.get_repo(repo_name).create_issue(f"contract {secrets.token_hex(4)}", **more)


def check_repository_has_the_facts_that_an_agent_needs(tracker: Github, repo_name: str) -> None:
    repo = tracker.get_repo(repo_name)
    assert repo.full_name == repo_name
    assert repo.id > 0
    assert repo.clone_url
    assert repo.get_branch(repo.default_branch).commit.sha == repo.get_commit(repo.default_branch).sha
    assert repo.permissions.push


def check_issue_round_trip(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name, body="line one\n\n- [ ] ünïcode 🚀")
    again = tracker.get_repo(repo_name).get_issue(issue.number)
    assert (again.id, again.title, again.body) == (issue.id, issue.title, "line one\n\n- [ ] ünïcode 🚀")
    assert again.user.login == tracker.get_user().login
    assert again.user.id == tracker.get_user().id
    again.edit(title="renamed", body="new")
    again.edit(state="closed", state_reason="not_planned")
    last = tracker.get_repo(repo_name).get_issue(issue.number)
    assert (last.title, last.body, last.state, last.state_reason) == (
        "renamed",
        "new",
        "closed",
        "not_planned",
    )
    assert last.closed_at >= last.created_at
    last.edit(state="open")
    assert tracker.get_repo(repo_name).get_issue(issue.number).state == "open"
    last.edit(state="closed")


def check_issues_are_listed_by_label_state_and_time(tracker: Github, repo_name: str) -> None:
    repo = tracker.get_repo(repo_name)
    label = f"{LABEL}-{secrets.token_hex(3)}"
    repo.create_label(label, "0e8a16", "made by the contract suite")
    first = made_issue(tracker, repo_name, labels=[label])
    second = made_issue(tracker, repo_name, labels=[label])
    second.edit(state="closed")
    assert [one.number for one in repo.get_issues(labels=[label])] == [first.number]
    assert [one.number for one in repo.get_issues(labels=[label], state="closed")] == [second.number]
    both = repo.get_issues(labels=[label], state="all", sort="created", direction="asc")
    assert [one.number for one in both] == [first.number, second.number]
    later = second.updated_at + timedelta(days=1)
    assert list(repo.get_issues(labels=[label], state="all", since=later)) == []
    earlier = first.created_at - timedelta(days=1)
    assert repo.get_issues(labels=[label], state="all", since=earlier).totalCount == 2
    first.edit(state="closed")
    repo.get_label(label).delete()


def check_comment_round_trip(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name)
    comment = issue.create_comment(MARKER)
    assert issue.get_comment(comment.id).body == MARKER
    comment.edit(MARKER + "\nmore")
    again = tracker.get_repo(repo_name).get_issue(issue.number)
    assert [one.body for one in again.get_comments()] == [MARKER + "\nmore"]
    assert again.comments == 1
    assert again.updated_at >= issue.updated_at
    comment.delete()
    assert list(again.get_comments()) == []
    with pytest.raises(UnknownObjectException):
        issue.get_comment(comment.id)
    issue.edit(state="closed")


def check_comments_come_in_order_and_in_pages(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name)
    made = [issue.create_comment(f"number {n}").id for n in range(5)]
    tracker.per_page, before = 2, tracker.per_page
    try:
        comments = tracker.get_repo(repo_name).get_issue(issue.number).get_comments()
        assert [one.id for one in comments] == made
        assert comments.totalCount == 5
        assert [one.id for one in comments.reversed] == made[::-1]
    finally:
        tracker.per_page = before
    issue.edit(state="closed")


def check_comments_since(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name)
    comment = issue.create_comment("here")
    assert [one.id for one in issue.get_comments(since=comment.updated_at)] == [comment.id]
    assert list(issue.get_comments(since=comment.updated_at + timedelta(days=1))) == []
    issue.edit(state="closed")


def check_a_comment_that_is_too_long_is_refused(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name)
    issue.create_comment("x" * 65_536)
    with pytest.raises(GithubException) as refused:
        issue.create_comment("x" * 65_537)
    assert refused.value.status == 422
    assert issue.get_comments().totalCount == 1
    issue.edit(state="closed")


def check_reactions(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name)
    comment = issue.create_comment("/approve")
    eyes = comment.create_reaction("eyes")
    assert comment.create_reaction("eyes").id == eyes.id
    issue.create_reaction("+1")
    assert [(one.content, one.user.login) for one in comment.get_reactions()] == [("eyes", eyes.user.login)]
    assert [one.content for one in issue.get_reactions()] == ["+1"]
    assert issue.get_comment(comment.id).reactions["eyes"] == 1
    assert comment.delete_reaction(eyes.id)
    assert list(comment.get_reactions()) == []
    issue.edit(state="closed")


def check_events_say_who_labelled_closed_and_reopened(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name)
    issue.add_to_labels(LABEL)
    issue.create_comment("in between")
    issue.remove_from_labels(LABEL)
    issue.edit(state="closed")
    issue.edit(state="open")
    me = tracker.get_user().login
    told = [(one.event, one.actor.login, one.label.name if one.label else None) for one in issue.get_events()]
    assert told == [
        ("labeled", me, LABEL),
        ("unlabeled", me, LABEL),
        ("closed", me, None),
        ("reopened", me, None),
    ]
    words = [one.event for one in issue.get_timeline()]
    assert words == ["labeled", "commented", "unlabeled", "closed", "reopened"]
    issue.edit(state="closed")


def check_a_comment_can_be_minimised(tracker: Github, repo_name: str) -> None:
    issue = made_issue(tracker, repo_name)
    comment = issue.create_comment(MARKER)
    assert comment.minimize("OUTDATED")
    assert issue.get_comment(comment.id).body == MARKER
    issue.edit(state="closed")


def check_permission_is_told_with_role_and_numeric_id(tracker: Github, repo_name: str) -> None:
    repo = tracker.get_repo(repo_name)
    me = tracker.get_user()
    assert repo.get_collaborator_permission(me.login) in ("admin", "write")
    assert repo.get_collaborator_role_name(me.login) in ("admin", "maintain", "write")
    assert tracker.get_user(me.login).id == me.id
    assert tracker.get_user_by_id(me.id).login == me.login


def check_what_is_not_there_is_404(tracker: Github, repo_name: str) -> None:
    repo = tracker.get_repo(repo_name)
    for ask in (
        lambda: tracker.get_repo(repo_name + "-that-is-not-there"),
        lambda: repo.get_issue(99_999_999),
        lambda: repo.get_contents("no/such/file"),
        lambda: repo.get_git_ref("heads/no-such-branch"),
        lambda: repo.compare("no-such-branch", repo.default_branch),
        lambda: repo.get_label("no-such-label"),
    ):
        with pytest.raises(GithubException) as missing:
            ask()
        assert missing.value.status == 404


def check_a_commit_that_is_not_there_is_422(tracker: Github, repo_name: str) -> None:
    with pytest.raises(GithubException) as missing:
        tracker.get_repo(repo_name).get_commit("0123456789012345678901234567890123456789")
    assert missing.value.status == 422


def check_compare_tells_ahead_behind_and_identical(tracker: Github, repo_name: str) -> None:
    repo = tracker.get_repo(repo_name)
    tip = repo.get_commit(repo.default_branch)
    parent = tip.parents[0].sha
    ahead = repo.compare(parent, tip.sha)
    assert (ahead.status, ahead.ahead_by >= 1, ahead.behind_by) == ("ahead", True, 0)
    assert ahead.merge_base_commit.sha == parent
    assert {one.filename for one in ahead.files} >= {one.filename for one in tip.files}
    behind = repo.compare(repo.default_branch, parent)
    assert (behind.status, behind.ahead_by, behind.behind_by >= 1) == ("behind", 0, True)
    assert repo.compare(tip.sha, repo.default_branch).status == "identical"


def check_contents_come_from_a_commit(tracker: Github, repo_name: str) -> None:
    repo = tracker.get_repo(repo_name)
    tip = repo.get_commit(repo.default_branch)
    file = next(one for one in repo.get_contents("", ref=tip.sha) if one.type == "file")
    whole = repo.get_contents(file.path, ref=tip.sha)
    assert whole.sha == file.sha
    assert repo.get_git_blob(file.sha).size == len(whole.decoded_content) == whole.size


def check_a_results_branch_is_written_in_one_commit(tracker: Github, repo_name: str) -> None:
    repo = tracker.get_repo(repo_name)
    name = f"heads/paceline-contract-{secrets.token_hex(4)}"
    base = repo.get_branch(repo.default_branch).commit.sha
    blob = repo.create_git_blob("aGVsbG8K", "base64")
    entries = [
        InputGitTreeElement("runs/1/events.jsonl", "100644", "blob", content="{}\n"),
        InputGitTreeElement("runs/1/gpu.csv", "100644", "blob", sha=blob.sha),
    ]
    tree = repo.create_git_tree(entries, repo.get_git_tree(base))
    commit = repo.create_git_commit("results of #1", tree, [repo.get_git_commit(base)])
    ref = repo.create_git_ref(f"refs/{name}", commit.sha)
    assert repo.get_git_ref(name).object.sha == commit.sha
    assert repo.get_contents("runs/1/gpu.csv", ref=commit.sha).decoded_content == b"hello\n"
    told = repo.compare(base, commit.sha)
    assert {one.filename for one in told.files} == {"runs/1/events.jsonl", "runs/1/gpu.csv"}
    with pytest.raises(GithubException) as taken:
        repo.create_git_ref(f"refs/{name}", base)
    assert taken.value.status == 422
    with pytest.raises(GithubException) as backwards:
        ref.edit(base)
    assert backwards.value.status == 422
    ref.edit(base, force=True)
    ref.delete()
    with pytest.raises(UnknownObjectException):
        repo.get_git_ref(name)


def check_an_unchanged_list_is_304_and_costs_nothing(tracker: Github, repo_name: str) -> None:
    url = f"/repos/{repo_name}/issues?labels={LABEL}&state=open"
    requester = tracker.requester
    status, headers, _ = requester.requestJson("GET", url)
    assert status == 200
    left = tracker.rate_limiting[0]
    status, again, body = requester.requestJson("GET", url, headers={"If-None-Match": headers["etag"]})
    assert (status, body) == (304, "")
    assert tracker.rate_limiting[0] == left
    assert again["etag"].removeprefix("W/") == headers["etag"].removeprefix("W/")


def check_an_unchanged_issue_updates_to_nothing(tracker: Github, repo_name: str) -> None:
    issue = tracker.get_repo(repo_name).get_issue(made_issue(tracker, repo_name).number)
    assert issue.update() is False
    issue.create_comment("news")
    assert issue.update() is True
    issue.edit(state="closed")


def check_rate_limit_is_told(tracker: Github, repo_name: str) -> None:
    tracker.get_repo(repo_name)
    told = tracker.get_rate_limit().rate
    assert 0 <= told.remaining <= told.limit
    assert tracker.rate_limiting == (told.remaining, told.limit)


def check_a_wrong_token_is_401(tracker: Github, repo_name: str) -> None:
    wrong = github.Github(
        base_url=tracker.requester.base_url, auth=github.Auth.Token("ghp_" + "0" * 36), retry=None
    )
    with pytest.raises(github.BadCredentialsException):
        wrong.get_repo(repo_name)
    wrong.close()


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]

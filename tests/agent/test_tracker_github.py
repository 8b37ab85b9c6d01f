"""The GitHub adapter where it differs from a tracker in memory: requests, retries, redirects, refusals.

`tests/fakes/test_fake_tracker.py` holds what both have in common. Here a `Line` lies between the adapter and
a real hub: it counts requests, and answers some itself as GitHub would.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent import github_line
from agent.hub.faults import Fault, Faults, with_faults
from agent.hub.serve import Hub
from agent.tracker import Gone, TrackerError, Unsure, User
from agent.tracker_github import GithubTracker
from tests.hub.conftest import Git
from tests.hub.contract import CHECKS

ROOT = Path(__file__).parent.parent.parent
NAME = "acme/target"
ADDRESS = f"/api/v3/repos/{NAME}"


@dataclass
class Line:
    """`seen` has every request; what was `ordered` is answered here, once each."""

    seen: list[str] = field(default_factory=list)
    orders: list[tuple] = field(default_factory=list)
    before: list[tuple] = field(default_factory=list)

    def order(self, request, status, data=None, times=1, **headers):
        """Answer what matches `request` ("GET /path", a pattern) with this."""
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        body = data if isinstance(data, str) else json.dumps(data if data is not None else {"message": "no"})
        self.orders += [(request, status, named, body)] * times

    def meanwhile(self, request, happen):
        """Call `happen` before the next request that matches goes on."""
        self.before.append((request, happen))

    def around(self, app):
        async def counted(scope, receive, send):
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            query = scope["query_string"].decode()
            request = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
            self.seen.append(request)
            for one in list(self.before):
                if re.search(one[0], request):
                    self.before.remove(one)
                    one[1]()
            for one in self.orders:
                if re.search(one[0], request):
                    self.orders.remove(one)
                    await answer(send, *one[1:])
                    return
            await app(scope, receive, send)

        return counted

    def taken(self):
        """The requests since the last time, without the address that all have in common."""
        told, self.seen[:] = [one.replace(ADDRESS, "").replace("/api/v3", "") for one in self.seen], []
        return told


async def answer(send, status, headers, body):
    head = {"content-type": "application/json", "content-length": str(len(body.encode())), **headers}
    coded = [(name.encode(), value.encode()) for name, value in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": coded})
    await send({"type": "http.response.body", "body": body.encode()})


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def git(tmp_path):
    path = tmp_path / "target"
    path.mkdir()
    git = Git(path)
    git("init", "--quiet")
    git.commit("first", paceline__toml="a = 1\n")
    return git


@pytest.fixture
def hub(tmp_path, git, line, faults):
    def around(app):
        return line.around(with_faults(app, faults))

    with Hub(tmp_path / "hub.db", around=around) as hub:
        hub.admin.repository(NAME, git.path)
        hub.admin.role(NAME, "paceline", "write")
        yield hub


@pytest.fixture
def slept():
    return []


@pytest.fixture
def connect(hub, slept):
    made = []

    def connected(login="paceline", repository=NAME, token=None):
        token = token or hub.admin.token(login)
        made.append(GithubTracker(hub.base_url, token, repository, sleep=slept.append))
        return made[-1]

    yield connected
    for one in made:
        one.close()


@pytest.fixture
def tracker(connect):
    return connect()


def file_issue(tracker, body="body", labels=("bench",)):
    sent = {"title": "faster", "body": body, "labels": list(labels)}
    return tracker._line.write("POST", f"/repos/{NAME}/issues", sent).data["number"]


def relabel(tracker, number, *labels):
    tracker._line.write("PATCH", f"/repos/{NAME}/issues/{number}", {"labels": list(labels)})


def bodies(tracker, number):
    return [one.body for one in tracker.comments(number)]


# What is sent again, and what never.


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_post_that_was_stored_and_answered_5xx_is_sent_once(tracker, line, faults, slept, status):
    number = file_issue(tracker)
    line.taken()
    faults.add(Fault("POST", "/comments$", "answer", "after", status))
    with pytest.raises(Unsure):
        tracker.post(number, "one")
    assert line.taken() == [f"POST /issues/{number}/comments"]
    assert (bodies(tracker, number), slept) == (["one"], [])


def test_a_post_whose_connection_was_dropped_is_sent_once(tracker, line, faults):
    number = file_issue(tracker)
    line.taken()
    faults.add(Fault("POST", "/comments$", "drop", "after"))
    with pytest.raises(Unsure, match="the connection broke"):
        tracker.post(number, "one")
    assert line.taken() == [f"POST /issues/{number}/comments"]
    assert bodies(tracker, number) == ["one"]


def test_a_post_that_was_answered_too_late_is_sent_once(connect, tracker, faults, line, monkeypatch):
    number = file_issue(tracker)
    line.taken()
    monkeypatch.setattr(github_line, "ANSWER_LIMIT_S", 0.2)
    faults.add(Fault("POST", "/comments$", "delay", "after", delay_s=1.0))
    with pytest.raises(Unsure, match="no answer within"):
        connect().post(number, "one")
    assert line.taken() == [f"POST /issues/{number}/comments"]
    assert bodies(tracker, number) == ["one"]


def test_no_body_leaves_with_the_token_in_it(connect, hub, line):
    token = hub.admin.token("paceline")
    tracker = connect(token=token)
    number = file_issue(tracker)
    sent = len(line.seen)
    with pytest.raises(TrackerError, match="holds the token: nothing was sent") as raised:
        tracker.post(number, f"see {token}.")
    assert len(line.seen) == sent
    assert token not in str(raised.value)


def test_a_post_to_nobody_is_sure(connect, hub):
    tracker = connect()
    tracker.me()
    hub.stop()
    nobody = GithubTracker("http://127.0.0.1:1", "token", NAME, sleep=lambda _: None)
    with pytest.raises(TrackerError, match="no connection") as told:
        nobody.post(1, "one")
    nobody.close()
    assert not isinstance(told.value, Unsure)


def test_a_stored_comment_whose_answer_is_not_githubs_is_unsure(tracker, line):
    line.order("POST .*/comments$", 201, "<html>")
    with pytest.raises(Unsure, match="not GitHub's answer"):
        tracker.post(1, "one")


@pytest.mark.parametrize("kind", ["answer", "drop"])
def test_a_read_is_tried_three_times_with_growing_pauses(tracker, line, faults, slept, kind):
    number = file_issue(tracker)
    line.taken()
    faults.add(Fault("GET", r"/issues/\d+$", kind, times=2))
    assert tracker.issue(number).body == "body"
    assert (len(line.taken()), slept) == (3, [0.5, 2.0])


def test_a_read_that_fails_three_times_is_an_error(tracker, line, faults, slept):
    faults.add(Fault("GET", "/issues/1$", "answer", times=9))
    with pytest.raises(TrackerError, match="502"):
        tracker.issue(1)
    assert (len(line.taken()), len(slept)) == (3, 2)


def test_retry_after_is_waited_for(tracker, line, slept):
    for status in (429, 403):
        line.order(
            "GET .*/issues/1$", status, {"message": "You have exceeded a secondary rate limit"}, retry_after=7
        )
    assert tracker.issue(1) == Gone("not found")
    assert slept == [7.0, 7.0]


def test_a_long_retry_after_is_told_instead(tracker, line, slept):
    line.order("GET .*/issues/1$", 403, {"message": "secondary rate limit"}, retry_after=3600)
    with pytest.raises(TrackerError, match="wait 3600 s"):
        tracker.issue(1)
    assert slept == []


def test_a_refusal_is_not_tried_again(tracker, line, slept):
    line.order("GET .*/issues/1$", 403, {"message": "Resource not accessible by personal access token"})
    with pytest.raises(TrackerError, match="the token may not do this"):
        tracker.issue(1)
    assert (len(line.taken()), slept) == (1, [])


# The list.


def test_an_idle_poll_is_one_request_that_costs_nothing(tracker, line):
    file_issue(tracker)
    assert len(tracker.tagged("bench")) == 1
    left = tracker._github.requester.rate_limiting
    line.taken()
    assert tracker.tagged("bench") is None
    assert len(line.taken()) == 1
    assert tracker._github.requester.rate_limiting == left


def test_all_pages_are_read(tracker, line, monkeypatch):
    monkeypatch.setattr(github_line, "PAGE", 2)
    made = {file_issue(tracker) for _ in range(5)}
    line.taken()
    assert {one.number for one in tracker.tagged("bench")} == made
    assert len(line.taken()) == 3
    assert tracker.tagged("bench") is None


def test_an_issue_that_leaves_the_second_page_is_missed_at_once(tracker, monkeypatch):
    monkeypatch.setattr(github_line, "PAGE", 2)
    made = [file_issue(tracker) for _ in range(4)]
    tracker.tagged("bench")
    relabel(tracker, made[0])
    assert {one.number for one in tracker.tagged("bench")} == set(made[1:])


def test_a_second_page_that_fails_leaves_the_first_unread(tracker, line, monkeypatch):
    monkeypatch.setattr(github_line, "PAGE", 2)
    for _ in range(3):
        file_issue(tracker)
    line.order("GET .*/issues[?].*page=2", 404)
    with pytest.raises(TrackerError):
        tracker.tagged("bench")
    assert len(tracker.tagged("bench")) == 3


def shape(number, **more):
    about = {"number": number, "title": "t", "body": None, "user": {"login": "ada", "id": 5}, "state": "open"}
    about |= {"comments": 0, "labels": [{"name": "Bench"}], "updated_at": "2026-03-01T12:00:00Z"}
    return {**about, **more}


def test_pull_requests_closed_and_unlabelled_are_dropped_whatever_the_tracker_lists(tracker, line):
    listed = [
        shape(1, pull_request={"url": "x"}),
        shape(2, state="closed"),
        shape(3, labels=[]),
        shape(4, user=None),
        shape(5, labels=["bench"]),
    ]
    line.order("GET .*/issues[?]", 200, listed)
    found = tracker.tagged("bench")
    assert [(one.number, one.author.login, one.body) for one in found] == [(4, "ghost", ""), (5, "ada", "")]


def test_a_list_with_cursors_is_followed_by_them(tracker, line):
    """GitHub's list of issues: no last page, and a page number alone is refused where there are many."""
    there = "https://api.github.com/repositories/1/issues?state=all&after=Y3Vyc29y%3D&page=2"
    line.order("GET .*/issues[?]", 200, [shape(1)], etag='"1"', link=f'<{there}>; rel="next"')
    line.order("GET .*/issues[?]after=Y3Vyc29y%3D&", 200, [shape(2)], etag='"2"')
    assert [one.number for one in tracker.tagged("bench")] == [1, 2]
    assert "state=open" in line.seen[-1]
    line.order("GET .*/issues[?]", 304, etag='"1"', times=2)
    assert tracker.tagged("bench") is None


def test_comments_without_a_last_page_are_walked_forward(tracker, line):
    told = {"node_id": "x", "user": {"login": "ada", "id": 5}, "created_at": "2026-03-01T12:00:00Z"}
    pages = [[{**told, "updated_at": told["created_at"], "id": n, "body": f"{n}"}] for n in (1, 2)]
    line.order("GET .*/comments[?]", 200, pages[0], link='<https://h/x?after=abc>; rel="next"')
    line.order("GET .*/comments[?]after=abc", 200, pages[1])
    assert bodies(tracker, 1) == ["1", "2"]


def test_a_next_page_without_an_address_is_not_the_end(tracker, line):
    line.order("GET .*/issues[?]", 200, [shape(1)], link='<https://h/x?until=9>; rel="next"')
    with pytest.raises(TrackerError, match="next page"):
        tracker.tagged("bench")


def test_a_list_without_an_etag_is_never_unchanged(tracker, line):
    line.order("GET .*/issues[?]", 200, [], times=2)
    assert (tracker.tagged("bench"), tracker.tagged("bench")) == ([], [])


@pytest.mark.parametrize(
    "data", ["<html>", {}, [1], [{}], [shape("1")], [shape(1, updated_at="now")], [shape(1, user={})]]
)
def test_a_list_that_is_not_githubs_is_an_error_of_one_line(tracker, line, data):
    line.order("GET .*/issues[?]", 200, data)
    with pytest.raises(TrackerError, match="not GitHub's answer") as told:
        tracker.tagged("bench")
    assert "\n" not in str(told.value)


# Issues that are elsewhere.


def test_a_pull_request_is_not_an_issue(tracker, line):
    line.order("GET .*/issues/1$", 200, shape(1, pull_request={"url": "x"}))
    assert tracker.issue(1) == Gone("not found")


def test_a_transferred_issue_is_not_followed(tracker, hub, git, line):
    number = file_issue(tracker)
    hub.admin.repository("acme/other", git.path)
    hub.admin.transfer_issue(NAME, number, "acme/other")
    line.taken()
    assert tracker.issue(number) == Gone("transferred")
    assert line.taken() == [f"GET /issues/{number}", "GET "]


def test_a_renamed_repository_is_an_error_and_not_a_transfer(tracker, line):
    there = f"https://api.github.com/repositories/{tracker.repository_id()}/issues/1"
    line.order("GET .*/issues/1$", 301, {"message": "Moved Permanently"}, location=there)
    with pytest.raises(TrackerError, match=r"it moved to .*give the new name"):
        tracker.issue(1)


def test_a_redirected_list_is_not_read_from_elsewhere(tracker, hub, line):
    line.order("GET .*/issues[?]", 301, location=f"{hub.base_url}/repositories/1/issues?labels=bench")
    with pytest.raises(TrackerError, match="it moved to"):
        tracker.tagged("bench")
    assert len(line.taken()) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirected_write_is_an_error_and_goes_nowhere(tracker, hub, line, status):
    number = file_issue(tracker)
    line.taken()
    line.order("POST .*/comments$", status, location=f"{ADDRESS}/issues/{number}/comments")
    with pytest.raises(TrackerError, match="it moved to") as told:
        tracker.post(number, "x")
    assert not isinstance(told.value, Unsure)
    assert len(line.taken()) == 1
    assert bodies(tracker, number) == []


def test_a_repository_whose_issues_are_switched_off_has_deleted_nothing(tracker, line):
    line.order("GET .*/issues/1$", 410, {"message": "Issues are disabled for this repo"})
    with pytest.raises(TrackerError, match="switched off"):
        tracker.issue(1)


def test_a_repository_that_is_hidden_now_has_lost_no_issue(connect, hub, git):
    hub.admin.repository("acme/secret", git.path, is_private=True)
    stranger = connect("stranger", "acme/secret")
    with pytest.raises(TrackerError, match="404"):
        stranger.issue(1)
    with pytest.raises(TrackerError, match="404"):
        stranger.commit_of("main")
    with pytest.raises(TrackerError, match="404"):
        stranger.file("paceline.toml", "0" * 40)
    with pytest.raises(TrackerError, match="404"):
        stranger.is_reachable("0" * 40, ["main"])
    assert stranger.role(User("stranger", 1)) is None


def test_a_repository_that_was_replaced_is_noticed(tracker, line):
    known = tracker.repository_id()
    other = {"id": known + 1, "html_url": "x", "clone_url": "x", "default_branch": "evil"}
    line.order(f"GET {ADDRESS}$", 200, other)
    with pytest.raises(TrackerError, match="another repository"):
        tracker.default_branch()


# Comments.


def test_comments_of_several_pages_are_all_read(tracker, monkeypatch):
    monkeypatch.setattr(github_line, "PAGE", 2)
    number = file_issue(tracker)
    for name in "abcde":
        tracker.post(number, name)
    assert bodies(tracker, number) == list("abcde")


@pytest.mark.parametrize("page", [3, 2, 1])
def test_a_comment_deleted_while_pages_are_read_hides_no_other(tracker, hub, line, monkeypatch, page):
    monkeypatch.setattr(github_line, "PAGE", 2)
    number = file_issue(tracker)
    first, *_ = [tracker.post(number, name) for name in "abcde"]

    def delete():
        with hub.admin._database.writing() as sql:
            sql.execute("DELETE FROM comments WHERE id = ?", (first.id,))

    # The first request is for page 1 too, and only asks how many there are.
    request = f"GET .*/comments[?]page={page}"
    line.meanwhile(request, delete if page > 1 else lambda: line.meanwhile(request, delete))
    assert bodies(tracker, number) == list("bcde")


def test_a_comment_that_was_just_posted_is_read(tracker):
    number = file_issue(tracker)
    tracker.comments(number)
    tracker.post(number, "new")
    assert bodies(tracker, number) == ["new"]


@pytest.mark.parametrize(
    ("node", "text"), [("IC_none", "Could not resolve"), ("", "Could not resolve")], ids=["unknown", "empty"]
)
def test_a_comment_that_cannot_be_minimised_is_an_error(tracker, node, text):
    posted = tracker.post(file_issue(tracker), "x")
    with pytest.raises(TrackerError, match=text) as told:
        tracker.minimise(replace(posted, node_id=node))
    assert not isinstance(told.value, Unsure)


# Who somebody is.


@pytest.mark.parametrize(
    ("permission", "role_name", "role"),
    [
        ("write", "maintain", "maintain"),
        ("read", "triage", "triage"),
        ("write", "Security Champion", "write"),
        ("read", "Security Champion", "read"),
        ("read", "admin", "read"),
        ("none", None, "none"),
        ("admin", None, "admin"),
        ("owner", "owner", None),
    ],
)
def test_a_role_that_is_made_up_counts_as_its_base(tracker, line, permission, role_name, role):
    told = {"permission": permission, "user": {"login": "eve", "id": 7}}
    line.order("GET .*/permission$", 200, {**told, **({"role_name": role_name} if role_name else {})})
    assert tracker.role(User("eve", 7)) == role


@pytest.mark.parametrize(
    "user", [{"login": "eve", "id": 8}, None, {"login": "eve"}, {"login": "eve", "id": "7"}]
)
def test_a_role_of_another_account_is_none(tracker, line, user):
    line.order("GET .*/permission$", 200, {"permission": "admin", "role_name": "admin", "user": user})
    assert tracker.role(User("eve", 7)) is None


def test_a_login_cannot_lead_to_another_address(tracker, line):
    assert tracker.role(User("../../../user?x=", 1)) is None
    assert all("/collaborators/" in one for one in line.taken())


def test_an_account_without_push_permission_reads_no_roles(connect, hub):
    assert connect("reader").role(User("paceline", 2)) is None


def test_the_token_of_an_app_is_known_through_graphql(tracker, line):
    line.order("GET .*/user$", 403, {"message": "Resource not accessible by integration"})
    line.order("POST .*/graphql$", 200, {"data": {"viewer": {"login": "paceline[bot]", "databaseId": 77}}})
    assert tracker.me() == tracker.me() == User("paceline[bot]", 77)


# Commits.


def test_a_commit_under_a_tag_is_reachable(tracker, git, line):
    git("checkout", "--quiet", "--detach")
    under = git.commit("under the release")
    release = git.commit("release")
    git("tag", "--annotate", "v1", "--message", "one")
    git("checkout", "--quiet", "main")
    git("tag", "light")
    assert tracker.is_reachable(release, ["main"])
    assert tracker.is_reachable(under, ["main"])
    assert tracker.commit_of("v1").id == release
    assert tracker.commit_of("light").id == tracker.commit_of("main").id


def test_a_commit_after_a_branch_is_not_in_it(tracker, git):
    """`compare/main...COMMIT` says how the commit lies to main: behind is inside, ahead is not."""
    git("checkout", "--quiet", "--detach")
    ahead = git.commit("ahead")
    git("checkout", "--quiet", "main")
    diverged_from = git.commit("main went on")
    assert not tracker.is_reachable(ahead, ["main"])
    assert tracker.is_reachable(diverged_from, ["main"])


def test_unrelated_histories_hold_nothing_of_each_other(tracker, git):
    git("checkout", "--quiet", "--orphan", "pages")
    other = git.commit("pages")
    git("checkout", "--quiet", "main")
    assert not tracker.is_reachable(other, ["main"])
    assert tracker.is_reachable(other, ["main", "pages"])


def test_a_comparison_that_says_behind_of_another_commit_is_no_proof(tracker, line, git):
    commit = git("rev-parse", "main")
    told = {"status": "behind", "ahead_by": 0, "merge_base_commit": {"sha": "1" * 40}}
    line.order("GET .*/compare/", 200, told)
    assert not tracker.is_reachable(commit, ["main"])


def test_no_ref_beside_branches_and_tags_names_a_commit(tracker, git):
    git("checkout", "--quiet", "--detach")
    pulled = git.commit("from a fork")
    git("update-ref", "refs/pull/7/head", pulled)
    git("checkout", "--quiet", "main")
    for name in ("pull/7/head", "refs/pull/7/head", "HEAD", "refs/heads/main"):
        assert tracker.commit_of(name) is None
    assert not tracker.is_reachable(pulled, ["main"])


def test_a_branch_that_looks_like_an_id_is_a_branch(tracker, git):
    tip = git("rev-parse", "main")
    git("branch", "abcdefabc")
    assert tracker.commit_of("abcdefabc").id == tip
    assert tracker.commit_of("abcdef") is None


def test_a_branch_with_a_slash_is_found_and_compared(tracker, git):
    git("checkout", "--quiet", "-b", "feature/über#1")
    made = git.commit("feature")
    git("checkout", "--quiet", "main")
    assert tracker.commit_of("feature/über#1").id == made
    assert tracker.is_reachable(made, ["feature/über#1"])


def test_an_empty_repository_has_no_commit(connect, hub, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    Git(empty)("init", "--quiet")
    hub.admin.repository("acme/empty", empty)
    assert connect(repository="acme/empty").commit_of("main") is None


def test_files_of_any_name_and_size_come_whole(tracker, git):
    large = bytes(range(256)) * 5000
    (git.path / "a folder").mkdir()
    (git.path / "a folder" / "ü #1?.jsonl").write_bytes(large)
    (git.path / "empty").write_bytes(b"")
    commit = git.commit("data")
    assert tracker.file("a folder/ü #1?.jsonl", commit) == large
    assert tracker.file("empty", commit) == b""
    assert tracker.file("a folder", commit) is None
    assert tracker.file("paceline.toml", "main") is None, "a file is asked of a commit, not of a branch"


# What is told, and what never.


def test_a_wrong_token_says_what_to_do(connect):
    with pytest.raises(TrackerError, match="401: Bad credentials: the token is wrong, expired or revoked"):
        connect(token="x" * 40).me()


def test_a_used_up_rate_limit_says_when_it_ends(tmp_path, git):
    with Hub(tmp_path / "limited.db", rate_limit=1) as hub:
        hub.admin.repository(NAME, git.path)
        tracker = GithubTracker(hub.base_url, hub.admin.token("ada"), NAME, sleep=lambda _: None)
        tracker.repository_id()
        with pytest.raises(TrackerError, match=r"rate limit is used up until \d\d:\d\d:\d\d UTC"):
            tracker.issue(1)
        tracker.close()


def test_a_comment_that_is_too_long_says_so(tracker):
    with pytest.raises(TrackerError, match=r"422: .*too long .maximum is 65536 characters"):
        tracker.post(file_issue(tracker), "x" * 70_000)


def test_a_token_without_the_permission_says_which(tracker, line):
    told = {"message": "Resource not accessible by personal access token"}
    line.order("POST .*/comments$", 403, told, x_accepted_github_permissions="issues=write")
    with pytest.raises(TrackerError, match="the token may not do this; it takes issues=write"):
        tracker.post(1, "x")


def test_the_token_is_in_no_error_and_no_repr(connect, hub, line):
    token = hub.admin.token("paceline")
    tracker = connect(token=token)
    line.order("GET .*/issues/1$", 422, {"message": f"what is {token}?\nreally"})
    line.order("GET .*/issues/2$", 301, location=f"http://evil.example/{token}")
    line.order("GET .*/labels", 200, [{"name": 1, token: 2}])
    told = [repr(tracker), str(tracker), repr(tracker._line), repr(tracker._github)]
    for ask in (lambda: tracker.issue(1), lambda: tracker.issue(2), lambda: tracker.ensure_labels([])):
        with pytest.raises(TrackerError) as refused:
            ask()
        told += [str(refused.value), repr(refused.value)]
    assert not [text for text in told if token in text]
    assert not [text for text in told if "\n" in text]


@pytest.mark.parametrize("token", ["", " x", "a b", "a\n", "a\nEvil: 1", "ü"])
def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(token):
    with pytest.raises(TrackerError, match="the token is empty or holds spaces"):
        GithubTracker("https://api.github.com", token, NAME)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.github.com",
        "http://10.0.0.1:8000/api/v3",
        "http://localhost.evil.example",
        "https://user:secret@host/api/v3",
        "https://host/api/v3?x=1",
        "https://github.com",
        "ftp://127.0.0.1",
        "api.github.com",
        "https://",
        "https://[::1",
        "",
    ],
)
def test_an_address_that_a_token_must_not_go_to_is_refused(url):
    with pytest.raises(TrackerError) as told:
        GithubTracker(url, "token", NAME)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.github.com",
        "https://git.example/api/v3/",
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost:1",
    ],
)
def test_https_and_loopback_are_good(url):
    GithubTracker(url, "token", NAME).close()


@pytest.mark.parametrize("name", ["", "acme", "acme/a/b", "acme/..", "../x", "acme/a b", "acme/a?x", "acme/"])
def test_what_is_no_repository_is_refused(name):
    with pytest.raises(TrackerError, match="owner/name"):
        GithubTracker("https://api.github.com", "token", name)


@pytest.mark.parametrize(
    ("url", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://git.example/api/v3", "https://git.example/api/graphql"),
        ("https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql"),
    ],
)
def test_graphql_is_found_beside_the_rest_api(url, graphql):
    tracker = GithubTracker(url, "token", NAME)
    assert tracker._github.requester.graphql_url == graphql
    tracker.close()


def test_a_proxy_of_the_environment_never_sees_a_loopback_tracker(connect, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert connect().me().login == "paceline"


def test_every_request_has_time_limits(tracker):
    assert tracker._line.door._connection.timeout == (5.0, 30.0)


def test_importing_the_adapter_imports_no_pygithub():
    code = "import sys, agent.tracker_github; print({'github', 'requests', 'urllib3'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "set()"


def test_what_each_call_asks_for(tracker, git, line):
    """The table of docs/github.md."""
    number = file_issue(tracker)
    tip = git("rev-parse", "main")
    posted = tracker.post(number, "x")
    tracker.tagged("bench")
    line.taken()
    calls = {
        "tagged": (lambda: tracker.tagged("bench"), 1),
        "issue": (lambda: tracker.issue(number), 1),
        "comments": (lambda: tracker.comments(number), 1),
        "post": (lambda: tracker.post(number, "y"), 1),
        "edit": (lambda: tracker.edit(posted.id, "z"), 1),
        "minimise": (lambda: tracker.minimise(posted), 1),
        "react": (lambda: tracker.react(posted.id, "eyes"), 1),
        "set_labels, all right already": (lambda: tracker.set_labels(number, ["bench"], ["old"]), 1),
        "set_labels, one for another": (lambda: tracker.set_labels(number, ["new", "newer"], ["bench"]), 3),
        "role": (lambda: tracker.role(User("paceline", 1)), 1),
        "default_branch": (tracker.default_branch, 1),
        "repository_id": (tracker.repository_id, 0),
        "me": (lambda: (tracker.me(), tracker.me()), 1),
        "commit_of an id": (lambda: tracker.commit_of(tip), 1),
        "commit_of a branch": (lambda: tracker.commit_of("main"), 1),
        "is_reachable": (lambda: tracker.is_reachable(tip, ["main"]), 1),
        "file": (lambda: tracker.file("paceline.toml", tip), 1),
        "ensure_labels": (lambda: tracker.ensure_labels([("bench", "ffffff", "")]), 1),
    }
    for name, (call, _) in calls.items():
        call()
        assert (name, len(line.taken())) == (name, calls[name][1])


# What an operator runs.


def smoke(hub, *more, login="paceline"):
    command = [sys.executable, "scripts/smoke_github.py", "--repo", NAME, "--base-url", hub.base_url]
    token = hub.admin.token(login)
    environment = {**os.environ, "SCRATCH": token}
    done = subprocess.run(
        [*command, "--token-env", "SCRATCH", *more],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert token not in done.stdout + done.stderr
    return done


def test_the_smoke_test_holds_on_the_hub_and_leaves_nothing_open(hub, git, tracker):
    git.commit("second", README="x\n")
    before = git("for-each-ref")
    done = smoke(hub)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("ok  ") for line in lines[:-1])
    assert len(lines) > len(CHECKS) + 2
    assert lines[-1] == "every check holds"
    assert git("for-each-ref") == before
    assert tracker._line.get(f"/repos/{NAME}/issues").data == []
    assert tracker._line.get(f"/repos/{NAME}/labels").data == []


def test_the_smoke_test_says_which_checks_fail(hub, git):
    git.commit("second", README="x\n")
    done = smoke(hub, "--without-branch", login="stranger")
    assert done.returncode == 1
    assert "FAILED  the port's round trip: TrackerError: POST" in done.stdout
    assert "results branch" not in done.stdout


def test_the_smoke_test_does_not_begin_without_a_token_or_a_repository(hub):
    assert smoke(hub, "--token-env", "NONE").returncode == 2
    assert smoke(hub, "--repo", "acme/missing").returncode == 2
    assert smoke(hub, "--base-url", "http://10.0.0.1/").returncode == 2


def test_the_document_names_what_there_is():
    text = (ROOT / "docs" / "github.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert tomllib.loads(example)["tracker"]["url"] == "https://api.github.com"
    options = set(re.findall(r"--[a-z][a-z-]+", text)) - {"--single-branch", "--branch"}
    told = subprocess.run(
        [sys.executable, "scripts/smoke_github.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {name for name in options if name not in told.stdout} == set()

"""Every way of failing, from a hub that is a process of its own, met by the real adapter.

What the agent relies on: a post is stored once however its answer was lost, and then it says Unsure; a
refusal is sure, and says what to do; a pause that GitHub wants is kept.
"""

import itertools
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
import requests

from agent import github_line
from agent.hub.fault_modes import LOST, REFUSED, WORDS, Mode, fault_of
from agent.hub.serve import HubProcess, open_admin
from agent.tracker import Gone, Limited, Locked, Revoked, TrackerError, Unsure
from agent.tracker_github import GithubTracker
from tests.hub.conftest import NAME, Git

COMMENTS, COMMENT, ISSUE, LIST = r"/issues/\d+/comments$", r"/comments/\d+$", r"/issues/\d+$", r"/issues$"


class Clock:
    """Time passes only when a test says so."""

    def __init__(self):
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += timedelta(seconds=seconds)


class Far:
    """A hub in another process, and what somebody there makes fail."""

    def __init__(self, file, hub):
        self.file, self.hub = file, hub

    def order(self, mode: Mode, method, path, times=1):
        fault = asdict(fault_of(mode, method, path, times))
        assert requests.post(f"{self.hub.address}/_faults", json=fault, timeout=10).ok

    def waiting(self):
        return requests.get(f"{self.hub.address}/_faults", timeout=10).json()["waiting"]

    def admin(self):
        return open_admin(self.file)

    def token(self, login="paceline"):
        with self.admin() as admin:
            return admin.token(login)

    def as_owner(self, method, path, **body):
        address = f"{self.hub.base_url}/repos/{NAME}{path}"
        headers = {"Authorization": f"token {self.token('owner')}"}
        answer = requests.request(method, address, json=body, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    folder = tmp_path_factory.mktemp("far")
    (folder / "target").mkdir()
    git = Git(folder / "target")
    git("init", "--quiet")
    git.commit("first")
    with open_admin(folder / "hub.db") as admin:
        admin.repository(NAME, git.path)
        admin.role(NAME, "paceline", "write")
        admin.role(NAME, "triager", "triage")
        admin.role(NAME, "owner", "admin")
    with HubProcess(folder / "hub.db", "--test-faults") as hub:
        yield Far(folder / "hub.db", hub)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def slept():
    return []


@pytest.fixture
def connect(far, clock, slept):
    made = []

    def connected(login="paceline", token=None):
        account = token or far.token(login)
        made.append(GithubTracker(far.hub.base_url, account, NAME, sleep=slept.append, now=clock))
        return made[-1]

    yield connected
    for one in made:
        one.close()
    assert far.waiting() == 0, "a fault that was ordered did not happen"


@pytest.fixture
def tracker(connect):
    return connect()


names = itertools.count()


@pytest.fixture
def label():
    return f"bench-{next(names)}"


@pytest.fixture
def number(far, label):
    return far.as_owner("POST", "/issues", title="faster", body="body", labels=[label])["number"]


def bodies(connect, number):
    """As another process sees them."""
    return [one.body for one in connect().comments(number)]


def test_every_mode_is_lost_refused_or_late():
    told = {mode for group in get_args(Mode) for mode in (get_args(group) or (group,))}
    assert told == {*LOST, *REFUSED, "stale list"}
    assert set(WORDS) == set(REFUSED)


# Lost after it was stored.


@pytest.mark.parametrize("mode", LOST)
def test_a_post_whose_answer_is_lost_is_unsure_and_stored_once(far, connect, number, monkeypatch, mode):
    monkeypatch.setattr(github_line, "ANSWER_LIMIT_S", 0.5)
    tracker = connect()
    far.order(mode, "POST", COMMENTS)
    with pytest.raises(Unsure):
        tracker.post(number, "one")
    assert bodies(connect, number) == ["one"]


@pytest.mark.parametrize("mode", LOST)
def test_an_edit_whose_answer_is_lost_is_unsure_and_done(far, connect, number, monkeypatch, mode):
    monkeypatch.setattr(github_line, "ANSWER_LIMIT_S", 0.5)
    tracker = connect()
    posted = tracker.post(number, "one")
    far.order(mode, "PATCH", COMMENT)
    with pytest.raises(Unsure):
        tracker.edit(posted.id, "two")
    assert bodies(connect, number) == ["two"]


@pytest.mark.parametrize("mode", LOST)
def test_a_read_whose_answer_is_lost_is_asked_for_again(far, connect, number, monkeypatch, slept, mode):
    monkeypatch.setattr(github_line, "ANSWER_LIMIT_S", 0.5)
    tracker = connect()
    far.order(mode, "GET", ISSUE)
    assert tracker.issue(number).body == "body"
    assert slept == [0.5]


# Refused before anything was stored.


@pytest.mark.parametrize("mode", REFUSED)
def test_a_post_that_is_refused_is_sure_and_stored_never(far, connect, tracker, number, mode):
    far.order(mode, "POST", COMMENTS)
    with pytest.raises(TrackerError) as told:
        tracker.post(number, "one")
    assert not isinstance(told.value, Unsure)
    assert "\n" not in str(told.value)
    assert bodies(connect, number) == []


@pytest.mark.parametrize(
    ("mode", "kind", "text"),
    [
        ("secondary limit", Limited, "too many requests at once; wait a minute or more"),
        ("secondary limit with a time", Limited, "too many requests at once; wait 120 s"),
        ("primary limit", Limited, "rate limit is used up until 00:00:00 UTC"),
        ("401", Revoked, "the token is wrong, expired or revoked: make a new one"),
        ("404", TrackerError, "not there, or hidden from this token"),
        ("410", TrackerError, "it was deleted, or issues are switched off"),
        ("422 too long", TrackerError, "too long"),
        ("locked", Locked, "unlock the issue, or give this account the role write; tried again later"),
    ],
)
def test_a_refusal_says_what_to_do(far, tracker, number, mode, kind, text):
    far.order(mode, "POST", COMMENTS)
    with pytest.raises(TrackerError, match=text) as told:
        tracker.post(number, "one")
    assert type(told.value) is kind


def test_a_secondary_limit_without_a_time_is_a_minute_and_twice_as_long_each_time(
    far, connect, tracker, number, clock
):
    for wait_s in (60, 120, 240):
        far.order("secondary limit", "POST", COMMENTS)
        with pytest.raises(Limited) as told:
            tracker.post(number, "one")
        assert told.value.until == clock.now + timedelta(seconds=wait_s)
        clock.pass_(wait_s - 1)
        with pytest.raises(Limited, match="not sent: the tracker wants no requests before"):
            tracker.post(number, "one")
        with pytest.raises(Limited, match="not sent"):
            tracker.issue(number)
        clock.pass_(1)
    tracker.post(number, "one")
    far.order("secondary limit", "POST", COMMENTS)
    with pytest.raises(Limited) as told:
        tracker.post(number, "two")
    assert told.value.until == clock.now + timedelta(seconds=60), "counted anew after one that went well"
    assert bodies(connect, number) == ["one"]


def test_a_pause_that_is_named_is_kept_to_the_second(far, tracker, number, clock, slept):
    far.order("secondary limit with a time", "GET", ISSUE)
    with pytest.raises(Limited):
        tracker.issue(number)
    clock.pass_(119)
    with pytest.raises(Limited, match="not sent"):
        tracker.issue(number)
    clock.pass_(1)
    assert tracker.issue(number).number == number
    assert slept == [], "two minutes are not slept through: the loop has other issues"


def test_the_hours_limit_is_kept_until_it_ends(far, tracker, number, clock):
    far.order("primary limit", "GET", ISSUE)
    with pytest.raises(Limited) as told:
        tracker.issue(number)
    assert told.value.until == datetime(2100, 1, 1, tzinfo=UTC)
    with pytest.raises(Limited, match="not sent"):
        tracker.post(number, "one")


# The token.


def test_a_token_that_is_revoked_while_the_agent_runs_says_so_in_one_line_on_each_call(
    far, connect, number, label
):
    token = far.token()
    tracker = connect(token=token)
    tracker.tagged(label)
    with far.admin() as admin:
        admin.revoke(token)
    for call in (
        lambda: tracker.tagged(label),
        lambda: tracker.issue(number),
        lambda: tracker.post(number, "one"),
        lambda: tracker.edit(1, "two"),
    ):
        with pytest.raises(Revoked, match=r"401: .*make a new one"):
            call()
    with far.admin() as admin:
        admin.token("paceline", text=token)
    assert [one.number for one in tracker.tagged(label) or [tracker.issue(number)]] == [number]
    assert bodies(connect, number) == []


def test_one_401_in_the_middle_hides_no_news(far, tracker, number, label):
    tracker.tagged(label)
    far.as_owner("PATCH", f"/issues/{number}", body="new")
    far.order("401", "GET", LIST)
    with pytest.raises(Revoked):
        tracker.tagged(label)
    assert [one.body for one in tracker.tagged(label)] == ["new"]


# Issues that are locked, gone or moved.


def test_a_locked_issue_takes_no_comment_from_who_may_not_write(far, connect, number):
    triager, writer = connect("triager"), connect()
    posted = triager.post(number, "before")
    with far.admin() as admin:
        admin.lock_issue(NAME, number)
    with pytest.raises(Locked, match="403: Unable to create comment because issue is locked"):
        triager.post(number, "locked out")
    with pytest.raises(Locked):
        triager.react(posted.id, "eyes")
    triager.edit(posted.id, "edited")
    writer.post(number, "from somebody who may write")
    with far.admin() as admin:
        admin.unlock_issue(NAME, number)
    triager.post(number, "after")
    assert bodies(connect, number) == ["edited", "from somebody who may write", "after"]


@pytest.mark.parametrize("gone", ["deleted", "transferred"])
def test_an_issue_that_goes_away_between_look_and_post_takes_nothing(far, connect, tracker, number, gone):
    assert tracker.comments(number) == []
    with far.admin() as admin:
        if gone == "deleted":
            admin.delete_issue(NAME, number)
        else:
            (far.file.parent / "other").mkdir(exist_ok=True)
            Git(far.file.parent / "other")("init", "--quiet")
            admin.repository("acme/other", far.file.parent / "other")
            admin.transfer_issue(NAME, number, "acme/other")
    with pytest.raises(TrackerError) as told:
        tracker.post(number, "one")
    assert not isinstance(told.value, Unsure)
    assert tracker.issue(number) == Gone(gone)


# Lists that lag behind, and markers that others touch.


def test_a_list_that_lags_behind_hides_no_comment_that_was_posted_here(far, tracker, number):
    tracker.comments(number)
    tracker.post(number, "one")
    far.order("stale list", "GET", COMMENTS)
    assert [one.body for one in tracker.comments(number)] == ["one"]
    assert [one.body for one in tracker.comments(number)] == ["one"]


def test_a_list_that_lags_behind_an_unsure_post_is_read_once_more(far, connect, tracker, number, slept):
    tracker.comments(number)
    far.order("commit then 502", "POST", COMMENTS)
    with pytest.raises(Unsure):
        tracker.post(number, "one")
    far.order("stale list", "GET", COMMENTS)
    assert [one.body for one in tracker.comments(number)] == ["one"]
    assert slept == [3.0]
    tracker.comments(number)
    assert slept == [3.0], "looked at twice once"


def test_a_post_that_was_surely_refused_needs_no_second_look(far, tracker, number, slept):
    far.order("404", "POST", COMMENTS)
    with pytest.raises(TrackerError):
        tracker.post(number, "one")
    assert (tracker.comments(number), slept) == ([], [])


def test_a_stale_list_of_issues_is_unchanged_and_the_next_one_is_not(far, tracker, number, label):
    tracker.tagged(label)
    far.as_owner("PATCH", f"/issues/{number}", body="new")
    far.order("stale list", "GET", LIST)
    assert tracker.tagged(label) is None
    assert [one.body for one in tracker.tagged(label)] == ["new"]


def test_a_marker_that_somebody_edited_is_read_as_it_is_now(far, tracker, number):
    posted = tracker.post(number, "<!-- epm:progress v1 -->")
    far.as_owner("PATCH", f"/issues/comments/{posted.id}", body="<!-- epm:progress v2 -->")
    [found] = tracker.comments(number)
    assert (found.id, found.body, found.author) == (posted.id, "<!-- epm:progress v2 -->", tracker.me())


def test_a_marker_that_somebody_deleted_is_gone_for_who_posted_it_too(far, tracker, number):
    posted = tracker.post(number, "<!-- epm:progress v1 -->")
    assert len(tracker.comments(number)) == 1
    far.as_owner("DELETE", f"/issues/comments/{posted.id}")
    assert (tracker.comments(number), tracker.comments(number)) == ([], [])

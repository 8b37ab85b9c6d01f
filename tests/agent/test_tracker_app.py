"""A GitHub App as the agent's account: its tokens last an hour, the agent for months."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.github_app import App, read_app_key
from agent.hub.serve import Hub
from agent.tracker import Revoked, TrackerError, Unsure
from agent.tracker_github import GithubTracker
from tests.fakes.github_app import LOGIN, FakeApp
from tests.hub.conftest import NAME, Git


class Clock:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def app(clock):
    return FakeApp(clock, NAME)


@pytest.fixture
def hub(tmp_path, app):
    (tmp_path / "target").mkdir()
    git = Git(tmp_path / "target")
    git("init", "--quiet")
    git.commit("first")
    with Hub(tmp_path / "hub.db", around=app.around) as hub:
        hub.admin.repository(NAME, git.path)
        hub.admin.user(LOGIN, kind="Bot")
        hub.admin.role(NAME, LOGIN, "write")
        app.make = lambda: hub.admin.token(LOGIN)
        yield hub


@pytest.fixture
def tracker(hub, app, clock):
    made = GithubTracker(hub.base_url, App(app.id, app.key), NAME, sleep=lambda _: None, now=clock)
    yield made
    made.close()


def test_an_app_is_its_bot_account(tracker):
    assert tracker.me().login == LOGIN
    assert tracker.scopes() is None


def test_a_token_is_asked_for_once_while_it_lasts(tracker, app, clock):
    tracker.repository_id()
    clock.now += timedelta(minutes=54)
    tracker.default_branch()
    assert app.asked == 1


def test_a_token_is_made_anew_before_it_ends(tracker, app, clock):
    tracker.default_branch()
    clock.now += timedelta(minutes=56)
    tracker.default_branch()
    assert app.asked == 2
    clock.now += timedelta(days=30)
    tracker.default_branch()
    assert app.asked == 3


def test_a_token_that_was_revoked_is_replaced_at_the_next_request(tracker, app, hub):
    token = hub.admin.token(LOGIN)
    app.make = lambda: token
    tracker.default_branch()
    hub.admin.revoke(token)
    app.make = lambda: hub.admin.token(LOGIN)
    with pytest.raises(Revoked):
        tracker.default_branch()
    assert tracker.default_branch() == "main"
    assert app.asked == 2


def test_a_token_that_cannot_be_had_makes_no_post_unsure(hub, tracker, app):
    app.make = lambda: 1 / 0  # the tracker falls over
    with pytest.raises(TrackerError, match=r"access_tokens: 500") as told:
        tracker.post(1, "one")
    assert not isinstance(told.value, Unsure)


def test_another_apps_key_gets_nothing(hub, app, clock):
    other = FakeApp(clock, NAME)
    tracker = GithubTracker(hub.base_url, App(app.id, other.key), NAME, sleep=lambda _: None, now=clock)
    with pytest.raises(Revoked, match="401") as told:
        tracker.default_branch()
    assert "eyJ" not in str(told.value), "the signed word is in no error"
    assert app.asked == 0
    tracker.close()


def test_an_app_that_is_not_installed_in_the_repository_is_an_error(hub, app, clock):
    tracker = GithubTracker(hub.base_url, App(app.id, app.key), "acme/other", now=clock)
    with pytest.raises(TrackerError, match="GET /repos/acme/other/installation: 40"):
        tracker.default_branch()
    tracker.close()


@pytest.mark.parametrize(
    "key", ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nxx\n-----END RSA PRIVATE KEY-----"]
)
def test_what_is_no_key_is_an_error_of_one_line_that_does_not_show_it(hub, key, clock):
    tracker = GithubTracker(hub.base_url, App("1", key), NAME, now=clock)
    with pytest.raises(TrackerError, match="the app's id or key is not what GitHub gave out") as told:
        tracker.default_branch()
    assert not key or key not in str(told.value)
    assert "\n" not in str(told.value)
    tracker.close()


def test_neither_key_nor_token_is_in_a_repr(app, tracker, hub):
    tracker.default_branch()
    told = repr(App(app.id, app.key)) + repr(tracker) + repr(tracker._line._account._pass)
    assert "PRIVATE KEY" not in told
    assert "ghp_" not in told


def test_a_key_file_that_others_may_read_is_refused(tmp_path, app):
    file = tmp_path / "app.pem"
    file.write_text(app.key)
    file.chmod(0o644)
    with pytest.raises(TrackerError, match=r"others may read .*chmod 600"):
        read_app_key(file)
    file.chmod(0o600)
    assert read_app_key(file) == app.key
    with pytest.raises(TrackerError, match="No such file"):
        read_app_key(tmp_path / "none")
    with pytest.raises(TrackerError, match="is not a file"):
        read_app_key(tmp_path)

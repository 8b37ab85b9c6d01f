"""How much the tracker may be asked: pauses by its own words, and requests kept for results."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.github_answer import Answer
from agent.github_pace import Pace, after
from agent.hub.serve import Hub
from agent.tracker import Limited, User
from agent.tracker_github import GithubTracker
from tests.hub.conftest import NAME, Git

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = NOW + timedelta(hours=1)
SECONDARY = '{"message": "You have exceeded a secondary rate limit."}'


def in_s(seconds):
    return NOW + timedelta(seconds=seconds)


def answer(status=200, text="{}", **headers):
    return Answer(status, {name.replace("_", "-"): str(value) for name, value in headers.items()}, text)


def counted(left, status=200, limit=5000, **more):
    budget = {"x_ratelimit_remaining": left, "x_ratelimit_limit": limit}
    return answer(status, x_ratelimit_reset=int(HOUR.timestamp()), **budget, **more)


@pytest.mark.parametrize(
    ("told", "until"),
    [
        (answer(429, retry_after=7), in_s(7)),
        (answer(403, SECONDARY, retry_after=90), in_s(90)),
        (answer(403, SECONDARY), in_s(60)),
        (answer(429), in_s(60)),
        (counted(0, 403), HOUR),
        (counted(0, 429, retry_after=5), in_s(5)),
        (answer(403, '{"message": "Resource not accessible"}'), None),
        (answer(404), None),
        (answer(502), None),
        (counted(0), None),
    ],
)
def test_a_limit_is_waited_out_as_it_says(told, until):
    assert after(Pace(), told, NOW).quiet_until == until


def test_a_limit_without_a_time_doubles_up_to_a_quarter_of_an_hour():
    pace, waits = Pace(), []
    for _ in range(6):
        pace = after(pace, answer(403, SECONDARY), NOW)
        waits.append((pace.quiet_until - NOW).total_seconds())
    assert waits == [60, 120, 240, 480, 900, 900]
    assert after(pace, answer(502), NOW) == pace, "a tracker in trouble says nothing of limits"
    assert after(pace, answer(404), NOW) == Pace()


def test_it_is_quiet_before_the_moment_and_not_at_it():
    pace = Pace(quiet_until=in_s(60))
    assert pace.is_quiet(in_s(59))
    assert not pace.is_quiet(in_s(60))


@pytest.mark.parametrize(("left", "is_kept"), [(201, False), (200, True), (0, True)])
def test_the_last_two_hundred_of_an_hour_are_kept(left, is_kept):
    pace = after(Pace(), counted(left), NOW)
    assert pace.is_at_reserve(NOW) == is_kept
    assert not pace.is_at_reserve(HOUR), "the next hour has its own"


def test_of_a_small_limit_a_tenth_is_kept():
    assert after(Pace(), counted(6, limit=60), NOW).is_at_reserve(NOW)
    assert not after(Pace(), counted(7, limit=60), NOW).is_at_reserve(NOW)


@pytest.mark.parametrize(
    "told",
    [
        counted(3, x_ratelimit_resource="graphql"),
        answer(x_ratelimit_remaining="x"),
        answer(x_ratelimit_remaining=3),
        answer(),
    ],
)
def test_what_is_counted_apart_or_not_told_changes_nothing(told):
    assert after(Pace(left=77), told, NOW) == Pace(left=77)


def test_at_the_reserve_nothing_new_is_begun_and_results_are_posted(tmp_path):
    (tmp_path / "target").mkdir()
    git = Git(tmp_path / "target")
    git("init", "--quiet")
    tip = git.commit("first")
    now = datetime.now(UTC)
    with Hub(tmp_path / "hub.db", rate_limit=40) as hub:
        hub.admin.repository(NAME, git.path)
        hub.admin.role(NAME, "paceline", "write")
        tracker = GithubTracker(hub.base_url, hub.admin.token("paceline"), NAME, now=lambda: now)
        body = {"title": "faster", "labels": ["bench"]}
        number = tracker._line.write("POST", f"/repos/{NAME}/issues", body).data["number"]
        while not tracker._line.pace.is_at_reserve(now):
            tracker.issue(number)
        assert tracker._line.pace.left == 4
        for begin in (
            lambda: tracker.commit_of("main"),
            lambda: tracker.is_reachable(tip, ["main"]),
            lambda: tracker.file("paceline.toml", tip),
            lambda: tracker.ensure_labels([("bench", "ffffff", "")]),
            lambda: tracker.set_labels(number, ["bench:queued"], []),
            lambda: tracker.react(1, "eyes"),
        ):
            with pytest.raises(Limited, match="not sent: the last 4 requests of the hour are kept"):
                begin()
        assert tracker._line.pace.left == 4, "none of them was sent"
        assert len(tracker.tagged("bench")) == 1
        assert tracker.comments(number) == []
        posted = tracker.post(number, "results")
        assert tracker._line.pace.left == 1
        tracker.edit(posted.id, "results of the run")
        with pytest.raises(Limited, match="rate limit is used up until"):
            tracker.post(number, "verdict")
        with pytest.raises(Limited, match="not sent: the tracker wants no requests before"):
            tracker.comments(number)
        assert tracker.role(User("paceline", 1)) is None
        tracker.close()

"""The tracker's repository as a source of plans: one commit's recipes, and commits that may be measured."""

from datetime import UTC, datetime

import pytest

from agent.errors import TaskError
from agent.tracker_source import TrackerSource
from tests.fakes.tracker import FakeTracker

CONFIG = '[recipe.sleep]\nrun = ["{python}"]\n'


@pytest.fixture
def tracker():
    tracker = FakeTracker(lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))
    tracker.add_commit("recipes", paceline__toml=CONFIG)
    return tracker


def test_its_name_is_the_repositorys_without_owner(tracker):
    assert TrackerSource(tracker, ()).name == "target"


def test_it_says_which_commit_its_recipes_are_from(tracker):
    assert TrackerSource(tracker, ()).where == f"acme/target at {tracker.branches['main'][:12]}"


def test_recipes_come_from_the_default_branch(tracker):
    tracker.add_commit("mine", branch="mine", parent=tracker.branches["main"], paceline__toml="[evil]")
    assert TrackerSource(tracker, ("mine",)).bytes_of("paceline.toml") == CONFIG.encode()


def test_a_plan_is_of_one_piece_though_the_branch_moves_on(tracker):
    source = TrackerSource(tracker, ())
    tracker.add_commit("later", paceline__toml="[later]")
    assert source.bytes_of("paceline.toml") == CONFIG.encode()


def test_a_file_that_is_not_there_is_told_with_its_place(tracker):
    with pytest.raises(TaskError, match=r"no rows\.jsonl in acme/target at "):
        TrackerSource(tracker, ()).bytes_of("rows.jsonl")


def test_a_branch_is_its_tips_full_id(tracker):
    assert TrackerSource(tracker, ()).commit_of("main") == tracker.branches["main"]


def test_the_beginning_of_an_id_is_its_full_id(tracker):
    tip = tracker.branches["main"]
    assert TrackerSource(tracker, ()).commit_of(tip[:7]) == tip


def test_a_commit_that_is_not_there_is_told_with_its_repository(tracker):
    with pytest.raises(TaskError, match="no commit 'faster' in acme/target"):
        TrackerSource(tracker, ()).commit_of("faster")


def test_a_commit_on_no_allowed_branch_is_refused(tracker):
    stray = tracker.add_commit("stray", branch="stray")
    with pytest.raises(TaskError, match=r"is on no tag and on no allowed branch \(main\)"):
        TrackerSource(tracker, ()).commit_of(stray)


def test_a_branch_that_the_operator_allows_is_allowed(tracker):
    stray = tracker.add_commit("stray", branch="stray")
    assert TrackerSource(tracker, ("stray",)).commit_of("stray") == stray


def test_what_the_operator_allows_stands_in_place_of_the_default_branch(tracker):
    tracker.add_commit("stray", branch="stray")
    with pytest.raises(TaskError, match=r"no allowed branch \(stray\)"):
        TrackerSource(tracker, ("stray",)).commit_of("main")


def test_a_commit_on_a_tag_is_allowed(tracker):
    stray = tracker.add_commit("stray", branch="stray")
    tracker.tags["v1"] = stray
    assert TrackerSource(tracker, ()).commit_of("v1") == stray


def test_a_commit_on_no_branch_is_refused(tracker):
    stray = tracker.add_commit("stray", branch=None)
    with pytest.raises(TaskError, match="is on no tag"):
        TrackerSource(tracker, ()).commit_of(stray)


def test_a_repository_without_a_commit_is_told(tracker):
    tracker.branches.clear()
    with pytest.raises(TaskError, match="the default branch 'main' has no commit"):
        TrackerSource(tracker, ())

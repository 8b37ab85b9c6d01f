"""On whose word a plan may spend GPU time: one claim a test."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.approve import approval_of
from agent.ledger import Ledger, Setting
from agent.operator import Operator
from agent.spoken import spoken_on
from agent.tracker import Comment, Issue, User

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PLAN = "0123456789abcdef" * 4
HASH = PLAN[:12]
BOT, ADA, EVE, MAX = User("bot", 1), User("ada", 2), User("eve", 3), User("max", 4)
ROLES = {BOT.id: "write", ADA.id: "write", EVE.id: "read", MAX.id: "maintain"}
OPERATOR = Operator("acme/target", "https://tracker.invalid", "token", gpu_hours=1.0)


def issue_by(author):
    return Issue(7, "faster", "body", author, ("bench",), True, NOW)


def says(author, text, number=1):
    return Comment(number, f"N{number}", author, text, NOW, NOW)


def approval(author=EVE, *comments, hours=0.5, roles=ROLES, operator=OPERATOR, settings=()):
    def role_of(user):
        return roles.get(user.id)

    issue = issue_by(author)
    spoken = spoken_on(issue, comments, Ledger(), BOT, role_of)
    return approval_of(PLAN, hours, issue, spoken, settings, operator, role_of)


# The standing budget.


def test_a_task_of_somebody_with_write_permission_is_approved_within_the_standing_budget():
    assert approval(ADA).is_given


def test_the_standing_budget_may_be_spent_to_the_last():
    assert approval(ADA, hours=1.0).is_given


def test_beyond_the_standing_budget_it_is_asked_for_with_the_command_to_type():
    found = approval(ADA, hours=1.5)
    assert not found.is_given
    assert "may spend 1.5 GPU-hours, the standing budget covers 1: " in found.words
    assert f"/approve {HASH}" in found.words


def test_an_approval_by_budget_names_budget_person_id_and_role():
    assert approval(ADA).words == "standing budget of 1 GPU-hour for ada (id 2, write)"


@pytest.mark.parametrize("role", ["admin", "maintain", "write"])
def test_roles_that_may_push_have_the_standing_budget(role):
    assert approval(ADA, roles={ADA.id: role}).is_given


@pytest.mark.parametrize("role", ["triage", "read", "none"])
def test_other_roles_do_not(role):
    found = approval(ADA, roles={ADA.id: role})
    assert not found.is_given
    assert f"ada has {role}" in found.words


def test_a_role_that_cannot_be_read_is_no():
    found = approval(ADA, roles={})
    assert not found.is_given
    assert "no role that can be read" in found.words


def test_the_operator_says_which_roles_have_the_standing_budget():
    assert approval(EVE, operator=replace(OPERATOR, roles=("read",))).is_given
    assert not approval(ADA, operator=replace(OPERATOR, roles=("admin",))).is_given


def test_without_any_role_in_the_operators_list_nobody_has_the_standing_budget():
    assert not approval(ADA, operator=replace(OPERATOR, roles=())).is_given


def test_a_standing_budget_of_nothing_covers_nothing():
    assert not approval(ADA, hours=0.1, operator=replace(OPERATOR, gpu_hours=0.0)).is_given


# The command.


@pytest.mark.parametrize("role", ["admin", "maintain", "write"])
def test_approve_by_somebody_who_may_push_counts(role):
    assert approval(EVE, says(MAX, f"/approve {HASH}"), roles={MAX.id: role}).is_given


@pytest.mark.parametrize("role", ["triage", "read", "none", None])
def test_approve_by_anybody_else_does_not(role):
    assert not approval(EVE, says(MAX, f"/approve {HASH}"), roles={MAX.id: role}).is_given


def test_an_approval_by_command_names_person_id_role_and_comment():
    found = approval(EVE, says(MAX, f"/approve {HASH}", number=9))
    assert (found.words, found.comment) == ("/approve by max (id 4, maintain) in comment 9", 9)


def test_approve_covers_what_is_beyond_the_standing_budget():
    assert approval(ADA, says(MAX, f"/approve {HASH}"), hours=5.0).is_given


def test_an_author_with_write_permission_may_approve_what_is_beyond_the_budget():
    assert approval(ADA, says(ADA, f"/approve {HASH}"), hours=5.0).is_given


def test_an_author_without_it_cannot_approve_their_own_task():
    assert not approval(EVE, says(EVE, f"/approve {HASH}")).is_given


def test_the_agent_never_approves():
    assert not approval(EVE, says(BOT, f"/approve {HASH}"), roles={BOT.id: "admin"}).is_given


def test_the_roles_of_the_operators_list_do_not_widen_who_may_approve():
    operator = replace(OPERATOR, roles=("read",))
    assert not approval(EVE, says(EVE, f"/approve {HASH}"), hours=5.0, operator=operator).is_given


def test_a_reader_who_tried_does_not_stand_in_the_way_of_a_writer():
    first, second = says(EVE, f"/approve {HASH}", 1), says(MAX, f"/approve {HASH}", 2)
    assert approval(EVE, first, second).words.endswith("in comment 2")


def test_the_role_of_nobody_but_who_commanded_is_asked_for_and_once():
    asked = []

    def role_of(user):
        asked.append(user)
        return "write"

    comments = [says(EVE, "looks good"), says(MAX, f"/approve {HASH}", 2), says(MAX, "/help", 3)]
    spoken = spoken_on(issue_by(EVE), comments, Ledger(), BOT, role_of)
    assert approval_of(PLAN, 5.0, issue_by(EVE), spoken, (), OPERATOR, role_of).is_given
    assert asked == [MAX]


# Who else has to agree.


def setting(user, key="baseline"):
    return Setting(key, "x", user.login, user.id)


def test_a_task_changed_by_somebody_without_permission_needs_an_approval():
    assert approval(ADA, settings=(setting(MAX),)).is_given
    found = approval(ADA, settings=(setting(MAX), setting(EVE, "optimized")))
    assert not found.is_given
    assert "tasks changed by admin, maintain, write; eve has read" in found.words


def test_a_bot_always_needs_a_person():
    bot = User("renovate", 9, is_bot=True)
    found = approval(bot, roles={9: "write"})
    assert (found.is_given, "renovate is a bot" in found.words) == (False, True)
    assert approval(bot, says(MAX, f"/approve {HASH}"), roles={9: "write", **ROLES}).is_given
    assert not approval(EVE, says(bot, f"/approve {HASH}"), roles={9: "write"}).is_given


def test_nobody_approves_their_own_request_where_a_second_person_is_asked_for():
    two = replace(OPERATOR, second_person=True)
    assert not approval(ADA, operator=two).is_given
    own = approval(ADA, says(ADA, f"/approve {HASH}"), operator=two)
    assert own.words.startswith("ada has asked for it; nobody approves their own request here")
    assert approval(ADA, says(MAX, f"/approve {HASH}"), operator=two).is_given
    changed = approval(ADA, says(MAX, f"/approve {HASH}"), operator=two, settings=(setting(MAX),))
    assert not changed.is_given


def test_an_account_may_have_a_budget_of_its_own():
    generous = replace(OPERATOR, gpu_hours_of={ADA.id: 8.0})
    assert approval(ADA, hours=8.0, operator=generous).is_given
    assert not approval(MAX, hours=8.0, operator=generous).is_given
    assert not approval(ADA, hours=0.5, operator=replace(OPERATOR, gpu_hours_of={ADA.id: 0.1})).is_given


def test_an_account_on_the_operators_list_needs_no_role():
    listed = replace(OPERATOR, ids=(EVE.id,))
    assert approval(EVE, roles={}, operator=listed).words.endswith("eve (id 3, on the operator's list)")
    assert not approval(EVE, roles={}, hours=5.0, operator=listed).is_given


# What the command has to look like.


@pytest.mark.parametrize(
    "text",
    [
        f"/approve {HASH}",
        f"/approve {PLAN}",
        f"/approve {HASH}  ",
        f"/approve  {HASH.upper()}",
        f"/approve `{HASH}`",
        f"/approve {HASH}\r\nthanks\r\n",
        f"looks good\n\n/approve {HASH}\n\nthanks",
    ],
)
def test_a_line_of_its_own_with_twelve_digits_or_more_counts(text):
    assert approval(EVE, says(MAX, text)).is_given


@pytest.mark.parametrize(
    "text",
    [
        f"/approve {PLAN[:11]}",
        "/approve",
        "/approve 000000000000",
        f"/approve {PLAN}0",
        f"/approve {HASH} please",
        f"please /approve {HASH}",
        f"/approved {HASH}",
        f"> /approve {HASH}",
        f"- /approve {HASH}",
        f"    /approve {HASH}",
        f"`/approve {HASH}`",
    ],
    ids=repr,
)
def test_anything_else_does_not(text):
    assert not approval(EVE, says(MAX, text)).is_given


def test_an_approval_of_another_plan_is_not_one_of_this():
    assert not approval(EVE, says(MAX, f"/approve {PLAN[::-1][:12]}")).is_given


@pytest.mark.parametrize(
    "text",
    [
        f"it would be typed like this:\n```\n/approve {HASH}\n```\n",
        f"~~~\n/approve {HASH}\n~~~",
        f"<!--\n/approve {HASH}\n-->",
        f"> as it says:\n/approve {HASH}",
    ],
    ids=["fence", "tilde fence", "comment", "lazy quotation"],
)
def test_a_command_that_is_shown_and_not_given_does_not_count(text):
    assert not approval(EVE, says(MAX, text)).is_given


def test_the_second_command_of_a_comment_counts_too():
    text = f"/approve {PLAN[::-1][:12]}\n/approve {HASH}"
    assert approval(EVE, says(MAX, text)).is_given


# Comments that change.


def test_a_comment_that_was_edited_approves_nothing():
    """Whoever edited it, and whatever it said first."""
    edited = replace(says(MAX, f"/approve {HASH}"), updated_at=NOW + timedelta(minutes=5))
    assert not approval(EVE, edited).is_given


def test_a_comment_that_was_deleted_approves_nothing_any_more():
    assert approval(EVE, says(MAX, f"/approve {HASH}")).is_given
    assert not approval(EVE).is_given

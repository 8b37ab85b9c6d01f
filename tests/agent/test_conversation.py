"""People comment, the agent answers: on a tracker in memory, with the real loop."""

from dataclasses import replace

import pytest

from agent.loop import WAITING_EVERY, Loop
from agent.marker import Place, parse
from tests.agent.test_loop import CHEAP, KEY, REFUSED, TOO_DEAR, World
from tests.fakes.tracker import ME

HASH = "/approve {}"


class Talk(World):
    """One issue, and the words on it."""

    def __init__(self, folder, body=TOO_DEAR, author="ada") -> None:
        super().__init__(folder)
        self.tracker.set_role("max", "maintain")
        self.tracker.set_role("eve", "read")
        self.number = self.file(body, author)
        self.settle()

    def says(self, who, text):
        """The comment, and what the agent made of it."""
        comment = self.tracker.comment(who, text, self.number)
        self.settle()
        return comment.id

    def plan(self):
        return self.state()["plan"]

    def state(self):
        payloads = [one.payload for one in self.read() if one.kind == "progress"]
        return payloads[-1]

    def read(self):
        bodies = [one.body for one in self.tracker.comments(self.number) if one.author.login == ME]
        found = [parse(body, Place(42, self.number), [KEY]) for body in bodies]
        return [one for one in found if one is not None]

    def replies(self, comment):
        return [one.text for one in self.read() if comment in one.payload.get("answers", ())]

    def reply(self, comment):
        [text] = self.replies(comment)
        return text

    def reactions(self, comment):
        return self.tracker.reactions_of(comment, ME)


@pytest.fixture
def talk(tmp_path):
    return Talk(tmp_path)


# Approval.


def test_a_plan_that_waits_is_approved_by_somebody_who_may(talk):
    assert talk.state()["stage"] == "waiting"
    comment = talk.says("max", HASH.format(talk.plan()[:12]))
    assert talk.state()["stage"] == "approved"
    assert talk.state()["approved_by"].startswith("/approve by max (id ")
    assert talk.reactions(comment) == ["+1"]
    assert "## Status: approved" in talk.reply(comment)


def test_a_hash_of_another_plan_is_answered_with_the_one_that_waits(talk):
    comment = talk.says("max", HASH.format("0123456789ab"))
    assert f"that is `{talk.plan()[:12]}`" in talk.reply(comment)
    assert talk.reactions(comment) == ["confused"]
    assert talk.state()["stage"] == "waiting"


def test_who_may_not_approve_sees_that_they_were_heard_and_no_more(talk):
    comment = talk.says("eve", HASH.format(talk.plan()[:12]))
    assert (talk.replies(comment), talk.reactions(comment)) == ([], ["confused"])
    assert talk.state()["stage"] == "waiting"
    writes = len(talk.tracker.writes)
    talk.says("ada", "what do you think?")
    assert len(talk.tracker.writes) == writes, "nothing is said to a comment without a command"


def test_an_approval_is_never_read_again(talk):
    comment = talk.says("max", HASH.format(talk.plan()[:12]))
    talk.tracker.edit_body(talk.number, TOO_DEAR.replace("5\n", "6\n"))
    talk.settle()
    talk.tracker.edit_body(talk.number, TOO_DEAR)
    talk.settle()
    assert talk.state()["stage"] == "waiting", "the plan is the one that was approved, before the last edit"
    assert len(talk.replies(comment)) == 1


def test_an_edited_comment_commands_nothing_and_says_why(talk):
    written = talk.tracker.comment("max", "never mind", talk.number)
    talk.tracker.edit_comment(written.id, HASH.format(talk.plan()[:12]))
    talk.settle()
    assert "please write them anew" in talk.reply(written.id)
    assert talk.state()["stage"] == "waiting"


# Cancel and retry.


def test_a_task_that_waits_is_cancelled_and_tried_again(talk):
    comment = talk.says("ada", "/cancel")
    assert talk.reactions(comment) == ["+1"]
    assert talk.state()["stage"] == "stopped"
    assert talk.state()["note"] == "it was cancelled"
    again = talk.says("ada", "/retry")
    assert "the task is tried again" in talk.reply(again)
    assert talk.state()["stage"] == "waiting"
    talk.says("max", HASH.format(talk.plan()[:12]))
    assert talk.state()["stage"] == "approved"


def test_what_was_approved_stays_approved_where_it_is_tried_again(talk):
    talk.says("max", HASH.format(talk.plan()[:12]))
    talk.says("ada", "/cancel")
    assert talk.state()["stage"] == "stopped"
    talk.says("ada", "/retry")
    assert talk.state()["stage"] == "approved"
    assert talk.state()["approved_by"].startswith("/approve by max")


def test_there_is_nothing_to_cancel_twice_and_nothing_to_retry_that_waits(talk):
    assert "only what was stopped is tried again" in talk.reply(talk.says("ada", "/retry"))
    talk.says("ada", "/cancel")
    assert "there is nothing to cancel: it was cancelled" in talk.reply(talk.says("ada", "/cancel"))


def test_an_edit_asks_anew_after_a_cancel(talk):
    talk.says("ada", "/cancel")
    talk.tracker.edit_body(talk.number, CHEAP)
    talk.settle()
    assert talk.state()["stage"] == "approved"


# Questions.


def test_help_status_and_queue_are_told_in_one_reply(talk):
    text = talk.reply(talk.says("ada", "/help\n/status\n/queue"))
    assert text.startswith("To ada:")
    assert "`/approve HASH`: the plan with this hash may spend its budget" in text
    assert f"- waiting, plan `{talk.plan()[:12]}`" in text
    assert f"- #{talk.number} (faster) waits for an approval" in text


def test_a_misspelt_command_is_asked_about_once(talk):
    comment = talk.says("ada", "/cancle")
    assert "`/cancle` was not understood: did you mean /cancel?" in talk.reply(comment)
    talk.loop = talk.started()
    talk.settle()
    assert len(talk.replies(comment)) == 1


def test_an_unknown_key_is_told_with_those_there_are(talk):
    comment = talk.says("ada", "/set base=656703d")
    assert "there is no `base`; keys: kind, baseline, optimized" in talk.reply(comment)
    assert talk.state()["stage"] == "waiting"


def test_bots_and_the_agent_itself_are_not_heard(talk):
    talk.tracker._people["renovate"] = replace(talk.tracker.person("renovate"), is_bot=True)
    talk.tracker.set_role("renovate", "write")
    for who in ("renovate", ME):
        comment = talk.says(who, "/cancel")
        assert (talk.replies(comment), talk.reactions(comment)) == ([], [])
    assert talk.state()["stage"] == "waiting"


def test_nobody_is_heard_on_an_issue_without_the_label(talk):
    talk.tracker.label(talk.number)
    talk.settle()
    comment = talk.says("ada", "/status")
    assert talk.replies(comment) == []


# Trouble.


@pytest.mark.parametrize("is_stored", [True, False])
def test_an_answer_whose_post_was_unsure_is_given_once(talk, is_stored):
    comment = talk.tracker.comment("ada", "/status", talk.number)
    talk.tracker.unsure_next("post", stored=is_stored)
    talk.loop.tick()
    talk.settle()
    assert len(talk.replies(comment.id)) == 1


def test_a_role_that_cannot_be_read_now_is_asked_for_again(talk):
    talk.tracker.fail_next("role")
    comment = talk.tracker.comment("max", HASH.format(talk.plan()[:12]), talk.number)
    talk.loop.tick()
    assert talk.state()["stage"] == "waiting"
    talk.clock.now += WAITING_EVERY
    talk.settle()
    assert talk.state()["stage"] == "approved"
    assert len(talk.replies(comment.id)) == 1


def test_a_task_that_was_refused_can_still_be_asked_about(tmp_path):
    talk = Talk(tmp_path, REFUSED)
    assert "blocked" in talk.reply(talk.says("ada", "/status"))


def test_a_new_agent_finds_everything_answered(talk):
    talk.says("max", HASH.format(talk.plan()[:12]))
    talk.says("ada", "/help")
    writes = len(talk.tracker.writes)
    talk.loop = Loop(replace(talk.desk, shrugged=set()), talk.clock, talk.said.append)
    talk.settle()
    assert len(talk.tracker.writes) == writes

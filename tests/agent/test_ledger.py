"""What was decided, folded from markers: foreign ones never count, doubles lose, broken ones park."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ledger import Intent, State, fold
from agent.marker import Key, Marker, Place, render
from agent.tracker import Comment, User

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ME, EVE = User("bot", 1), User("eve", 3)
PLACE, KEY, OTHER_KEY = Place(42, 7), Key("0123abcd", b"k" * 32), Key("89abcdef", b"o" * 32)
INTENT = Intent(2, "pod-1", "cpu", "acme-target-7-0123456789ab-a2", "2026-11-20T13:00:00+00:00")
STATE = State("running", "b1", "t1", "p1", "standing budget", INTENT, 1, "a note", "here")


def comment(number, body, author=ME, minutes_old=0.0):
    at = NOW - timedelta(minutes=minutes_old)
    return Comment(number, f"N{number}", author, body, at, at)


def marked(number, kind="progress", version=1, payload=None, author=ME, place=PLACE, key=KEY):
    payload = STATE.to_payload() if payload is None else payload
    return comment(number, render(Marker(kind, version, "## text", payload), place, key), author)


def folded(*comments, keys=(KEY,)):
    return fold(comments, ME, PLACE, keys)


# What counts.


def test_nothing_said_is_no_state():
    ledger = folded()
    assert (ledger.state, ledger.last_word, ledger.broken) == (None, None, ())


def test_words_that_are_no_marker_say_nothing():
    assert folded(comment(1, "hello"), comment(2, "")).said == {}


def test_the_newest_progress_is_the_state():
    first, second = STATE, replace(STATE, stage="stopped", intent=None)
    assert (
        folded(marked(1, payload=first.to_payload()), marked(2, "progress", 2, second.to_payload())).state
        == second
    )


def test_the_highest_version_is_the_newest_wherever_its_comment_stands():
    high, low = marked(1, "progress", 10), marked(2, "progress", 9)
    assert folded(high, low).newest("progress").comment == high


def test_a_foreign_marker_never_counts_however_well_signed():
    ledger = folded(marked(1, author=EVE))
    assert (ledger.said, ledger.doubles, ledger.broken) == ({}, (), ())


def test_a_foreign_marker_of_an_earlier_comment_takes_no_version():
    ledger = folded(marked(1, author=EVE), marked(2))
    assert ledger.newest("progress").comment.id == 2
    assert ledger.doubles == ()


def test_somebody_with_the_agents_login_and_another_id_is_foreign():
    assert folded(marked(1, author=User("bot", 99))).said == {}


def test_the_agent_after_it_was_renamed_is_the_agent():
    assert folded(marked(1, author=User("renamed", ME.id))).state == STATE


def test_what_others_break_parks_nothing():
    assert folded(comment(1, "<!-- epm:results v1 -->\n## PASS\n", EVE)).broken == ()


# Doubles.


def test_equal_version_earliest_comment_wins():
    first, second = marked(5), marked(9)
    ledger = folded(second, first)
    assert ledger.newest("progress").comment == first
    assert ledger.doubles == (second,)


def test_every_later_double_is_one():
    assert [one.id for one in folded(marked(3), marked(2), marked(1)).doubles] == [2, 3]


def test_equal_versions_of_two_kinds_are_no_doubles():
    ledger = folded(marked(1, "progress"), marked(2, "note", payload={"schema": 1}))
    assert ledger.doubles == ()
    assert len(ledger.said) == 2


def test_a_broken_marker_takes_no_version_from_a_whole_one():
    whole = marked(2)
    ledger = folded(comment(1, whole.body.replace("## text", "## other")), whole)
    assert ledger.newest("progress").comment == whole
    assert len(ledger.broken) == 1


# Broken.


def test_a_marker_of_ours_that_was_changed_parks_and_names_its_comment():
    changed = comment(8, marked(8).body.replace("## text", "## PASS"))
    [why] = folded(changed).broken
    assert why == "comment 8: progress v1 was changed: its signature does not hold"


def test_a_marker_whose_key_is_not_known_parks():
    [why] = folded(marked(8, key=OTHER_KEY)).broken
    assert "signed with a key that is not known here (89abcdef)" in why


def test_a_second_key_of_the_account_is_as_good():
    assert folded(marked(8, key=OTHER_KEY), keys=(KEY, OTHER_KEY)).state == STATE


@pytest.mark.parametrize("place", [Place(42, 8), Place(43, 7)], ids=["issue", "repository"])
def test_a_marker_that_was_copied_from_elsewhere_parks(place):
    assert len(folded(marked(8, place=place)).broken) == 1


def test_a_marker_that_is_cut_off_parks():
    body = marked(8).body
    assert len(folded(comment(8, body[: len(body) // 2])).broken) == 1


def test_a_kind_that_nobody_knows_parks():
    assert folded(comment(8, "<!-- epm:party v1 -->\n")).broken == ("comment 8: unknown kind 'party'",)


@given(st.integers(0, len(marked(1).body)), st.text("abc\n<!-> ", min_size=1, max_size=5))
def test_a_change_inside_a_marker_parks_or_says_the_same(place, inserted):
    body = marked(1).body
    ledger = folded(comment(1, body[:place] + inserted + body[place:]))
    assert ledger.broken or ledger.state == STATE


def test_a_marker_whose_first_line_is_damaged_parks():
    assert folded(comment(1, marked(1).body.replace("epm:progress v1", "epm progress v1"))).broken


# States.


@pytest.mark.parametrize("state", [STATE, State("blocked", "b"), replace(STATE, intent=None)])
def test_a_state_comes_back_as_it_was_said(state):
    assert folded(marked(1, payload=state.to_payload())).state == state


def test_a_state_of_a_foreign_schema_is_refused():
    with pytest.raises(ValueError, match="foreign schema"):
        State.from_payload({**STATE.to_payload(), "schema": 2})


FOREIGN_PAYLOADS = {
    "a later schema": {**STATE.to_payload(), "schema": 2},
    "no schema": {key: value for key, value in STATE.to_payload().items() if key != "schema"},
    "a field more": {**STATE.to_payload(), "mood": "good"},
    "a field less": {"schema": 1, "intent": None},
    "no intent": {"schema": 1, "stage": "blocked", "body": "b"},
    "an intent of other fields": {**STATE.to_payload(), "intent": {"pod": "x"}},
    "an intent that is a word": {**STATE.to_payload(), "intent": "x"},
}


@pytest.mark.parametrize("name", FOREIGN_PAYLOADS)
def test_a_progress_that_this_version_cannot_read_parks(name):
    ledger = folded(marked(8, payload=FOREIGN_PAYLOADS[name]))
    assert len(ledger.broken) == 1
    assert ledger.state is None


def test_a_stage_that_nobody_knows_parks():
    ledger = folded(marked(8, payload={**STATE.to_payload(), "stage": "dancing"}))
    assert len(ledger.broken) == 1


# Questions.


def test_versions_are_counted_by_kind():
    ledger = folded(marked(1, "progress", 4), marked(2, "note", 1, {"schema": 1}))
    assert [ledger.next_version(kind) for kind in ("progress", "note", "verdict")] == [5, 2, 1]


def test_all_of_a_kind_are_told_by_version():
    ledger = folded(*(marked(n, "progress", version) for n, version in enumerate((10, 9, 1), 1)))
    assert [one.marker.version for one in ledger.all_of("progress")] == [1, 9, 10]


def test_a_verdict_is_found_by_its_plan():
    ledger = folded(marked(1, "verdict", 1, {"plan": "p1"}), marked(2, "verdict", 2, {"plan": "p2"}))
    assert ledger.verdict_for("p1").comment.id == 1
    assert ledger.verdict_for("p3") is None


def test_of_two_results_of_a_plan_the_correction_counts():
    ledger = folded(marked(1, "results", 1, {"plan": "p1"}), marked(2, "results", 2, {"plan": "p1"}))
    assert ledger.results_for("p1").marker.version == 2


def attempt(number, minutes, ends_in=60):
    """The word on an attempt, so many minutes after the first; its hard end an hour later."""
    end = NOW + timedelta(minutes=minutes + ends_in)
    return replace(STATE, intent=Intent(number, "pod-1", "cpu", f"a{number}", end.isoformat()))


def told(*said, seen=0):
    """A ledger of progress: each a state and the minutes since the first, seen so many minutes more."""

    def comment(n, state, minutes):
        made = NOW + timedelta(minutes=minutes)
        times = {"created_at": made, "updated_at": made + timedelta(minutes=seen)}
        return replace(marked(n, "progress", n, state.to_payload()), **times)

    return folded(*(comment(n, *one) for n, one in enumerate(said, 1)))


CLOSED = replace(STATE, stage="approved", intent=None)


def test_an_attempt_has_taken_the_time_from_its_intent_to_the_word_that_closed_it():
    first, second = attempt(1, 0), attempt(2, 30)
    both = told((first, 0), (first, 1), (CLOSED, 20), (second, 30), (CLOSED, 35))
    assert both.spent_s("p1") == (20 + 5) * 60
    assert both.spent_s("p2") == 0


def test_an_attempt_under_way_has_taken_nothing_yet():
    assert told((attempt(1, 0), 0), (CLOSED, 20), (attempt(2, 30), 30)).spent_s("p1") == 20 * 60


def test_an_attempt_that_was_closed_by_the_next_one_ends_there():
    assert told((attempt(1, 0), 0), (attempt(2, 30), 10), (CLOSED, 15)).spent_s("p1") == 15 * 60


def test_an_attempt_that_nobody_closed_in_time_has_taken_what_was_seen_of_it():
    assert told((attempt(1, 0), 0), (CLOSED, 600), seen=7).spent_s("p1") == 7 * 60
    assert told((attempt(1, 0), 0), (attempt(1, 0), 2), (CLOSED, 600), seen=7).spent_s("p1") == 9 * 60


def test_attempts_at_another_plan_are_not_this_ones():
    other = replace(attempt(1, 0), plan="p0")
    assert told((other, 0), (attempt(2, 30), 10), (CLOSED, 15)).spent_s("p1") == 5 * 60


def results(number, **payload):
    return marked(number, "results", 1, {"schema": 1, "plan": "p1", **payload})


def test_results_name_the_job_that_they_were_read_from():
    ledger = folded(marked(1), results(2, job="a9"))
    assert ledger.job_of(ledger.newest("results")) == "a9"


def test_results_of_an_older_agent_were_read_from_the_job_that_was_under_way():
    later = replace(STATE, intent=replace(INTENT, job="a3"))
    ledger = folded(marked(1), results(2), marked(3, "progress", 2, later.to_payload()))
    assert ledger.job_of(ledger.newest("results")) == INTENT.job


def test_a_cancelled_wording_is_cancelled_and_a_new_one_is_not():
    ledger = folded(marked(1, "note", 1, {"schema": 1, "command": "cancel", "body": "b1"}))
    assert ledger.is_cancelled("b1")
    assert not ledger.is_cancelled("b2")


def test_a_cancel_of_somebody_else_cancels_nothing():
    ledger = folded(marked(1, "note", 1, {"schema": 1, "command": "cancel", "body": "b1"}, author=EVE))
    assert not ledger.is_cancelled("b1")


def test_the_last_word_is_when_the_newest_progress_was_touched():
    one = replace(marked(1), updated_at=NOW + timedelta(minutes=3))
    assert folded(one).last_word == NOW + timedelta(minutes=3)

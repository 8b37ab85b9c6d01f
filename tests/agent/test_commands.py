"""What in a comment is a command, what is nearly one, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands import MOST_COMMANDS, NAMES, Command, Misread, commands_in

HASH = "0123456789ab"


def test_each_command_is_a_line_of_its_own():
    body = f"thanks\n\n/approve {HASH}\n/set baseline=656703d optimized=097beae\n\n/status\n"
    assert commands_in(body) == (
        Command("approve", plan=HASH),
        Command("set", values={"baseline": "656703d", "optimized": "097beae"}),
        Command("status"),
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("approve", "set")])
def test_commands_without_arguments_stand_alone(name):
    assert commands_in(f"/{name}") == commands_in(f"  /{name.upper()}  ") == (Command(name),)
    assert commands_in(f"/{name} now") == (Misread(f"/{name} now", f"write /{name} alone in its line"),)


@pytest.mark.parametrize(
    "text",
    [
        "> /cancel",
        "> quoted\n/cancel",
        "- /cancel",
        "    /cancel",
        "```\n/cancel\n```",
        "~~~~\n/cancel\n~~~~",
        "`/cancel`",
        "please /cancel",
        "<!--\n/cancel\n-->",
        "<details>\n/cancel\n</details>",
        "# /cancel",
        "| a |\n|---|\n| /cancel |",
        "//cancel",
        "/ cancel",
        "\\/cancel",
        "/cancel.",
        "/usr/bin/env python",
        "/etc",
        "/assign me",
        "",
        "/",
    ],
    ids=repr,
)
def test_what_is_quoted_shown_or_meant_for_others_is_no_command(text):
    assert commands_in(text) == ()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("/cancle", "cancel"),
        ("/aprove 0123456789ab", "approve"),
        ("/approved", "approve"),
        ("/stats", "status"),
        ("/retri", "retry"),
        ("/attributes", "attribute"),
    ],
)
def test_a_misspelt_command_is_asked_about(line, meant):
    assert commands_in(line) == (Misread(line, f"did you mean /{meant}?"),)


@pytest.mark.parametrize("rest", ["", " 0123456789a", " not-a-hash", f" {HASH} please", f" {'0' * 65}"])
def test_an_approval_names_a_hash(rest):
    [found] = commands_in(f"/approve{rest}")
    assert isinstance(found, Misread)
    assert "at least its first 12 digits" in found.hint


@pytest.mark.parametrize("rest", ["", " baseline", " baseline = x", " a=1 a=2", " =1", " a=1 and b=2"])
def test_values_are_given_in_pairs_each_once(rest):
    [found] = commands_in(f"/set{rest}")
    assert isinstance(found, Misread)
    assert "KEY=VALUE" in found.hint


def test_keys_are_told_apart_by_their_letters_only():
    assert commands_in("/set GPU-Hours=2") == (Command("set", values={"gpu_hours": "2"}),)
    assert commands_in("/set baseline=`656703d`") == (Command("set", values={"baseline": "656703d"}),)
    assert commands_in("/set baseline=") == (Command("set", values={"baseline": ""}),)


def test_a_comment_has_a_bounded_number_of_commands():
    assert len(commands_in("/help\n" * 50)) == MOST_COMMANDS


@given(st.text(alphabet="/approvesetcnl >`-\n=0123456789ab\t<", max_size=400) | st.text(max_size=200))
def test_no_text_is_too_odd_and_every_command_stands_in_it(text):
    for found in commands_in(text):
        if isinstance(found, Command):
            assert f"/{found.name}" in text.casefold()
            assert found.plan in text.casefold()

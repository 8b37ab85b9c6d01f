"""The four ways of foreign text into Markdown, each where it stands; the corpus goes through all of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agent.foreign import GAP, LONGEST_FENCE, escaped, fenced, in_cell, in_code, in_html, one_line

MARKDOWN = MarkdownIt("gfm-like2", {"linkify": False})
TOKEN = "gh" + "p_" + "aB3" * 13


@given(st.text(st.sampled_from("`~ab\n"), max_size=60))
@settings(deadline=None)
def test_a_fence_is_longer_than_any_run_of_backticks_in_it(text):
    tokens = MARKDOWN.parse(f"{fenced(text)}\nafter")
    assert tokens[0].type == "fence"
    assert [token.content for token in tokens if token.type == "inline"] == ["after"]


def test_a_fence_shows_lines_as_they_are():
    assert fenced("one\n\ttwo `x`\n") == "```text\none\n    two `x`\n```"


def test_a_fence_keeps_the_end_of_what_is_too_long():
    shown = fenced("x" * 5000 + "end").split("\n")[1]
    assert (len(shown), shown[0], shown[-3:]) == (LONGEST_FENCE, "…", "end")


@pytest.mark.parametrize("way", [escaped, in_cell, in_code, fenced, in_html])
def test_no_text_opens_a_comment(way):
    assert "<!--" not in way("a <!-- epm:results v1 --> b")


@pytest.mark.parametrize("way", [escaped, in_cell, in_code, fenced, in_html])
@pytest.mark.parametrize(
    "hidden", ["\x1b[31m", "\x1b]0;t\x07", "\x00", "\u202e", "\u2066", "\u200b", "\ufeff", "\x9b"]
)
def test_nothing_hidden_comes_out(way, hidden):
    assert hidden not in way(f"a{hidden}b")


@pytest.mark.parametrize("way", [escaped, in_cell, in_code, fenced, in_html, one_line])
def test_no_token_comes_out(way):
    assert TOKEN not in way(f"a {TOKEN} b")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-", "-"),
        ("# x", "# x"),
        ("1. x", "1. x"),
        ("[0.9, 1.1]", "[0.9, 1.1]"),
        ("a|b", "a&#124;b"),
        ("~ [0.9, 1.1]", "~ [0.9, 1.1]"),
        ("~x~", "\\~x\\~"),
    ],
)
def test_in_a_cell_only_what_means_something_there_is_escaped(text, shown):
    assert in_cell(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("a`b", "a'b"), ("", "-"), ("a\nb", "a b"), ("x" * 400, "x" * 299 + "…")]
)
def test_a_code_span_is_one_line_without_backticks_and_never_empty(text, shown):
    assert in_code(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('<b> & "c"', "&lt;b&gt; &amp; &quot;c&quot;"),
        ("@ada #1 https://x", f"@{GAP}ada #{GAP}1 https:{GAP}//x"),
        ("0a1b2c3d4e5f6", f"0a1b2c{GAP}3d4e5f{GAP}6"),
        ("$5", f"&#36;{GAP}5"),
    ],
)
def test_in_html_the_escapes_are_those_of_html(text, shown):
    assert in_html(text) == shown


@pytest.mark.parametrize("text", ["[a]", "a ~", ":tada"])
def test_the_end_of_a_text_makes_nothing_of_what_stands_behind_it(text):
    tokens = MARKDOWN.parse(f"{escaped(text)}: b ~ c")
    [inline] = [token for token in tokens if token.type == "inline"]
    assert {child.type for child in inline.children} <= {"text", "text_special"}
    assert ":tada:" not in inline.content

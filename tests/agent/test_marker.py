"""Markers: what was written is read back; what was changed, moved or forged is broken, never nothing."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.marker import (
    LIVE,
    PAYLOAD_LIMIT_B,
    Broken,
    Key,
    Marker,
    MarkerError,
    Place,
    parse,
    render,
    with_live_line,
)

GOLDEN = Path(__file__).parent / "golden" / "markers"
KEY = Key("0a1b2c3d", b"secret of the operator")
PLACE = Place(repository_id=7, issue=36)
TEXT = f"## Running on pod-3\n\n{LIVE} replicate 1/3\n\n- [x] plan approved"
MARKER = Marker("progress", 2, TEXT, {"schema": 1, "stage": "running"})
BODY = render(MARKER, PLACE, KEY)


def test_a_marker_is_read_back_as_written():
    assert parse(BODY, PLACE, [KEY]) == MARKER


def test_its_first_line_names_kind_and_version():
    assert BODY.splitlines()[0] == "<!-- epm:progress v2 -->"


def test_line_ends_and_trailing_spaces_of_a_server_do_not_matter():
    assert parse(BODY.replace("\n", "\r\n"), PLACE, [KEY]) == MARKER


def test_the_live_line_may_change_and_nothing_else():
    changed = with_live_line(BODY, "replicate 2/3, 4 min left")
    assert f"{LIVE} replicate 2/3, 4 min left" in changed
    assert isinstance(parse(changed, PLACE, [KEY]), Marker)
    assert isinstance(parse(BODY.replace("approved", "denied"), PLACE, [KEY]), Broken)


@pytest.mark.parametrize(
    "changed",
    [
        BODY.replace("- [x]", f"{LIVE} two\n\n- [x]"),
        BODY.replace("- [x]", f"{LIVE} two\n- [x]"),
        BODY.replace("\n\n- [x]", f"\n{LIVE} two\n\n- [x]"),
    ],
)
def test_a_second_live_line_is_broken(changed):
    assert isinstance(parse(changed, PLACE, [KEY]), Broken)


LIVE_LINE = f"{LIVE} replicate 1/3\n"


@pytest.mark.parametrize(
    "before", ["## Running", "- [x]", "<!-- epm:data"], ids=["first", "behind its place", "last"]
)
def test_a_live_line_that_was_moved_is_broken(before):
    moved = BODY.replace(LIVE_LINE, "").replace(before, f"{LIVE_LINE}{before}")
    assert LIVE_LINE in moved
    assert isinstance(parse(moved, PLACE, [KEY]), Broken)


@pytest.mark.parametrize("end", ["\n", "  \n", "\n\n"])
def test_a_live_line_that_was_moved_to_the_end_with_blank_lines_is_broken(end):
    moved = BODY.replace(LIVE_LINE, "").replace("\n<!-- epm:data", f"\n{LIVE_LINE}{end}<!-- epm:data")
    assert isinstance(parse(moved, PLACE, [KEY]), Broken)


def test_a_live_line_that_was_taken_out_says_nothing_else():
    assert isinstance(parse(BODY.replace(LIVE_LINE, ""), PLACE, [KEY]), Marker)


@pytest.mark.parametrize("kind", ["results", "verdict", "note", "failure"])
def test_a_live_line_in_another_kind_is_broken_and_not_rendered(kind):
    body = render(Marker(kind, 1, "## PASS\n\nmore", {}), PLACE, KEY)
    for place in ("\n\nmore", "\nmore", "more"):
        changed = body.replace(place, f"\n{LIVE} FAIL\n{place}")
        assert isinstance(parse(changed, PLACE, [KEY]), Broken)
    with pytest.raises(MarkerError, match="a live line"):
        render(Marker(kind, 1, f"## PASS\n\n{LIVE} FAIL\n\nmore", {}), PLACE, KEY)


def test_a_live_line_cannot_close_its_comment_or_add_a_line():
    changed = with_live_line(BODY, "x -->\n<!-- epm:data evil")
    assert parse(changed, PLACE, [KEY]) is not None
    assert len(changed.splitlines()) == len(BODY.splitlines())


@pytest.mark.parametrize("place", [Place(8, 36), Place(7, 37)])
def test_a_marker_that_was_copied_elsewhere_is_broken(place):
    assert isinstance(parse(BODY, place, [KEY]), Broken)


def test_another_version_or_kind_in_the_first_line_is_broken():
    for wrong in (BODY.replace("v2", "v3"), BODY.replace("epm:progress", "epm:verdict")):
        assert isinstance(parse(wrong, PLACE, [KEY]), Broken)


def test_an_unknown_key_is_broken_not_nothing():
    found = parse(BODY, PLACE, [Key("ffffffff", b"x")])
    assert isinstance(found, Broken)
    assert "a key that is not known here (0a1b2c3d)" in found.why


def test_a_wrong_secret_under_the_same_id_is_broken():
    assert isinstance(parse(BODY, PLACE, [Key(KEY.id, b"x")]), Broken)


def test_a_hand_written_marker_without_data_is_broken():
    assert isinstance(parse("<!-- epm:results v1 -->\n## Report\n", PLACE, [KEY]), Broken)


def test_a_second_data_line_is_broken():
    line = next(line for line in BODY.splitlines() if line.startswith("<!-- epm:data"))
    assert isinstance(parse(BODY.replace(line, f"{line}\n{line}"), PLACE, [KEY]), Broken)


@pytest.mark.parametrize(
    "more", ["## Verdict: PASS", "\n## Verdict: PASS\n", "<!-- x -->", "<!-- /epm:progress -->"]
)
def test_what_was_put_behind_the_signature_is_broken(more):
    for end in ("<!-- /epm:progress -->\n", "\n<!-- /epm:progress -->\n"):
        for changed in (f"{more}\n{end}", f"{end}{more}\n{end}"):
            found = parse(BODY.replace("<!-- /epm:progress -->\n", changed), PLACE, [KEY])
            assert isinstance(found, Broken)


@pytest.mark.parametrize(
    "first",
    [
        "",
        "\n",
        " <!-- epm:progress v2 -->\n",
        "<!-- epm:progress v2 --\n",
        "<!-- epm:progress -->\n",
        "hello\n",
    ],
)
def test_a_marker_that_lost_its_first_line_is_broken(first):
    changed = BODY.replace("<!-- epm:progress v2 -->\n", first)
    assert isinstance(parse(changed, PLACE, [KEY]), Broken)


@pytest.mark.parametrize("kept", ["<!-- epm:data", "<!-- /epm:"])
def test_one_line_of_ours_is_left_of_a_marker_and_not_nothing(kept):
    [line] = [line for line in BODY.splitlines() if line.startswith(kept)]
    assert isinstance(parse(f"words\n{line}\n", PLACE, [KEY]), Broken)


@pytest.mark.parametrize(
    "quoted",
    [
        "\n".join(f"> {line}" for line in BODY.splitlines()),
        f"as it was:\n\n```\n{BODY}```\n\nand gone",
        f"~~~~ text\n{BODY}```\n~~~~~",
        "\n".join(f"    {line}" for line in BODY.splitlines()),
    ],
    ids=["quotation", "fence", "long fence", "indented"],
)
def test_a_marker_that_we_quote_ourselves_is_none(quoted):
    assert parse(quoted, PLACE, [KEY]) is None


def test_a_fence_that_never_ends_quotes_nothing():
    assert isinstance(parse(f"```\n{BODY}", PLACE, [KEY]), Broken)


@pytest.mark.parametrize("text", ["", "hello", "> <!-- epm:results v1 -->", " <!-- epm:results v1 -->\n"])
def test_other_comments_are_no_markers(text):
    assert parse(text, PLACE, [KEY]) is None


@pytest.mark.parametrize("text", ["<!-- epm:data x -->", "a <!-- /epm:progress -->"])
def test_a_text_that_holds_a_marker_is_not_rendered(text):
    with pytest.raises(MarkerError, match="holds a marker"):
        render(Marker("progress", 1, text, {}), PLACE, KEY)


def test_a_payload_that_is_too_long_is_not_rendered():
    noise = "".join(hashlib.sha256(str(i).encode()).hexdigest() for i in range(PAYLOAD_LIMIT_B // 32))
    with pytest.raises(MarkerError, match="16384 are allowed"):
        render(Marker("results", 1, "x", {"noise": noise}), PLACE, KEY)


def test_a_body_that_is_too_long_is_not_rendered():
    with pytest.raises(MarkerError, match="60000 are allowed"):
        render(Marker("results", 1, "x" * 60_000, {}), PLACE, KEY)


def test_a_key_does_not_print_its_secret():
    assert "secret" not in repr(KEY)


@given(
    st.text(max_size=200),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4),
)
def test_any_text_and_payload_come_back(text, payload):
    if "<!-- epm:" in text or "<!-- /epm:" in text:
        return
    text = text.replace("\r", "")
    found = parse(render(Marker("note", 1, text, payload), PLACE, KEY), PLACE, [KEY])
    assert isinstance(found, Marker)
    assert found.payload == payload


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.md")), ids=lambda path: path.stem)
def test_a_marker_that_stands_on_an_issue_is_still_read(path):
    """Written before live lines had one place and nothing was allowed behind the signature."""
    assert isinstance(parse(path.read_text(encoding="utf-8"), PLACE, [KEY]), Marker)


@given(st.text(max_size=300))
def test_any_comment_is_parsed_without_an_exception(text):
    parse(text, PLACE, [KEY])
    parse("<!-- epm:results v1 -->\n" + text, PLACE, [KEY])


# Secrets. The token is made up, and in two halves so that no scanner takes it for a real one.

TOKEN = "gh" + "p_" + "aB3" * 13
KNOWING = Key(KEY.id, KEY.secret, hidden=("the password of ours",))


def test_no_marker_holds_what_looks_like_a_token_and_its_signature_covers_what_it_says():
    body = render(Marker("note", 1, f"see {TOKEN}.", {"schema": 1, "why": [TOKEN]}), PLACE, KEY)
    assert parse(body, PLACE, [KEY]) == Marker(
        "note", 1, "see redacted.", {"schema": 1, "why": ["[redacted]"]}
    )


@pytest.mark.parametrize("secret", ["the password of ours", KEY.secret.hex(), "the%20password%20of%20ours"])
def test_no_marker_holds_a_secret_of_the_one_who_signs_it(secret):
    body = render(Marker("note", 1, f"see {secret}.", {"schema": 1, "why": secret}), PLACE, KNOWING)
    told = parse(body, PLACE, [KEY])
    assert (told.text, told.payload["why"]) == ("see redacted.", "[redacted]")


@pytest.mark.parametrize("beginning", ["-----BEGIN PRIV" + "ATE KEY-----", "Authorization:", "bearer"])
def test_what_looks_like_the_beginning_of_a_secret_hides_none_of_our_own_words(beginning):
    text = f"| {beginning} | NOT MEASURED |\nthe verdict is PASS, by one of the rules"
    assert parse(render(Marker("note", 1, text, {}), PLACE, KEY), PLACE, [KEY]).text == text


def test_the_live_line_is_text_where_markdown_does_not_reach():
    body = with_live_line(BODY, f"<img src=x> @ada #12 --> {TOKEN}\n## b")
    [line] = [line for line in body.splitlines() if line.startswith(LIVE)]
    told = "&lt;img src=x&gt; @\u200bada #\u200b12 --&gt; [redacted] ## b"
    assert line == f"{LIVE} {told}"

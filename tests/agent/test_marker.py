"""Markers: what was written is read back; what was changed, moved or forged is broken, never nothing."""

import hashlib

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


@given(st.text(max_size=300))
def test_any_comment_is_parsed_without_an_exception(text):
    parse(text, PLACE, [KEY])
    parse("<!-- epm:results v1 -->\n" + text, PLACE, [KEY])

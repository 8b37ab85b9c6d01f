"""Places as people write them, and lines that are followed over a diff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.review.diff import FileDiff, Hunk
from agent.review.places import Place, places_of, resolved, span_after

PATHS = (
    "src/train/trainer.py",
    "src/train/sft.py",
    "src/eval/trainer.py",
    "trainer.py/x.md",
    "README.md",
)


def diff(*hunks: Hunk, path: str = "a.py", status: str = "M") -> FileDiff:
    return FileDiff(status, path, path, "100644", "100644", "0", "1", hunks)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("trainer.py:98", [Place("trainer.py", 98, 98)]),
        ("trainer.py:302-322 (SFTConfig)", [Place("trainer.py", 302, 322)]),
        (
            "trainer.py:302-322 and trainer.py:545-563",
            [Place("trainer.py", 302, 322), Place("trainer.py", 545, 563)],
        ),
        ("sft.py:151 (standalone SFTConfig, and more)", [Place("sft.py", 151, 151)]),
        ("`src/a.py`, b/c.yaml:3", [Place("src/a.py"), Place("b/c.yaml", 3, 3)]),
        ("a.py:3, 9-12", [Place("a.py", 3, 3), Place("a.py", 9, 12)]),
        ("a.py#L3-L9", [Place("a.py", 3, 9)]),
        ("a.py lines 3–9", [Place("a.py", 3, 9)]),
        ("a.py:9-3", [Place("a.py", 9, 9)]),
        ("a.py:0", [Place("a.py")]),
        ("everywhere", []),
        ("", []),
    ],
)
def test_a_place_is_read_as_it_was_meant(text, places):
    assert list(places_of(text)) == places


@given(st.text(st.sampled_from("ab.py:/-0123456789 ,;&+()`L#and"), max_size=60))
def test_any_text_names_places_or_none(text):
    for place in places_of(text):
        assert place.path in text.replace("`", "")
        assert 0 <= place.first <= place.last


def test_a_name_is_the_one_file_that_ends_like_it():
    assert resolved(Place("sft.py", 3, 4), PATHS, ()) == Place("src/train/sft.py", 3, 4)
    assert resolved(Place("README.md"), PATHS, ()) == Place("README.md")


def test_of_two_files_that_end_like_it_the_one_is_meant_that_the_range_touches():
    assert resolved(Place("trainer.py"), PATHS, {"src/eval/trainer.py"}) == Place("src/eval/trainer.py")


def test_two_files_that_end_like_it_are_no_place():
    assert resolved(Place("trainer.py"), PATHS, ()) == "trainer.py names 2 files"
    assert resolved(Place("trainer.py"), PATHS, PATHS) == "trainer.py names 2 files"


def test_no_file_is_no_place():
    assert resolved(Place("rainer.py"), PATHS, ()) == "no file rainer.py at the baseline"


@pytest.mark.parametrize(
    ("hunk", "span"),
    [
        (Hunk(3, 0, 3, ("x",) * 5), (15, 17)),  # five lines put in before line 3
        (Hunk(1, 4, 1, ()), (6, 8)),  # four lines taken out above
        (Hunk(10, 3, 10, ("x",) * 6), (10, 15)),  # replaced by twice as many
        (Hunk(11, 1, 11, ()), (10, 11)),  # its middle taken out
        (Hunk(9, 5, 9, ("x",)), (9, 9)),  # swallowed
        (Hunk(13, 2, 13, ("x",) * 9), (10, 12)),  # below: nothing moves
    ],
)
def test_a_span_of_lines_10_to_12_is_followed(hunk, span):
    assert span_after(10, 12, [hunk]) == span


def test_a_span_is_followed_over_several_hunks():
    assert span_after(100, 110, [Hunk(5, 0, 5, ("x",) * 3), Hunk(50, 2, 53, ()), Hunk(200, 1, 201, ())]) == (
        101,
        111,
    )


def test_a_file_that_is_renamed_is_followed_and_one_that_is_deleted_is_not():
    renamed = FileDiff("R", "a.py", "b.py", "100644", "100644", "0", "1", (Hunk(1, 0, 1, ("x",)),))
    assert Place("a.py", 3, 3).after([renamed]) == Place("b.py", 4, 4)
    assert Place("a.py", 3, 3).after([diff(status="D")]) is None


@pytest.mark.parametrize(
    ("hunk", "is_near"),
    [
        (Hunk(10, 1, 10, ("x",)), True),
        (Hunk(17, 1, 17, ("x",)), True),  # 17 - 12 = 5
        (Hunk(18, 1, 18, ("x",)), False),
        (Hunk(5, 1, 5, ("x",)), True),  # 10 - 5 = 5
        (Hunk(4, 1, 4, ("x",)), False),
        (Hunk(18, 0, 18, ("x",)), True),  # a gap behind line 17
        (Hunk(19, 0, 19, ("x",)), False),
        (Hunk(1, 100, 1, ()), True),
    ],
)
def test_a_hunk_within_five_lines_is_near(hunk, is_near):
    assert Place("a.py", 10, 12).is_touched(diff(hunk), near=5) is is_near


@given(st.lists(st.integers(1, 60), unique=True, max_size=12), st.integers(1, 60), st.integers(0, 5))
def test_the_nearest_hunk_is_found_among_many(lines, first, near):
    hunks = tuple(Hunk(line, 1, line, ("x",)) for line in sorted(lines))
    expected = any(abs(line - first) <= near for line in lines)
    assert Place("a.py", first, first).is_touched(diff(*hunks), near) is expected


def test_any_change_of_a_file_is_at_a_place_without_lines():
    assert Place("a.py").is_touched(diff(Hunk(400, 1, 400, ())), near=0)
    assert not Place("a.py").is_touched(diff(path="b.py"), near=0)

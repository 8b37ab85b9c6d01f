"""Names of changes: from the trailer, else the subject, else the place in the range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.changes import LONGEST_NAME, changes_of
from agent.config import NAME
from agent.repository import LoggedCommit


def logged(*commits: str | tuple[str, str]) -> list[LoggedCommit]:
    """Commits 1, 2, ...; a text is a subject, a pair is a subject and a trailer."""
    both = [(one, "") if isinstance(one, str) else one for one in commits]
    return [LoggedCommit(str(number), *one) for number, one in enumerate(both, start=1)]


def named(*commits: str | tuple[str, str]) -> list[tuple[str, str]]:
    return [(change.name, "".join(change.commits)) for change in changes_of(logged(*commits))]


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("D: pack sequences", "D"),
        ("[D] pack sequences", "D"),
        ("[flash attention] use it", "flash-attention"),
        ("FA2: use it", "FA2"),
        ("loader(train): workers", "loader"),
        ("loader!: workers", "loader"),
        ("perf(train): D: pack sequences", "D"),
        ("perf: [D] pack sequences", "D"),
        ("perf(train): pack sequences", "c1"),
        ("fix: pack sequences", "c1"),
        ("Feat(train)!: pack sequences", "c1"),
        ("perfect: pack sequences", "perfect"),
        ("pack sequences", "c1"),
        ("pack sequences: all of them", "c1"),
        ("http://a.b/c is faster", "c1"),
        ("a:b is no tag", "c1"),
        ('Revert "D: pack"', "c1"),
        (": nothing", "c1"),
        ("[] nothing", "c1"),
        ("", "c1"),
    ],
)
def test_a_change_is_named_by_the_tag_of_its_subject_or_its_place(subject, name):
    assert named(subject) == [(name, "1")]


def test_a_trailer_goes_before_the_subject():
    assert named(("A: pack", "D")) == [("D", "1")]


def test_places_count_commits_not_changes():
    assert named("A: one", "x", "A: two", "y") == [("A", "1"), ("c2", "2"), ("A-2", "3"), ("c4", "4")]


def test_neighbours_of_one_name_are_one_change():
    assert named("A: one", ("more of it", "A"), "B: two") == [("A", "12"), ("B", "3")]


def test_neighbours_without_a_name_are_changes_of_their_own():
    assert named("x", "y") == [("c1", "1"), ("c2", "2")]


def test_neighbours_of_one_kind_are_changes_of_their_own():
    commits = ("perf(train): pack", "perf(train): workers", "fix(train): workers")
    assert named(*commits) == [("c1", "1"), ("c2", "2"), ("c3", "3")]


def test_a_name_that_comes_again_later_gets_a_number():
    assert named("A: 1", "B: 2", "A: 3", "B: 4", "A: 5") == [
        ("A", "1"),
        ("B", "2"),
        ("A-2", "3"),
        ("B-2", "4"),
        ("A-3", "5"),
    ]


def test_a_tag_that_looks_like_a_place_does_not_take_it():
    assert named("c2: first", "second") == [("c2", "1"), ("c2-2", "2")]


def test_a_long_name_is_cut():
    assert named(("x", "gradient checkpointing of every block")) == [("gradient-checkpointi", "1")]


def test_names_that_only_differ_behind_the_cut_are_two_changes():
    long = "gradient checkpointing of"
    assert named(("x", f"{long} A"), ("y", f"{long} B")) == [
        ("gradient-checkpointi", "1"),
        ("gradient-checkpointi-2", "2"),
    ]


texts = st.text(max_size=60)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=8))
def test_every_name_can_be_part_of_a_folder_and_no_two_are_the_same(commits):
    changes = changes_of(logged(*commits))
    names = [change.name for change in changes]
    assert all(NAME.fullmatch(name) and "+" not in name for name in names)
    assert all(len(name) <= LONGEST_NAME + 3 for name in names)
    assert len(set(names)) == len(names)
    assert [one for change in changes for one in change.commits] == [one.id for one in logged(*commits)]

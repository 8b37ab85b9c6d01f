"""Which changes a message names, and what follows from the commits of a range."""

import pytest

from agent.review.adherence import adherence_of
from agent.review.diff import FileDiff, Hunk
from agent.review.history import Commit, History
from agent.review.readings import names_in, plan_of, readings_of
from agent.task import AskedChange

NAMES = ["A", "B", "C", "loader", "D-2"]
BASE = "b" * 40


def commit(
    number: int, subject: str, *files: FileDiff, parent: int = 0, reverts: tuple[int, ...] = ()
) -> Commit:
    before = one(parent or number - 1) if number > 1 else BASE
    return Commit(one(number), (before,), subject, "", tuple(one(n) for n in reverts), files)


def one(number: int) -> str:
    return f"{number:040x}"


def at(
    line: int, path: str = "src/trainer.py", added: int = 1, removed: int = 1, text: str = "x"
) -> FileDiff:
    hunk = Hunk(line, removed, line, (text,) * added)
    return FileDiff("M", path, path, "100644", "100644", "0", "1", (hunk,))


def rows(commits, *changes, total=None, paths=("src/trainer.py", "src/sft.py")):
    asked = [AskedChange(name, place, "".join(words), "") for name, place, *words in changes]
    history = History(BASE, one(99), tuple(commits), total or len(commits), 0, (), ())
    plan = plan_of(asked, paths, history)
    readings = readings_of(plan, history)
    return adherence_of(plan, readings, is_complete=history.total == len(commits))


def told(*arguments, **options):
    return [(row.change.name, row.status, row.how) for row in rows(*arguments, **options)]


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("perf(train): swap SDPA — Change A", ["A"]),
        ("perf: change A", ["A"]),
        ("perf: Change A (the fast one)", ["A"]),
        ("perf: changes A and B", ["A", "B"]),
        ("perf: Changes A, B & C", ["A", "B", "C"]),
        ("perf: Changes A-C", ["A", "B", "C"]),
        ("perf: workers (B)", ["B"]),
        ("perf: workers (A, B)", ["A", "B"]),
        ("[C] workers", ["C"]),
        ("[change C] workers", ["C"]),
        ("A: faster", ["A"]),
        ("A(loader)!: faster", ["A", "loader"]),
        ("perf: D-2 (D-2)", ["D-2"]),
        ("perf: change the loader", []),
        ("perf: A better way", []),
        ("perf: (A better way)", []),
        ("perf(loader): faster", ["loader"]),
        ("perf: workers (#12)", []),
        ("perf: changed A", []),
        ("a: lower case", []),
        ("", []),
    ],
)
def test_a_subject_names_what_it_says_in_so_many_words(subject, names):
    assert list(names_in(subject, "", NAMES)) == names


def test_a_trailer_names_changes():
    assert names_in("perf: x", "A, C", NAMES) == ("A", "C")
    assert names_in("perf: x", "Z", NAMES) == ()


def test_a_message_and_the_lines_are_the_strongest_finding():
    found = told([commit(1, "perf: x — Change A", at(98))], ("A", "trainer.py:98"))
    assert found == [("A", "LANDED", "found by its message and its lines")]


def test_lines_are_followed_over_earlier_commits():
    earlier = commit(1, "docs", at(10, added=41, removed=1))
    found = told([earlier, commit(2, "perf: x", at(138))], ("A", "trainer.py:98"))
    assert found == [("A", "LANDED", "found by its lines; no message names it")]


def test_a_commit_elsewhere_in_the_file_cannot_tell():
    found = told([commit(1, "perf: x", at(200))], ("A", "trainer.py:98"))
    why = "no message names it; elsewhere in its file is 0000000 (for no claimed change)"
    assert found == [("A", "CANNOT TELL", why)]


def test_a_change_whose_file_nobody_touches_is_not_found():
    found = told([commit(1, "perf: x", at(3, "src/sft.py"))], ("A", "trainer.py:98"))
    assert found == [("A", "NOT FOUND", "no message names it; its file is not changed")]


def test_lines_changed_for_another_claimed_change_there_are_no_sign():
    found = told(
        [commit(1, "perf: x (D)", at(550))], ("D", "trainer.py:545-563"), ("E", "trainer.py:545-563")
    )
    assert found[1] == ("E", "NOT FOUND", "no message names it; at its lines is only 0000000 (for D)")


def test_lines_changed_by_the_commit_of_a_change_elsewhere_cannot_tell():
    both = commit(1, "perf: x (A)", at(98), at(3, "src/sft.py"))
    found = told([both], ("A", "trainer.py:98"), ("G", "sft.py:3"))
    assert found[1] == ("G", "CANNOT TELL", "no message names it; at its lines is 0000000 (for A)")


def test_two_changes_at_the_same_lines_by_lines_alone_cannot_be_told_apart():
    found = told([commit(1, "perf: x", at(310))], ("C", "trainer.py:302-322"), ("D", "trainer.py:302-322"))
    assert [status for _, status, _ in found] == ["CANNOT TELL", "CANNOT TELL"]
    assert found[0][2] == "no message names it, and its lines are those of D too"


def test_a_fix_lands_nothing_by_lines_alone():
    found = told([commit(1, "fix: crash", at(98))], ("A", "trainer.py:98"))
    assert found == [("A", "CANNOT TELL", "no message names it; at its lines is 0000000 (a fix)")]


def test_a_fix_that_is_named_lands_its_change():
    assert told([commit(1, "fix: crash (A)", at(98))], ("A", "trainer.py:98"))[0][1] == "LANDED"


def test_a_later_fix_of_the_lines_that_a_change_wrote_is_its_follow_up():
    first = commit(1, "perf: x (A)", at(98, added=10))
    between = commit(2, "docs", at(1, added=4))  # three lines more above
    [row] = rows([first, between, commit(3, "fix: y", at(110))], ("A", "trainer.py:98"))
    assert [c.id for c in row.commits] == [one(1)]
    assert [c.id for c in row.follow_ups] == [one(3)]


def test_a_fix_beside_the_lines_that_a_change_wrote_is_none_of_it():
    [row] = rows([commit(1, "perf: x (A)", at(98)), commit(2, "fix: y", at(200))], ("A", "trainer.py:98"))
    assert row.follow_ups == ()


def test_a_change_in_two_commits_has_both_and_a_fix_by_name_is_a_follow_up():
    commits = [
        commit(n, subject, at(98)) for n, subject in enumerate(("x (A)", "y (A)", "fix: z (A)"), start=1)
    ]
    [row] = rows(commits, ("A", "trainer.py:98"))
    assert [c.id for c in row.commits] == [one(1), one(2)]
    assert [c.id for c in row.follow_ups] == [one(3)]


def test_a_change_that_was_taken_back_is_not_found():
    back = commit(2, 'Revert "x (A)"', at(98), reverts=(1,))
    assert told([commit(1, "x (A)", at(98)), back], ("A", "trainer.py:98")) == [
        ("A", "NOT FOUND", "landed in 0000000 and was taken back")
    ]


def test_a_revert_that_was_taken_back_brings_the_change_back():
    back = commit(2, 'Revert "x (A)"', at(98), reverts=(1,))
    again = commit(3, 'Reapply "x (A)"', at(98), reverts=(2,))
    assert told([commit(1, "x (A)", at(98)), back, again], ("A", "trainer.py:98"))[0][1] == "LANDED"


def test_an_empty_commit_lands_nothing():
    assert told([commit(1, "x (A)")], ("A", "trainer.py:98")) == [
        ("A", "CANNOT TELL", "its commit changes no file")
    ]


def test_a_commit_that_is_named_and_leaves_the_named_file_alone_cannot_tell():
    found = told([commit(1, "x (A)", at(3, "src/sft.py"))], ("A", "trainer.py:98"))
    assert found == [("A", "CANNOT TELL", "its commit does not touch the named file")]


def test_of_two_named_files_the_untouched_one_is_told():
    [row] = rows([commit(1, "x (A)", at(98))], ("A", "trainer.py:98 and sft.py:3"))
    assert (row.status, row.untouched) == ("LANDED", ("src/sft.py:3",))


def test_a_change_without_a_place_needs_a_message():
    assert told([commit(1, "x (A)", at(98))], ("A", "")) == [("A", "LANDED", "found by its message")]
    assert told([commit(1, "x", at(98))], ("A", "everywhere")) == [
        ("A", "CANNOT TELL", "no message names it, and the issue names no file for it")
    ]


def test_a_history_that_was_not_read_whole_finds_nothing_missing():
    found = told([commit(1, "docs", at(3, "README.md"))], ("A", "trainer.py:98"), total=300)
    assert found == [("A", "CANNOT TELL", "no message names it; not every commit could be looked at alone")]


def test_a_file_that_comes_into_being_in_the_range_is_a_place():
    new = FileDiff("A", "src/new.py", "src/new.py", "000000", "100644", "0", "1", (Hunk(1, 0, 1, ("x",)),))
    assert told([commit(1, "perf: x", new)], ("A", "new.py"))[0][1] == "LANDED"


def test_a_commit_off_another_root_has_no_lines_to_follow():
    stray = Commit(one(1), ("f" * 40,), "perf: x", "", (), (at(98),))
    assert told([stray], ("A", "trainer.py:98"))[0][1] == "CANNOT TELL"


SHARED = (
    ("B", "trainer.py:321", '`packing=False` to `training.get("packing", False)`'),
    ("C", "trainer.py:302-322", "Add `dataloader_num_workers=4`, `dataloader_pin_memory=True`"),
    ("D", "trainer.py:302-322 and trainer.py:545-563", "Add `use_liger_kernel=True` guarded by `try/except`"),
    ("E", "trainer.py:545-563", "Add `precompute_ref_log_probs=True`"),
)


def test_changes_at_the_same_lines_are_told_apart_by_their_words():
    commits = [
        commit(1, "perf: configurable packing", at(321, text='    packing=training.get("packing", False),')),
        commit(2, "perf: loader workers", at(310, text="    dataloader_num_workers=4,")),
        commit(3, "perf: fused", at(312, text="use_liger_kernel=True,"), at(550, "src/sft.py")),
        commit(4, "perf: reference first", at(550, text="precompute_ref_log_probs=True,")),
        commit(5, "fix: both together crash", at(550, text="precompute_ref_log_probs=not use_liger_kernel,")),
    ]
    found = rows(commits, *SHARED)
    assert [(row.change.name, row.status, [c.id for c in row.commits]) for row in found] == [
        ("B", "LANDED", [one(1)]),
        ("C", "LANDED", [one(2)]),
        ("D", "LANDED", [one(3)]),
        ("E", "LANDED", [one(4)]),
    ]
    assert {row.how for row in found} == {"found by its lines and words; no message names it"}
    assert [c.id for c in found[3].follow_ups] == [one(5)]


def test_a_commit_with_the_words_of_two_changes_at_their_lines_cannot_be_told_apart():
    both = commit(1, "perf: all", at(310, text="dataloader_num_workers=4, use_liger_kernel=True"))
    found = rows([both], *SHARED)
    assert [row.status for row in found[1:3]] == ["CANNOT TELL", "CANNOT TELL"]

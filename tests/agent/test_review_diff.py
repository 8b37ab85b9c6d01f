"""Diffs as git prints them: what is read agrees with what git counts, whatever the lines look like."""

import subprocess

import pytest

from agent.review.diff import files_of
from agent.review.history import read_history
from agent.review.objects import opened
from tests.agent.reviewed import Repository

TRICKY = (
    "diff --git a/x b/x\n",
    "@@ -1,3 +1,3 @@\n",
    "--- a/x\n+++ b/x\n",
    "-- \n",
    "++ \n",
    "Binary files a/x and b/x differ\n",
    "\\ No newline at end of file\n",
    "no newline at the end",
    ":100644 100644 a b M\tx\n",
    "\r\n\r\n",
    "\x0c\n\x0b\n",
    "",
)


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path / "repository")


def history(repository: Repository, before: str, after: str):
    with opened(repository.root) as objects:
        return read_history(objects, before, after)


def numstat(repository: Repository, before: str, after: str) -> dict[str, tuple[str, str]]:
    printed = repository.git("diff", "--numstat", "--find-renames", "-z", before, after)
    return {
        path: (added, removed) for added, removed, path in (r.split("\t") for r in printed.split("\0") if r)
    }


@pytest.mark.parametrize("old", TRICKY)
def test_lines_that_look_like_a_diff_are_counted_as_lines(repository, old):
    before = repository.commit(
        "before", {f"f{n}": old + text for n, text in enumerate(TRICKY)} | {"z": "z\n"}
    )
    after = repository.commit(
        "after", {f"f{n}": text + old + text for n, text in enumerate(TRICKY)} | {"z": "y\n"}
    )
    files = history(repository, before, after).files
    assert {f.path: (str(f.added), str(f.removed)) for f in files} == numstat(repository, before, after)
    [last] = [file for file in files if file.path == "z"]
    assert list(last.added_lines) == [(1, "y")]


def test_added_lines_have_the_numbers_of_the_file_after(repository):
    text = "".join(f"{n}\n" for n in range(1, 11))
    before = repository.commit("before", {"f": text})
    after = repository.commit(
        "after", {"f": "0\n" + text.replace("5\n", "five\n").replace("9\n", "") + "11\n"}
    )
    [file] = history(repository, before, after).files
    assert list(file.added_lines) == [(1, "0"), (6, "five"), (11, "11")]
    assert [(hunk.old, hunk.removed, hunk.new) for hunk in file.hunks] == [
        (1, 0, 1),
        (5, 1, 6),
        (9, 1, 10),
        (11, 0, 11),
    ]


def test_every_kind_of_change_is_one_file(repository):
    long = "".join(f"line {n}\n" for n in range(50))
    names = ("gone", "mode", "moved\there", "to link", "empty", "same")
    before = repository.commit("before", {**dict.fromkeys(names, long), "moved\there": f"{long}moved\n"})
    for name in ("gone", "to link"):
        (repository.root / name).unlink()
    (repository.root / "mode").chmod(0o755)
    (repository.root / "moved\there").rename(repository.root / 'moved "there"')
    (repository.root / "to link").symlink_to("same")
    after = repository.commit("after", {"empty": "", "born": "", "ü": "x\n", "after": "z\n"})
    found = {
        file.path: (file.status, file.old_path, file.added, file.removed)
        for file in history(repository, before, after).files
    }
    assert found == {
        "after": ("A", "after", 1, 0),
        "born": ("A", "born", 0, 0),
        "empty": ("M", "empty", 0, 50),
        "gone": ("D", "gone", 0, 50),
        "mode": ("M", "mode", 0, 0),
        'moved "there"': ("R", "moved\there", 0, 0),
        "to link": ("T", "to link", 1, 50),
        "ü": ("A", "ü", 1, 0),
    }


def test_a_diff_that_is_too_long_is_a_list_of_files_and_said(repository, monkeypatch):
    before = repository.commit("before", {"a": "x\n"})
    after = repository.commit("after", {"a": "y\n" * 5_000, "b": "z\n"})
    monkeypatch.setattr("agent.review.history.DIFF_LIMIT_B", 2_000)
    read = history(repository, before, after)
    assert [(file.path, file.added) for file in read.files] == [("a", 0), ("b", 0)]
    assert read.doubts == (f"the diff of {after[:7]} is too long: only its list of files was read",) * 2


def test_a_worktree_and_a_clone_that_borrows_are_read_like_the_repository(repository, tmp_path):
    before = repository.commit("before", {"a": "x\n"})
    after = repository.commit("after", {"a": "y\n"})
    repository.git("worktree", "add", "--quiet", str(tmp_path / "tree"))
    repository.git("clone", "--quiet", "--shared", ".", str(tmp_path / "borrower"))
    for folder in (tmp_path / "tree", tmp_path / "borrower"):
        with opened(folder) as objects:
            assert read_history(objects, before, after) == history(repository, before, after)


def test_a_shallow_clone_is_read_as_far_as_it_goes(repository, tmp_path):
    for n in range(3):
        repository.commit(f"older {n}", {"a": f"{n}\n"})
    before = repository.commit("before", {"a": "x\n"})
    after = repository.commit("after", {"a": "y\n"})
    url = repository.root.as_uri()
    subprocess.run(["git", "clone", "--quiet", "--depth", "2", url, str(tmp_path / "shallow")], check=True)
    with opened(tmp_path / "shallow") as objects:
        assert [commit.subject for commit in read_history(objects, before, after).commits] == ["after"]


def test_what_git_never_prints_is_refused():
    with pytest.raises(ValueError, match="not a line of a raw diff"):
        files_of(b":nonsense\n")
    with pytest.raises(ValueError, match="2 parts of a diff of 1"):
        files_of(b":100644 100644 aa bb M\tx\n\ndiff --git a/x b/x\ndiff --git a/y b/y\n")

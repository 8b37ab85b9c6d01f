"""Reverted commits on real git repositories: what is left, that it stays so, and what cannot be reverted.

The source changes three lines in three commits: A the first, B the second, C both neighbours of the last.
"""

import os
from pathlib import Path

import pytest

from bench.worker.source import Mirror, RevertError, SourceError, Worktree, git
from tests.e2e.conftest import commit, contents, make_repository
from tests.e2e.conftest import git as in_repository

APART = "\n\n\n\n"  # more than git's three lines of context


def lines(*values: str) -> dict[str, str]:
    return {"a": APART.join(values) + "\n"}


@pytest.fixture
def source(tmp_path) -> Path:
    return make_repository(tmp_path / "source", {**lines("0", "0", "0"), ".gitignore": "*.log\n"})


@pytest.fixture
def commits(source) -> dict[str, str]:
    return {
        "A": commit(source, lines("A", "0", "0")),
        "B": commit(source, lines("A", "B", "0")),
        "C": commit(source, lines("A", "B", "C")),
    }


@pytest.fixture
def mirror(tmp_path, source, commits) -> Mirror:
    mirror = Mirror(tmp_path / "workspace", str(source))
    mirror.fetch(commits["C"])
    return mirror


def values(worktree: Worktree) -> list[str]:
    return (worktree.folder / "a").read_text().split()


def told(function, *arguments: object) -> str:
    with pytest.raises(RevertError) as caught:
        function(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_reverted_commit_is_gone_and_the_later_ones_are_there(tmp_path, mirror, commits):
    tree = mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["A"]])
    assert values(tree) == ["0", "B", "C"]
    assert (tree.commit, tree.reverts) == (commits["C"], (commits["A"],))


def test_several_commits_are_reverted_in_the_order_given(tmp_path, mirror, commits):
    tree = mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["C"], commits["A"]])
    assert values(tree) == ["0", "B", "0"]


def test_commits_on_the_same_lines_revert_newest_first_only(tmp_path, source, commits):
    newest = commit(source, lines("AA", "B", "C"))
    mirror = Mirror(tmp_path / "workspace", str(source))
    mirror.fetch(newest)
    tree = mirror.lay_worktree(newest, tmp_path / "tree", [newest, commits["A"]])
    assert values(tree) == ["0", "B", "C"]
    why = told(mirror.lay_worktree, newest, tmp_path / "other", [commits["A"], newest])
    assert why == f"does not revert cleanly: commit {commits['A'][:12]}"


def test_a_conflict_leaves_no_worktree_and_the_mirror_goes_on(tmp_path, source, commits):
    newest = commit(source, lines("AA", "B", "C"))
    mirror = Mirror(tmp_path / "workspace", str(source))
    mirror.fetch(newest)
    told(mirror.lay_worktree, newest, tmp_path / "tree", [commits["A"]])
    assert not (tmp_path / "tree").exists()
    assert git("--git-dir", str(mirror.path), "worktree", "list", "--porcelain").count("worktree ") == 1
    assert values(mirror.lay_worktree(newest, tmp_path / "tree", [commits["B"]])) == ["AA", "0", "C"]


def test_the_last_commit_reverted_is_the_tree_before_it(tmp_path, mirror, commits):
    tree = mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["C"]])
    assert tree.tree == mirror.lay_worktree(commits["B"], tmp_path / "other").tree


def test_a_worktree_knows_the_id_of_its_tree(tmp_path, source, mirror, commits):
    tree = mirror.lay_worktree(commits["C"], tmp_path / "tree")
    assert tree.tree == in_repository(source, "rev-parse", f"{commits['C']}^{{tree}}")
    assert tree.head == commits["C"]


def test_the_same_reverts_are_the_same_commit_in_another_mirror_at_another_time(
    tmp_path, source, mirror, commits, monkeypatch
):
    one = mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["A"]])
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00")
    other = Mirror(tmp_path / "another", str(source))
    other.fetch(commits["C"])
    assert other.lay_worktree(commits["C"], tmp_path / "other", [commits["A"]]).head == one.head


def test_a_machine_whose_user_has_no_name_in_git_can_revert(tmp_path, mirror, commits, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    tree = mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["B"]])
    shown = in_repository(tree.folder, "show", "--no-patch", "--format=%an <%ae> %ct %s", "HEAD")
    assert shown == f"paceline <paceline@localhost> 0 without {commits['B'][:12]}"


def test_a_tree_with_reverts_is_put_back_to_what_it_was(tmp_path, mirror, commits):
    tree = mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["A"]])
    (tree.folder / "a").write_text("changed\n")
    (tree.folder / "train.log").write_text("ignored\n")
    in_repository(tree.folder, "checkout", "--quiet", "--force", commits["B"])
    tree.restore()
    assert values(tree) == ["0", "B", "C"]
    assert not (tree.folder / "train.log").exists()
    assert in_repository(tree.folder, "status", "--porcelain") == ""


def test_a_tree_with_reverts_that_a_subject_damaged_is_laid_with_them(tmp_path, mirror, commits):
    tree = mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["A"]])
    (tree.folder / ".git").unlink()
    tree.restore()
    assert values(tree) == ["0", "B", "C"]


def test_reverting_leaves_the_source_as_it_is(tmp_path, source, mirror, commits):
    before = contents(source)
    mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["A"]])
    assert contents(source) == before


def test_a_commit_that_the_tip_does_not_hold_is_refused(tmp_path, source, mirror, commits):
    in_repository(source, "checkout", "--quiet", "-b", "side", commits["A"])
    stray = commit(source, lines("A", "0", "S"))
    mirror.fetch(stray)
    why = told(mirror.lay_worktree, commits["C"], tmp_path / "tree", [stray])
    assert why == f"cannot be reverted: commit {stray[:12]} is no part of {commits['C'][:12]}"


def test_a_commit_that_nobody_has_is_refused(tmp_path, mirror, commits):
    why = told(mirror.lay_worktree, commits["C"], tmp_path / "tree", ["f" * 40])
    assert why.startswith("cannot be reverted: commit ffffffffffff is no part of")


@pytest.fixture
def merged(source, commits) -> dict[str, str]:
    """main: C, M (merges S, which changed the third line), then D; S is on a branch from B."""
    in_repository(source, "checkout", "--quiet", "-b", "side", commits["B"])
    side = commit(source, {"side": "S\n"})
    in_repository(source, "checkout", "--quiet", "main")
    in_repository(source, "merge", "--quiet", "--no-ff", "--message", "merge", "side")
    merge = in_repository(source, "rev-parse", "HEAD")
    return {"side": side, "merge": merge, "tip": commit(source, {"d": "D\n"})}


def test_a_merge_on_the_first_parent_line_takes_back_all_that_it_brought(tmp_path, source, merged):
    mirror = Mirror(tmp_path / "workspace", str(source))
    mirror.fetch(merged["tip"])
    tree = mirror.lay_worktree(merged["tip"], tmp_path / "tree", [merged["merge"]])
    assert sorted(path.name for path in tree.folder.iterdir()) == [".git", ".gitignore", "a", "d"]
    assert values(tree) == ["A", "B", "C"]


def test_a_merge_beside_the_first_parent_line_is_refused(tmp_path, source, merged, commits):
    in_repository(source, "checkout", "--quiet", "-b", "other", commits["A"])
    commit(source, {"o": "O\n"})
    in_repository(source, "merge", "--quiet", "--no-ff", "--message", "take main in", merged["tip"])
    tip = in_repository(source, "rev-parse", "HEAD")
    mirror = Mirror(tmp_path / "workspace", str(source))
    mirror.fetch(tip)
    why = told(mirror.lay_worktree, tip, tmp_path / "tree", [merged["merge"]])
    assert f"{merged['merge'][:12]} is a merge beside the first-parent line of {tip[:12]}" in why


def test_merge_drivers_and_filters_of_the_user_do_not_run(tmp_path, source, monkeypatch):
    commit(source, {**lines("A", "0", "0"), ".gitattributes": "* filter=f merge=m\n"})
    middle = commit(source, lines("A", "0", "C"))
    tip = commit(source, lines("B", "0", "C"))  # so that reverting the one before has to merge
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[merge \"m\"]\n\tdriver = touch '{tmp_path}/owned'\n"
        f"[filter \"f\"]\n\tsmudge = touch '{tmp_path}/owned'; cat\n\tclean = cat\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    mirror = Mirror(tmp_path / "workspace", str(source))
    mirror.fetch(tip)
    assert values(mirror.lay_worktree(tip, tmp_path / "tree", [middle])) == ["B", "0", "0"]
    assert not (tmp_path / "owned").exists()


def test_what_is_no_conflict_is_told_as_it_is(tmp_path, mirror, commits, monkeypatch):
    """A machine in trouble is no reason to call an arm not measured."""
    real = tmp_path / "bin" / "git"
    real.parent.mkdir()
    whole = os.environ["PATH"]
    real.write_text(
        '#!/bin/sh\ncase "$*" in *revert*) echo "fatal: disk full" >&2; exit 128;; esac\n'
        f'PATH="{whole}" exec git "$@"\n'
    )
    real.chmod(0o755)
    monkeypatch.setenv("PATH", f"{real.parent}{os.pathsep}{whole}")
    with pytest.raises(SourceError, match="disk full") as caught:
        mirror.lay_worktree(commits["C"], tmp_path / "tree", [commits["A"]])
    assert not isinstance(caught.value, RevertError)

"""Mirrors and worktrees on real git repositories: the commit as it is, and nobody else's tree touched."""

import contextlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.worker.source import Mirror, SourceError, Worktree, git
from tests.e2e.conftest import commit, contents, make_repository
from tests.e2e.conftest import git as in_repository

YAML = """
dpo:
  beta: 0.1   # as in the paper
  "quoted": 2,
betas = (0.9, 0.999)
  'loss' = "sigmoid"
empty:
  inner: 3
"""


@pytest.fixture
def source(tmp_path) -> Path:
    return make_repository(tmp_path / "source", {"a": "one\n", "folder/b": "two\n", ".gitignore": "*.log\n"})


@pytest.fixture
def first(source) -> str:
    return in_repository(source, "rev-parse", "HEAD")


@pytest.fixture
def mirror(tmp_path, source) -> Mirror:
    return Mirror(tmp_path / "workspace", str(source))


@pytest.fixture
def worktree(tmp_path, mirror, first) -> Worktree:
    mirror.fetch(first)
    return mirror.lay_worktree(first, tmp_path / "trees" / first)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home folder with settings of a user, beside which no other settings count."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


def files(worktree: Worktree) -> dict[str, str]:
    return {
        str(path.relative_to(worktree.folder)): path.read_text()
        for path in sorted(worktree.folder.rglob("*"))
        if path.is_file() and path.name != ".git"
    }


WHOLE = {"a": "one\n", "folder/b": "two\n", ".gitignore": "*.log\n"}


def told(function, *arguments: object) -> str:
    with pytest.raises(SourceError) as caught:
        function(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_worktree_holds_the_files_of_its_commit(worktree):
    assert files(worktree) == WHOLE


def test_a_worktree_of_an_older_commit_is_that_commit(tmp_path, source, mirror, first):
    commit(source, {"a": "newer\n"})
    mirror.fetch(first)
    assert files(mirror.lay_worktree(first, tmp_path / "tree")) == WHOLE


def test_a_commit_that_no_branch_reaches_can_be_had(tmp_path, source, mirror):
    orphan = commit(source, {"a": "orphan\n"})
    in_repository(source, "reset", "--quiet", "--hard", "HEAD~1")
    mirror.fetch(orphan)
    assert files(mirror.lay_worktree(orphan, tmp_path / "tree"))["a"] == "orphan\n"


def test_fetching_and_laying_leave_the_source_as_it_is(tmp_path, source, mirror, first):
    (source / "a").write_text("half-done work\n")
    before = contents(source)
    mirror.fetch(first)
    tree = mirror.lay_worktree(first, tmp_path / "tree")
    tree.restore()
    mirror.drop_worktree(tree)
    assert contents(source) == before


def test_a_commit_that_is_here_needs_no_source(tmp_path, source, mirror, first):
    mirror.fetch(first)
    source.rename(tmp_path / "gone")
    mirror.fetch(first)
    assert files(mirror.lay_worktree(first, tmp_path / "tree")) == WHOLE


def test_mirrors_of_two_sources_are_two(tmp_path):
    assert Mirror(tmp_path, "/a").path != Mirror(tmp_path, "/b").path


def test_a_commit_that_is_not_there_is_named(mirror):
    assert "f" * 40 in told(mirror.fetch, "f" * 40)


def test_a_source_that_is_no_repository_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in told(Mirror(tmp_path / "w", str(tmp_path / "empty")).fetch, "f" * 40)


def test_a_source_that_looks_like_an_option_is_not_one(tmp_path):
    mirror = Mirror(tmp_path / "w", f"--upload-pack=touch {tmp_path}/owned")
    told(mirror.fetch, "f" * 40)
    assert not (tmp_path / "owned").exists()


def test_a_machine_without_git_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told(git, "version") == "git is not installed on this machine"


@pytest.fixture
def endless_git(tmp_path, monkeypatch) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_a_git_that_does_not_end_is_ended(endless_git):
    with pytest.raises(SourceError, match=r"did not end in 0 s$"):
        git("fetch", limit_s=0.01)


def test_a_git_that_does_not_end_is_named_by_its_command(endless_git):
    with pytest.raises(SourceError, match="git fetch did not end"):
        git("--git-dir", "x", "fetch", limit_s=0.01)


def test_restoring_puts_files_back_and_deletes_all_others(worktree):
    folder = worktree.folder
    (folder / "a").write_text("changed\n")
    (folder / "folder" / "b").unlink()
    (folder / "new" / "deep").mkdir(parents=True)
    (folder / "new" / "deep" / "c").write_text("untracked\n")
    (folder / "train.log").write_text("ignored\n")
    worktree.restore()
    assert files(worktree) == WHOLE
    assert not (folder / "new").exists()


def test_restoring_deletes_a_repository_inside(worktree):
    make_repository(worktree.folder / "nested", {"x": "x"})
    worktree.restore()
    assert not (worktree.folder / "nested").exists()


def test_restoring_follows_no_link(tmp_path, worktree):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine\n")
    (worktree.folder / "link").symlink_to(tmp_path / "mine")
    (worktree.folder / "a").unlink()
    (worktree.folder / "a").symlink_to(tmp_path / "mine" / "file")
    worktree.restore()
    assert files(worktree) == WHOLE
    assert (tmp_path / "mine" / "file").read_text() == "mine\n"


def test_restoring_undoes_commits_and_permissions_of_a_subject(worktree):
    (worktree.folder / "folder" / "b").chmod(0o755)
    commit(worktree.folder, {"a": "committed by the subject\n"})
    worktree.restore()
    assert files(worktree) == WHOLE
    assert in_repository(worktree.folder, "rev-parse", "HEAD") == worktree.commit
    assert not os.access(worktree.folder / "folder" / "b", os.X_OK)


def test_a_worktree_that_is_there_already_is_laid_anew(mirror, worktree):
    (worktree.folder / "left").write_text("over\n")
    assert files(mirror.lay_worktree(worktree.commit, worktree.folder)) == WHOLE


def test_two_jobs_have_worktrees_of_one_commit(tmp_path, mirror, worktree):
    other = mirror.lay_worktree(worktree.commit, tmp_path / "other")
    (other.folder / "a").write_text("of the other job\n")
    assert files(worktree) == WHOLE


def test_a_dropped_worktree_is_gone_and_forgotten(mirror, worktree):
    mirror.drop_worktree(worktree)
    assert not worktree.folder.exists()
    assert git("--git-dir", str(mirror.path), "worktree", "list", "--porcelain").count("worktree ") == 1


def test_two_workers_at_once_both_get_their_trees(tmp_path, source, first):
    second = commit(source, {"a": "newer\n"})

    def work(number: int) -> list[str]:
        mirror = Mirror(tmp_path / "workspace", str(source))
        seen = []
        for commit_id in (first, second):
            mirror.fetch(commit_id)
            seen.append(files(mirror.lay_worktree(commit_id, tmp_path / str(number) / commit_id))["a"])
        return seen

    with ThreadPoolExecutor(2) as workers:
        assert list(workers.map(work, (1, 2))) == [["one\n", "newer\n"]] * 2


def test_a_tree_that_lost_its_git_file_never_resets_the_repository_around_it(source, first):
    """`.paceline` lies in the user's repository as a rule: their work and their branch are not ours."""
    mirror = Mirror(source / ".paceline", str(source))
    mirror.fetch(first)
    worktree = mirror.lay_worktree(first, source / ".paceline" / "trees" / first)
    newer = commit(source, {"a": "newer\n"})
    (source / "a").write_text("half-done work\n")
    (worktree.folder / ".git").unlink()
    with contextlib.suppress(SourceError):
        worktree.restore()
    assert (source / "a").read_text() == "half-done work\n"
    assert in_repository(source, "rev-parse", "main") == newer


@pytest.mark.parametrize("damage", ["git file", "folder", "lock"])
def test_a_tree_that_a_subject_damaged_is_whole_again(worktree, damage):
    if damage == "git file":
        (worktree.folder / ".git").unlink()
    elif damage == "folder":
        subprocess.run(["rm", "-rf", worktree.folder], check=True)
    else:  # a git of the subject that was killed
        place = Path(in_repository(worktree.folder, "rev-parse", "--absolute-git-dir"))
        (place / "index.lock").touch()
    worktree.restore()
    assert files(worktree) == WHOLE


def test_hooks_of_the_user_do_not_run(tmp_path, home, mirror, first):
    hook = home / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/owned'\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(f"[core]\n\thooksPath = {hook.parent}\n")
    mirror.fetch(first)
    mirror.lay_worktree(first, tmp_path / "tree").restore()
    assert not (tmp_path / "owned").exists()


def test_filters_of_the_source_do_not_run(tmp_path, source, mirror):
    in_repository(source, "config", "filter.f.smudge", f"touch '{tmp_path}/owned'; cat")
    filtered = commit(source, {".gitattributes": "* filter=f\n"})
    mirror.fetch(filtered)
    assert files(mirror.lay_worktree(filtered, tmp_path / "tree"))["a"] == "one\n"
    assert not (tmp_path / "owned").exists()


def test_filters_of_the_user_do_not_run(tmp_path, home, source, mirror):
    (home / ".gitconfig").write_text('[filter "f"]\n\tsmudge = tr a-z A-Z\n\tclean = cat\n')
    filtered = commit(source, {".gitattributes": "* filter=f\n"})
    mirror.fetch(filtered)
    assert files(mirror.lay_worktree(filtered, tmp_path / "tree"))["a"] == "one\n"


def test_line_ends_are_those_of_the_commit(tmp_path, home, mirror, first):
    (home / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    mirror.fetch(first)
    assert (mirror.lay_worktree(first, tmp_path / "tree").folder / "a").read_bytes() == b"one\n"


def test_variables_that_point_git_elsewhere_are_not_obeyed(tmp_path, source, mirror, first, monkeypatch):
    other = make_repository(tmp_path / "other", {"a": "other\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    mirror.fetch(first)
    tree = mirror.lay_worktree(first, tmp_path / "tree")
    tree.restore()
    assert files(tree) == WHOLE
    assert (other / "a").read_text() == "other\n"


@pytest.mark.parametrize(
    ("protected", "value"),
    [
        ("c.yaml:beta", "0.1   # as in the paper"),
        ("c.yaml:dpo.beta", "0.1   # as in the paper"),
        ("c.yaml:quoted", "2"),
        ("c.yaml:betas", "(0.9, 0.999)"),
        ("c.yaml:loss", '"sigmoid"'),
        ("c.yaml:bet", ""),
        ("c.yaml:eta", ""),
        ("c.yaml:.*", ""),
        ("gone.yaml:beta", ""),
        ("folder:beta", ""),
        ("binary:beta", ""),
    ],
)
def test_a_protected_value_is_the_text_behind_its_key(tmp_path, protected, value):
    (tmp_path / "c.yaml").write_text(YAML)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    assert Worktree(tmp_path, "f" * 40).value_of(protected) == value


def test_a_key_without_a_value_has_none(tmp_path):
    (tmp_path / "c.yaml").write_text(YAML)
    assert Worktree(tmp_path, "f" * 40).value_of("c.yaml:empty") == ""

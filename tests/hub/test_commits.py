"""What the tracker says about git repositories, held against git itself."""

import subprocess

import pytest
from github import GithubException, InputGitAuthor, InputGitTreeElement

from agent.hub.building import CheckedOut, move_ref
from agent.hub.git import GitError
from agent.hub.history import changes
from tests.hub.conftest import NAME, Git


def status_of(ask):
    with pytest.raises(GithubException) as told:
        ask()
    return told.value.status


def test_compare_counts_both_sides_as_git_does(repository, repo):
    base = repository("rev-parse", "main")
    repository("checkout", "--quiet", "-b", "topic", "main~1")
    mine = [repository.commit(f"topic {n}", **{f"file{n}": f"{n}\n"}) for n in range(3)]
    told = repo.compare("main", "topic")
    assert (told.status, told.ahead_by, told.behind_by, told.total_commits) == ("diverged", 3, 1, 3)
    assert [one.sha for one in told.commits] == mine
    assert told.merge_base_commit.sha == repository("merge-base", "main", "topic")
    assert told.base_commit.sha == base
    assert [one.filename for one in told.files] == ["file0", "file1", "file2"], "since the common ancestor"


def test_a_commit_that_no_branch_reaches_is_found_and_told_to_be_ahead(repository, repo):
    tip = repository("rev-parse", "main")
    repository("checkout", "--quiet", "--detach")
    lost = repository.commit("lost", lost="x\n")
    repository("checkout", "--quiet", "main")
    assert repo.get_commit(lost).sha == lost
    told = repo.compare("main", lost)
    assert (told.status, told.ahead_by) == ("ahead", 1), "so it is not reachable from main"
    assert repo.compare(tip, "main").status == "identical"
    assert repo.compare("main", repository("rev-parse", "main~1")).status == "behind"


def test_unrelated_histories_have_nothing_to_compare(repository, repo):
    repository("checkout", "--quiet", "--orphan", "island")
    repository.commit("alone", alone="x\n")
    assert status_of(lambda: repo.compare("main", "island")) == 404


def test_compare_pages_its_commits_and_gives_files_once(repository, repo):
    base = repository("rev-parse", "main")
    made = [repository.commit(f"{n}", counter=f"{n}\n") for n in range(5)]
    first = repo.compare(base, "main", comparison_commits_per_page=2)
    assert [one.sha for one in first.commits] == made
    assert first.total_commits == 5
    assert len(first.files) == 1


def test_a_fork_of_somebody_is_not_here(repo):
    assert repo.compare("acme:main", "acme:target:main").status == "identical"
    assert status_of(lambda: repo.compare("main", "stranger:main")) == 404


def test_files_say_what_happened_to_them(repository, repo):
    text = "".join(f"line {n}\n" for n in range(30))
    before = repository.commit("before", old=text, gone="a\nb\n", binary=b"\0\1\2", same="x\n")
    repository("mv", "old", "new name\twith tab")
    after = repository.commit("after", gone=None, binary=b"\0\1\3\4", added="1\n2\n3\n", same="x\ny\n")
    told = {
        one.filename: (one.status, one.additions, one.deletions, one.previous_filename)
        for one in repo.compare(before, after).files
    }
    assert told == {
        "added": ("added", 3, 0, None),
        "binary": ("modified", 0, 0, None),
        "gone": ("removed", 0, 2, None),
        "new name\twith tab": ("renamed", 0, 0, "old"),
        "same": ("modified", 1, 0, None),
    }


def test_numbers_are_those_of_numstat(repository, repo):
    told = repo.get_commit("main")
    printed = repository("diff", "--numstat", "main~1", "main").split()
    assert [str(told.files[0].additions), str(told.files[0].deletions)] == printed[:2]
    assert told.stats.total == told.stats.additions + told.stats.deletions == 1


def test_the_first_commit_adds_everything(repository):
    first = repository("rev-parse", "main~1")
    assert {one.path: one.status for one in changes(repository.path, None, first)} == {
        "README": "added",
        "paceline.toml": "added",
    }


def test_drivers_and_hooks_of_the_repository_do_not_run(repository, repo, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/owned'\n")
    trap.chmod(0o755)
    repository("config", "diff.external", str(trap))
    repository("config", "diff.mine.textconv", str(trap))
    repository("config", "core.fsmonitor", str(trap))
    repository("config", "core.hooksPath", str(tmp_path))
    (tmp_path / "reference-transaction").write_bytes(trap.read_bytes())
    (tmp_path / "reference-transaction").chmod(0o755)
    (repository.path / ".git/info/attributes").write_text("* diff=mine filter=mine\n")
    tip = repo.get_branch("main").commit.sha
    assert repo.compare(repo.get_commit("main").parents[0].sha, "main").files
    repo.create_git_ref("refs/heads/x", tip)
    assert not (tmp_path / "owned").exists()


def test_contents_of_the_default_branch(repository, repo):
    file = repo.get_contents("paceline.toml")
    assert file.decoded_content == (repository.path / "paceline.toml").read_bytes()
    old = repo.get_contents("README", ref=repository("rev-parse", "main~1"))
    assert old.decoded_content == b"hello\n"


def test_contents_are_bytes_and_folders_are_lists(repository, repo):
    repository.commit("more", **{"data/bytes": bytes(range(256)), "data/a b#?.txt": "x"})
    (repository.path / "data" / "link").symlink_to("/etc/passwd")
    repository.commit("link")
    assert repo.get_contents("data/bytes").decoded_content == bytes(range(256))
    assert repo.get_contents("data/a b#?.txt").decoded_content == b"x"
    assert {(one.name, one.type) for one in repo.get_contents("data")} == {
        ("a b#?.txt", "file"),
        ("bytes", "file"),
        ("link", "symlink"),
    }
    assert repo.get_contents("data/link").decoded_content == b"/etc/passwd", "the link, not where it leads"


@pytest.mark.parametrize("path", ["/etc/passwd", ".git/config", "README/x", "no"])
def test_a_path_that_is_not_in_the_commit_is_404(repo, path):
    assert status_of(lambda: repo.get_contents(path)) == 404


def test_the_clone_url_clones_and_gives_single_commits(repo, repository, tmp_path):
    lost = repository("commit-tree", "-m", "lost", "main^{tree}")
    subprocess.run(["git", "clone", "--quiet", repo.clone_url, tmp_path / "clone"], check=True)
    clone = Git(tmp_path / "clone")
    assert clone("rev-parse", "HEAD") == repository("rev-parse", "main")
    clone("fetch", "--quiet", "origin", lost)
    assert clone("rev-parse", "FETCH_HEAD") == lost


def test_branches_and_tags_are_listed(repository, repo):
    repository("branch", "feature/x")
    repository("tag", "--annotate", "--message", "told", "v1", "main~1")
    assert {one.name for one in repo.get_branches()} == {"main", "feature/x"}
    assert repo.get_branch("feature/x").commit.sha == repository("rev-parse", "main")
    [tag] = repo.get_tags()
    assert (tag.name, tag.commit.sha) == ("v1", repository("rev-parse", "main~1"))
    assert repo.get_git_ref("tags/v1").object.type == "tag"
    assert [one.ref for one in repo.get_git_matching_refs("heads/f")] == ["refs/heads/feature/x"]


def test_commits_are_listed_newest_first_and_by_file(repository, repo):
    other = repository.commit("other", other="x\n")
    assert repo.get_commits()[0].sha == other
    assert [one.commit.message for one in repo.get_commits(path="README")] == ["two", "one"]
    assert repo.get_commits(sha="main").totalCount == 3


def test_an_empty_repository_has_no_commits(hub, connect, tmp_path):
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", tmp_path / "empty.git"], check=True)
    hub.admin.repository("acme/empty", tmp_path / "empty.git")
    hub.admin.role("acme/empty", "write", "write")
    repo = connect("write").get_repo("acme/empty")
    assert status_of(lambda: list(repo.get_commits())) == 409
    assert list(repo.get_branches()) == []
    blob = repo.create_git_blob("x", "utf-8")
    tree = repo.create_git_tree([InputGitTreeElement("x", "100644", "blob", sha=blob.sha)])
    commit = repo.create_git_commit("first", tree, [])
    repo.create_git_ref("refs/heads/main", commit.sha)
    assert repo.get_contents("x").decoded_content == b"x"


def test_a_tree_over_a_base_changes_adds_and_removes(repository, repo):
    base = repo.get_git_tree("main")
    tree = repo.create_git_tree(
        [
            InputGitTreeElement("README", "100644", "blob", content="new\n"),
            InputGitTreeElement("paceline.toml", "100644", "blob", sha=None),
            InputGitTreeElement("deep/er/run", "100755", "blob", content="#!/bin/sh\n"),
        ],
        base,
    )
    assert repository("ls-tree", "-r", "--format=%(objectmode) %(path)", tree.sha).splitlines() == [
        "100644 README",
        "100755 deep/er/run",
    ]
    assert repository("status", "--porcelain") == "", "the working tree is as it was"


@pytest.mark.parametrize(
    "path", ["../out", "a/../../out", "/abs", ".git/hooks/x", "a//b", "a/", "", "a\nb", "./x"]
)
def test_a_tree_with_a_path_out_of_the_repository_is_refused(repo, path):
    ask = lambda: repo.create_git_tree([InputGitTreeElement(path, "100644", "blob", content="x")])  # noqa: E731
    assert status_of(ask) == 422


def test_a_commit_has_the_people_and_the_time_that_were_given(repository, repo):
    tree = repo.get_git_tree("main")
    author = InputGitAuthor("Grace", "grace@example.com", "2026-01-02T03:04:05Z")
    made = repo.create_git_commit("told\n\nat length", tree, [], author=author)
    assert repository("show", "-s", "--format=%an|%ae|%ad|%cn|%B", "--date=iso-strict", made.sha) == (
        "Grace|grace@example.com|2026-01-02T03:04:05+00:00|Grace|told\n\nat length"
    )
    mine = repo.create_git_commit("mine", tree, [])
    assert mine.author.name == "write"


@pytest.mark.parametrize("name", ["a\nparent 0", "a<b", "a\0b"])
def test_a_name_that_would_forge_a_commit_is_refused(repo, name):
    tree = repo.get_git_tree("main")
    author = InputGitAuthor(name, "x@example.com")
    assert status_of(lambda: repo.create_git_commit("x", tree, [], author=author)) == 422


@pytest.mark.parametrize(
    "name", ["refs/heads/-x", "refs/heads/a..b", "HEAD", "refs/x", "refs/heads/a b", "heads/x"]
)
def test_a_ref_that_git_would_not_have_is_refused(repo, name):
    sha = repo.get_branch("main").commit.sha
    assert status_of(lambda: repo.create_git_ref(name, sha)) == 422


def test_a_branch_in_a_working_tree_is_not_moved(repository, repo):
    ref = repo.get_git_ref("heads/main")
    assert status_of(lambda: ref.edit(repository("rev-parse", "main~1"), force=True)) == 422
    with pytest.raises(CheckedOut):
        move_ref(repository.path, "refs/heads/main", None, repository("rev-parse", "main"))


def test_a_ref_moves_forward_only_from_where_it_was_seen(repository, repo):
    first, tip = repository("rev-parse", "main~1"), repository("rev-parse", "main")
    ref = repo.create_git_ref("refs/heads/results", first)
    ref.edit(tip)
    assert repository("rev-parse", "results") == tip
    with pytest.raises(GitError):
        move_ref(repository.path, "refs/heads/results", tip, first)


def test_the_repository_is_named_by_its_number_too(connect, repo):
    requester = connect("write").requester
    _, named = requester.requestJsonAndCheck("GET", f"/repositories/{repo.id}/branches/main")
    assert named["commit"]["sha"] == repo.get_branch("main").commit.sha
    assert status_of(lambda: requester.requestJsonAndCheck("GET", "/repositories/99999")) == 404
    assert repo.full_name == NAME

"""The results branch through the real adapter on a real hub, read back by a real git."""

import asyncio
import hashlib
import subprocess
from dataclasses import dataclass, field

import pytest

from agent import github_branch
from agent.branch import BRANCH
from agent.git_ids import blob_id, tree_id
from agent.hub.faults import Fault, Faults, with_faults
from agent.hub.serve import Hub
from agent.tracker import TrackerError, Unsure
from agent.tracker_github import GithubTracker
from tests.hub.conformance import Conformance
from tests.hub.conftest import NAME, Git

FILES = {"report.md": b"# one\n", "charts/sft.svg": b"<svg/>", "runs.tar.gz": bytes(range(256)), "empty": b""}


@dataclass
class Seen:
    """Every write, and what happens before one of them."""

    writes: list[str] = field(default_factory=list)
    requests: int = 0
    before: list[tuple] = field(default_factory=list)

    def around(self, app):
        async def watched(scope, receive, send):
            self.requests += scope["type"] == "http"
            if scope["type"] == "http" and scope["method"] != "GET":
                request = f"{scope['method']} {scope['path'].partition('/git/')[2]}"
                self.writes.append(request)
                for one in list(self.before):
                    if request.startswith(one[0]):
                        self.before.remove(one)
                        await asyncio.to_thread(one[1])  # which asks this very server
            await app(scope, receive, send)

        return watched

    def taken(self):
        told, self.writes[:] = list(self.writes), []
        return told


@pytest.fixture
def git(tmp_path):
    (tmp_path / "target").mkdir()
    git = Git(tmp_path / "target")
    git("init", "--quiet")
    git.commit("first", README="hello\n")
    return git


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def hub(tmp_path, git, seen, faults):
    conformance = Conformance()
    around = lambda app: seen.around(with_faults(conformance.around(app), faults))  # noqa: E731
    with Hub(tmp_path / "hub.db", around=around) as hub:
        hub.admin.repository(NAME, git.path)
        hub.admin.role(NAME, "paceline", "write")
        hub.admin.role(NAME, "reader", "read")
        yield hub
    assert conformance.problems == []
    assert faults.waiting == 0


@pytest.fixture
def connect(hub):
    made = []

    def connected(login="paceline", **more):
        token = hub.admin.token(login)
        made.append(GithubTracker(hub.base_url, token, NAME, sleep=lambda _: None, **more))
        return made[-1]

    yield connected
    for one in made:
        one.close()


@pytest.fixture
def tracker(connect):
    return connect()


@pytest.fixture
def cloned(git, tmp_path):
    """What somebody who clones the branch finds, after git has checked every object: commit ids and files."""
    made = iter(range(100))

    def clone(branch=BRANCH):
        path = tmp_path / f"clone {next(made)}"
        run("git", "clone", "--quiet", "--single-branch", "--branch", branch, git.path.as_uri(), str(path))
        assert run("git", "-C", str(path), "fsck", "--full", "--strict") == ""
        commits = run("git", "-C", str(path), "rev-list", "HEAD").split()
        files = [one for one in path.rglob("*") if one.is_file() and ".git" not in one.parts]
        return commits, {one.relative_to(path).as_posix(): one.read_bytes() for one in files}

    return clone


def run(*command):
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if "fsck" in command else done.stdout


def below(folder, files):
    return {f"{folder}/{name}": content for name, content in files.items()}


MARK = {github_branch.MARK: github_branch.MARKED}


def test_the_first_folder_makes_a_branch_that_has_nothing_in_common_with_others(tracker, git, cloned):
    main = git("rev-parse", "main")
    commit = tracker.write_files(BRANCH, "issue-1/aaaa-a1", FILES, "results of #1")
    assert cloned() == ([commit], {**MARK, **below("issue-1/aaaa-a1", FILES)})
    assert git("log", "-1", "--format=%s|%P", commit) == "results of #1|"
    assert git("rev-parse", "main") == main
    assert git("status", "--porcelain") == "", "no working tree is touched"
    assert tracker.file("issue-1/aaaa-a1/charts/sft.svg", commit) == b"<svg/>"


def test_folders_come_on_top_of_each_other(tracker, cloned):
    first = tracker.write_files(BRANCH, "issue-1/aaaa-a1", FILES, "one")
    second = tracker.write_files(BRANCH, "issue-1/aaaa-a2", {"report.md": b"two"}, "two")
    third = tracker.write_files(BRANCH, "issue-2/bbbb-a1", {"report.md": b"three"}, "three")
    commits, files = cloned()
    assert commits == [third, second, first]
    assert files == {
        **MARK,
        **below("issue-1/aaaa-a1", FILES),
        "issue-1/aaaa-a2/report.md": b"two",
        "issue-2/bbbb-a1/report.md": b"three",
    }


def test_the_same_folder_again_is_found_and_nothing_is_written(connect, seen, cloned):
    commit = connect().write_files(BRANCH, "issue-1/aaaa-a1", FILES, "one")
    later = connect().write_files(BRANCH, "issue-1/aaaa-a2", FILES, "two")
    seen.taken()
    assert connect().write_files(BRANCH, "issue-1/aaaa-a2", FILES, "two, by another process") == later
    assert connect().write_files(BRANCH, "issue-1/aaaa-a1", FILES, "one") == later, "a commit that has it"
    assert seen.taken() == []
    assert cloned()[0] == [later, commit]


def test_a_folder_is_replaced_as_a_whole_and_its_old_self_stays_in_history(tracker, git, cloned):
    old = tracker.write_files(BRANCH, "issue-1/aaaa-a1", FILES, "one")
    new = tracker.write_files(BRANCH, "issue-1/aaaa-a1", {"report.md": b"corrected"}, "corrected")
    assert cloned() == ([new, old], {**MARK, "issue-1/aaaa-a1/report.md": b"corrected"})
    assert git("show", f"{old}:issue-1/aaaa-a1/report.md") == "# one"


def test_one_file_is_sent_once_whatever_its_names(tracker, seen):
    tracker.write_files(BRANCH, "a", {"one": b"same", "two": b"same"}, "x")
    assert seen.taken() == [
        "POST blobs",
        "POST trees",
        "POST blobs",
        "POST trees",
        "POST commits",
        "POST refs",
    ]


def test_what_it_asks_for(connect, seen):
    """As docs/github.md says: the default branch, what is there, 4 files, 2 folders, commit and branch."""
    connect().write_files(BRANCH, "issue-1/aaaa-a1", {"x": b""}, "x")
    seen.requests = 0
    connect().write_files(BRANCH, "issue-1/aaaa-a2", {name: name.encode() for name in "abcd"}, "x")
    assert seen.requests == 1 + 4 + 4 + 4


# When something goes wrong.


def test_a_branch_that_moved_meanwhile_is_read_again_and_keeps_both(connect, seen, cloned):
    tracker, other = connect(), connect()
    first = tracker.write_files(BRANCH, "a", {"one": b"1"}, "one")
    theirs = []
    seen.before.append(("PATCH", lambda: theirs.append(other.write_files(BRANCH, "b", {"two": b"2"}, "two"))))
    ours = tracker.write_files(BRANCH, "c", {"three": b"3"}, "three")
    assert cloned() == ([ours, *theirs, first], {**MARK, "a/one": b"1", "b/two": b"2", "c/three": b"3"})


def test_a_branch_that_somebody_made_meanwhile_is_read_again(connect, seen, cloned):
    tracker, other = connect(), connect()
    theirs = []
    seen.before.append(
        ("POST refs", lambda: theirs.append(other.write_files(BRANCH, "b", {"two": b"2"}, "two")))
    )
    ours = tracker.write_files(BRANCH, "c", {"three": b"3"}, "three")
    assert cloned() == ([ours, *theirs], {**MARK, "b/two": b"2", "c/three": b"3"})


def test_a_branch_that_moves_each_time_is_left_after_five_tries(connect, seen, cloned):
    tracker, other = connect(), connect()
    other.write_files(BRANCH, "start", {"x": b""}, "start")
    theirs = []

    def race():
        theirs.append(other.write_files(BRANCH, f"b{len(theirs)}", {"x": b""}, "theirs"))
        if len(theirs) < 5:
            seen.before.append(("PATCH", race))

    seen.before.append(("PATCH", race))
    with pytest.raises(TrackerError, match=r"422: .*not a fast forward"):
        tracker.write_files(BRANCH, "c", {"three": b"3"}, "three")
    assert len(theirs) == 5
    assert "c/three" not in cloned()[1]


@pytest.mark.parametrize("kind", ["answer", "drop"])
@pytest.mark.parametrize("request_", ["POST refs", "PATCH refs", "POST commits", "POST trees", "POST blobs"])
@pytest.mark.parametrize("happens", ["before", "after"])
def test_a_lost_answer_is_looked_for_and_the_folder_is_there_once(
    tracker, faults, seen, cloned, kind, request_, happens
):
    verb, _, path = request_.partition(" ")
    first = []
    if verb == "PATCH":
        first = [tracker.write_files(BRANCH, "a", {"one": b"1"}, "one")]
    seen.taken()
    faults.add(Fault(verb, f"/git/{path}", kind, happens))
    commit = tracker.write_files(BRANCH, "c", {"three": b"3"}, "three")
    commits, files = cloned()
    assert (commits, files["c/three"]) == ([commit, *first], b"3")
    moves = [one for one in seen.taken() if " refs" in one]
    was_moved = path == "refs" and happens == "after"
    assert len(moves) == (2 if path == "refs" and not was_moved else 1), (
        "what happened is found, not repeated"
    )


def test_a_branch_whose_every_answer_is_lost_is_unsure(tracker, faults):
    faults.add(Fault("POST", "/git/refs$", "answer", "before", times=5))
    with pytest.raises(Unsure):
        tracker.write_files(BRANCH, "c", {"three": b"3"}, "three")


@pytest.mark.parametrize("dying", ["POST blobs", "POST trees", "POST commits", "POST refs"])
def test_an_agent_that_dies_on_the_way_leaves_a_branch_that_is_whole(connect, seen, cloned, dying):
    class Killed(BaseException):
        pass

    tracker = connect()
    first = tracker.write_files(BRANCH, "a", {"one": b"1"}, "one")

    def die(verb, path, *rest, **more):
        if f"{verb} {path.partition('/git/')[2]}" == dying.replace("POST refs", f"PATCH refs/heads/{BRANCH}"):
            raise Killed
        return write(verb, path, *rest, **more)

    write, tracker._line.write = tracker._line.write, die
    with pytest.raises(Killed):
        tracker.write_files(BRANCH, "c", {"three": b"3"}, "three")
    assert cloned() == ([first], {**MARK, "a/one": b"1"})
    commit = connect().write_files(BRANCH, "c", {"three": b"3"}, "three")
    assert cloned() == ([commit, first], {**MARK, "a/one": b"1", "c/three": b"3"})


def test_a_tracker_that_keeps_something_else_is_noticed(tracker, monkeypatch):
    monkeypatch.setattr(github_branch, "blob_id", lambda content: "0" * 40)
    with pytest.raises(TrackerError, match="what was sent is 0000"):
        tracker.write_files(BRANCH, "c", {"three": b"3"}, "three")


# What is never written.


@pytest.mark.parametrize("name", ["main", "other", "HEAD", "", "refs/heads/main"])
def test_no_other_branch_is_written(tracker, seen, git, name):
    before = git("for-each-ref")
    with pytest.raises(TrackerError, match="is not the results branch"):
        tracker.write_files(name, "a", {"one": b"1"}, "one")
    assert (seen.taken(), git("for-each-ref")) == ([], before)


def test_the_default_branch_is_not_written_even_where_it_is_configured(connect, seen, git):
    before = git("for-each-ref")
    with pytest.raises(TrackerError, match="is the default branch"):
        connect(results_branch="main").write_files("main", "a", {"one": b"1"}, "one")
    assert (seen.taken(), git("for-each-ref")) == ([], before)


def test_a_branch_that_people_made_is_not_written_even_where_it_is_configured(connect, seen, git):
    git("branch", "develop")
    before = git("for-each-ref")
    with pytest.raises(TrackerError, match=r"holds no \.paceline-results: it is not Paceline's"):
        connect(results_branch="develop").write_files("develop", "a", {"one": b"1"}, "one")
    assert (seen.taken(), git("for-each-ref")) == ([], before)


def test_an_account_that_may_not_write_says_so(connect, git):
    before = git("for-each-ref")
    with pytest.raises(TrackerError, match="403"):
        connect("reader").write_files(BRANCH, "a", {"one": b"1"}, "one")
    assert git("for-each-ref") == before


def test_an_empty_repository_gets_its_first_branch(connect, hub, tmp_path, seen):
    empty = tmp_path / "empty"
    empty.mkdir()
    Git(empty)("init", "--quiet")
    hub.admin.repository("acme/empty", empty)
    hub.admin.role("acme/empty", "paceline", "write")
    tracker = GithubTracker(hub.base_url, hub.admin.token("paceline"), "acme/empty", sleep=lambda _: None)
    commit = tracker.write_files(BRANCH, "a", {"one": b"1"}, "one")
    assert Git(empty)("rev-parse", BRANCH) == commit
    tracker.close()


# Ids.


def test_ids_are_those_of_git(tmp_path):
    git = Git(tmp_path)
    git("init", "--quiet")
    files = {"b": b"1", "a.b": b"2", "a/c": b"3", "a-b/d/e": b"", "a/b/c": b"\0\n", "z": bytes(1000)}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    git("add", "--all")
    assert git("write-tree") == tree_id({name: blob_id(content) for name, content in files.items()})
    assert git("rev-parse", ":b") == blob_id(b"1") == hashlib.sha1(b"blob 1\x001").hexdigest()

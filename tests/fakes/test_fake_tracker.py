"""What the agent may rely on, as sentences: held by the tracker in memory and the adapter on a real hub."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Protocol

import pytest

from agent.branch import BRANCH
from agent.hub.faults import Fault, Faults, with_faults
from agent.hub.serve import Hub
from agent.tracker import Comment, Gone, Issue, Role, Tracker, TrackerError, Unsure, User
from agent.tracker_github import GithubTracker
from tests.fakes.tracker import ME, FakeTracker
from tests.hub.conftest import Git

NAME = "acme/target"


class Clock:
    """A second passes at every look: two changes never have one stamp."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class World(Protocol):
    """What people do to the tracker, and what fails: `FakeTracker`'s own methods are the words."""

    def person(self, login: str) -> User: ...
    def set_role(self, login: str, role: Role) -> User: ...
    def file_issue(self, author: str, body: str, labels: Sequence[str] = ...) -> int: ...
    def comment(self, author: str, text: str, number: int = ...) -> Comment: ...
    def edit_body(self, number: int, body: str) -> None: ...
    def label(self, number: int, *labels: str) -> None: ...
    def reactions_of(self, comment: int, login: str) -> list[str]: ...
    def close_issue(self, number: int) -> None: ...
    def delete(self, number: int) -> None: ...
    def transfer(self, number: int) -> None: ...
    def add_commit(
        self, subject: str, branch: str | None = ..., parent: str | None = ..., **files: str
    ) -> str: ...
    def fail_next(self, read: str) -> None: ...
    def unsure_next(self, write: str, *, stored: bool) -> None: ...


class HubWorld:
    """The same words on a hub: people are adapters with tokens of their own, or the operator."""

    ADDRESSES: ClassVar = {
        "tagged": r"/issues$",
        "comments": r"/issues/\d+/comments$",
        "issue": r"/issues/\d+$",
        "role": r"/permission$",
        "post": r"/issues/\d+/comments$",
        "edit": r"/issues/comments/\d+$",
        "minimise": r"/graphql$",
        "react": r"/issues/comments/\d+/reactions$",
        "label": r"/issues/\d+/labels$",
        "unlabel": r"/issues/\d+/labels/",
    }

    def __init__(self, hub: Hub, git: Git, faults: Faults) -> None:
        self._hub, self._git, self._faults = hub, git, faults
        self._adapters: dict[str, GithubTracker] = {}

    def adapter(self, login: str) -> GithubTracker:
        if login not in self._adapters:
            token = self._hub.admin.token(login)
            self._adapters[login] = GithubTracker(self._hub.base_url, token, NAME, sleep=lambda _: None)
        return self._adapters[login]

    def close(self) -> None:
        for adapter in self._adapters.values():
            adapter.close()

    def person(self, login: str) -> User:
        return self.adapter(login).me()

    def set_role(self, login: str, role: Role) -> User:
        self._hub.admin.role(NAME, login, role)
        return self.person(login)

    def file_issue(self, author: str, body: str, labels: Sequence[str] = ("bench",)) -> int:
        sent = {"title": "faster", "body": body}
        made = self.adapter(author)._line.write("POST", f"/repos/{NAME}/issues", sent).data["number"]
        self.label(made, *labels)
        return made

    def comment(self, author: str, text: str, number: int = 1) -> Comment:
        return self.adapter(author).post(number, text)

    def edit_body(self, number: int, body: str) -> None:
        self._edit(number, {"body": body})

    def label(self, number: int, *labels: str) -> None:
        self._edit(number, {"labels": list(labels)})

    def reactions_of(self, comment: int, login: str) -> list[str]:
        path = f"/repos/{NAME}/issues/comments/{comment}/reactions"
        told = self.adapter("owner")._line.get(path).data
        return [one["content"] for one in told if one["user"]["login"] == login]

    def close_issue(self, number: int) -> None:
        self._edit(number, {"state": "closed"})

    def delete(self, number: int) -> None:
        self._hub.admin.delete_issue(NAME, number)

    def transfer(self, number: int) -> None:
        self._hub.admin.repository("acme/other", self._git.path)
        self._hub.admin.transfer_issue(NAME, number, "acme/other")

    def add_commit(
        self, subject: str, branch: str | None = "main", parent: str | None = None, **files: str
    ) -> str:
        self._git("checkout", "--quiet", "--detach", parent or branch or "main")
        made = self._git.commit(subject, **files)
        if branch is not None:
            self._git("branch", "--force", branch, made)
        return made

    def fail_next(self, read: str) -> None:
        self._faults.add(Fault("GET", self.ADDRESSES[read], "answer", "before", 502, times=3))

    def unsure_next(self, write: str, *, stored: bool) -> None:
        verb = {"edit": "PATCH", "unlabel": "DELETE"}.get(write, "POST")
        self._faults.add(Fault(verb, self.ADDRESSES[write], "answer", "after" if stored else "before"))

    def _edit(self, number: int, sent: dict[str, object]) -> None:
        self.adapter("owner")._line.write("PATCH", f"/repos/{NAME}/issues/{number}", sent)


@pytest.fixture(params=["fake", "hub"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Tracker, World]]:
    """The tracker as the agent sees it, and the world around it."""
    if request.param == "fake":
        fake = FakeTracker(Clock())
        yield fake, fake
        return
    path = tmp_path / "target"
    path.mkdir()
    git = Git(path)
    git("init", "--quiet")
    git.commit("first")
    faults = Faults()
    with Hub(tmp_path / "hub.db", around=lambda app: with_faults(app, faults), clock=Clock()) as hub:
        hub.admin.repository(NAME, path)
        hub.admin.role(NAME, ME, "write")
        hub.admin.role(NAME, "owner", "admin")
        world = HubWorld(hub, git, faults)
        yield world.adapter(ME), world
        world.close()
        assert faults.waiting == 0, "a fault that was ordered did not happen"


@pytest.fixture
def tracker(both: tuple[Tracker, World]) -> Tracker:
    return both[0]


@pytest.fixture
def world(both: tuple[Tracker, World]) -> World:
    return both[1]


def bodies(tracker: Tracker, number: int) -> list[str]:
    return [one.body for one in tracker.comments(number)]


def test_the_repository_and_the_account_are_known(tracker, world):
    assert tracker.repository == NAME
    assert tracker.repository_id() == tracker.repository_id() > 0
    assert tracker.me() == world.person(ME)
    assert tracker.scopes() == {"repo"}
    assert tracker.page_of(7).endswith("/acme/target/issues/7")
    assert "://" in tracker.clone_url()
    assert tracker.default_branch() == "main"


def test_an_issue_is_read_as_it_was_filed(tracker, world):
    number = world.file_issue("ada", "line one\n\nünïcode 🚀", ["bench", "gpu"])
    found = tracker.issue(number)
    assert isinstance(found, Issue)
    assert (found.number, found.title, found.body) == (number, "faster", "line one\n\nünïcode 🚀")
    assert (found.author, set(found.labels), found.is_open) == (world.person("ada"), {"bench", "gpu"}, True)
    assert found.updated_at.utcoffset() == timedelta(0)


def test_tagged_are_the_open_issues_with_the_label_newest_change_first(tracker, world):
    first = world.file_issue("ada", "a")
    second = world.file_issue("ada", "b", ["BENCH"])
    world.file_issue("ada", "c", ["other"])
    world.close_issue(world.file_issue("ada", "d"))
    assert [one.number for one in tracker.tagged("bench")] == [second, first]
    world.edit_body(first, "a2")
    assert [one.number for one in tracker.tagged("bench")] == [first, second]


def test_unchanged_is_none_and_empty_is_not(tracker, world):
    assert tracker.tagged("bench") == []
    assert tracker.tagged("bench") is None
    world.file_issue("ada", "a")
    assert len(tracker.tagged("bench")) == 1
    assert tracker.tagged("bench") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.comment("ada", "/approve", 1),
        lambda world: world.edit_body(1, "new"),
        lambda world: world.label(1),
        lambda world: world.label(1, "bench", "more"),
        lambda world: world.close_issue(1),
        lambda world: world.delete(1),
        lambda world: world.transfer(1),
        lambda world: world.file_issue("eve", "b"),
    ],
    ids=["commented", "edited", "unlabelled", "labelled", "closed", "deleted", "transferred", "filed"],
)
def test_every_change_is_seen_by_the_next_poll(tracker, world, change):
    world.file_issue("ada", "a")
    tracker.tagged("bench")
    change(world)
    assert tracker.tagged("bench") is not None
    assert tracker.tagged("bench") is None


def test_labels_are_watched_each_for_itself(tracker, world):
    world.file_issue("ada", "a", ["bench"])
    assert len(tracker.tagged("bench")) == 1
    assert tracker.tagged("other") == []
    assert tracker.tagged("bench") is None


def test_a_poll_that_failed_hides_nothing(tracker, world):
    tracker.tagged("bench")
    world.file_issue("ada", "a")
    world.fail_next("tagged")
    with pytest.raises(TrackerError):
        tracker.tagged("bench")
    assert len(tracker.tagged("bench")) == 1


def test_closed_deleted_transferred_and_never_there_are_told_apart(tracker, world):
    closed, deleted, transferred = (world.file_issue("ada", "a") for _ in range(3))
    world.close_issue(closed)
    world.delete(deleted)
    world.transfer(transferred)
    found = tracker.issue(closed)
    assert isinstance(found, Issue)
    assert not found.is_open
    assert tracker.issue(deleted) == Gone("deleted")
    assert tracker.issue(transferred) == Gone("transferred")
    assert tracker.issue(99) == Gone("not found")


def test_an_issue_that_cannot_be_read_is_not_gone(tracker, world):
    number = world.file_issue("ada", "a")
    world.fail_next("issue")
    with pytest.raises(TrackerError):
        tracker.issue(number)


def test_comments_come_oldest_first_with_their_authors(tracker, world):
    number = world.file_issue("ada", "a")
    world.comment("eve", "one", number)
    posted = tracker.post(number, "two")
    world.comment("ada", "three", number)
    found = tracker.comments(number)
    assert [one.body for one in found] == ["one", "two", "three"]
    assert [one.author for one in found] == [world.person("eve"), tracker.me(), world.person("ada")]
    assert found[1] == posted
    assert found[0].id < found[1].id < found[2].id
    assert found[0].created_at == found[0].updated_at


def test_comments_belong_to_one_issue(tracker, world):
    first, second = world.file_issue("ada", "a"), world.file_issue("ada", "b")
    tracker.post(second, "x")
    assert (bodies(tracker, first), bodies(tracker, second)) == ([], ["x"])


def test_an_edit_changes_the_body_and_the_time_and_nothing_else(tracker, world):
    number = world.file_issue("ada", "a")
    posted = tracker.post(number, "one")
    tracker.edit(posted.id, "two")
    [found] = tracker.comments(number)
    assert (found.id, found.body, found.created_at) == (posted.id, "two", posted.created_at)
    assert found.updated_at > posted.updated_at


def test_a_minimised_comment_keeps_its_text(tracker, world):
    number = world.file_issue("ada", "a")
    posted = tracker.post(number, "one")
    assert not posted.is_minimised
    tracker.minimise(posted)
    [found] = tracker.comments(number)
    assert (found.body, found.is_minimised) == ("one", True)


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "lost"])
def test_a_post_without_an_answer_is_unsure_and_never_sent_again(tracker, world, stored):
    number = world.file_issue("ada", "a")
    world.unsure_next("post", stored=stored)
    with pytest.raises(Unsure):
        tracker.post(number, "one")
    assert bodies(tracker, number) == ["one"] * stored
    tracker.post(number, "two")
    assert bodies(tracker, number) == ["one"] * stored + ["two"]


@pytest.mark.parametrize("write", ["edit", "minimise"])
def test_other_writes_without_an_answer_are_unsure_too(tracker, world, write):
    posted = tracker.post(world.file_issue("ada", "a"), "one")
    world.unsure_next(write, stored=False)
    with pytest.raises(Unsure):
        tracker.edit(posted.id, "two") if write == "edit" else tracker.minimise(posted)


@pytest.mark.parametrize(
    "write",
    [
        lambda tracker, posted: tracker.post(99, "x"),
        lambda tracker, posted: tracker.post(1, "x" * 65_537),
        lambda tracker, posted: tracker.post(1, ""),
        lambda tracker, posted: tracker.edit(99_999, "x"),
        lambda tracker, posted: tracker.edit(posted.id, "x" * 65_537),
    ],
    ids=["no issue", "too long", "empty", "no comment", "edited too long"],
)
def test_a_write_that_is_refused_is_an_error_and_sure(tracker, world, write):
    posted = tracker.post(world.file_issue("ada", "a"), "one")
    with pytest.raises(TrackerError) as told:
        write(tracker, posted)
    assert not isinstance(told.value, Unsure)
    assert "\n" not in str(told.value)
    assert bodies(tracker, 1) == ["one"]


def test_the_longest_comment_fits(tracker, world):
    number = world.file_issue("ada", "a")
    assert tracker.post(number, "x" * 65_536).id


@pytest.mark.parametrize("gone", ["delete", "transfer"])
def test_comments_of_an_issue_that_is_gone_are_an_error(tracker, world, gone):
    number = world.file_issue("ada", "a")
    getattr(world, gone)(number)
    with pytest.raises(TrackerError):
        tracker.comments(number)
    with pytest.raises(TrackerError):
        tracker.post(number, "x")


@pytest.mark.parametrize("role", ["read", "triage", "write", "maintain", "admin"])
def test_a_role_is_read_at_that_moment(tracker, world, role):
    user = world.set_role("eve", role)
    assert tracker.role(user) == role
    world.set_role("eve", "read")
    assert tracker.role(user) == "read"


def test_somebody_without_a_role_may_read_a_public_repository(tracker, world):
    assert tracker.role(world.person("stranger")) == "read"


def test_a_login_that_now_belongs_to_somebody_else_has_no_role(tracker, world):
    user = world.set_role("eve", "admin")
    assert tracker.role(User(user.login, user.id + 1_000)) is None
    assert tracker.role(User("nobody", user.id)) is None


def test_a_role_that_cannot_be_read_is_none(tracker, world):
    user = world.set_role("eve", "admin")
    world.fail_next("role")
    assert tracker.role(user) is None


def test_a_commit_is_found_by_branch_tag_and_id(tracker, world):
    made = world.add_commit("second: it is faster\n\nmore")
    for revision in ("main", made, made[:7], made[:12], made[:9].upper()):
        found = tracker.commit_of(revision)
        assert (found.id, found.subject) == (made, "second: it is faster"), revision


@pytest.mark.parametrize(
    "revision",
    [
        "",
        "nothing",
        "0" * 40,
        "0" * 7,
        "-n",
        "--upload-pack=x",
        "main..main",
        "main^",
        "main~1",
        "main@{1}",
        "a b",
        "a\nb",
        "main:file",
        "/main",
        "main/",
        "../main",
        ":/second",
        "*",
        "x" * 300,
        "HEAD^{tree}",
        "a\\b",
        ".",
    ],
)
def test_what_is_no_branch_tag_or_id_has_no_commit(tracker, world, revision):
    assert tracker.commit_of(revision) is None


def test_fewer_than_seven_digits_are_not_an_id(tracker, world):
    made = world.add_commit("second")
    assert tracker.commit_of(made[:6]) is None


def test_reachable_is_what_an_allowed_branch_holds(tracker, world):
    first = tracker.commit_of("main").id
    second = world.add_commit("second")
    aside = world.add_commit("aside", "side/one", first)
    assert tracker.is_reachable(second, ["main"])
    assert tracker.is_reachable(first, ["main"])
    assert not tracker.is_reachable(aside, ["main"])
    assert tracker.is_reachable(aside, ["main", "side/one"])
    assert tracker.is_reachable(first, ["side/one"])
    assert not tracker.is_reachable(second, ["side/one"])


def test_a_commit_that_no_branch_holds_is_found_but_not_reachable(tracker, world):
    """As those of forks are on GitHub."""
    ahead = world.add_commit("from a fork", None, tracker.commit_of("main").id)
    assert tracker.commit_of(ahead).id == ahead
    assert not tracker.is_reachable(ahead, ["main"])


@pytest.mark.parametrize("commit", ["main", "0" * 40, "", "HEAD", "a" * 12])
def test_what_is_no_commit_is_not_reachable(tracker, world, commit):
    assert not tracker.is_reachable(commit, ["main"])


def test_without_branches_nothing_is_reachable(tracker, world):
    assert not tracker.is_reachable(tracker.commit_of("main").id, [])
    assert not tracker.is_reachable(tracker.commit_of("main").id, ["missing"])


def test_a_file_is_that_of_the_commit(tracker, world):
    old = world.add_commit("one", paceline__toml="a = 1\n")
    new = world.add_commit("two", paceline__toml="a = 2\nü\n")
    assert tracker.file("paceline.toml", old) == b"a = 1\n"
    assert tracker.file("paceline.toml", new) == "a = 2\nü\n".encode()


@pytest.mark.parametrize("path", ["missing", "", "/paceline.toml", "../x", "a/../paceline.toml", "a//b", "."])
def test_a_file_that_is_not_there_is_none(tracker, world, path):
    made = world.add_commit("one", paceline__toml="a = 1\n")
    assert tracker.file(path, made) is None


def test_a_reaction_is_there_once_however_often_it_is_given(tracker, world):
    asked = world.comment("ada", "/approve", world.file_issue("ada", "a"))
    for _ in range(2):
        tracker.react(asked.id, "eyes")
    tracker.react(asked.id, "+1")
    assert world.reactions_of(asked.id, ME) == ["eyes", "+1"]
    assert world.reactions_of(asked.id, "ada") == []


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "lost"])
def test_a_reaction_without_an_answer_is_unsure_and_may_be_given_again(tracker, world, stored):
    asked = world.comment("ada", "/approve", world.file_issue("ada", "a"))
    world.unsure_next("react", stored=stored)
    with pytest.raises(Unsure):
        tracker.react(asked.id, "eyes")
    assert world.reactions_of(asked.id, ME) == ["eyes"] * stored
    tracker.react(asked.id, "eyes")
    assert world.reactions_of(asked.id, ME) == ["eyes"]


def test_no_comment_no_reaction(tracker):
    with pytest.raises(TrackerError):
        tracker.react(99_999, "eyes")


def test_labels_are_put_on_and_taken_off_and_others_stay(tracker, world):
    number = world.file_issue("ada", "a", ["bench", "Bench:Queued", "mine"])
    tracker.set_labels(number, ["bench:running", "BENCH", "a/b ?"], ["bench:queued", "never there"])
    assert set(tracker.issue(number).labels) == {"bench", "mine", "bench:running", "a/b ?"}
    tracker.set_labels(number, [], ["a/b ?"])
    assert set(tracker.issue(number).labels) == {"bench", "mine", "bench:running"}


def test_labels_that_are_right_already_change_nothing(tracker, world):
    number = world.file_issue("ada", "a", ["bench", "gpu"])
    before = tracker.issue(number)
    tracker.set_labels(number, ["Bench"], ["bench:queued"])
    assert tracker.issue(number) == before


@pytest.mark.parametrize("write", ["label", "unlabel"])
def test_labels_without_an_answer_are_unsure_and_may_be_set_again(tracker, world, write):
    number = world.file_issue("ada", "a", ["bench", "old"])
    world.unsure_next(write, stored=True)
    with pytest.raises(Unsure):
        tracker.set_labels(number, ["new"], ["old"])
    tracker.set_labels(number, ["new"], ["old"])
    assert set(tracker.issue(number).labels) == {"bench", "new"}


@pytest.mark.parametrize("gone", ["delete", "transfer"])
def test_an_issue_that_is_gone_takes_no_labels(tracker, world, gone):
    number = world.file_issue("ada", "a")
    getattr(world, gone)(number)
    with pytest.raises(TrackerError):
        tracker.set_labels(number, ["new"], [])


def test_files_of_a_run_are_written_once_and_read_from_their_commit(tracker):
    commit = tracker.write_files(BRANCH, "issue-1/a", {"report.md": b"one"}, "results of #1")
    assert tracker.write_files(BRANCH, "issue-1/a", {"report.md": b"one"}, "again") == commit
    later = tracker.write_files(BRANCH, "issue-1/b", {"report.md": b"two"}, "results of #1")
    assert tracker.file("issue-1/a/report.md", commit) == b"one"
    assert tracker.file("issue-1/a/report.md", later) == b"one"
    assert tracker.file("issue-1/b/report.md", later) == b"two"
    assert tracker.commit_of(BRANCH).id == later
    assert not tracker.is_reachable(later, ["main"])


def test_files_of_a_run_are_replaced_as_a_whole(tracker):
    tracker.write_files(BRANCH, "issue-1/a", {"one.md": b"1", "two.md": b"2"}, "first")
    commit = tracker.write_files(BRANCH, "issue-1/a", {"one.md": b"one"}, "corrected")
    assert tracker.file("issue-1/a/one.md", commit) == b"one"
    assert tracker.file("issue-1/a/two.md", commit) is None


@pytest.mark.parametrize(
    ("branch", "folder", "files"),
    [("main", "a", {"x": b""}), ("other", "a", {"x": b""}), (BRANCH, "../a", {"x": b""}), (BRANCH, "a", {})],
    ids=["default", "other", "elsewhere", "nothing"],
)
def test_files_that_belong_elsewhere_are_refused(tracker, branch, folder, files):
    before = tracker.commit_of("main")
    with pytest.raises(TrackerError) as told:
        tracker.write_files(branch, folder, files, "no")
    assert not isinstance(told.value, Unsure)
    assert (tracker.commit_of("main"), tracker.commit_of(BRANCH)) == (before, None)


def test_the_page_of_the_repository_is_that_of_its_issues(tracker):
    assert tracker.page_of(7) == f"{tracker.page()}/issues/7"


def test_labels_are_made_once(tracker):
    wanted = [("bench", "0e8a16", "measure this"), ("gpu", "ffffff", ""), ("Gpu", "ffffff", "")]
    tracker.ensure_labels(wanted)
    tracker.ensure_labels([("BENCH", "000000", "again"), *wanted])


def test_the_fake_keeps_what_was_written_and_read():
    tracker = FakeTracker(Clock())
    number = tracker.file_issue("ada", "body")
    posted = tracker.post(number, "one")
    tracker.edit(posted.id, "two")
    tracker.minimise(posted)
    told = [(one.kind, one.on, one.body) for one in tracker.writes]
    assert told == [("post", number, "one"), ("edit", posted.id, "two"), ("minimise", posted.id, "")]
    tracker.reads.clear()
    tracker.tagged("bench")
    assert (tracker.reads, tracker.minimised) == (["tagged"], {posted.id})


def test_a_login_given_away_in_the_fake_loses_its_role():
    tracker = FakeTracker(Clock())
    before = tracker.set_role("eve", "admin")
    after = tracker.give_login_away("eve")
    assert (tracker.role(before), tracker.role(after)) == (None, "read")


def test_a_commit_under_a_tag_is_reachable_in_the_fake():
    tracker = FakeTracker(Clock())
    tracker.tags["v1"] = tracker.add_commit("released", "side")
    assert tracker.is_reachable(tracker.tags["v1"], ["main"])
    assert tracker.commit_of("v1").subject == "released"

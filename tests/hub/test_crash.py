"""A hub that is killed: what was acknowledged is there, what was not is there whole or not at all.

The file is schema 2; ids go on where they stopped; two processes may write at once, one may serve.
"""

import re
import sqlite3
import threading
import time

import pytest
import requests
from github import Auth, Github, GithubException

from agent.hub.database import Database, DatabaseError
from agent.hub.schema import VERSION
from agent.hub.serve import Hub, HubProcess, ServeError, open_admin
from tests.hub.conftest import NAME, UNHURRIED


@pytest.fixture
def file(tmp_path, repository):
    path = tmp_path / "hub.db"
    with open_admin(path) as admin:
        admin.repository(NAME, repository.path)
        admin.role(NAME, "ada", "write")
    return path


def token_of(file, login="ada"):
    with open_admin(file) as admin:
        return admin.token(login)


def tracker_at(hub, token):
    return Github(base_url=hub.base_url, auth=Auth.Token(token), **UNHURRIED)


def bodies_at(hub, token, number=1):
    with tracker_at(hub, token) as tracker:
        return {one.id: one.body for one in tracker.get_repo(NAME).get_issue(number).get_comments()}


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.4, 0.7])
def test_killed_under_writes_nothing_acknowledged_is_lost_and_nothing_is_half(file, after_s):
    token = token_of(file)
    acknowledged: dict[int, str] = {}

    def write(base_url, name):
        with requests.Session() as session:
            session.headers["Authorization"] = f"token {token}"
            for n in range(10_000):
                body = f"{name} {n} " + "x" * 5000 + " end"
                try:
                    answer = session.post(
                        f"{base_url}/repos/{NAME}/issues/1/comments", json={"body": body}, timeout=10
                    )
                except requests.RequestException:
                    return
                acknowledged[answer.json()["id"]] = body

    with HubProcess(file) as hub:
        with tracker_at(hub, token) as tracker:
            tracker.get_repo(NAME).create_issue("one")
        writers = [threading.Thread(target=write, args=(hub.base_url, name)) for name in "ab"]
        for writer in writers:
            writer.start()
        time.sleep(after_s)  # the moment is what is tested
        hub.kill()
        for writer in writers:
            writer.join()
    with HubProcess(file) as again:
        found = bodies_at(again, token)
        with tracker_at(again, token) as tracker:
            issue = tracker.get_repo(NAME).get_issue(1)
            told = issue.comments
            events = [one.event for one in issue.get_timeline()]
            new = issue.create_comment("after").id
    assert {key: found.get(key) for key in acknowledged} == acknowledged
    assert all(re.fullmatch(r"[ab] \d+ x{5000} end", body) for body in found.values())
    assert len(found) - len(acknowledged) <= 2, "at most one unanswered write of each writer"
    assert told == len(found) == events.count("commented")
    assert new > max(found, default=0)


def test_a_commit_is_on_the_disk_before_it_is_acknowledged(file):
    token = token_of(file)
    for n in range(4):
        with HubProcess(file) as hub, tracker_at(hub, token) as tracker:
            repo = tracker.get_repo(NAME)
            issue = repo.create_issue("one") if n == 0 else repo.get_issue(1)
            issue.create_comment(str(n))
            hub.kill()
    with HubProcess(file) as hub:
        assert list(bodies_at(hub, token).values()) == ["0", "1", "2", "3"]


def test_a_restart_keeps_ids_numbers_labels_and_people(file, repository):
    token = token_of(file)

    def facts(hub):
        with tracker_at(hub, token) as tracker:
            repo = tracker.get_repo(NAME)
            issue = repo.get_issue(1)
            [comment] = issue.get_comments()
            [event] = issue.get_events()
            who = issue.user
            return (
                *(repo.id, issue.id, issue.node_id, comment.id, comment.node_id, event.id, who.id),
                *(issue.created_at, issue.updated_at, issue.labels[0].id, comment.raw_data["minimized"]),
            )

    with HubProcess(file) as hub:
        with tracker_at(hub, token) as tracker:
            issue = tracker.get_repo(NAME).create_issue("one", labels=["bench"])
            issue.create_comment("here").minimize()
        before = facts(hub)
        assert hub.stop() == 0
    with Hub(file) as again:
        assert facts(again) == before
        with tracker_at(again, token) as tracker:
            assert tracker.get_repo(NAME).create_issue("two").number == 2


def test_an_etag_outlives_a_restart_on_the_same_port(file):
    token = token_of(file)
    headers = {"Authorization": f"token {token}"}
    with HubProcess(file) as hub:
        url = f"{hub.base_url}/repos/{NAME}/labels"
        etag = requests.get(url, headers=headers, timeout=10).headers["etag"]
        port = url.split(":")[2].split("/", maxsplit=1)[0]
    with HubProcess(file, "--port", port):
        again = requests.get(url, headers={**headers, "If-None-Match": etag}, timeout=10)
    assert again.status_code == 304


def test_two_writers_at_once_lose_nothing(hub, connect, repo):
    issue = repo.create_issue("one")
    problems = []

    def write(name):
        tracker = connect("write")
        mine = tracker.get_repo(NAME).get_issue(issue.number)
        try:
            for n in range(25):
                mine.create_comment(f"{name} {n}")
        except GithubException as error:
            problems.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert problems == []
    found = [one.body for one in issue.get_comments()]
    assert sorted(found) == sorted(f"{name} {n}" for name in "abcd" for n in range(25))
    for name in "abcd":
        mine = [body for body in found if body.startswith(name)]
        assert mine == [f"{name} {n}" for n in range(25)], "each writer's in order"


def test_an_operator_may_write_beside_the_process_that_serves(file, repository):
    token = token_of(file)
    with HubProcess(file) as hub, tracker_at(hub, token) as tracker:
        assert tracker.get_user().login == "ada"
        with open_admin(file) as admin:
            other = admin.token("grace")
            admin.role(NAME, "grace", "admin")
        with tracker_at(hub, other) as theirs:
            assert theirs.get_repo(NAME).permissions.admin


def test_one_hub_serves_a_file(file):
    with Hub(file):
        with pytest.raises(ServeError, match="another hub serves"):
            Hub(file)
        with pytest.raises(ServeError, match="another hub serves"):
            HubProcess(file)
    Hub(file).close()


def test_the_file_has_a_schema_number_and_a_newer_one_is_refused(file):
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(DatabaseError, match="use a newer paceline"):
        Hub(file)


def test_a_file_of_schema_1_is_read_on_and_can_lock_issues(file):
    token = token_of(file)
    with Hub(file) as hub, tracker_at(hub, token) as tracker:
        tracker.get_repo(NAME).create_issue("one")
    connection = sqlite3.connect(file)
    connection.executescript("DROP TABLE locks; PRAGMA user_version = 1;")
    connection.close()
    with Hub(file) as hub, tracker_at(hub, token) as tracker:
        assert not tracker.get_repo(NAME).get_issue(1).locked
        hub.admin.lock_issue(NAME, 1)
        assert tracker.get_repo(NAME).get_issue(1).locked
        hub.admin.unlock_issue(NAME, 1)
        assert not tracker.get_repo(NAME).get_issue(1).locked


def test_a_file_of_something_else_is_left_alone(tmp_path):
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    before = other.read_bytes()
    with pytest.raises(DatabaseError, match="something else"):
        Database(other)
    (tmp_path / "text").write_text("not a database at all, only text that is long enough\n" * 50)
    with pytest.raises(DatabaseError, match="not a database"):
        Database(tmp_path / "text")
    assert other.read_bytes() == before


def test_every_connection_waits_for_the_disk(file):
    database = Database(file)
    with database.reading() as reader, database.writing() as writer:
        assert reader.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert writer.execute("PRAGMA synchronous").fetchone()[0] == 2
        with pytest.raises(sqlite3.OperationalError):
            reader.execute("DELETE FROM issues")
    database.close()


def test_an_error_in_a_write_leaves_nothing(file):
    database = Database(file)
    with pytest.raises(ZeroDivisionError), database.writing() as sql:
        sql.execute("UPDATE repositories SET name = 'other'")
        raise ZeroDivisionError
    with database.reading() as sql:
        assert [row["name"] for row in sql.execute("SELECT name FROM repositories")] == ["target"]
    database.close()


def test_a_write_that_is_under_way_ends_before_a_stop(file):
    token = token_of(file)
    with HubProcess(file) as hub, tracker_at(hub, token) as tracker:
        tracker.get_repo(NAME).create_issue("one")
        assert hub.stop() == 0, "with a connection still open"
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

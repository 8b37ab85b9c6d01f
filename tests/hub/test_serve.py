"""Starting, ending, who may reach it, what it weighs, and requests that no client of good will sends."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from agent.hub.serve import Hub, HubProcess, Listen, ServeError
from tests.hub.conftest import NAME

REST = f"/repos/{NAME}"


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "agent.hub", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_command_makes_what_it_is_told_and_says_where_it_is(tmp_path, repository):
    token = tmp_path / "ada.token"
    arguments = (
        *("--repo", f"{NAME}={repository.path}", "--private-repo", f"acme/secret={repository.path}"),
        *("--role", f"{NAME}:ada=write", "--token-file", f"ada={token}"),
    )
    for _ in range(2):
        with HubProcess(tmp_path / "hub.db", *arguments) as hub:
            assert hub.address.startswith("http://127.0.0.1:")
            assert token.stat().st_mode & 0o777 == 0o600
            headers = {"Authorization": f"token {token.read_text().strip()}"}
            told = requests.get(hub.base_url + REST, headers=headers, timeout=10).json()
            assert told["permissions"]["push"]
            assert requests.get(hub.base_url + "/repos/acme/secret", timeout=10).status_code == 404
            assert hub.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--repo", "acme/x"), "is not OWNER/NAME=PATH"),
        (("--repo", "acme/x=/nowhere"), "is not a git repository"),
        (("--role", "acme/none:ada=write"), "no repository"),
        (("--role", "acme/none:ada=king"), "no role 'king'"),
        (("--listen", "0.0.0.0"), "needs --public-url"),
        (("--listen", "127.0.0.1", "--test-faults"), "loopback only"),
        (("--port", "1", "--listen", "203.0.113.7"), "cannot listen on 203.0.113.7"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(tmp_path, arguments, told):
    done = command("--db", str(tmp_path / "hub.db"), *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_has_an_example():
    done = command("--help")
    assert done.returncode == 0
    assert "example:" in done.stdout


def test_the_port_that_is_taken_is_told(tmp_path):
    with Hub(tmp_path / "a.db") as hub:
        port = int(hub.address.rpartition(":")[2])
        with pytest.raises(ServeError, match="cannot listen"):
            Hub(tmp_path / "b.db", listen=Listen(port))


def test_it_listens_on_loopback_unless_told_otherwise(hub):
    host, port = hub.address.removeprefix("http://").split(":")
    assert host == "127.0.0.1"
    with open("/proc/net/tcp") as file:
        local = [line.split()[1] for line in file if line.split()[1].endswith(f":{int(port):04X}")]
    assert [one for one in local if not one.startswith("0100007F")] == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_a_name_that_is_not_ours_is_refused(hub, host):
    assert requests.get(hub.address, headers={"Host": host}, timeout=10).status_code == 400


def test_the_public_address_is_in_every_link(tmp_path, repository):
    listen = Listen(address="127.0.0.1", public_url="http://tracker.example:8000/")
    with Hub(tmp_path / "hub.db", listen=listen) as hub:
        hub.admin.repository(NAME, repository.path)
        bound = f"http://127.0.0.1:{hub._socket.getsockname()[1]}"
        told = requests.get(
            f"{bound}/api/v3{REST}", headers={"Host": "tracker.example:8000"}, timeout=10
        ).json()
    assert told["url"] == "http://tracker.example:8000/api/v3/repos/acme/target"


def test_nothing_heavy_is_imported():
    script = "import agent.hub.serve, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "pandas", "scipy", "numpy", "github", "transformers", "bench", "pods"}


def test_the_idle_hub_is_small_and_still(tmp_path, repository):
    with HubProcess(tmp_path / "hub.db", "--repo", f"{NAME}={repository.path}") as hub:
        for _ in range(20):
            requests.get(f"{hub.base_url}{REST}/issues", timeout=10)
        requests.get(f"{hub.address}/{NAME}/issues", timeout=10)
        with open(f"/proc/{hub.pid}/status") as file:
            [memory] = [int(line.split()[1]) for line in file if line.startswith("VmRSS")]
    assert memory / 1024 < 90, "MiB"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b'{"title": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
        (b'"text"', 400),
        (b"\xff\xfe", 400),
        (b'{"title": 7}', 422),
        (b'{"title": null}', 422),
        (b'{"title": "\\ud800"}', 422),
        (b'{"title": "x", "body": {"a": 1}}', 422),
        (b'{"title": "x", "labels": {"a": 1}}', 422),
        (b'{"title": "x", "labels": [7]}', 422),
        (b'{"title": "x", "labels": ["' + b"y" * 51 + b'"]}', 422),
        (b"", 422),
        (b'{"title": "x", "number": 99, "id": 1, "user": "root"}', 201),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(hub, body, status):
    headers = {"Authorization": f"Bearer {hub.admin.token('write')}"}
    told = requests.post(f"{hub.base_url}{REST}/issues", data=body, headers=headers, timeout=10)
    assert told.status_code == status
    assert "Traceback" not in told.text


def test_a_body_that_is_too_large_is_not_read_to_its_end(tmp_path, repository, monkeypatch):
    monkeypatch.setattr("agent.hub.app.BODY_LIMIT_B", 1000)
    with Hub(tmp_path / "hub.db") as hub:
        hub.admin.repository(NAME, repository.path)
        headers = {"Authorization": f"token {hub.admin.token('write')}"}
        url = f"{hub.base_url}{REST}/issues"
        told = requests.post(url, data=json.dumps({"title": "x" * 2000}), headers=headers, timeout=10)
        assert told.status_code == 413


@pytest.mark.parametrize(
    "query", ["since=x", "since=2026-13-40", "since=0001-01-01T00:00:00%2B23:59", "sort=' OR 1"]
)
def test_a_query_that_makes_no_sense_is_refused(hub, query):
    assert requests.get(f"{hub.base_url}{REST}/issues?{query}", timeout=10).status_code == 422


@pytest.mark.parametrize(
    "query", ["labels=%27%20OR%201=1--", "labels=%00", "creator=%27;DROP TABLE issues", "page=-1"]
)
def test_a_query_cannot_reach_the_database_as_text(hub, repo, query):
    repo.create_issue("one", labels=["bench"])
    told = requests.get(f"{hub.base_url}{REST}/issues?{query}", timeout=10)
    assert told.status_code == 200
    assert len(told.json()) == (1 if query == "page=-1" else 0)


def test_huge_numbers_are_not_there(hub):
    for number in ("9" * 30, str(2**63), "0"):
        assert requests.get(f"{hub.base_url}{REST}/issues/{number}", timeout=10).status_code == 404


def test_an_address_that_is_none_is_404_in_githubs_form(tmp_path):
    with Hub(tmp_path / "hub.db") as hub:
        for ask in (requests.get, requests.delete):
            told = ask(f"{hub.base_url}/nothing", timeout=10)
            assert (told.status_code, told.json()["message"]) == (404, "Not Found")
        assert requests.delete(f"{hub.base_url}/user", timeout=10).status_code == 404


def test_an_error_inside_is_told_without_a_word_about_the_inside(tmp_path, repository, caplog):
    with Hub(tmp_path / "hub.db") as hub:
        hub.admin.repository(NAME, repository.path)
        os.rename(repository.path, repository.path.with_name("elsewhere"))
        told = requests.get(hub.base_url + REST, timeout=10)
    assert told.status_code == 500
    assert told.json() == {"message": "Server Error", "status": "500"}
    assert "GitError" in caplog.text


def test_a_hub_that_ended_leaves_nothing_open(tmp_path, repository):
    def held():
        links = [Path("/proc/self/fd", one) for one in os.listdir("/proc/self/fd")]
        return [os.readlink(link) for link in links if link.is_symlink()]

    def threads():
        return {one.name for one in threading.enumerate() if one.name == "hub"}

    with Hub(tmp_path / "hub.db") as hub:
        hub.admin.repository(NAME, repository.path)
        assert requests.get(hub.base_url + REST, timeout=10).status_code == 200
        assert threads() == {"hub"}
        assert [one for one in held() if "hub.db" in one]
    assert threads() == set()
    assert [one for one in held() if "hub.db" in one] == []
    with pytest.raises(requests.ConnectionError):
        requests.get(hub.address, timeout=10)


def test_it_listens_on_the_other_loopback_too(tmp_path):
    with Hub(tmp_path / "hub.db", listen=Listen(address="::1")) as hub:
        assert hub.address.startswith("http://[::1]:")
        assert requests.get(hub.address, timeout=10).status_code == 200

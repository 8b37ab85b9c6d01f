"""What the agent measures never meets the tracker's token or the key, also on the agent's own machine."""

import json

from tests.e2e.conftest import commit
from tests.e2e.test_main_job import CONFIG, Life, life  # noqa: F401 - the fixture

SECRETS = {
    "BOT_TOKEN": "b" * 40,
    "GITHUB_TOKEN": "a token of another account",
    "GH_TOKEN": "and one of a third account",
}
PRINTING = """
import json, os
def names(pid):
    return sorted(set(open("/proc/%d/environ" % pid, errors="replace").read().split(chr(0))))
def parent(pid):
    return int(open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[1])
pid, seen = os.getpid(), []
while pid > 1:
    try:
        seen += names(pid)
    except PermissionError:
        pass
    pid = parent(pid)
print("SEEN", json.dumps([one.partition("=")[0] for one in seen]), flush=True)
print("ALL", os.environ["MODEL_TOKEN"], flush=True)
"""


def test_no_process_of_a_job_and_no_file_of_it_holds_a_token_or_the_key(life: Life):  # noqa: F811
    printing = CONFIG.replace("time.sleep({seconds})", PRINTING + "time.sleep({seconds})")
    life.first = commit(life.repo, {"paceline.toml": printing})
    life.second = commit(life.repo, {"README": "z"})
    key = (life.folder / "key").read_text().strip()
    life.extra = {**SECRETS, "PACELINE_KEY": key, "MODEL_TOKEN": "a secret of the subject's own"}
    number = life.file(life.body())
    life.start_agent()
    life.until_verdict(number)
    [job] = life.jobs()
    logs = [path.read_text() for path in job.glob("runs/sleep/1/*/log")]
    assert len(logs) == 3
    for log in logs:
        seen, told = log.splitlines()[:2]
        names = set(json.loads(seen.removeprefix("SEEN ")))
        assert "MODEL_TOKEN" in names and not names & {*SECRETS, "PACELINE_KEY"}
        assert told == "ALL [redacted]"
    files = {path: path.read_bytes() for path in job.rglob("*") if path.is_file()}
    for secret in (*SECRETS.values(), key):
        assert [path for path, data in files.items() if secret.encode() in data] == []

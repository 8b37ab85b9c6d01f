"""The main job on this machine: an issue is filed, the agent measures, the issue has its verdict.

Starts the embedded tracker on loopback, writes the target repository, files an infra issue through the REST
API, runs the agent until the verdict, prints the comments as a maintainer reads them. Leaves `.paceline/demo`
with issue.json (issue and comments as the REST API serves them) and report.json (the JSON of the result).
KEEP=1 in the environment leaves the tracker running; KILL=1 kills the agent (`kill -9`) at five moments and
starts it again; PODS=1 measures on one of two pods, which are SSH daemons on loopback. Every process is ended
by its id.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".paceline" / "demo"
REPOSITORY = "acme/target"
LIMIT_S = 1200.0
MARKER = re.compile(r"\A<!-- epm:([a-z-]+) (v\d+) -->")
CONFIG = """# Made by `make demo`.
[tracker]
repository = "{repository}"
url = "{url}"
token_env = "PACELINE_DEMO_TOKEN"
[agent]
workspace = "."{pods}
key = "{key}"
poll_s = 1.0
[trust]
roles = ["admin", "maintain", "write"]
gpu_hours = 1.0
"""


def main() -> None:
    keeps = os.environ.get("KEEP") == "1"
    prepare()
    hub, address = start_hub()
    agent, daemons = None, []
    try:
        if os.environ.get("PODS") == "1":
            from demo_pods import start_pods

            daemons = start_pods(DEMO)
            print("== two pods are reached over SSH: alpha and beta", flush=True)
        print(f"== tracker at {address}", flush=True)
        number = file_issue(address)
        page = f"{address}/{REPOSITORY}/issues/{number}"
        print(f"== issue filed: {page}", flush=True)
        print("== the agent measures 15 runs (about 3 minutes)", flush=True)
        agent = Agent(address, MOMENTS if os.environ.get("KILL") == "1" else ())
        comments = until_verdict(address, number, agent)
    finally:
        if agent is not None:
            end(agent.process)
        end_jobs()
        for daemon in daemons:
            daemon.end()
        if not keeps:
            end(hub)
    print_comments(comments)
    write_report()
    verify = [sys.executable, "-m", "agent", "verify", str(DEMO)]
    check = subprocess.run(verify, capture_output=True, text=True, check=False)
    print(f"== paceline verify .paceline/demo: {(check.stdout or check.stderr).strip()}")
    left = f"tracker still runs, pid {hub.pid}" if keeps else "tracker ended; KEEP=1 leaves it running"
    print(f"== the issue's page: {page} ({left})")
    sys.exit(check.returncode)


def prepare() -> None:
    """A fresh folder with the target repository; an earlier demo is deleted, its tracker ended."""
    end_left_over()
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir(parents=True)
    (ROOT / ".paceline" / ".gitignore").write_text("*\n", encoding="utf-8")
    print("== writing the target repository", flush=True)
    subprocess.run([sys.executable, "-m", "agent", "target", str(DEMO / "target")], check=True)


def end_left_over() -> None:
    """The tracker that KEEP=1 left, if it still is that process."""
    path = DEMO / "hub.pid"
    if path.exists():
        pid = int(path.read_text())
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"agent.hub" in command.read_bytes():
            os.kill(pid, signal.SIGTERM)


def start_hub() -> tuple[subprocess.Popen[str], str]:
    for name in ("ada", "paceline"):
        token = DEMO / f"{name}.token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(20), encoding="utf-8")
    command = [sys.executable, "-m", "agent.hub", "--db", str(DEMO / "tracker.db")]
    command += ["--repo", f"{REPOSITORY}={DEMO / 'target'}"]
    for name in ("ada", "paceline"):
        command += [
            "--role",
            f"{REPOSITORY}:{name}=write",
            "--token-file",
            f"{name}={DEMO / (name + '.token')}",
        ]
    hub = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    (DEMO / "hub.pid").write_text(str(hub.pid), encoding="utf-8")
    assert hub.stdout is not None
    address = hub.stdout.readline().strip()
    if not address:
        raise SystemExit("the tracker did not start")
    return hub, address


class Agent:
    """The agent's process; killed and started again at each of `moments` when it has come."""

    def __init__(self, address: str, moments: Sequence[tuple[str, Callable[[Sequence[str]], bool]]]) -> None:
        self.address = address
        self.moments = list(moments)
        self.process = start_agent(address)

    def look(self, markers: Sequence[str]) -> None:
        """Raises SystemExit where the agent ended by itself."""
        if self.process.poll() is not None:
            raise SystemExit("the agent ended without a verdict; see above")
        if self.moments and self.moments[0][1](markers):
            print(f"== kill -9 of the agent: {self.moments.pop(0)[0]}", flush=True)
            self.process.kill()
            self.process.wait()
            self.process = start_agent(self.address)


def runs_ended() -> int:
    return sum(len(list(job.glob("runs/*/*/*/exit.json"))) for job in jobs())


def jobs() -> list[Path]:
    """Where they are measured: here, or on the pods."""
    on_pods = list(DEMO.glob("pods/*/work/jobs/*"))
    return on_pods or list(DEMO.glob("jobs/*"))


MOMENTS: tuple[tuple[str, Callable[[Sequence[str]], bool]], ...] = (
    ("as soon as it was started", lambda _: True),
    ("after its intent", lambda markers: "progress v2" in markers),
    ("after the first run", lambda _: runs_ended() >= 1),
    ("in the middle of the runs", lambda _: runs_ended() >= 8),
    ("after the results", lambda markers: "results v1" in markers),
)


def start_agent(address: str) -> subprocess.Popen[bytes]:
    config = DEMO / "paceline-agent.toml"
    pods = '\npods = "pods.toml"' if (DEMO / "pods.toml").exists() else ""
    text = CONFIG.format(repository=REPOSITORY, url=f"{address}/api/v3", key=DEMO / "key", pods=pods)
    config.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PACELINE_DEMO_TOKEN": (DEMO / "paceline.token").read_text()}
    make_key = (
        "import sys; from pathlib import Path; from agent.key import make_key; make_key(Path(sys.argv[1]))"
    )
    if not (DEMO / "key").exists():
        subprocess.run([sys.executable, "-c", make_key, str(DEMO / "key")], check=True)
    command = [sys.executable, "-m", "agent", "agent", "--config", str(config)]
    return subprocess.Popen(command, env=environment)


def file_issue(address: str) -> int:
    body = (ROOT / "scripts" / "demo_issue.md").read_text(encoding="utf-8")
    asked = {
        "title": "[Infra] Fine-tuning: three changes that make it faster",
        "body": body,
        "labels": ["bench"],
    }
    return request(address, f"/repos/{REPOSITORY}/issues", asked)["number"]


def request(address: str, path: str, body: dict | None = None):
    token = (DEMO / "ada.token").read_text()
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    data = json.dumps(body).encode() if body is not None else None
    asked = urllib.request.Request(f"{address}/api/v3{path}", data=data, headers=headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.loads(answer.read())


CLOSING = "\n## Closing note"
"""The agent's last word on a task."""


def until_verdict(address: str, number: int, agent: Agent) -> list[dict]:
    until = time.monotonic() + LIMIT_S
    while True:
        issue = request(address, f"/repos/{REPOSITORY}/issues/{number}")
        comments = request(address, f"/repos/{REPOSITORY}/issues/{number}/comments?per_page=100")
        document = {"issue": issue, "comments": comments}
        (DEMO / "issue.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        markers = [f"{found[1]} {found[2]}" for c in comments if (found := MARKER.match(c["body"]))]
        if any(CLOSING in comment["body"] for comment in comments):
            return comments
        if time.monotonic() > until:
            raise SystemExit("the agent was too slow, without a verdict; see above")
        agent.look(markers)
        time.sleep(0.5 if agent.moments else 1.0)


def print_comments(comments: list[dict]) -> None:
    for comment in comments:
        lines = [line for line in comment["body"].splitlines() if not line.startswith("<!-- ")]
        print(f"\n{'-' * 100}\n{comment['user']['login']} wrote:\n")
        print("\n".join(lines).strip())
    print("-" * 100)


def write_report() -> None:
    [job] = [path for path in (DEMO / "jobs").iterdir() if (path / "result.json").exists()]
    shutil.copyfile(job / "result.json", DEMO / "report.json")


def end_jobs() -> None:
    """A job outlives the agent; where the demo broke off, nobody waits for it any more."""
    for job in jobs():
        if not (job / "exit.json").exists():
            command = [sys.executable, "-I", "-S", str(job / "supervisor.pyz"), "cancel", str(job)]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def end(process: subprocess.Popen | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()

"""An issue's whole life on the embedded tracker, with the real agent as a process and real jobs.

The subject only sleeps, so that a life takes seconds; `make demo` lives it with real training.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from agent.hub.serve import HubProcess, open_admin
from agent.key import make_key
from bench.plan import ASIDE
from tests.e2e.conftest import Paceline, commit, git, make_repository

REPOSITORY = "acme/target"
CONFIG = '''
[recipe.sleep]
run = ["{python}", "-c", """
import os, time
assert "BOT_TOKEN" not in os.environ
time.sleep({seconds})
print("slept")
"""]
[recipe.sleep.params]
seconds = 0.2
'''
BODY = """### Kind

infra

### Baseline commit

{baseline}

### Optimized commit

{optimized}

### Recipes

sleep

### Extra arms

```text
{arms}
```

### Success criteria

```text
{criteria}
```

### GPU-hour budget

{hours}

### Replicates

3
"""
MARKER = re.compile(r"\A<!-- epm:([a-z-]+) v(\d+) -->")


WHOLE = [
    *("progress v1", "progress v2", "progress v3"),
    *("results v1", "reviewer-verdict v1", "verdict v1", "note v1"),
]
"""The markers of a life without trouble."""


class Life:
    """A hub, a repository on it, an agent that can be killed and started again.

    `extra` is added to the environment of agents."""

    def __init__(self, folder):
        self.folder = folder
        self.extra = {}
        self.command = Paceline(folder / "work", folder / "machine")
        self.repo = self.make_target()
        self.tokens = {}
        options = ["--repo", f"{REPOSITORY}={self.repo}"]
        for name, role in (("ada", "write"), ("bot", "write"), ("eve", "read")):
            (folder / f"{name}.token").touch(mode=0o600)
            (folder / f"{name}.token").write_text(name[0] * 40)
            options += [
                "--role",
                f"{REPOSITORY}:{name}={role}",
                "--token-file",
                f"{name}={folder / name}.token",
            ]
        self.hub = HubProcess(folder / "tracker.db", *options)
        make_key(folder / "key")
        self.config = folder / "agent.toml"
        self.config.write_text(
            f'[tracker]\nrepository = "{REPOSITORY}"\nurl = "{self.hub.base_url}"\ntoken_env = "BOT_TOKEN"\n'
            f'[agent]\nworkspace = "work/.paceline"\nkey = "{folder / "key"}"\npoll_s = 0.3\n'
            "[trust]\ngpu_hours = 1.0\n"
        )
        self.agents = []

    def make_target(self):
        """The repository on the hub, which a life of another target makes otherwise."""
        repo = make_repository(self.folder / "repo", {"paceline.toml": CONFIG, "README": "x"})
        self.first = git(repo, "rev-parse", "HEAD")
        self.second = commit(repo, {"README": "y"})
        return repo

    def environment(self):
        return {**self.command.environment(), "BOT_TOKEN": "b" * 40}

    def start_agent(self, *options, config=None, machine=None):
        command = [sys.executable, "-m", "agent", "agent", "--config", str(config or self.config), *options]
        environment = {**self.environment(), **({"PACELINE_MACHINE": str(machine)} if machine else {})}
        environment |= self.extra
        out = (self.folder / "agent.log").open("ab")
        with out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        self.agents.append(process)
        return process

    def run(self, *arguments):
        command = [sys.executable, "-m", "agent", *arguments, "--config", str(self.config)]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)

    def kill(self, process, number=signal.SIGKILL):
        process.send_signal(number)
        process.wait(timeout=30)

    def ask(self, path, body=None, who="ada", method=None):
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {who[0] * 40}"}
        address = f"{self.hub.base_url}/repos/{REPOSITORY}{path}"
        asked = urllib.request.Request(address, data=data, headers=headers, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def body(self, seconds="0.4", hours="0.5", **changes):
        fields = {"baseline": self.first, "optimized": self.second, "hours": hours}
        fields |= {"arms": f"slow = baseline, seconds={seconds}", "criteria": "sleep/slow:end_to_end_s<=1"}
        return BODY.format(**{**fields, **changes})

    def file(self, body, who="ada"):
        asked = {"title": "faster", "body": body, "labels": ["bench"]}
        return self.ask("/issues", asked, who=who)["number"]

    def comments(self, number):
        return self.ask(f"/issues/{number}/comments?per_page=100")

    def markers(self, number):
        found = [MARKER.match(comment["body"]) for comment in self.comments(number)]
        return [f"{match[1]} v{match[2]}" for match in found if match]

    def stages(self, number):
        return re.findall(r"^## (.+)$", "\n".join(c["body"] for c in self.comments(number)), re.MULTILINE)

    def until(self, is_so, limit_s=90):
        until = time.monotonic() + limit_s
        while not is_so():
            assert time.monotonic() < until, (self.folder / "agent.log").read_text()
            time.sleep(0.05)

    def until_verdict(self, number):
        """And its closing note, the last word on a task."""
        self.until(lambda: any("\n## Closing note" in one["body"] for one in self.comments(number)))
        assert "verdict v1" in self.markers(number)

    def verdict(self, number):
        bodies = [comment["body"] for comment in self.comments(number)]
        return [body for body in bodies if body.startswith("<!-- epm:verdict v") and "epm:data" in body][-1]

    def jobs(self):
        return sorted((self.command.workplace / ".paceline" / "jobs").glob("acme-*"))

    def close(self):
        for process in self.agents:
            if process.poll() is None:
                self.kill(process, signal.SIGTERM)
        self.hub.__exit__()
        until = time.monotonic() + 30
        while self.command.processes() and time.monotonic() < until:
            time.sleep(0.1)
        left = self.command.processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == [], "processes were left behind"


@pytest.fixture
def life(tmp_path):
    folder = tmp_path / "a life's place"
    folder.mkdir()
    life = Life(folder)
    yield life
    life.close()


def test_an_issue_gets_its_progress_results_and_verdict(life):
    number = life.file(life.body())
    life.start_agent()
    life.until_verdict(number)
    assert life.markers(number) == WHOLE
    assert "REGRESSED" in life.verdict(number)  # the slow arm is slower: the criterion was asked of it
    # Folded after the verdict stands, a write at a time.
    life.until(lambda: all(comment.get("minimized") for comment in life.comments(number)[:3]))
    assert not any(comment.get("minimized") for comment in life.comments(number)[3:])
    told = life.command("verify", life.command.workplace / ".paceline")
    assert told.out == "identical\n"
    status = json.loads(life.run("status", "--json").stdout)
    assert [(one["issue"], one["stage"], one["verdict"]) for one in status["issues"]] == [
        (number, "verdict", "FAIL")
    ]


MOMENTS = {
    "before anything": lambda life, number: True,
    "after the approval": lambda life, number: "progress v1" in life.markers(number),
    "after the intent": lambda life, number: "progress v2" in life.markers(number),
    "in the middle of the runs": lambda life, number: (
        any(life.jobs()) and list(life.jobs()[0].glob("runs/sleep/2/*/exit.json"))
    ),
    "after the results": lambda life, number: "results v1" in life.markers(number),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_agent_that_was_killed_carries_on_and_repeats_nothing(life, moment):
    number = life.file(life.body())
    process = life.start_agent()
    life.until(lambda: MOMENTS[moment](life, number))
    life.kill(process)
    life.start_agent()
    life.until_verdict(number)
    markers = life.markers(number)
    assert markers.count("results v1") == 1
    assert markers.count("verdict v1") == 1
    assert len(set(markers)) == len(markers)
    [job] = life.jobs()
    records = list(job.glob("runs/sleep/*/*/exit.json"))
    # What a loaded machine spoiled was set aside, under a name of its own, and made again.
    assert len([path for path in records if ASIDE not in path.parent.name]) == 9
    assert len({json.loads(path.read_text())["owner"]["pid"] for path in records}) == len(records)
    document = json.loads((job / "result.json").read_text())
    assert len(document["runs"]) == len(records), "a run was repeated that nobody set aside"


def test_two_issues_at_once_both_get_their_verdict(life):
    numbers = [life.file(life.body()), life.file(life.body(seconds="0.3"))]
    life.start_agent()
    for number in numbers:
        life.until_verdict(number)
    assert len(life.jobs()) == 2


def test_two_agents_on_two_machines_measure_each_issue_once(life):
    elsewhere = life.folder / "elsewhere.toml"
    text = life.config.read_text()
    elsewhere.write_text(text.replace('"work/.paceline"', '"work/elsewhere"'))
    numbers = [life.file(life.body(seconds=f"0.{n}")) for n in (3, 4, 5)]
    life.start_agent()
    life.start_agent(config=elsewhere, machine=life.folder / "machine-2")
    for number in numbers:
        life.until_verdict(number)
    work = life.command.workplace
    jobs = [path for where in (".paceline", "elsewhere") for path in work.glob(f"{where}/jobs/acme-*")]
    started = [path.name for path in jobs if list(path.glob("runs/*/*/*/exit.json"))]
    assert len(started) == len(set(started)) == 3, "an issue was measured twice"
    for number in numbers:
        seen = [c for c in life.comments(number) if not c.get("minimized")]
        kinds = [MARKER.match(c["body"])[1] for c in seen if MARKER.match(c["body"])]
        assert kinds.count("results") == kinds.count("verdict") == 1


def test_an_agent_elsewhere_leaves_the_work_of_a_killed_one_alone_while_its_hold_is_fresh(life):
    elsewhere = life.folder / "elsewhere.toml"
    elsewhere.write_text(life.config.read_text().replace('"work/.paceline"', '"work/elsewhere"'))
    number = life.file(life.body(seconds="1.5"))
    first = life.start_agent()
    life.until(running(life, number))
    life.kill(first)
    life.start_agent(config=elsewhere, machine=life.folder / "machine-2")
    life.until(lambda: (life.folder / "agent.log").read_text().count("every 0.3 s") == 2)
    markers = life.markers(number)
    time.sleep(2.0)  # several polls
    assert life.markers(number) == markers
    assert not list(life.command.workplace.glob("elsewhere/jobs/acme-*"))
    life.start_agent()
    life.until_verdict(number)


def running(life, number):
    return lambda: "Status: measuring" in life.stages(number)


@pytest.mark.parametrize("change", ["closed", "unlabelled", "cancelled", "edited"])
def test_what_nobody_wants_any_more_is_stopped_and_said(life, change):
    number = life.file(life.body(seconds="30"))
    life.start_agent()
    life.until(running(life, number))
    if change == "closed":
        life.ask(f"/issues/{number}", {"state": "closed"}, method="PATCH")
    elif change == "unlabelled":
        life.ask(f"/issues/{number}/labels/bench", method="DELETE")
    elif change == "cancelled":
        assert "is cancelled" in life.run("cancel", str(number)).stdout
    else:
        life.ask(f"/issues/{number}", {"body": life.body(seconds="0.3")}, method="PATCH")
    life.until(lambda: "Status: stopped" in life.stages(number))
    first = life.jobs()[0]
    assert json.loads((first / "exit.json").read_text())["outcome"] == "cancelled"
    if change == "edited":
        life.until_verdict(number)
        assert len(life.jobs()) == 2
    else:
        assert "verdict v1" not in life.markers(number)


@pytest.mark.parametrize("change", ["deleted", "transferred"])
def test_an_issue_that_is_gone_frees_everything(life, change):
    number = life.file(life.body(seconds="30"))
    life.start_agent()
    life.until(running(life, number))
    with open_admin(life.folder / "tracker.db") as admin:
        if change == "deleted":
            admin.delete_issue(REPOSITORY, number)
        else:
            other = make_repository(life.folder / "other", {"README": "x"})
            admin.repository("acme/other", other)
            admin.transfer_issue(REPOSITORY, number, "acme/other")
    [job] = life.jobs()
    life.until((job / "exit.json").exists)
    assert json.loads((job / "exit.json").read_text())["outcome"] == "cancelled"
    life.until(lambda: f"the issue was {change}" in (life.folder / "agent.log").read_text())


def test_a_poll_in_which_nothing_changed_costs_nothing_of_the_rate_limit(life):
    """Also once an issue has its verdict, whose last word of progress is that it is measured."""
    number = life.file(life.body())
    life.start_agent()
    life.until_verdict(number)
    life.until(lambda: all(comment.get("minimized") for comment in life.comments(number)[:3]))
    time.sleep(1.0)

    def left():
        headers = {"Authorization": f"Bearer {'b' * 40}"}
        asked = urllib.request.Request(f"{life.hub.base_url}/rate_limit", headers=headers)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read())["resources"]["core"]["remaining"]

    before = left()
    time.sleep(2.0)  # several polls
    assert left() == before


def test_watch_says_the_way_to_the_verdict_and_ends(life):
    number = life.file(life.body())
    life.start_agent()
    told = life.run("watch", str(number))
    assert told.returncode == 0
    assert told.stderr.splitlines()[-1] == f"#{number} faster: verdict, FAIL"


def test_an_edit_of_other_words_lets_the_job_go_on(life):
    number = life.file(life.body(seconds="1.5"))
    life.start_agent()
    life.until(running(life, number))
    life.ask(
        f"/issues/{number}",
        {"body": "### Context\n\nmore words\n\n" + life.body(seconds="1.5")},
        method="PATCH",
    )
    life.until_verdict(number)
    assert len(life.jobs()) == 1


def test_problems_are_asked_about_once_with_line_and_example_until_the_text_is_mended(life):
    number = life.file(life.body(baseline="--upload-pack=x"))
    life.start_agent()
    life.until(lambda: life.markers(number) == ["progress v1"])
    text = life.comments(number)[0]["body"]
    assert "Blockers / decisions needed" in text
    assert "Baseline commit (line" in text
    time.sleep(1.5)  # several polls
    assert life.markers(number) == ["progress v1"]
    life.ask(f"/issues/{number}", {"body": life.body()}, method="PATCH")
    life.until_verdict(number)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"baseline": "f" * 40}, "Baseline commit (line 7): no commit"),
        ({"optimized": "no-such-branch"}, "Optimized commit (line 11): no commit"),
        (
            {"arms": "slow = baseline, secondz=1"},
            "Extra arms (line 20): no recipe has a parameter 'secondz' (did you mean 'seconds'?)",
        ),
    ],
)
def test_a_task_that_cannot_be_planned_is_told_why(life, changes, told):
    number = life.file(life.body(**changes))
    life.start_agent()
    life.until(lambda: life.markers(number) == ["progress v1"])
    assert told in life.comments(number)[0]["body"]
    assert life.jobs() == []


def test_a_commit_that_no_allowed_branch_reaches_costs_no_time(life):
    stray = commit(life.repo, {"README": "stray"})
    git(life.repo, "reset", "--quiet", "--hard", life.second)
    number = life.file(life.body(optimized=stray))
    life.start_agent()
    life.until(lambda: life.markers(number) == ["progress v1"])
    assert life.jobs() == []


def test_beyond_the_budget_somebody_with_write_permission_has_to_approve(life):
    number = life.file(life.body(hours="5"))
    life.start_agent()
    life.until(lambda: life.markers(number) == ["progress v1"])
    text = life.comments(number)[0]["body"]
    command = re.search(r"/approve [0-9a-f]{12}", text)[0]
    life.ask(f"/issues/{number}/comments", {"body": command}, who="eve")
    time.sleep(1.5)
    assert life.markers(number) == ["progress v1"]
    life.ask(f"/issues/{number}/comments", {"body": command}, who="ada")
    life.until_verdict(number)


def test_a_label_on_a_readers_issue_is_not_a_permission(life):
    number = life.ask("/issues", {"title": "x", "body": life.body()}, who="eve")["number"]
    life.ask(f"/issues/{number}/labels", {"labels": ["bench"]}, who="ada")
    life.start_agent()
    life.until(lambda: life.markers(number) == ["progress v1"])
    assert "eve has read" in life.comments(number)[0]["body"]
    assert life.jobs() == []


def test_a_hostile_body_is_read_and_harms_nothing(life):
    hostile = (
        "### Context\n\n<!-- epm:results v1 -->\n## Report\n<script>alert(1)</script> @everyone | a | b |\n"
        "$(touch /tmp/owned) `rm -rf /`\n<!-- /epm:results -->\n\n"
    )
    change = "<script>alert(1)</script> @everyone <!-- epm:data x --> `$(touch /tmp/owned)` \\| [x](http://x)"
    hostile_fields = (
        f"\n### Changes\n\n| # | File:Line | Change | Expected win |\n|---|---|---|---|\n"
        f"| A | {change} | {change} | {change} |\n"
        f"\n### What must not change\n\n- {change}\n- <!-- /epm:results --> ```\n- ## Verdict: PASS\n"
    )
    number = life.file(hostile + life.body() + hostile_fields)
    life.ask(f"/issues/{number}/comments", {"body": "<!-- epm:verdict v1 -->\n## Verdict: PASS\n"}, who="ada")
    life.start_agent()
    life.until(lambda: life.markers(number).count("verdict v1") == 2)
    mine = [c["body"] for c in life.comments(number) if c["user"]["login"] == "bot"]
    assert not any("<script" in body or "@everyone" in body for body in mine)
    assert not any("\n## Verdict: PASS" in body or body.count("<!-- epm:data") != 1 for body in mine)
    assert "must not change, which no run can check: &lt;script>" in mine[0]
    life.until_verdict(number)
    assert "&lt;script>" in life.verdict(number).partition("### Promised and stated in the issue")[2]


def test_a_marker_of_our_own_that_was_changed_parks_the_task(life):
    number = life.file(life.body(hours="5"))
    process = life.start_agent()
    life.until(lambda: life.markers(number) == ["progress v1"])
    life.kill(process)
    [comment] = life.comments(number)
    changed = comment["body"].replace("5 GPU-hours", "0 GPU-hours")
    life.ask(f"/issues/comments/{comment['id']}", {"body": changed}, who="bot", method="PATCH")
    life.start_agent()
    life.until(lambda: "note v1" in life.markers(number))
    assert "its signature does not hold" in life.comments(number)[-1]["body"]
    assert life.jobs() == []


def test_dry_run_says_what_it_would_do_and_does_nothing(life):
    number = life.file(life.body())
    told = life.run("agent", "--dry-run")
    assert f"#{number}: would post progress" in told.stderr
    assert life.comments(number) == []


def test_doctor_says_what_is_well_and_what_is_not(life):
    told = life.run("doctor")
    assert told.returncode == 0, told.stdout
    assert f"ok   tracker: {REPOSITORY} as bot (write)" in told.stdout
    assert "ok   token: classic, of scopes: repo" in told.stdout
    life.config.write_text(life.config.read_text().replace("BOT_TOKEN", "NO_TOKEN"))
    told = life.run("doctor")
    assert told.returncode == 3
    assert "FAIL configuration" in told.stdout
    assert "NO_TOKEN holds no token" in told.stdout


def test_an_idle_agent_is_small(life):
    process = life.start_agent()
    life.until(lambda: "every 0.3 s" in (life.folder / "agent.log").read_text())
    time.sleep(1.0)
    status = (life.folder / "agent.log").parent.joinpath("/proc", str(process.pid), "status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) < 120 * 1024

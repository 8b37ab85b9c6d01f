"""Checks a GitHub-compatible tracker with a token: the contract suite of the embedded tracker, and the port.

Run it against a scratch repository with at least two commits: it files, comments on and closes issues, makes
labels and one branch, and takes away what can be taken away (closed issues stay). One line a check; the token
is never printed.

    SCRATCH_TOKEN=... python scripts/smoke_github.py --repo me/scratch --token-env SCRATCH_TOKEN

Exit status: 0 every check holds, 1 one does not, 2 it could not be tried.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import github

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.tracker import Gone, TrackerError, Unsure  # noqa: E402 - the repository is not on the path of a script
from agent.tracker_github import GithubTracker  # noqa: E402
from tests.hub.contract import CHECKS, LABEL  # noqa: E402

GITHUB = "https://api.github.com"
TITLE = "paceline smoke"
WRITES_CONTENTS = "check_a_results_branch_is_written_in_one_commit"
LISTED_LIMIT_S = 30.0  # GitHub's lists may lag behind its writes
Check = tuple[str, Callable[[], None]]


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    token = os.environ.get(given.token_env, "")
    if not token:
        return could_not(f"the environment variable {given.token_env} holds no token")
    try:
        port = GithubTracker(given.base_url, token, given.repo)
    except TrackerError as error:
        return could_not(str(error))
    is_far = given.base_url.startswith("https:")
    pace = {} if is_far else {"seconds_between_requests": None, "seconds_between_writes": None}
    client = github.Github(base_url=given.base_url, auth=github.Auth.Token(token), retry=None, **pace)
    try:
        port.repository_id()
        failed = sum([not holds(*check, token) for check in checks(client, port, given.without_branch)])
    except TrackerError as error:
        return could_not(str(error))
    finally:
        port.close()
        client.close()
    print(f"{failed} of the checks failed" if failed else "every check holds")
    return 1 if failed else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--repo", required=True, metavar="OWNER/NAME", help="a scratch repository")
    made.add_argument("--token-env", required=True, metavar="NAME", help="the variable that holds the token")
    made.add_argument("--base-url", default=GITHUB, metavar="URL", help=f"of the REST API; {GITHUB}")
    told = "leave out the one check that needs Contents: write"
    made.add_argument("--without-branch", action="store_true", help=told)
    return made


def checks(client: github.Github, port: GithubTracker, without_branch: bool) -> Iterator[Check]:
    for check in CHECKS:
        if not (without_branch and check.__name__ == WRITES_CONTENTS):
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield name, lambda check=check: check(client, port.repository)
    yield "the port's round trip", lambda: round_trip(client, port)
    yield "nothing is left open", lambda: clean(client, port.repository)


def holds(name: str, check: Callable[[], None], token: str) -> bool:
    began = time.monotonic()
    try:
        check()
    except Exception as error:
        lines = str(error).replace(token, "***").strip().splitlines() or ["no message"]
        print(f"FAILED  {name}: {type(error).__name__}: {lines[0][:300]}", flush=True)
        return False
    print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return True


def round_trip(client: github.Github, port: GithubTracker) -> None:
    """An issue from its filing to its closing, as the agent sees it."""
    repo = client.get_repo(port.repository)
    label = f"{LABEL}-{secrets.token_hex(3)}"
    port.ensure_labels([(label, "0e8a16", "made by the smoke test"), (label.upper(), "0e8a16", "")])
    filed = repo.create_issue(f"{TITLE} {label}", body="body", labels=[label])
    until(lambda: [one.number for one in port.tagged(label) or ()] == [filed.number], "the issue is listed")
    until(lambda: port.tagged(label) is None, "an unchanged list is 304")
    me = port.me()
    posted = port.post(filed.number, "one")
    assert [(one.body, one.author) for one in port.comments(filed.number)] == [("one", me)], "comment"
    port.edit(posted.id, "two")
    assert [one.body for one in port.comments(filed.number)] == ["two"], "edited comment"
    port.minimise(posted)
    try:
        port.post(filed.number, "x" * 70_000)
    except Unsure:
        raise
    except TrackerError:
        pass
    else:
        raise AssertionError("a comment of 70000 characters was taken")
    assert port.role(me) in ("admin", "maintain", "write"), f"the role of {me.login} is {port.role(me)}"
    tip = port.commit_of(port.default_branch())
    assert tip is not None, "the default branch has a commit"
    assert port.commit_of(tip.id[:10]) == tip, "a short id"
    assert port.is_reachable(tip.id, [port.default_branch()]), "the tip is reachable"
    assert port.file("no/such/file", tip.id) is None, "a file that is not there"
    filed.edit(state="closed")
    found = port.issue(filed.number)
    assert not isinstance(found, Gone), "the closed issue is there"
    assert not found.is_open, "the issue is closed"
    until(lambda: port.tagged(label) in ([], None), "a closed issue leaves the list")
    assert port.issue(99_999_999) == Gone("not found"), "an issue that never was"
    repo.get_label(label).delete()


def until(claim: Callable[[], bool], name: str) -> None:
    """Raises AssertionError where the claim does not come true in time."""
    deadline = time.monotonic() + LISTED_LIMIT_S
    while not claim():
        assert time.monotonic() < deadline, f"{name}: not within {LISTED_LIMIT_S:.0f} s"
        time.sleep(1.0)


def clean(client: github.Github, name: str) -> None:
    """Closes, and deletes, what a check that failed has left of this and earlier runs of ours."""
    repo = client.get_repo(name)
    for issue in repo.get_issues(state="open", creator=client.get_user().login):
        if issue.title.startswith(("contract ", f"{TITLE} ")):
            issue.edit(state="closed")
    for label in list(repo.get_labels()):
        if label.name.startswith(LABEL):
            label.delete()
    for ref in list(repo.get_git_matching_refs(f"heads/{LABEL}-")):
        ref.delete()


def could_not(message: str) -> int:
    print(f"smoke_github: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""Real repositories, the real command line, real processes; and a look that none of them is left."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

SUBJECTS = Path(__file__).parent.parent / "subjects"
LIMIT_S = 900


def git(folder, *arguments):
    command = ["git", "-c", "user.name=T", "-c", "user.email=t@localhost", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def make_repository(folder: Path, files: dict[str, str]) -> Path:
    """A repository with one commit of these files, on main."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, files)
    return folder


def commit(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")
    return git(folder, "rev-parse", "HEAD")


def subject(name: str) -> str:
    return (SUBJECTS / name).read_text()


@dataclass
class Benched:
    status: int
    out: str
    err: str
    folder: Path | None

    @property
    def document(self) -> dict:
        return json.loads(self.out)

    def run(self, recipe: str, arm: str = "baseline", replicate: int = 1) -> dict:
        [found] = [
            run
            for run in self.document["runs"]
            if (run["recipe"], run["arm"], run["replicate"]) == (recipe, arm, replicate)
        ]
        return found


class Paceline:
    """The command line in a working folder and on a machine of its own."""

    def __init__(self, workplace: Path, machine: Path) -> None:
        self.workplace = workplace
        self.machine = machine
        self.token = uuid.uuid4().hex
        workplace.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")}
        return {
            **kept,
            "PACELINE_MACHINE": str(self.machine),
            "RUN_OF_A_TEST": self.token,
            # Two threads each on two cores spin against whatever else runs on a test machine.
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }

    def start(self, *arguments: object) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "agent", *map(str, arguments)],
            cwd=self.workplace,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: object) -> Benched:
        process = self.start(*arguments)
        return self.ended(process)

    def ended(self, process: subprocess.Popen) -> Benched:
        out, err = process.communicate(timeout=LIMIT_S)
        told = [line for line in err.splitlines() if line.startswith("paceline: /")]
        place = err[err.rindex("paceline: /") + 10 :].rstrip("\n") if told else ""
        return Benched(process.returncode, out, err, Path(place) if place else None)

    def bench(self, repo: Path, *arguments: object, replicates: int = 1, rev: str = "main") -> Benched:
        both = ["--baseline", rev] + ([] if "--optimized" in arguments else ["--optimized", rev])
        return self("bench", *arguments, "--repo", repo, *both, "--replicates", replicates, "--json")

    def processes(self) -> list[int]:
        """Processes that were started from here and live."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
                state = (folder / "stat").read_text().rpartition(") ")[2][:1]
            except OSError:
                continue
            if self.token.encode() in environment and state != "Z":
                found.append(int(folder.name))
        return found


@pytest.fixture
def paceline(tmp_path):
    command = Paceline(tmp_path / "work place", tmp_path / "machine")
    yield command
    until = time.monotonic() + 20
    while command.processes() and time.monotonic() < until:
        time.sleep(0.1)
    left = command.processes()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], "processes were left behind"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, with its bytes; `.git` too, but for what reading itself refreshes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("index", "FETCH_HEAD")
    }

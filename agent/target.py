"""The target to try Paceline on: a small fine-tuning repository with its history.

Owns the writing of `templates/target/` to a folder: the file tree of the baseline as one commit, then one
commit per mailbox patch in `changes/`, tagged `baseline` and `optimized`. Names, dates and contents are fixed
and neither the user's git settings nor the environment's reach in, so every machine gets the same commit ids.
Refuses a folder that is not empty. Needs `git`; what the files do is their own README's business.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from agent.errors import TaskError

_AUTHOR = ("Tara Get", "tara@target.invalid")
_BASELINE_DATE = "2026-01-05T09:00:00+00:00"
_BASELINE_MESSAGE = "Fine-tune a tiny model with LoRA: SFT and DPO on TRL's defaults\n"

# With no configuration file read, git still looks for these in places of the user or the machine.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "commit.gpgSign=false",
    "maintenance.auto=false",
)


@dataclass(frozen=True, slots=True)
class Commits:
    """Full commit ids. `changes` are in order, oldest first; the last one is `optimized`."""

    baseline: str
    changes: tuple[str, ...]

    @property
    def optimized(self) -> str:
        return self.changes[-1]


def write_target(folder: Path) -> Commits:
    """Writes the target repository to `folder`, which is made if it does not exist.

    A folder that did not exist appears whole or not at all, even when the process is killed.

    Raises:
        TaskError: the folder is not empty or cannot be written, or git is missing or fails.
    """
    folder = folder.absolute()
    try:
        _refuse_occupied(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # On the file system of the folder: an empty one may be a mount point.
        beside = folder if folder.exists() else folder.parent
        with tempfile.TemporaryDirectory(prefix=".paceline-target-", dir=beside) as stage:
            root = Path(stage) / "target"
            root.mkdir()
            commits = _build(root)
            _place(root, folder)
    except OSError as error:
        raise TaskError(f"cannot write the target to {str(folder)!r}: {error.strerror or error}") from error
    return commits


def _refuse_occupied(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()):
            raise TaskError(f"{str(folder)!r} is not empty: name a new or an empty folder for the target")
    elif folder.exists() or folder.is_symlink():
        raise TaskError(f"{str(folder)!r} is not a folder: name a new or an empty folder for the target")


def _build(root: Path) -> Commits:
    source = resources.files("templates") / "target"
    _copy(source / "baseline", root)

    _git(root, "init", "--quiet", "--template=", "--object-format=sha1", "--initial-branch=main")
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--file=-", stdin=_BASELINE_MESSAGE.encode(), date=_BASELINE_DATE)
    _git(root, "tag", "baseline")
    baseline = _head(root)

    changes = []
    for patch in sorted((source / "changes").iterdir(), key=lambda file: file.name):
        _git(root, "am", "--quiet", "--committer-date-is-author-date", stdin=patch.read_bytes())
        changes.append(_head(root))
    _git(root, "tag", "optimized")
    return Commits(baseline=baseline, changes=tuple(changes))


def _copy(source: Traversable, folder: Path) -> None:
    for entry in source.iterdir():
        # Left behind by tools; neither is part of the package's data, which has no names with a leading dot.
        if entry.name == "__pycache__" or entry.name.startswith("."):
            continue
        destination = folder / (".gitignore" if entry.name == "gitignore" else entry.name)
        if entry.is_dir():
            destination.mkdir()
            _copy(entry, destination)
        else:
            destination.write_bytes(entry.read_bytes())


def _place(root: Path, folder: Path) -> None:
    if not folder.exists():
        root.rename(folder)
        return
    # An empty folder stays the same folder: it may be somebody's working directory. `.git` comes last.
    for entry in sorted(root.iterdir(), key=lambda entry: entry.name == ".git"):
        entry.rename(folder / entry.name)


def _head(root: Path) -> str:
    return _git(root, "rev-parse", "HEAD").strip()


def _git(root: Path, *arguments: str, stdin: bytes = b"", date: str = "") -> str:
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, *arguments],
            cwd=root,
            env=_environment(date),
            input=stdin,
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise TaskError("git was not found: install git and try again") from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())
        raise TaskError(f"git {arguments[0]} failed while writing the target: {said}") from error
    return done.stdout.decode()


def _environment(date: str) -> dict[str, str]:
    """The caller's environment without its git: GIT_DIR, GIT_CONFIG_COUNT, GIT_AUTHOR_DATE and the like."""
    name, email = _AUTHOR
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    ours = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
        "LC_ALL": "C",
    }
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    return kept | ours | dates

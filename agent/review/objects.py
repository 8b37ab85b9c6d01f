"""The objects of a repository, seen through an empty repository of our own.

A bare repository in a temporary folder borrows the subject's object store: no configuration, attributes,
hooks, filters, grafts or replacements of the subject or the user reach what is read here, and nothing is
written there. Whatever is run has a time limit, a limit of output, and an environment of four variables.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.worker.source import SourceError, git
from pods.shell import Completed
from pods.shell_local import LocalShell

from agent.errors import TaskError

GIT_LIMIT_S = 60.0
TREE_LIMIT_B = 32 << 20
LARGEST_B = 1 << 20
"""Of a file whose text is looked at; git takes longer ones for binary in its diffs."""
BATCH_LIMIT_B = 256 << 20

SUBMODULE, SYMLINK = "160000", "120000"
_SETTINGS = (
    f"core.bigFileThreshold={LARGEST_B}",
    "core.quotePath=true",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "diff.renameLimit=1000",
)
_HEADER = re.compile(rb"([0-9a-f]{40,64}) (\w+) (\d+)\n")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a tree; `path` may hold surrogates where it is no UTF-8."""

    mode: str
    blob: str
    path: str

    @property
    def is_regular(self) -> bool:
        return self.mode not in (SUBMODULE, SYMLINK)


def run_quietly(
    argv: Sequence[str], home: Path, *, limit_s: float, limit_b: int, stdin: bytes = b"", **more: str
) -> Completed:
    """Run a program of ours with an environment that holds nothing of the user's."""
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C.UTF-8",
        **more,
    }
    words = [f"{name}={value}" for name, value in variables.items()]
    return LocalShell().run(["env", "-i", *words, *argv], stdin=stdin, timeout_s=limit_s, limit_b=limit_b)


class Objects:
    """Reads objects by full id. Raises TaskError with git's own words where they cannot be read."""

    def __init__(self, folder: Path, store: Path) -> None:
        self._folder = folder
        self._store = store

    def ran(self, *arguments: str, limit_b: int, stdin: bytes = b"") -> Completed:
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        done = run_quietly(
            ["git", *settings, "--git-dir", str(self._folder), *arguments],
            self._folder,
            limit_s=GIT_LIMIT_S,
            limit_b=limit_b,
            stdin=stdin,
            GIT_OBJECT_DIRECTORY=str(self._store),
            GIT_CONFIG_NOSYSTEM="1",
            GIT_CONFIG_GLOBAL=os.devnull,
            GIT_ATTR_NOSYSTEM="1",
            GIT_NO_REPLACE_OBJECTS="1",
            GIT_TERMINAL_PROMPT="0",
        )
        if done.status is None:
            raise TaskError(f"cannot review: git {arguments[0]} did not end in {GIT_LIMIT_S:.0f} s")
        if done.status:
            raise TaskError(f"cannot review: git {arguments[0]} failed: {done.last_words}")
        return done

    def tree(self, commit: str) -> tuple[Entry, ...]:
        """Every file of a commit, submodules and symbolic links with their mode."""
        done = self.ran("ls-tree", "-r", "-z", "--full-tree", commit, limit_b=TREE_LIMIT_B)
        if done.is_truncated:
            raise TaskError(f"cannot review: the list of files of {commit[:12]} is longer than 32 MiB")
        entries = []
        for record in done.out.split(b"\0")[:-1]:
            told, _, path = record.partition(b"\t")
            mode, _, blob = told.decode().split(" ")
            entries.append(Entry(mode, blob, os.fsdecode(path)))
        return tuple(entries)

    def contents(self, blobs: Sequence[str]) -> dict[str, bytes | None]:
        """The bytes of each blob, None for one over `LARGEST_B` or missing."""
        wanted = list(dict.fromkeys(blobs))
        if not wanted:
            return {}
        asked = "".join(f"{blob}\n" for blob in wanted).encode()
        sizes = self.ran("cat-file", "--batch-check", limit_b=TREE_LIMIT_B, stdin=asked).out
        small, total = [], 0
        for blob, line in zip(wanted, sizes.splitlines(), strict=True):
            size = line.split(b" ")[-1]
            if size.isdigit() and int(size) <= LARGEST_B and total + int(size) <= BATCH_LIMIT_B // 2:
                small.append(blob)
                total += int(size)
        found: dict[str, bytes | None] = dict.fromkeys(wanted)
        if small:
            asked = "".join(f"{blob}\n" for blob in small).encode()
            found |= _batch(self.ran("cat-file", "--batch", limit_b=BATCH_LIMIT_B, stdin=asked).out)
        return found


def _batch(printed: bytes) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    at = 0
    while header := _HEADER.match(printed, at):
        begin, size = header.end(), int(header[3])
        found[header[1].decode()] = printed[begin : begin + size]
        at = begin + size + 1
    return found


@contextmanager
def opened(repository: Path) -> Iterator[Objects]:
    """Raises TaskError where `repository` is none, or git is missing."""
    where = ("-C", str(repository), "rev-parse", "--path-format=absolute")
    try:
        store = git(*where, "--git-path", "objects").removesuffix("\n")
        shallow = Path(git(*where, "--git-path", "shallow").removesuffix("\n"))
        kind = git(*where, "--show-object-format").strip()
    except SourceError as error:
        raise TaskError(f"cannot review {repository}: {error}") from None
    with tempfile.TemporaryDirectory(prefix="paceline-review-") as folder:
        own = Path(folder) / "objects.git"
        try:
            git(
                "init",
                "--quiet",
                "--bare",
                "--template=",
                f"--object-format={kind}",
                str(own),
                with_settings=False,
            )
        except SourceError as error:
            raise TaskError(f"cannot review {repository}: {error}") from None
        if shallow.is_file():
            (own / "shallow").write_bytes(shallow.read_bytes())
        yield Objects(own, Path(store))

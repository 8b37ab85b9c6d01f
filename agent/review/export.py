"""The files of one end of a range, written to a temporary folder for linters to read.

Owns which files get there: the touched Python files with their text, every ruff configuration, and every
other Python file empty, since import sorting asks which modules exist. Refuses names that lead out of the
folder, symbolic links, submodules, and names that are no UTF-8. Nothing there is ever run.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.review.objects import SYMLINK, Entry, Objects

MOST_PYTHON = 300
MOST_CONFIGS = 200
MOST_STANDINS = 20_000
CONFIGS = ("ruff.toml", ".ruff.toml", "pyproject.toml")
_VERSIONS = re.compile(r"[0-9A-Za-z.*,<>=!~ ]{1,100}")


@dataclass(frozen=True, slots=True)
class Export:
    """`texts` are the files to look at by their path in the repository; `skipped` says why others are not.

    `is_isolated` gives the reason for which the repository's own ruff configuration is not used, or "".
    """

    root: Path
    texts: Mapping[str, bytes]
    skipped: tuple[tuple[str, str], ...]
    is_isolated: str = ""

    @property
    def files(self) -> list[str]:
        return [str(self.root / path) for path in self.texts]

    def path_of(self, file: str) -> str:
        """The path in the repository of a file as a linter names it; "" for any other."""
        try:
            path = Path(file).relative_to(self.root).as_posix()
        except ValueError:
            return ""
        return path if path in self.texts else ""


def export(objects: Objects, tree: Collection[Entry], wanted: Collection[str], folder: Path) -> Export:
    """Writes to `folder`, which is made. Raises OSError where nothing can be written at all."""
    root = folder / "tree"
    root.mkdir(parents=True)
    by_path = {entry.path: entry for entry in tree}
    skipped: list[tuple[str, str]] = []
    chosen: list[Entry] = []
    for path in sorted(wanted):
        entry = by_path.get(path)
        if entry is None or not entry.is_regular:
            continue
        if why := _refused(path):
            skipped.append((path, why))
        elif len(chosen) >= MOST_PYTHON:
            skipped.append((path, f"only the first {MOST_PYTHON} Python files are linted"))
        else:
            chosen.append(entry)
    configs = [
        entry
        for entry in tree
        if entry.is_regular and PurePosixPath(entry.path).suffix == ".toml" and not _refused(entry.path)
    ]
    configs = sorted(configs, key=lambda one: (PurePosixPath(one.path).name not in CONFIGS, one.path))[
        :MOST_CONFIGS
    ]
    contents = objects.contents([entry.blob for entry in (*chosen, *configs)])
    texts: dict[str, bytes] = {}
    for entry in chosen:
        data = contents[entry.blob]
        if data is None:
            skipped.append((entry.path, "longer than 1 MiB"))
        elif not _is_written(root / entry.path, data):
            skipped.append((entry.path, "its name cannot be written here"))
        else:
            texts[entry.path] = data
    for entry in configs:
        _is_written(root / entry.path, contents[entry.blob] or b"")
    _write_standins(root, tree, texts)
    _write_gate(folder, contents, by_path.get("pyproject.toml"))
    settings = [(entry.path, contents[entry.blob] or b"") for entry in configs]
    links = [e.path for e in tree if e.mode == SYMLINK and PurePosixPath(e.path).name in CONFIGS]
    why = f"{links[0]} is a symbolic link" if links else _why_isolated(settings)
    return Export(root, texts, tuple(skipped), why)


def _refused(path: str) -> str:
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in path:
        return "its name leads out of the repository"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is no UTF-8"
    return ""


def _is_written(file: Path, data: bytes) -> bool:
    """False where the file system refuses the name, as it does one that is too long."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except OSError:
        return False
    return True


def _write_standins(root: Path, tree: Collection[Entry], texts: Mapping[str, bytes]) -> None:
    python = [entry.path for entry in tree if entry.is_regular and entry.path.endswith((".py", ".pyi"))]
    for path in python[:MOST_STANDINS]:
        if path not in texts and not _refused(path):
            _is_written(root / path, b"")


def _write_gate(folder: Path, contents: Mapping[str, bytes | None], pyproject: Entry | None) -> None:
    """A configuration above the exported tree, so that ruff asks none of the machine's or the user's.

    It hands on the versions of Python that the repository asks for: ruff would read them where it finds no
    configuration at all.
    """
    versions = ""
    if pyproject is not None and (data := contents.get(pyproject.blob)):
        project = (_toml(data) or {}).get("project")
        asked = project.get("requires-python") if isinstance(project, dict) else None
        if isinstance(asked, str) and _VERSIONS.fullmatch(asked):
            versions = f'requires-python = "{asked}"\n'
    text = f'[project]\nname = "gate"\nversion = "0"\n{versions}[tool.ruff]\n'
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def _toml(data: bytes) -> dict[str, object] | None:
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        return None


def _why_isolated(settings: Collection[tuple[str, bytes]]) -> str:
    """Why no configuration of the repository may be used: one reads a file of this machine."""
    for path, data in settings:
        table: object = _toml(data)
        if PurePosixPath(path).name == "pyproject.toml":
            for name in ("tool", "ruff"):
                table = table.get(name) if isinstance(table, dict) else None
        extended = table.get("extend") if isinstance(table, dict) else None
        if isinstance(extended, str) and not _is_inside(path, extended):
            return f"{path} extends {extended}, which is outside the repository"
    return ""


def _is_inside(path: str, extended: str) -> bool:
    """Whether a relative `extend` of the configuration at `path` stays in the repository."""
    if extended.startswith(("/", "~", "\\")) or "$" in extended:
        return False
    depth = len(PurePosixPath(path).parts) - 1
    for part in extended.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return False
    return True

"""The wheel holds everything that the installed program reads: a job is packed from the installed files."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("agent", "pods", "bench", "train", "templates")
BUILD = "import setuptools.build_meta as build, sys; print(build.build_wheel(sys.argv[1]))"


def is_ours(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


def files(folder: str, pattern: str = "*") -> set[str]:
    return {p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob(pattern) if is_ours(p)}


def declared() -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return set(tomllib.load(file)["tool"]["setuptools"]["packages"])


def is_package(folder: Path) -> bool:
    """A folder of ours with Python files; the target is data, not code of ours."""
    return any(folder.glob("*.py")) and "target" not in folder.parts


def test_every_folder_with_python_files_is_a_declared_package():
    folders = [
        folder
        for room in ROOMS
        for folder in (ROOT / room, *(ROOT / room).rglob("*"))
        if folder.is_dir() and is_package(folder)
    ]
    names = {folder.relative_to(ROOT).as_posix().replace("/", ".") for folder in folders}
    assert names - declared() == set()


def test_every_declared_package_is_there():
    assert [name for name in sorted(declared()) if not (ROOT / name.replace(".", "/")).is_dir()] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> dict[str, bytes]:
    """The files of a wheel of this tree by name, built in a copy without a network."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    for name in ["pyproject.toml", *(name for room in ROOMS for name in files(room))]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for name in ("README.md", "LICENSE"):
        (copy / name).write_text(f"{name} of a test\n")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, folder], cwd=copy, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(folder / built.stdout.splitlines()[-1]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("room", ["agent", "pods", "train"])
def test_the_wheel_holds_every_module_of_a_room(wheel, room):
    assert files(room, "*.py") - set(wheel) == set()


def test_the_wheel_holds_every_module_of_bench_with_worker_and_hook(wheel):
    assert files("bench", "*.py") - set(wheel) == set()


def test_the_wheel_holds_every_template_and_every_file_of_the_target(wheel):
    assert files("templates") - set(wheel) == set()


def test_the_wheel_holds_no_tests_and_nothing_compiled(wheel):
    assert [name for name in sorted(wheel) if name.startswith("tests/") or name.endswith(".pyc")] == []


def test_the_wheel_has_the_command(wheel):
    [entry] = [name for name in wheel if name.endswith(".dist-info/entry_points.txt")]
    assert "paceline = agent.__main__:main" in wheel[entry].decode()

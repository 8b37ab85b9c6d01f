"""Environments that are built: with uv where that is there, with pip otherwise, and once."""

import shutil
import sys
from pathlib import Path

import pytest

from bench.worker import environments
from bench.worker.environments import EnvironmentError_, environment_for

UV = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


@pytest.fixture
def tree(tmp_path):
    """A commit whose lock file asks for nothing: no index is needed."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "requirements.txt").write_text("# nothing\n")
    return tree


def called(monkeypatch):
    """The programs that were run, in their order."""
    programs, run = [], environments._run

    def noted(command, **options):
        programs.append(Path(command[0]).name + (f" {command[1]}" if command[0].endswith("uv") else ""))
        return run(command, **options)

    monkeypatch.setattr(environments, "_run", noted)
    return programs


@pytest.mark.skipif(UV is None, reason="there is no uv")
def test_what_pip_would_build_is_linked_by_uv_where_that_is_there(tree, tmp_path, monkeypatch):
    programs = called(monkeypatch)
    built = environment_for("pip", tree, tmp_path / "work", sys.executable)
    assert programs[:2] == ["uv venv", "uv pip"]
    assert Path(built.python).parent.parent.parent == tmp_path / "work" / "environments"
    again = environment_for("pip", tree, tmp_path / "work", sys.executable)
    assert (again.python, programs.count("uv venv")) == (built.python, 1)


def test_without_uv_it_is_pip(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "_uv", lambda _python: None)
    programs = called(monkeypatch)
    built = environment_for("pip", tree, tmp_path / "work", sys.executable)
    assert not [name for name in programs if name.startswith("uv")]
    assert (Path(built.python).parent.parent / "complete").exists()


def test_what_needs_uv_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "uv.lock").write_text("version = 1\n")
    monkeypatch.setattr(environments, "_uv", lambda _python: None)
    with pytest.raises(EnvironmentError_, match="pip install uv"):
        environment_for("uv", tmp_path, tmp_path / "work", sys.executable)

"""Archives are the same bytes for the same files, and the supervisor needs nothing but Python 3.10."""

from __future__ import annotations

import ast
import io
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pods.archive import pack, supervisor_archive
from pods.shell_local import LocalShell

MODULES = sorted((Path(__file__).parents[2] / "pods" / "supervisor").glob("*.py"))
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=5))
def test_the_order_of_files_does_not_change_the_archive(files: dict[str, bytes]) -> None:
    backwards = dict(reversed(files.items()))
    assert pack(files) == pack(backwards)


@given(st.dictionaries(NAMES.filter(lambda name: "\\" not in name), st.binary(max_size=50), max_size=5))
def test_what_was_packed_is_unpacked(files: dict[str, bytes]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(pack(files)))
    assert {name: archive.read(name) for name in archive.namelist()} == files


def test_the_supervisor_runs_without_anything_of_ours_around(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.pyz"
    path.write_bytes(supervisor_archive())
    done = LocalShell().run([sys.executable, "-I", "-S", str(path), "state", str(tmp_path)], timeout_s=20)
    assert done.status == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_supervisor_is_python_3_10_and_imports_the_standard_library_only(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 10))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            assert node.module.split(".")[0] in sys.stdlib_module_names

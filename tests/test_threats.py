"""docs/threats.md: what it names is there, and what is not built says so."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| threat |")
]


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:50])
def test_every_threat_has_a_rule_a_place_and_a_test_that_exist(row):
    _, rule, where, test = row
    assert rule
    if where == "not yet":
        assert test == "not yet"
        return
    for place in re.findall(r"`([^`]+)`", where):
        assert (ROOT / place).exists(), place
    path, _, name = test.strip("`").partition("::")
    assert name in names_in(ROOT / path), test


@pytest.mark.parametrize(
    "invariant", ["State and effects", "Who may spend", "Foreign text", "Secrets", "What is measured"]
)
def test_every_part_is_there(invariant):
    assert f"\n## {invariant}\n" in TEXT

"""The documents say what the code does: commands parse, fields are documented, tables are the code's own."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
import typer.main

from agent.cli import app
from agent.config import parse_recipes
from agent.result import document_of, result_of
from bench.metrics import METRICS
from bench.units import bound_text
from bench.verdict import RULES
from tests.agent.made_job import write_job

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


def commands():
    for page in PAGES:
        for line in re.findall(r"^\s*(?:\$ )?(paceline .*)$", page.read_text(), re.MULTILINE):
            yield pytest.param(line.partition("   #")[0].split(" && ")[0], id=f"{page.name}: {line[:50]}")


@pytest.mark.parametrize("line", list(commands()))
def test_every_command_of_the_documents_parses(line):
    name, *arguments = shlex.split(line)[1:]
    if name.startswith("-"):
        return
    command = typer.main.get_command(app).commands[name]
    with click.Context(command, info_name=name) as context:
        command.parse_args(context, arguments)


def test_every_command_of_the_program_is_in_the_readme():
    text = (ROOT / "README.md").read_text()
    for name in typer.main.get_command(app).commands:
        assert f"paceline {name}" in text


def fields_of(data):
    if isinstance(data, dict):
        for name, value in data.items():
            yield name
            yield from fields_of(value)
    elif isinstance(data, list):
        for value in data:
            yield from fields_of(value)


def test_every_field_of_the_result_is_documented(tmp_path):
    document = json.loads(json.dumps(document_of(result_of(write_job(tmp_path / "job")))))
    by_name = {"arms", "commits", "params", "phases_s", "memory", "files", "host"}
    named = {name for key in by_name for part in document.get(key, {}) for name in [part]}
    named |= {
        name for run in document["runs"] for key in ("phases_s", "memory", "files") for name in run[key]
    }
    text = (ROOT / "docs" / "json.md").read_text()
    missing = {name for name in fields_of(document) if name not in named and f"`{name}`" not in text}
    assert missing == set()


def test_the_example_of_the_result_is_json_with_the_documents_own_fields(tmp_path):
    [example] = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "json.md").read_text(), re.DOTALL)
    document = document_of(result_of(write_job(tmp_path / "job")))
    assert set(json.loads(example)) == set(document)


def test_the_recipe_of_the_document_is_one():
    [example] = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "recipe.md").read_text(), re.DOTALL)
    assert parse_recipes(example, "docs/recipe.md")["sft"].params == {"rows": 200, "packing": False}


def between(name, text):
    return text.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0]


def test_the_table_of_metrics_is_the_codes():
    rows = "".join(
        f"| `{metric.name}` | {metric.unit} | {metric.better or '-'} | {bound_text(metric.practical_floor)}"
        f" | {bound_text(metric.warning_band) if metric.warning_band is not None else '-'} |\n"
        for metric in METRICS
    )
    assert between("metrics", (ROOT / "docs" / "measurement.md").read_text()) == rows


def test_the_table_of_rules_is_the_codes():
    rows = "".join(f"| {rule.number} | {rule.outcome} | {rule.name} |\n" for rule in RULES)
    assert between("rules", (ROOT / "docs" / "measurement.md").read_text()) == rows


def test_the_readme_is_under_120_lines_and_so_is_the_architecture():
    for name in ("README.md", "ARCHITECTURE.md"):
        assert len((ROOT / name).read_text().splitlines()) < 120

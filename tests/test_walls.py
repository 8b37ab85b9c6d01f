"""The walls between the rooms, read from the source without importing it; ruff's `banned-api` says the same.

What counts is who imports whom by name. `templates/target` is a subject of ours, not a room.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.dispatch import READS

ROOT = Path(__file__).parent.parent
ROOMS = ("agent", "pods", "bench", "train")
TRAINING = {"torch", "transformers", "trl", "peft"}
OUTSIDE = {"time", "datetime", "os", "subprocess", "random", "socket"}
NAMELESS = {"helper", "helpers", "manager", "managers", "common", "misc", "util", "utils"}
BENCH_DECIDES = (
    "compare",
    "parity",
    "score",
    "verdict",
    "judge",
    "power",
    "noise",
    "sequential",
    "pairing",
    "windows",
    "phases",
    "epochs",
    "validity",
    "conditions",
    "consistency",
    "sameness",
    "columns",
    "host_trace",
    "gpu_trace",
    "attribute",
    "bisect",
    "sample",
    "metrics",
    "units",
    "tables",
)
AGENT_DECIDES = (
    "planning",
    "config",
    *(f"task/{path.stem}" for path in sorted((ROOT / "agent" / "task").glob("*.py"))),
    "marker",
    "reading",
    "action",
    "answers",
    "commands",
    "labels",
    "review/places",
    "review/readings",
    "review/adherence",
    "review/values",
    "review/secrets",
    "review/findings",
    "review/text",
)
DECIDE = [
    *(f"bench/{name}.py" for name in BENCH_DECIDES),
    *(f"agent/{name}.py" for name in AGENT_DECIDES),
    "pods/choose.py",
]
TRAVEL = ["bench/plan.py", *(f"bench/{name}" for name in READS)]
ONLY_ONE = {"github": "agent/tracker_github.py", "paramiko": "pods/ssh/"}


@dataclass(frozen=True)
class Imported:
    """One name that a file imports: `bench.plan`, or `.paths` where it is relative."""

    name: str
    line: int
    is_inside_function: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_relative(self) -> bool:
        return self.name.startswith(".")


def sources(*rooms: str) -> list[str]:
    return sorted(
        path.relative_to(ROOT).as_posix()
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def parsed(file: str, **options: object) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), filename=file, **options)


def imported(file: str) -> list[Imported]:
    return list(_in(parsed(file), is_inside_function=False))


def _in(node: ast.AST, *, is_inside_function: bool) -> Iterator[Imported]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Imported(alias.name, child.lineno, is_inside_function)
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level + (child.module or "")
            for alias in child.names:
                joined = module + alias.name if module.endswith(".") else f"{module}.{alias.name}"
                yield Imported(joined, child.lineno, is_inside_function)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _in(child, is_inside_function=is_inside_function or is_function)


def refused(file: str, found: list[Imported]) -> list[str]:
    return [f"{file}:{one.line} imports {one.name}" for one in found]


def under(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("file", sources("agent"))
def test_agent_imports_train_only_where_it_is_used(file):
    early = [one for one in imported(file) if one.top == "train" and not one.is_inside_function]
    assert refused(file, early) == []


@pytest.mark.parametrize("file", sources("pods", "bench", "train"))
def test_a_room_below_the_agent_imports_no_other_room(file):
    own = file.partition("/")[0]
    others = {*ROOMS, "templates", "tests"} - {own}
    assert refused(file, [one for one in imported(file) if one.top in others]) == []


@pytest.mark.parametrize("file", sources("agent"))
def test_the_agent_imports_no_tests(file):
    assert refused(file, [one for one in imported(file) if one.top == "tests"]) == []


@pytest.mark.parametrize("file", sources("bench/worker"))
def test_the_worker_imports_the_plan_and_itself_of_ours(file):
    ours = [one for one in imported(file) if one.top in ROOMS or one.is_relative]
    strange = [one for one in ours if not under(one.name, "bench.plan", "bench.worker", "bench.spoiled")]
    assert refused(file, strange) == []


@pytest.mark.parametrize("file", sources("bench/hook"))
def test_the_hook_imports_itself_and_nothing_of_ours(file):
    strange = [one for one in imported(file) if one.top in ROOMS or one.is_relative]
    assert refused(file, strange) == []


@pytest.mark.parametrize("file", sources("pods/supervisor"))
def test_the_supervisor_imports_itself_relatively_and_nothing_of_ours(file):
    strange = [one for one in imported(file) if one.top in ROOMS or one.name.startswith("..")]
    assert refused(file, strange) == []


@pytest.mark.parametrize("file", sources("agent", "pods", "bench"))
def test_only_train_and_the_hook_import_what_trains(file):
    found = [one for one in imported(file) if one.top in TRAINING]
    if file.startswith("bench/hook/"):
        found = [one for one in found if not one.is_inside_function and not file.endswith("/evaluate.py")]
    assert refused(file, found) == []


@pytest.mark.parametrize("file", sources(*ROOMS))
def test_pygithub_and_paramiko_have_one_module_each(file):
    strange = [one for one in imported(file) if not file.startswith(ONLY_ONE.get(one.top, file))]
    assert refused(file, strange) == []


@pytest.mark.parametrize("file", [*TRAVEL, *sources("bench/worker", "bench/hook", "pods/supervisor")])
def test_what_travels_needs_the_standard_library_only(file):
    known = {*sys.stdlib_module_names, "_paceline_hook" if file.startswith("bench/hook/") else "bench"}
    if file.startswith("bench/hook/"):
        known |= TRAINING
    assert (
        refused(file, [one for one in imported(file) if not one.is_relative and one.top not in known]) == []
    )


@pytest.mark.parametrize("file", [*TRAVEL, *sources("bench/worker", "bench/hook", "pods/supervisor")])
def test_what_travels_is_python_3_10(file):
    parsed(file, feature_version=(3, 10))


@pytest.mark.parametrize("file", DECIDE)
def test_modules_that_decide_have_no_clock_no_environment_and_no_chance(file):
    assert refused(file, [one for one in imported(file) if one.top in OUTSIDE]) == []


@pytest.mark.parametrize("file", sources(*ROOMS, "templates", "tests"))
def test_every_module_is_a_noun(file):
    assert Path(file).stem not in NAMELESS
    assert not NAMELESS & {part.removeprefix("_") for part in Path(file).parent.parts}

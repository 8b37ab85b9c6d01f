"""From a task to a request, and back: a refusal is told by field, line and example of the form."""

from datetime import UTC, datetime

import pytest

from agent.errors import TaskError
from agent.planning import plan_for
from agent.requested import FIELDS, problem_of, request_of
from agent.task import parse_task
from agent.task.fields import EXAMPLES
from agent.tracker_source import TrackerSource
from tests.fakes.tracker import FakeTracker

CONFIG = """
[recipe.sft]
run = ["{python}", "{packing}"]
[recipe.sft.params]
packing = false
[recipe.dpo]
run = ["{python}"]
"""
FIELDS_OF_BODY = {
    "Kind": "infra",
    "Baseline commit": "main",
    "Optimized commit": "main",
    "Recipes": "sft\ndpo",
    "Extra arms": "plain = baseline\n- packed = optimized, packing=true",
    "Success criteria": "sft: +30 %\nsft/packed:peak_memory_b <= 1.1",
    "Replicates": "3",
}


@pytest.fixture
def tracker():
    tracker = FakeTracker(lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))
    tracker.add_commit("recipes", paceline__toml=CONFIG)
    return tracker


def body_of(**changes) -> str:
    fields = {**FIELDS_OF_BODY, **{name.replace("_", " "): text for name, text in changes.items()}}
    return "".join(f"### {name}\n\n{text}\n\n" for name, text in fields.items())


def problem(tracker, body):
    with pytest.raises(TaskError) as error:
        plan_for(request_of(parse_task(body)), TrackerSource(tracker, ()))
    return problem_of(error.value, body)


def test_a_task_that_is_right_becomes_a_plan(tracker):
    plan = plan_for(request_of(parse_task(body_of())), TrackerSource(tracker, ())).plan
    assert [arm.name for arm in plan.arms] == ["baseline", "optimized", "plain", "packed"]


REFUSED = {
    "a baseline that is not there": ({"Baseline_commit": "nowhere"}, "Baseline commit", "nowhere"),
    "an optimized commit that is not there": ({"Optimized_commit": "nowhere"}, "Optimized commit", "nowhere"),
    "a recipe": ({"Recipes": "sft\ndpoo", "Success_criteria": "sft: +30 %"}, "Recipes", "dpoo"),
    "a recipe among others in its line": ({"Recipes": "sft, dpoo"}, "Recipes", "sft, dpoo"),
    "the commit of an arm": ({"Extra_arms": "a = main\npacked = nowhere"}, "Extra arms", "packed ="),
    "a parameter": ({"Extra_arms": "a = main\n- packed = main, packin=true"}, "Extra arms", "- packed ="),
    "a value": ({"Extra_arms": "packed = main, packing=yes\na = main"}, "Extra arms", "packed ="),
    "a name of ours": ({"Extra_arms": "packed = main\nbefore = main"}, "Extra arms", "before ="),
    "an arm that takes no part": (
        {"Success_criteria": "sft: +30 %\ndpo/packed: +5 %"},
        "Success criteria",
        "dpo/packed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_planned_is_told_by_field_line_and_example(tracker, name):
    changes, field, begins = REFUSED[name]
    body = body_of(**changes)
    told = problem(tracker, body)
    assert told.field == field
    assert body.split("\n")[told.line - 1].startswith(begins)
    assert told.example == ("sft, dpo" if field == "Recipes" else EXAMPLES[field])


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_told_in_the_words_of_the_command_line(tracker, name):
    assert "--" not in problem(tracker, body_of(**REFUSED[name][0])).what


def test_a_near_miss_is_shown(tracker):
    told = problem(tracker, body_of(Recipes="sfft", Success_criteria="", Extra_arms=""))
    assert told.what == "unknown recipe 'sfft' (did you mean 'sft'?)"


def test_a_repository_without_recipes_is_told_with_what_its_file_looks_like():
    told = problem(FakeTracker(lambda: datetime(2026, 11, 20, 12, tzinfo=UTC)), body_of())
    assert (told.field, told.line) == ("paceline.toml", None)
    assert told.what.startswith("no paceline.toml in acme/target at ")
    assert told.example.startswith("[recipe.sft]")


BLOCK = """Please.

```paceline
kind = "infra"
baseline = "main"
optimized = "main"
recipes = [
    "sft",
    "dpo",
]
```
"""
PROSE = """kind: infra
baseline: main
optimized: main

## Success criteria

- no crashes
- +30% on SFT, +20% on DPO
"""


@pytest.mark.parametrize(
    ("body", "answers", "told"),
    [
        (BLOCK.replace("dpo", "dpoo"), {}, ("recipes", 9, 'recipes = ["sft, dpo"]')),
        (BLOCK.replace('d = "main"', 'd = "no"'), {}, ("optimized", 6, 'optimized = "097beae"')),
        (BLOCK, {"baseline": "no"}, ("baseline", None, "/set baseline=656703d")),
        (PROSE.replace("DPO", "KTO"), {}, ("Recipes", 8, "/set recipes=sft,dpo")),
        (PROSE.replace("e: main", "e: no"), {}, ("Baseline commit", 2, "/set baseline=656703d")),
        (PROSE, {"recipes": "sft,dpo,x"}, ("recipes", None, "/set recipes=sft,dpo")),
        (PROSE, {"arms": "p=main,packin=1"}, ("arms", None, "/set arms=packing=optimized,packing=true")),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_words_of_whatever_form_said_it(tracker, body, answers, told):
    with pytest.raises(TaskError) as error:
        plan_for(request_of(parse_task(body, answers)), TrackerSource(tracker, ()))
    problem = problem_of(error.value, body, answers)
    assert (problem.field, problem.line, problem.example) == told


def test_every_part_of_a_request_is_a_field_of_the_form():
    assert set(FIELDS.values()) <= set(EXAMPLES)

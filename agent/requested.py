"""An issue's task as the planner's request, and what the planner refuses as a blocker in the form's words.

Pure. A refusal names the field of the issue form, the line of the body where that is known, and an example.
What no part of the request is to blame for lies in the repository: its recipes, its held-out rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import TaskError
from agent.planning import Part, Request, RequestError
from agent.repository import CONFIG
from agent.task import NO_ANSWERS, Problem, Task, place_of
from agent.task.answers import SET

FIELDS: Mapping[Part, str] = {
    "recipes": "Recipes",
    "baseline": "Baseline commit",
    "optimized": "Optimized commit",
    "arms": "Extra arms",
    "replicates": "Replicates",
    "requires": "Success criteria",
}
RECIPE_EXAMPLE = '[recipe.sft]\nrun = ["{python}", "train_sft.py", "--seed", "{seed}"]'


def request_of(task: Task) -> Request:
    return Request(
        recipes=task.recipes,
        baseline=task.baseline,
        optimized=task.optimized,
        arms=[arm.text for arm in task.arms],
        replicates=task.replicates,
        requires=task.criteria,
        loss_band=task.loss_band,
        protected=task.protected,
        task=task.digest,
    )


def problem_of(error: TaskError, body: str, answers: Mapping[str, str] = NO_ANSWERS) -> Problem:
    """Why nothing can be planned from the body of an issue and what `/set` answered, for its author."""
    if not isinstance(error, RequestError):
        return Problem(CONFIG, str(error), RECIPE_EXAMPLE)
    place = place_of(body, FIELDS[error.part], error.item, answers)
    return Problem(place.field, error.what, _spelled(place.example, error.example), place.line)


def _spelled(example: str, right: str) -> str:
    """What the planner knows to be right, as the example is spelled: of the form, a block or `/set`."""
    if not right:
        return example
    head, equals, value = example.partition("=")
    if example.startswith(SET):
        return f"{head}={''.join(right.split())}"
    return f'{head}= ["{right}"]' if equals and value.startswith(" [") else right

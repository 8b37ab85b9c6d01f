"""An issue's task as the planner's request, and what the planner refuses as a blocker in the form's words.

Pure. A refusal names the field of the issue form, the line of the body where that is known, and an example.
What no part of the request is to blame for lies in the repository: its recipes, its held-out rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import TaskError
from agent.planning import Part, Request, RequestError
from agent.repository import CONFIG
from agent.task import Problem, Task, line_of
from agent.task_form import EXAMPLES

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


def problem_of(error: TaskError, body: str) -> Problem:
    """Why nothing can be planned from the body of an issue, for its author."""
    if not isinstance(error, RequestError):
        return Problem(CONFIG, str(error), RECIPE_EXAMPLE)
    field = FIELDS[error.part]
    return Problem(field, error.what, error.example or EXAMPLES[field], line_of(body, field, error.item))

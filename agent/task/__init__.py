"""What an issue asks for, as data, and the three forms in which it may be written; see docs/issue.md."""

from agent.task.answers import ANSWER_KEYS
from agent.task.task import (
    NO_ANSWERS,
    AskedArm,
    AskedChange,
    Claim,
    Place,
    Problem,
    Problems,
    Specified,
    Stated,
    Task,
    Withheld,
    line_of,
    parse_task,
    place_of,
)

__all__ = [
    "ANSWER_KEYS",
    "NO_ANSWERS",
    "AskedArm",
    "AskedChange",
    "Claim",
    "Place",
    "Problem",
    "Problems",
    "Specified",
    "Stated",
    "Task",
    "Withheld",
    "line_of",
    "parse_task",
    "place_of",
]

"""What an issue asks for, as data, and the three forms in which it may be written; see docs/issue.md."""

from agent.task.task import (
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

"""What an issue asks for, as data: a Task, or the Problems that keep it from being one.

Pure. A body has one of three forms, told apart by what it holds: a fenced block (`block.py`) wins; else
the headings of the issue form (`form.py`); else prose (`prose.py`). What `/set` answered stands in
(`answers.py`). Issue text names recipes, commits and values; it never chooses a command. What is not
understood is a problem that names its field and line and shows an example, what prose does not say is a
question; nothing is guessed. Whether recipes, parameters and commits exist is `planning.py`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

from bench.plan import BASELINE

from agent.task.answers import questions, with_answers
from agent.task.asked import Task
from agent.task.block import around, written_block
from agent.task.block import missing as missing_in_block
from agent.task.claims import Claim
from agent.task.criteria import OPTIMIZED, criterion_of, shaped
from agent.task.fields import (
    BODY_LIMIT,
    EXAMPLES,
    KEYS,
    REQUIRED_KEYS,
    Field,
    Problem,
    Reader,
    Written,
    is_hidden,
    line_where,
)
from agent.task.form import hidden_in, written_form
from agent.task.form import missing as missing_in_form
from agent.task.prose import is_silent, written_prose
from agent.task.values import (
    PROTECTED,
    AskedArm,
    AskedChange,
    Specified,
    Stated,
    Withheld,
    arm_of,
    change_of,
    gpu_hours_of,
    kind_of,
    loss_band_of,
    names_of,
    replicates_of,
    revision_of,
    specified_of,
    stated_of,
    unchanged_of,
    withheld_of,
    words_of,
)

__all__ = [
    "AskedArm", "AskedChange", "Claim", "Problem", "Problems", "Specified", "Stated", "Task", "Withheld",
    "line_of", "parse_task", "place_of",
]  # fmt: skip

MOST_ARMS, MOST_RECIPES = 20, 20
CONTEXT_LIMIT = 20_000
MOST_PROBLEMS = 19
FOR_PEOPLE = ("context", "report", "follow_ups")
NO_ANSWERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Problems:
    """At least one. In the order of the body, what is missing last; a body without a form is said first."""

    found: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A field as whoever wrote it knows it, with an example in that spelling; `line` is None where the value
    is not from the body."""

    field: str
    example: str
    line: int | None = None


def parse_task(body: str, answers: Mapping[str, str] = NO_ANSWERS) -> Task | Problems:
    """The body of an issue, and by key what `/set` answered. Never raises."""
    if len(body) > BODY_LIMIT:
        what = f"the body has {len(body)} characters, {BODY_LIMIT} are allowed: shorten this field"
        return Problems((Problem("Context", what, EXAMPLES["Context"]),))
    said = _written(body)
    if said.form == "prose" and is_silent(said) and not any(answers.values()):
        return Problems((_nothing(), *hidden_in(body)))
    written = with_answers(said, answers)
    reader = Reader(written.fields)
    task = _draft(reader)
    lacking = tuple(key for key in REQUIRED_KEYS if not getattr(task, key) and key not in reader.failed)
    # A block that cannot be read lacks everything; that is not what its author has to be told.
    is_broken = written.form == "block" and not said.fields
    problems = _in_order([*written.problems, *reader.problems])
    missing = [] if is_broken and problems else _missing(written, lacking)
    if problems or missing:
        return Problems((*problems[: MOST_PROBLEMS - len(missing)], *missing))
    return task


def place_of(body: str, label: str, value: str, answers: Mapping[str, str] = NO_ANSWERS) -> Place:
    """Where this value of a task's field was written, in the Task's spelling; `label` is the form's."""
    key = KEYS[label]
    task = parse_task(body, answers)
    if not isinstance(task, Task):
        return Place(label, EXAMPLES[label])
    found = with_answers(_written(body), answers).fields.get(key) or Field(label, EXAMPLES[label])
    judged = [BASELINE, OPTIMIZED, *(arm.name for arm in task.arms)]
    several: Mapping[str, Callable[[str], bool]] = {
        "recipes": lambda text: value in names_of(text),
        "arms": lambda text: arm_of(text).text == value,
        "criteria": lambda text: criterion_of(text, task.recipes, judged) == value,
    }
    return Place(found.name, found.example, line_where(found, several.get(key, lambda _: True)))


def line_of(body: str, label: str, value: str, answers: Mapping[str, str] = NO_ANSWERS) -> int | None:
    """The line of a body that gives a field this value of its Task, in the Task's spelling; None where it
    cannot be told, or where an answer gave it."""
    return place_of(body, label, value, answers).line


def _written(body: str) -> Written:
    """What the body says in the form that it has."""
    block = written_block(body)
    if block is None:
        return written_form(body) or written_prose(body)
    form = written_form(around(body))
    return block if form is None else _merged(block, form)


def _merged(block: Written, form: Written) -> Written:
    """A block, and fields of the form that are filled beside it: both may say the same, not two things."""
    filled = {key: found for key, found in form.fields.items() if found.is_filled}
    shared = [key for key in filled if key in block.fields and key not in FOR_PEOPLE]
    one = _draft(Reader({**filled, **block.fields}))
    other = _draft(Reader({**block.fields, **filled}))
    contrary = [key for key in shared if _said(one, key) != _said(other, key)]
    problems = tuple(
        Problem(
            filled[key].name,
            f"does not say what {key} in line {block.fields[key].number} says: keep one of them",
            filled[key].example,
            filled[key].number,
        )
        for key in contrary
    )
    broken = tuple(problem for key in shared for problem in filled[key].problems)
    return replace(block, fields={**filled, **block.fields}, problems=(*block.problems, *problems, *broken))


def _said(task: Task, key: str) -> object:
    return (task.protected, task.unchanged) if key == "unchanged" else getattr(task, key)


def _draft(reader: Reader) -> Task:
    """What could be read; required fields are empty where they could not."""
    recipes = _recipes(reader)
    arms = reader.each("arms", arm_of)
    _refuse_twice(reader, "arms", [arm.name for arm in arms])
    _refuse_many(reader, "arms", len(arms), MOST_ARMS)
    judged = [BASELINE, OPTIMIZED, *(arm.name for arm in arms)]
    criteria: tuple[str, ...] = ()
    if not recipes and "recipes" not in reader.failed:
        reader.each("criteria", shaped)
    elif recipes and "arms" not in reader.failed:
        criteria = reader.each("criteria", lambda text: criterion_of(text, recipes, judged))
    changes = reader.rows("changes", change_of)
    withheld = reader.rows("withheld", withheld_of)
    _refuse_twice(reader, "changes", [change.name for change in changes])
    _refuse_twice(reader, "withheld", [change.name for change in withheld])
    unchanged = reader.each("unchanged", unchanged_of)
    protocol = reader.each("protocol", lambda text: specified_of(text, recipes)) if recipes else ()
    _refuse_twice(reader, "protocol", [one.text.partition(" =")[0] for one in dict.fromkeys(protocol)])
    held = [(one, one.protected) for one in withheld]
    return Task(
        baseline=reader.one("baseline", revision_of) or "",
        optimized=reader.one("optimized", revision_of) or "",
        recipes=recipes,
        arms=arms,
        criteria=_distinct(criteria),
        loss_band=reader.one("loss_band", loss_band_of),
        gpu_hours=reader.one("gpu_hours", gpu_hours_of),
        replicates=reader.one("replicates", replicates_of),
        changes=changes,
        protected=_distinct([*_protected(unchanged), *(path for _, path in held if path)]),
        unchanged=_distinct(
            [
                *(line for line in unchanged if not PROTECTED.fullmatch(line)),
                *(" ".join(filter(None, (one.place, one.change))) for one, path in held if not path),
            ]
        ),
        context=_context(reader),
        kind=reader.one("kind", kind_of) or "",
        stated=tuple(dict.fromkeys(reader.each("stated", stated_of))),
        withheld=withheld,
        protocol=tuple(dict.fromkeys(protocol)),
        report=reader.each("report", words_of),
        follow_ups=reader.each("follow_ups", words_of),
    )


def _protected(unchanged: Sequence[str]) -> list[str]:
    return [line for line in unchanged if PROTECTED.fullmatch(line)]


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _recipes(reader: Reader) -> tuple[str, ...]:
    """Empty where one could not be read: what is judged on them would be judged on others."""
    names = _distinct([name for found in reader.each("recipes", names_of) for name in found])
    _refuse_many(reader, "recipes", len(names), MOST_RECIPES)
    return () if "recipes" in reader.failed else names


def _context(reader: Reader) -> str:
    text = "".join(char for char in reader.text("context") if char in "\n\t" or not is_hidden(char))
    return text[:CONTEXT_LIMIT]


def _refuse_twice(reader: Reader, key: str, names: Sequence[str]) -> None:
    for name in _distinct([name for name in names if names.count(name) > 1]):
        reader.refuse(key, f"names {name} twice")


def _refuse_many(reader: Reader, key: str, number: int, most: int) -> None:
    if number > most:
        reader.refuse(key, f"names {number} {key}, {most} are allowed")


def _missing(written: Written, keys: tuple[str, ...]) -> list[Problem]:
    match written.form:
        case "form":
            return [missing_in_form(written, key) for key in keys]
        case "block":
            return [missing_in_block(written, key) for key in keys]
        case "prose":
            return questions(keys)
        case _:
            assert_never(written.form)


def _nothing() -> Problem:
    what = "no heading of the issue form was found: use the form, or write its headings as here"
    return Problem("Kind", what, "### Kind\n\ninfra\n\n### Baseline commit\n\n656703d")


def _in_order(found: Sequence[Problem]) -> list[Problem]:
    """By line; each once."""
    return sorted(dict.fromkeys(found), key=lambda one: one.line or BODY_LIMIT + 1)

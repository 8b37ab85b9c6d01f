"""What an issue asks for, as data: a Task, or the Problems that keep it from being one.

Pure. Reads the fields of the issue form (`task_form.py` finds them). Issue text names recipes, commits and
values; it never chooses a command. What is not understood is a problem that names its field and line and
shows an example; nothing is guessed. Whether recipes, parameters and commits exist is `planning.py`'s matter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from bench.metrics import near_miss
from bench.plan import BASELINE, canonical

from agent.config import NAME, PARAMETER
from agent.task_criteria import OPTIMIZED, criterion_of
from agent.task_form import BODY_LIMIT, CHANGES_HEADER, EXAMPLES, Form, Problem, Unread, is_hidden, quoted

__all__ = ["AskedArm", "AskedChange", "Problem", "Problems", "Task", "line_of", "parse_task"]

KINDS = ("infra",)
MOST_ARMS, MOST_RECIPES, MOST_REPLICATES = 20, 20, 100
MOST_GPU_HOURS = 10_000
CONTEXT_LIMIT = 20_000
MOST_PROBLEMS = 19

_NUMBER = r"([0-9]{1,5}(?:\.[0-9]{1,6})?)"
_BAND = re.compile(rf"(?:\u00b1|\+/?-)?\s*{_NUMBER}\s*%")
_HOURS = re.compile(rf"{_NUMBER}\s*(?:h|hours?|GPU-?(?:h|hours?))?", re.IGNORECASE)
# Of what git allows in a name, what is safe to show and to type; a commit id says the same of any other.
_REVISION = re.compile(r"[\w./+@#=%-]{1,200}")
_VALUE = re.compile(r"[A-Za-z0-9._/+=@][A-Za-z0-9 ._/:+=@-]{0,199}")
_PROTECTED = re.compile(r"(?P<path>[\w.+@/-]*[./][\w.+@/-]*):(?P<key>[A-Za-z_][\w.\[\]-]*)")


@dataclass(frozen=True, slots=True)
class AskedArm:
    """A further arm as it was asked for: a revision (or `baseline`, `optimized`) and parameter texts."""

    name: str
    revision: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """As `paceline bench --arm` takes it."""
        return ",".join(
            [f"{self.name}={self.revision}", *(f"{key}={value}" for key, value in self.params.items())]
        )


@dataclass(frozen=True, slots=True)
class AskedChange:
    """A row of the table of changes; `expected` is the promised effect in the author's words."""

    name: str
    place: str
    change: str
    expected: str


@dataclass(frozen=True, slots=True)
class Task:
    """An issue understood.

    `criteria` are texts like `sft:peak_memory_b<=1.1`, in one spelling; `sft:primary>=1.3` waits for
    `task_criteria.resolved`. `loss_band` is a share. `protected` are `path:key` that no change may touch,
    `unchanged` what else must not change, in the author's words.
    """

    baseline: str
    optimized: str
    recipes: tuple[str, ...]
    arms: tuple[AskedArm, ...] = ()
    criteria: tuple[str, ...] = ()
    loss_band: float | None = None
    gpu_hours: float | None = None
    replicates: int | None = None
    changes: tuple[AskedChange, ...] = ()
    protected: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    context: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of what is asked; context and wording around it do not count."""
        asked = {key: value for key, value in asdict(self).items() if key != "context"}
        return hashlib.sha256(canonical(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Problems:
    """At least one. In the order of the body, what is missing last; a body without a form is said first."""

    found: tuple[Problem, ...]


def parse_task(body: str) -> Task | Problems:
    """The body of an issue, filled in as the form asks. Never raises.

    Other ways to write a task (a fenced block, prose) would be told apart here, by what the body holds.
    """
    if len(body) > BODY_LIMIT:
        what = f"the body has {len(body)} characters, {BODY_LIMIT} are allowed: shorten this field"
        return Problems((Problem("Context", what, EXAMPLES["Context"]),))
    form = Form(body)
    if not form.sections:
        what = "no heading of the issue form was found: use the form, or write its headings as here"
        example = "### Kind\n\ninfra\n\n### Baseline commit\n\n656703d"
        return Problems((Problem("Kind", what, example), *_problems(form.problems).found))
    form.one("Kind", _kind)
    baseline, optimized = form.one("Baseline commit", _revision), form.one("Optimized commit", _revision)
    recipes = _recipes(form)
    arms = _arms(form)
    criteria: tuple[str, ...] | None = ()
    if recipes and arms is not None:
        judged = [BASELINE, OPTIMIZED, *(arm.name for arm in arms)]
        criteria = form.each("Success criteria", lambda text: criterion_of(text, recipes, judged))
    loss_band = form.one("Loss band", _loss_band)
    gpu_hours = form.one("GPU-hour budget", _gpu_hours)
    replicates = form.one("Replicates", _replicates)
    changes = form.rows("Changes", CHANGES_HEADER, _change)
    _refuse_twice(form, "Changes", [change.name for change in changes])
    unchanged = form.each("What must not change", _unchanged) or ()
    if form.problems or baseline is None or optimized is None or not recipes or arms is None:
        return _problems(form.problems)
    return Task(
        baseline=baseline,
        optimized=optimized,
        recipes=recipes,
        arms=arms,
        criteria=tuple(dict.fromkeys(criteria or ())),
        loss_band=loss_band,
        gpu_hours=gpu_hours,
        replicates=replicates,
        changes=changes,
        protected=tuple(line for line in unchanged if _PROTECTED.fullmatch(line)),
        unchanged=tuple(line for line in unchanged if not _PROTECTED.fullmatch(line)),
        context=_context(form),
    )


def line_of(body: str, label: str, value: str) -> int | None:
    """The line of a body that gives a field this value of its Task, in the Task's spelling; None where it
    cannot be told."""
    task = parse_task(body)
    if not isinstance(task, Task):
        return None
    judged = [BASELINE, OPTIMIZED, *(arm.name for arm in task.arms)]
    several: Mapping[str, Callable[[str], bool]] = {
        "Recipes": lambda text: value in _names(text),
        "Extra arms": lambda text: _arm(text).text == value,
        "Success criteria": lambda text: criterion_of(text, task.recipes, judged) == value,
    }
    return Form(body).line_where(label, several.get(label, lambda _: True))


def _problems(found: Sequence[Problem]) -> Problems:
    ordered = sorted(found, key=lambda one: one.line or BODY_LIMIT + 1)
    return Problems(tuple(ordered[:MOST_PROBLEMS]))


def _kind(text: str) -> str:
    if text not in KINDS:
        raise Unread(f"no kind {quoted(text)}{near_miss(text, KINDS)}")
    return text


def _revision(text: str) -> str:
    is_name = _REVISION.fullmatch(text) and text[0] not in "-/.@" and text[-1] not in "/."
    if not is_name or ".." in text or "//" in text or text.endswith(".lock"):
        raise Unread(f"is no commit: {quoted(text)}; give a commit id, a branch or a tag")
    return text


def _recipes(form: Form) -> tuple[str, ...] | None:
    lists = form.each("Recipes", _names)
    names = tuple(dict.fromkeys(name for found in lists or () for name in found))
    if len(names) > MOST_RECIPES:
        _refuse(form, "Recipes", f"names {len(names)} recipes, {MOST_RECIPES} are allowed")
    return names


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        _name(name, "recipe")
    if not names:
        raise Unread("names no recipe")
    return names


def _name(text: str, noun: str) -> str:
    if not NAME.fullmatch(text):
        raise Unread(f"{quoted(text)} is no {noun}'s name: letters, digits and + . _ -, at most 40")
    return text


def _arms(form: Form) -> tuple[AskedArm, ...] | None:
    arms = form.each("Extra arms", _arm)
    names = [arm.name for arm in arms or ()]
    _refuse_twice(form, "Extra arms", names)
    if len(names) > MOST_ARMS:
        _refuse(form, "Extra arms", f"names {len(names)} arms, {MOST_ARMS} are allowed")
    return arms


def _arm(text: str) -> AskedArm:
    head, *pairs = text.split(",")
    name, equals, revision = head.partition("=")
    if not equals:
        raise Unread(f"{quoted(text)} is not NAME = COMMIT, key=value, ...")
    if _name(name.strip(), "arm") in (BASELINE, OPTIMIZED):
        raise Unread(f"the arm {name.strip()} has a field of its own")
    params: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not PARAMETER.fullmatch(key) or key in params:
            raise Unread(f"{quoted(pair)} is not one key=value")
        if not _VALUE.fullmatch(value):
            raise Unread(f"{key} has the value {quoted(value)}: plain text without a leading dash is taken")
        params[key] = value
    return AskedArm(name.strip(), _revision(revision.strip()), params)


def _loss_band(text: str) -> float:
    found = _BAND.fullmatch(text)
    band = Decimal(found[1]) if found else Decimal(0)
    if not 0 < band <= 100:
        raise Unread(f"{quoted(text)} is no band: a share over 0 % and up to 100 %")
    return float(band / 100)


def _gpu_hours(text: str) -> float:
    found = _HOURS.fullmatch(text)
    hours = float(found[1]) if found else 0.0
    if not 0 < hours <= MOST_GPU_HOURS:
        raise Unread(f"{quoted(text)} is no number of hours over 0 and up to {MOST_GPU_HOURS}")
    return hours


def _replicates(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_REPLICATES:
        raise Unread(f"{quoted(text)} is no whole number from 1 to {MOST_REPLICATES}")
    return int(text)


def _change(cells: Sequence[str]) -> AskedChange:
    name, place, change, expected = cells
    if not change:
        raise Unread("the change is not said")
    return AskedChange(_name(name, "change"), place, change, expected)


def _unchanged(text: str) -> str:
    found = _PROTECTED.fullmatch(text)
    if found and (found["path"].startswith(("/", "-")) or ".." in found["path"].split("/")):
        raise Unread(f"{quoted(text)}: the path lies inside the repository, as in configs/dpo.yaml:beta")
    return text


def _context(form: Form) -> str:
    text = "".join(char for char in form.text("Context") if char in "\n\t" or not is_hidden(char))
    return text[:CONTEXT_LIMIT]


def _refuse_twice(form: Form, label: str, names: Sequence[str]) -> None:
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        _refuse(form, label, f"names {name} twice")


def _refuse(form: Form, label: str, what: str) -> None:
    form.problems.append(Problem(label, what, EXAMPLES[label], form.sections[label].number))

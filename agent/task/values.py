"""The values that a task's fields take, each read from one line or one row of cells. Raises Unread.

One reader a kind of value, whichever form the body has and whether it came from the body or from `/set`.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from bench.metrics import near_miss
from bench.plan import BASELINE

from agent.config import NAME, PARAMETER
from agent.task.criteria import OPTIMIZED
from agent.task.fields import Unread, quoted

KINDS = ("infra",)
PROTOCOL = ("examples", "epochs", "gpus", "batch")
MOST_REPLICATES = 100
MOST_GPU_HOURS = 10_000

Check = Literal["outcomes", "lint", "changes", ""]

_NUMBER = r"([0-9]{1,5}(?:\.[0-9]{1,6})?)"
_BAND = re.compile(rf"(?:\u00b1|\+/?-)?\s*{_NUMBER}\s*%")
_HOURS = re.compile(rf"{_NUMBER}\s*(?:h|hours?|GPU-?(?:h|hours?))?", re.IGNORECASE)
# Of what git allows in a name, what is safe to show and to type; a commit id says the same of any other.
_REVISION = re.compile(r"[\w./+@#=%-]{1,200}")
_VALUE = re.compile(r"[A-Za-z0-9._/+=@][A-Za-z0-9 ._/:+=@-]{0,199}")
PROTECTED = re.compile(r"(?P<path>[\w.+@/-]*[./][\w.+@/-]*):(?P<key>[A-Za-z_][\w.\[\]-]*)")
_PLACE = re.compile(r"`?(?P<path>[\w.+@/-]*[./][\w.+@/-]*):[0-9]{1,6}(?:-[0-9]{1,6})?`?")
_CHANGED_KEY = re.compile(r"`?(?P<key>[A-Za-z_][\w.-]*)`?\s*[:=]\s*\S+\s*(?:→|->|=>)\s*\S.*")
_SPECIFIED = re.compile(r"(?:(?P<recipe>[^:=]*):)?\s*(?P<name>[\w -]+?)\s*=\s*(?P<number>\S.*)")
_COUNT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")

_ON_RUNS = (
    r"(?: (?:on|in|during|of) (?:(?:any|all|both|either|each|every|the|of) )*"
    r"(?:smoke[ -])?(?:tests?|runs?|recipes?|benchmarks?|arms?))?"
)
_CHECKS: tuple[tuple[Check, re.Pattern[str]], ...] = (
    (
        "outcomes",
        re.compile(
            rf"(?:no (?:crash(?:es)?|ooms?|nans?)(?: (?:or|and) (?:crash(?:es)?|ooms?|nans?))*"
            rf"|nothing crashes|no run crashes|does not crash){_ON_RUNS}"
        ),
    ),
    (
        "lint",
        re.compile(
            r"ruff (?:check|format)(?: \.)?(?: (?:&&|and|&|,) (?:ruff )?(?:check|format)(?: \.)?)?"
            r"(?: (?:is|are|stays?|both))?(?: (?:clean|pass(?:es)?|ok))?"
        ),
    ),
    (
        "changes",
        re.compile(
            r"all (?:of )?(?:the )?(?:[0-9]{1,3} )?(?:code )?changes(?: \([a-z0-9 ,-]+\))?"
            r"(?: (?:are|were|have been))? (?:applied|landed|committed|made)"
        ),
    ),
)


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
class Withheld:
    """A change that must not be applied, and why, in the author's words."""

    name: str
    place: str
    change: str
    why: str

    @property
    def protected(self) -> str | None:
        """`path:key`, where the place is `path:line` and the change says `key: old → new`."""
        place, key = _PLACE.fullmatch(self.place), _CHANGED_KEY.fullmatch(self.change)
        text = f"{place['path']}:{key['key']}" if place and key else ""
        return text if PROTECTED.fullmatch(text) and _is_inside(text.partition(":")[0]) else None


@dataclass(frozen=True, slots=True)
class Specified:
    """A number of the testing protocol, as said: of one recipe, or of all where `recipe` is None."""

    name: str
    number: float
    recipe: str | None = None

    @property
    def text(self) -> str:
        scope = f"{self.recipe}: " if self.recipe else ""
        return f"{scope}{self.name} = {self.number:.15g}"


@dataclass(frozen=True, slots=True)
class Stated:
    """A criterion that no benchmark decides, in the author's words.

    `check` names what decides it: how the runs ended, the review's lint, the review's search for the changes;
    empty where nothing of ours does.
    """

    text: str
    check: Check = ""


def kind_of(text: str) -> str:
    if text not in KINDS:
        raise Unread(f"no kind {quoted(text)}{near_miss(text, KINDS)}")
    return text


def revision_of(text: str) -> str:
    is_name = _REVISION.fullmatch(text) and text[0] not in "-/.@" and text[-1] not in "/."
    if not is_name or ".." in text or "//" in text or text.endswith(".lock"):
        raise Unread(f"is no commit: {quoted(text)}; give a commit id, a branch or a tag")
    return text


def names_of(text: str) -> list[str]:
    """The names of recipes, with commas between them."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        named(name, "recipe")
    if not names:
        raise Unread("names no recipe")
    return names


def named(text: str, noun: str) -> str:
    if not NAME.fullmatch(text):
        raise Unread(f"{quoted(text)} is no {noun}'s name: letters, digits and + . _ -, at most 40")
    return text


def arm_of(text: str) -> AskedArm:
    head, *pairs = text.split(",")
    name, equals, revision = head.partition("=")
    if not equals:
        raise Unread(f"{quoted(text)} is not NAME = COMMIT, key=value, ...")
    if named(name.strip(), "arm") in (BASELINE, OPTIMIZED):
        raise Unread(f"the arm {name.strip()} has a field of its own")
    params: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not PARAMETER.fullmatch(key) or key in params:
            raise Unread(f"{quoted(pair)} is not one key=value")
        if not _VALUE.fullmatch(value):
            raise Unread(f"{key} has the value {quoted(value)}: plain text without a leading dash is taken")
        params[key] = value
    return AskedArm(name.strip(), revision_of(revision.strip()), params)


def loss_band_of(text: str) -> float:
    """A share."""
    found = _BAND.fullmatch(text)
    band = Decimal(found[1]) if found else Decimal(0)
    if not 0 < band <= 100:
        raise Unread(f"{quoted(text)} is no band: a share over 0 % and up to 100 %")
    return float(band / 100)


def gpu_hours_of(text: str) -> float:
    found = _HOURS.fullmatch(text)
    hours = float(found[1]) if found else 0.0
    if not 0 < hours <= MOST_GPU_HOURS:
        raise Unread(f"{quoted(text)} is no number of hours over 0 and up to {MOST_GPU_HOURS}")
    return hours


def replicates_of(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_REPLICATES:
        raise Unread(f"{quoted(text)} is no whole number from 1 to {MOST_REPLICATES}")
    return int(text)


def change_of(cells: Sequence[str]) -> AskedChange:
    name, place, change, expected = cells
    if not change:
        raise Unread("the change is not said")
    return AskedChange(named(name, "change"), place, change, expected)


def withheld_of(cells: Sequence[str]) -> Withheld:
    name, place, change, why = cells
    if not change:
        raise Unread("the change is not said")
    return Withheld(named(name, "change"), place, change, why)


def unchanged_of(text: str) -> str:
    """`path:key`, or what else must not change, in words."""
    found = PROTECTED.fullmatch(text)
    if found and not _is_inside(found["path"]):
        raise Unread(f"{quoted(text)}: the path lies inside the repository, as in configs/dpo.yaml:beta")
    return text


def protected_of(text: str) -> str:
    if not PROTECTED.fullmatch(text):
        raise Unread(f"{quoted(text)} is not path:key, as configs/dpo.yaml:beta")
    return unchanged_of(text)


def specified_of(text: str, recipes: Collection[str]) -> Specified:
    """`examples = 200`, or `sft: batch = 4` of one recipe."""
    found = _SPECIFIED.fullmatch(text)
    if found is None:
        raise Unread(f"{quoted(text)} is not name = number, as sft: examples = 200")
    recipe, name, number = (part and part.strip() for part in found.groups())
    if recipe is not None and recipe not in recipes:
        raise Unread(f"recipe {quoted(recipe)} is not measured{near_miss(recipe, recipes)}")
    if name not in PROTOCOL:
        raise Unread(f"nothing is specified by {quoted(name)}{near_miss(name, PROTOCOL)}")
    if not _COUNT.fullmatch(number):
        raise Unread(f"{name} has the value {quoted(number)}: a plain number is taken")
    return Specified(name, float(number), recipe)


def stated_of(text: str) -> Stated:
    plain = " ".join(text.replace("`", "").rstrip(". ").casefold().split())
    return Stated(text, next((name for name, words in _CHECKS if words.fullmatch(plain)), ""))


def words_of(text: str) -> str:
    return text


def _is_inside(path: str) -> bool:
    return not path.startswith(("/", "-")) and ".." not in path.split("/")

"""What `/set key=value` said, in place of what the body says in that field. Pure.

An answer is read by the same readers as the field of the form; lists are written without spaces, recipes and
criteria with commas, arms with semicolons between them. Who may answer is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.metrics import near_miss

from agent.task.fields import REQUIRED_KEYS, Field, Line, Problem, Written, quoted, spaced

ANSWER_EXAMPLES: Mapping[str, str] = {
    "kind": "infra",
    "baseline": "656703d",
    "optimized": "097beae",
    "recipes": "sft,dpo",
    "arms": "packing=optimized,packing=true",
    "criteria": "sft:+30%,dpo:+20%",
    "loss_band": "2%",
    "gpu_hours": "1.5",
    "replicates": "5",
}
ANSWER_KEYS: tuple[str, ...] = tuple(ANSWER_EXAMPLES)
"""What may be set. Changes, and what must not change, are in the body only."""
SET = "/set"

_BETWEEN = {"recipes": ",", "criteria": ",", "arms": ";"}
_QUESTIONS = {
    "kind": "what kind of task is this? Only infra, a change of the training code, is measured",
    "baseline": "which commit is the baseline?",
    "optimized": "which commit should be faster?",
    "recipes": "which recipes of paceline.toml should be measured?",
}
COMMITS = "Commits"


def set_line(*keys: str) -> str:
    """An answer that is right in form: `/set baseline=656703d optimized=097beae`."""
    return " ".join([SET, *(f"{key}={ANSWER_EXAMPLES[key]}" for key in keys)])


def with_answers(written: Written, answers: Mapping[str, str]) -> Written:
    """The answers' fields over those of the body; an empty one leaves it to the body."""
    strange = [key for key in answers if key not in ANSWER_EXAMPLES]
    problems = [
        Problem(SET, f"no key {quoted(key)}{near_miss(key, ANSWER_KEYS)}", set_line("baseline", "optimized"))
        for key in strange
    ]
    said = {
        key: _field(key, value) for key, value in answers.items() if key in ANSWER_EXAMPLES and value.strip()
    }
    return replace(written, fields={**written.fields, **said}, problems=(*written.problems, *problems))


def questions(keys: tuple[str, ...]) -> list[Problem]:
    """One for each required key that nobody gave, one for both commits. An answer takes one line."""
    asked = [key for key in REQUIRED_KEYS if key in keys]
    if "baseline" in asked and "optimized" in asked:
        what = "which two commits should be compared: what is the baseline, and what should be faster?"
        both = Problem(COMMITS, what, set_line("baseline", "optimized"))
    else:
        both = None
    found = []
    for key in asked:
        if both and key in ("baseline", "optimized"):
            found += [both] if key == "baseline" else []
        else:
            found.append(Problem(_LABELS[key], _QUESTIONS[key], set_line(key)))
    return found


_LABELS = dict(zip(REQUIRED_KEYS, ("Kind", "Baseline commit", "Optimized commit", "Recipes"), strict=True))


def _field(key: str, value: str) -> Field:
    texts = value.split(_BETWEEN[key]) if key in _BETWEEN else [value]
    lines = tuple(Line(None, spaced(text)) for text in texts if text.strip())
    found = Field(key, set_line(key), None, lines)
    if lines:
        return found
    return replace(found, problems=(Problem(key, "is set to nothing", found.example),))

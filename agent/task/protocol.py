"""The numbers of a testing protocol in prose: `tiny dataset (200 examples), 1 epoch, 1 GPU, bs=4`. Pure.

Read from sentences that describe a run: they say how many examples or epochs. Each is of the one recipe that
the sentence names, or of all where it names none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from agent.task.fields import Line
from agent.task.markdown import Text

_COUNT = r"(?<![\w.,+-])([0-9]{1,9}(?:\.[0-9]{1,6})?)"
_SAID = (
    (
        "examples",
        re.compile(rf"{_COUNT}\s*(?:preference |training )?(?:examples|rows|samples|pairs)\b", re.I),
    ),
    ("epochs", re.compile(rf"{_COUNT}\s*epochs?\b", re.I)),
    ("gpus", re.compile(rf"{_COUNT}\s*GPUs?\b", re.I)),
    (
        "batch",
        re.compile(r"\b(?:bs|batch(?:[ _]size)?)\s*(?:=|:|\bof\b)?\s*([0-9]{1,9})(?![\w.,]*[0-9])", re.I),
    ),
)
# A run of a recipe that nothing else names: `KTO smoke test`. It is refused as a recipe that is not measured.
_RUN_OF = re.compile(r"\b([A-Z][A-Z0-9]{1,5})(?:\s+smoke)?[\s-]+(?:runs?|tests?|bench(?:mark)?s?)\b")
_NO_RECIPE = ("GPU", "CPU", "AB", "CI", "H100", "H200", "A100")


def protocol_of(texts: Sequence[Text], recipes: Collection[str]) -> list[Line]:
    """In the spelling of the form: `sft: examples = 200`."""
    found = []
    for text in texts:
        said = [(name, match[1]) for name, words in _SAID for match in words.finditer(text.text)]
        if not {"examples", "epochs"} & {name for name, _ in said}:
            continue
        scopes = _scopes(text.text, recipes)
        if len(scopes) > 1:
            continue
        scope = f"{scopes[0]}: " if scopes else ""
        found += [Line(text.number, f"{scope}{name} = {number}") for name, number in said]
    return found


def _scopes(text: str, recipes: Collection[str]) -> list[str]:
    words = {word.casefold() for word in re.findall(r"[A-Za-z0-9][\w+.-]*", text)}
    named = [name for name in sorted(recipes) if name.casefold() in words]
    strange = [name.casefold() for name in _RUN_OF.findall(text) if name not in _NO_RECIPE]
    return list(dict.fromkeys([*named, *strange]))

"""An issue in prose: what its headings, lists and lines say, in the spelling of the form. Pure.

Only what CommonMark shows as the author's own text is read: no quotation, no code, no HTML. What is read:
lines `kind: infra`; tables of changes (`tables.py`); sections with the headings named below. What is
nobody's is left alone; what looks like a value and is none is handed on as it is, so that the field's own
reader refuses it with its line. Nothing is filled in.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from agent.task.answers import ANSWER_EXAMPLES, set_line
from agent.task.criteria import scope_of
from agent.task.demands import Demand, demands_of
from agent.task.fields import (
    BY_KEY,
    EXAMPLES,
    KEYS,
    LINE_LIMIT,
    LINES_LIMIT,
    Field,
    Line,
    Problem,
    Row,
    Written,
    is_hidden,
    quoted,
    spaced,
)
from agent.task.markdown import Chapter, Text, chapters_of
from agent.task.protocol import protocol_of
from agent.task.tables import tables_of

CRITERIA = ("success criteria", "acceptance criteria")
CONTEXT = ("context", "background", "motivation")
PROTOCOL = ("testing protocol", "test protocol", "benchmark protocol")
REPORT = ("report back", "what to report back")
FOLLOW_UPS = re.compile(r"follow[- ]?(?:on|up)s?\b|out of scope$")
MOST_STRANGE_HEADINGS = 50

_KEY_LINE = re.compile(r"[*_`\s]*(?P<name>[A-Za-z][A-Za-z _-]{1,30}?)[*_`\s]*[:=](?P<value>.*)")
# Read where they stand; a bare `baseline: ...` is a value only before the first heading.
_NAMES: Mapping[str, str] = {
    **{
        BY_KEY[key].label.casefold(): key
        for key in ("baseline", "optimized", "recipes", "loss_band", "gpu_hours", "replicates")
    },
    "loss_band": "loss_band",
    "gpu_hours": "gpu_hours",
}
_FIRST_NAMES: Mapping[str, str] = {**_NAMES, "kind": "kind", "baseline": "baseline", "optimized": "optimized"}
_AS_IN_THE_FORM = frozenset(
    ("kind", "baseline", "optimized", "recipes", "arms", "stated", "loss_band", "gpu_hours", "replicates",
     "unchanged")
)  # fmt: skip


def written_prose(body: str) -> Written:
    chapters = chapters_of(body)
    tables = tables_of(chapters)
    lines = _lines_by_key(chapters)
    lines["unchanged"] += tables.unchanged
    fields = {key: _field(key, found) for key, found in lines.items() if found}
    if tables.changes or tables.problems:
        fields["changes"] = _field("changes", (), tables.changes, tables.problems)
    if tables.withheld:
        fields["withheld"] = _field("withheld", (), tables.withheld)
    context = "\n\n".join(filter(None, (one.source for one in chapters if one.is_in(CONTEXT))))
    if context:
        fields["context"] = replace(_field("context"), text=context)
    return Written("prose", {**fields, **_misspelt(chapters, fields)})


def is_silent(written: Written) -> bool:
    """Whether nothing was found that only a task says."""
    return not written.fields.keys() - {"context", "report", "follow_ups"}


def _lines_by_key(chapters: Sequence[Chapter]) -> dict[str, list[Line]]:
    lines: dict[str, list[Line]] = {key: [] for key in BY_KEY}
    for key, line in [*_key_lines(chapters), *_as_in_the_form(chapters)]:
        lines[key].append(line)
    demands = [demand for text in _told(chapters, CRITERIA) for demand in demands_of(text)]
    steps = [
        *_told(chapters, PROTOCOL),
        *(text for chapter in chapters if chapter.is_in(PROTOCOL) for text in chapter.indented),
    ]
    lines["stated"] += _of(demands, "stated")
    lines["loss_band"] += [*_of(demands, "loss band"), *_bands(steps)]
    said = {name.strip() for line in lines["recipes"] for name in line.text.split(",")}
    lines["criteria"] += [_rescoped(line, said) for line in _of(demands, "criterion")]
    lines["recipes"] = lines["recipes"] or _recipes(lines["criteria"])
    lines["protocol"] += protocol_of(steps, said or {line.text for line in lines["recipes"]})
    lines["report"] += _for_people(_told(chapters, REPORT))
    lines["follow_ups"] += [
        line
        for chapter in chapters
        if FOLLOW_UPS.search(chapter.title)
        for line in _for_people(chapter.texts)
    ]
    return {
        key: _distinct(found) if BY_KEY[key].shape == "one" or key == "protocol" else found
        for key, found in lines.items()
    }


def _field(
    key: str, lines: Iterable[Line] = (), rows: Sequence[Row] = (), problems: Sequence[Problem] = ()
) -> Field:
    label = BY_KEY[key].label
    example = set_line(key) if key in ANSWER_EXAMPLES else EXAMPLES[label]
    lines = tuple(lines)
    number = lines[0].number if lines else rows[0].number if rows else None
    return Field(label, example, number, lines, tuple(rows), "", tuple(problems))


def _told(chapters: Sequence[Chapter], titles: Sequence[str]) -> list[Text]:
    """What stands under these headings, without what leads to a list and lines that name their field."""
    return [
        text
        for chapter in chapters
        if chapter.is_in(titles)
        for text in chapter.texts
        if (text.is_item or not text.text.endswith(":"))
        and not any(_key_of(line, _NAMES) for line in text.lines)
    ]


def _lines(texts: Iterable[Text]) -> list[Line]:
    return [Line(text.number, text.text) for text in texts]


def _for_people(texts: Sequence[Text]) -> list[Line]:
    """What no rule reads, cut rather than refused."""
    shown = [
        Line(line.number, "".join(char for char in line.text if not is_hidden(char))[:LINE_LIMIT].strip())
        for line in _lines(texts[:LINES_LIMIT])
    ]
    return [line for line in shown if line.text]


def _of(demands: Sequence[Demand], kind: str) -> list[Line]:
    return [demand.line for demand in demands if demand.kind == kind]


def _bands(steps: Sequence[Text]) -> list[Line]:
    """What the testing protocol says of the loss."""
    found = [demand for text in steps for demand in demands_of(text)]
    return [demand.line for demand in found if demand.kind == "loss band" and demand.is_clear]


def _recipes(criteria: Sequence[Line]) -> list[Line]:
    """The names that criteria stand for."""
    found: dict[str, Line] = {}
    for line in criteria:
        name = scope_of(line.text)
        if name:
            found.setdefault(name, Line(line.number, name))
    return list(found.values())


def _rescoped(line: Line, said: Collection[str]) -> Line:
    """With the recipe as it is said elsewhere; in small letters where it is not."""
    name = scope_of(line.text)
    if name is None or name in said:
        return line
    spelled = next((one for one in said if one.casefold() == name.casefold()), name.casefold())
    return Line(line.number, spelled + line.text.strip().removeprefix(name))


def _distinct(lines: Sequence[Line]) -> list[Line]:
    """A value that is said twice is one; a plus-minus sign changes no band."""
    found: dict[str, Line] = {}
    for line in lines:
        found.setdefault(re.sub(r"[\s\u00b1`]|\+/?-", "", line.text), line)
    return list(found.values())


def _key_lines(chapters: Sequence[Chapter]) -> list[tuple[str, Line]]:
    found = []
    for position, chapter in enumerate(chapters):
        names = _NAMES if position else _FIRST_NAMES
        for text in chapter.texts:
            for line in text.lines:
                key = _key_of(line, names)
                if key:
                    found.append((key, Line(line.number, _value_of(line))))
    return found


def _key_of(line: Line, names: Mapping[str, str]) -> str | None:
    read = _KEY_LINE.fullmatch(line.text)
    return names.get(" ".join(read["name"].casefold().split())) if read else None


def _value_of(line: Line) -> str:
    return spaced(re.split("[:=]", line.text, maxsplit=1)[1]).strip("*_ ")


def _as_in_the_form(chapters: Sequence[Chapter]) -> list[tuple[str, Line]]:
    """Sections under a heading of the form, of any level, that hold what the form would."""
    by_title = {label.casefold(): key for label, key in KEYS.items() if key in _AS_IN_THE_FORM}
    return [
        (by_title[chapter.title], line)
        for chapter in chapters
        if chapter.title in by_title
        for text in chapter.texts
        for line in (text.lines if not text.is_item else _lines([text]))
    ]


def _misspelt(chapters: Sequence[Chapter], fields: Mapping[str, Field]) -> dict[str, Field]:
    """Headings that are nearly the form's, over values that would not be read."""
    labels = {label.casefold(): label for label, key in KEYS.items() if key in _AS_IN_THE_FORM}
    labels["success criteria"] = "Success criteria"
    found: dict[str, Field] = {}
    strange = [one for one in chapters if one.title and one.title not in labels]
    for chapter in strange[:MOST_STRANGE_HEADINGS]:
        near = difflib.get_close_matches(chapter.title[:60], labels, n=1, cutoff=0.85)
        if not near or chapter.title in CRITERIA:
            continue
        label = labels[near[0]]
        what = f"the heading {quoted(chapter.title)} is not read: did you mean {label!r}?"
        base = fields.get(KEYS[label]) or _field(KEYS[label])
        problem = Problem(label, what, base.example, chapter.number)
        found[KEYS[label]] = replace(base, problems=(*base.problems, problem))
    return found

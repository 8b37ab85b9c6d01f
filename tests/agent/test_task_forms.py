"""One task in three forms; and of any body at all: an answer, soon, that says nothing the body does not."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.task import Problems, Task, parse_task
from agent.task.answers import ANSWER_KEYS
from agent.task.fields import BLANKS, BODY_LIMIT
from agent.task.markdown import markdown_of
from tests.agent.test_task import CONTEXTS, FILLED, PIECES, WHOLE, body_of, checked

MANUAL = (Path(__file__).parents[2] / "docs" / "issue.md").read_text(encoding="utf-8")
CASE = (Path(__file__).parent / "cases" / "issue-36.md").read_text(encoding="utf-8")
COMMITS = {"baseline": "656703d", "optimized": "097beae"}
TABLE = "| # | File:Line | Change | Expected win |\n|---|---|---|---|\n"
HEADERS = {"changes": "Expected win", "withheld": "Why not"}


def lists_of(task):
    """What each field holds, as lists of lines or rows."""
    return {
        "kind": task.kind,
        "context": task.context,
        "baseline": task.baseline,
        "optimized": task.optimized,
        "recipes": [*task.recipes],
        "arms": [arm.text for arm in task.arms],
        "criteria": [*task.criteria],
        "stated": [one.text for one in task.stated],
        "loss_band": None if task.loss_band is None else f"{100 * task.loss_band:g} %",
        "gpu_hours": None if task.gpu_hours is None else f"{task.gpu_hours:g}",
        "replicates": None if task.replicates is None else str(task.replicates),
        "changes": [[one.name, one.place, one.change, one.expected] for one in task.changes],
        "withheld": [[one.name, one.place, one.change, one.why] for one in task.withheld],
        "unchanged": [*task.protected, *task.unchanged],
        "protocol": [one.text for one in task.protocol],
        "report": [*task.report],
        "follow_ups": [*task.follow_ups],
    }


def as_form(task):
    parts = []
    for blank in BLANKS:
        value = lists_of(task)[blank.key]
        if blank.shape == "rows":
            cells = [[cell.replace("|", "\\|") for cell in row] for row in value]
            rows = [["#", "File:Line", "Change", HEADERS[blank.key]], ["---"] * 4, *cells]
            value = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        elif blank.shape == "each":
            value = "\n".join(value)
        parts.append(f"### {blank.label}\n\n{value or '_No response_'}")
    return "\n\n".join(parts)


def as_block(task):
    values = {key: value for key, value in lists_of(task).items() if value}
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in values.items()
        if key not in HEADERS
    ]
    for key, last in (("changes", "expected"), ("withheld", "why")):
        for row in values.get(key, []):
            lines += [f"[[{key}]]"]
            lines += [
                f"{name} = {json.dumps(cell, ensure_ascii=False)}"
                for name, cell in zip(["name", "place", "change", last], row, strict=True)
            ]
    return "Please measure this.\n\n````paceline\n" + "\n".join(lines) + "\n````\n"


PROSE = parse_task(CASE, COMMITS)


@pytest.mark.parametrize("task", [PROSE, WHOLE], ids=["issue 36", "all fields"])
@pytest.mark.parametrize("form", [as_form, as_block])
def test_one_task_is_the_same_in_every_form(form, task):
    assert parse_task(form(task)) == task
    assert parse_task(form(task)).digest == task.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Deep-dive", "Deep"),
        ("Tier 3 (FA3 pilot", "Tier 3 (FA4 pilot"),
        ("- Diff summary", "- The diff"),
        ("+15-20% SFT", "15 % to 20 % on SFT"),
        ("May destabilize", "Could destabilize"),
        ("minimum +30% combined", "at least +30% overall"),
        ("tiny dataset (200 examples)", "dataset of 200 examples"),
    ],
)
def test_other_words_are_the_same_task(old, new):
    assert old in CASE
    assert parse_task(CASE.replace(old, new), COMMITS).digest == PROSE.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("minimum +30%", "minimum +31%"),
        ("+15-20% SFT", "+10-20% SFT"),
        ("trainer.py:98", "trainer.py:99"),
        ("\u00b15%", "\u00b16%"),
        ("No crashes on either smoke test", "No NaNs on either smoke test"),
        ("epochs: 1 \u2192 2", "lr: 1 \u2192 2"),
        ("tiny dataset (200 examples)", "tiny dataset (300 examples)"),
    ],
)
def test_what_is_measured_or_judged_makes_another_task(old, new):
    text = CASE.replace("loss curve within 5%", "loss curve within 6%") if new == "\u00b16%" else CASE
    task = parse_task(text.replace(old, new), COMMITS)
    assert isinstance(task, Task), task
    assert task.digest != PROSE.digest


# Nothing is invented.


def numbers_in(text):
    return {float(number) for number in re.findall(r"[0-9]+(?:\.[0-9]+)?", text)}


def is_said(number, said):
    """As it is, as a percentage, or as a change in percent, up or down."""
    meant = {number, 100 * number, 100 * (number - 1), 100 * (1 - number), 1 / number}
    return any(abs(one - other) <= 1e-6 * max(1.0, abs(other)) for one in meant for other in said)


def honest(found, text):
    """Every value of a task stands in the text."""
    checked(found)
    if isinstance(found, Problems):
        return
    said, folded = numbers_in(text), text.casefold()
    words = " ".join(folded.replace("\\|", "|").replace('\\"', '"').split())
    for value in (found.kind, found.baseline, found.optimized, *found.recipes):
        assert value.casefold() in folded
    for arm in found.arms:
        assert all(part in text for part in (arm.name, arm.revision, *arm.params, *arm.params.values()))
    for number in (
        found.loss_band,
        found.gpu_hours,
        found.replicates,
        *(one.number for one in found.protocol),
    ):
        assert number is None or is_said(number, said)
    for criterion in found.criteria:
        assert is_said(float(re.split("[<>]=", criterion)[1]), said)
    for claim in found.claims:
        assert claim.recipe is None or claim.recipe in found.recipes
        assert claim.target is None or is_said(claim.target, said)
    for one in (*found.changes, *found.withheld):
        assert one.name in text
        assert " ".join(one.change.casefold().split()) in words
    for path in found.protected:
        assert all(part.casefold() in folded for part in path.split(":"))


def soon(text, answers):
    begin = time.process_time()
    found = parse_task(text, answers)
    if isinstance(found, Task):
        _ = found.digest
    assert time.process_time() - begin < 1.0
    return found


def mutated(draw, text):
    """A few lines moved, cut, doubled or strewn with other pieces."""
    lines = text.split("\n")
    strewn = st.one_of(PIECES, WORDS, st.text(max_size=30))
    for _ in range(draw(st.integers(1, 6))):
        row = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "insert", "splice", "join", "swap"])):
            case "drop":
                lines[row : row + draw(st.integers(1, 4))] = [""]
            case "double":
                lines.insert(row, lines[row])
            case "insert":
                lines.insert(row, draw(strewn))
            case "splice":
                place = draw(st.integers(0, len(lines[row])))
                lines[row] = lines[row][:place] + draw(strewn) + lines[row][place + draw(st.integers(0, 3)) :]
            case "join":
                lines[row : row + 2] = ["".join(lines[row : row + 2])]
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[row], lines[other] = lines[other], lines[row]
    return "\n".join(lines)


WORDS = st.sampled_from(
    [
        "kind: infra", "baseline: abc1234", "Optimized commit: `main`", "## Success criteria",
        "- +30% on SFT",
        "- 60% mem on DPO", "- SFT, DPO: 1.3x", "- loss within 3%", "## Testing protocol",
        "Leave H and Y unchanged.",
        f"{TABLE}| Z | z.py:1 | z: 1 \u2192 2 | same as A-D |", "- DPO run: 7 rows",
        "| # | Change | Why not |\n|---|---|---|\n| Y | z: 1 \u2192 2 | because |",
        "```paceline\nkind = 'infra'\nrecipes = 'x'\n```", "```paceline", "### Kind", "### Recipes\n\nsft",
        "protected = ['a.py:b']", "[[changes]]\nname='Q'\nchange='w'\nexpected='-5% mem'",
        '"""', "## Recipes",
        "arms = ['a=main,b=1']", "up to", "%", "x", "between 20 and", "\u2212", "+", "|", "(", "\u00b1",
    ]
)  # fmt: skip


@st.composite
def bodies(draw):
    kind = draw(st.sampled_from(["prose", "form", "block", "words"]))
    if kind == "words":
        return "\n\n".join(draw(st.lists(st.one_of(WORDS, PIECES, st.text(max_size=20)), max_size=15)))
    text = {"prose": CASE, "form": body_of(), "block": as_block(WHOLE)}[kind]
    return mutated(draw, text)


ANSWERS = st.dictionaries(
    st.one_of(
        st.sampled_from(["baseline", "optimized", "recipes", "criteria", "loss_band", "arms", "kind"]),
        st.text(),
    ),
    st.one_of(
        st.sampled_from(["main", "656703d", "sft", "sft,dpo", "sft:+5%", "3%", "a=main", "infra"]), st.text()
    ),
    max_size=5,
)


@settings(deadline=None, max_examples=300)
@given(bodies(), st.one_of(st.just({}), st.just(COMMITS), ANSWERS))
def test_whatever_a_body_is_nothing_is_invented(text, answers):
    said = "\n".join([text, *answers.values()])
    honest(soon(text, answers), said)


@settings(deadline=None)
@given(st.text(), ANSWERS)
def test_any_text_and_any_answers_have_an_answer(text, answers):
    checked(parse_task(text, answers))


@settings(deadline=None)
@given(st.text(max_size=80), st.sampled_from([blank.key for blank in BLANKS]), CONTEXTS)
def test_any_text_in_a_block_has_an_answer(text, key, context):
    honest(
        soon(f"{context}\n\n```paceline\n{key} = {text}\nkind = 'infra'\n```", COMMITS),
        f"{text} infra 656703d 097beae",
    )


FULL = [
    "- +30% on SFT, ", "|", "| a |\n", "a|", "`", "- ", "> ", "  - x\n", "1. x\n", "# x\n", "(", ")", "+1%",
    "+1% and ", ",", " ", "x", "- same as A-D\n", "0", "1-", "kind: ", "a: 1 \u2192 ", "ruff check . ", "*",
    "_a", "no crash or ", "loss within ", "200 examples, ", "SFT run ", "\n", "[[changes]]\n", "a.", "a = [",
    "a={", '"', "'", '"""', "\\", "'''", "#", "{", "### Kind\n", "```paceline\n", "<!--",
    "Leave A, B unchanged. ",
]  # fmt: skip
AROUND = [
    "", "## Success criteria\n\n- +1% ", "## Testing protocol\n\n", TABLE, "```paceline\n",
    '```paceline\ncontext = """',
    "```paceline\nkind = ", "### Kind\n\n", "### Changes\n\n",
]  # fmt: skip


def took(text):
    markdown_of.cache_clear()
    begin = time.process_time()
    parse_task(text, COMMITS)
    return time.process_time() - begin


@pytest.mark.parametrize("before", AROUND)
def test_a_body_full_of_one_thing_is_answered_within_a_second(before):
    for piece in FULL:
        text = (before + piece * BODY_LIMIT)[:BODY_LIMIT]
        assert any(took(text) < 1.0 for _ in range(3)), piece  # a busy machine may be slow once


def test_a_table_of_a_hundred_promises_is_claimed_within_a_second():
    cell = ", ".join(["+1% SFT"] * 8)
    rows = "".join(f"| c{n} | a.py | x | {cell if n < 50 else 'same as c0-c49'} |\n" for n in range(100))
    found = soon(f"kind: infra\n\n{TABLE}{rows}\n## Success criteria\n\n- +1% on SFT", COMMITS)
    assert isinstance(found, Task)
    assert len(found.claims) == 50 * 8 + 50 * 400


def test_the_block_of_the_manual_is_a_task():
    task = parse_task(MANUAL)
    assert isinstance(task, Task), task
    assert {key for key, value in lists_of(task).items() if not value} == set()


@pytest.mark.parametrize("criterion", ["minimum +30% combined on SFT", "DPO throughput at least 1.2x",
                                       "peak memory on SFT at most +10%"])  # fmt: skip
def test_the_criteria_of_the_manual_are_read(criterion):
    assert criterion in MANUAL
    text = f"kind: infra\n\n## Success criteria\n\n- {criterion}"
    assert isinstance(parse_task(text, COMMITS), Task)


def test_the_answers_of_the_manual_are_all_there_are():
    [said] = [line for line in MANUAL.split("\n") if line.startswith("`/set` takes")]
    assert re.findall(r"`(\w+)`", said.partition(", in place")[0]) == [*ANSWER_KEYS]


@pytest.mark.parametrize("label", FILLED)
def test_the_form_without_one_field_is_answered(label):
    checked(parse_task(body_of(**{re.sub("[- ]", "_", label).lower(): None})))

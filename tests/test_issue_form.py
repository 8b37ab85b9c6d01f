"""The issue form: GitHub takes it, and what GitHub makes of it is what `agent/task.py` reads.

The rules are those of GitHub's pages "Syntax for GitHub's form schema" and "Common validation errors when
creating issue forms"; how a filled form becomes a body was read off issues that were made with forms.
"""

import re
from dataclasses import astuple
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.task import AskedArm, AskedChange, Specified, Stated, Task, Withheld, parse_task
from agent.task.fields import CHANGES_HEADER, EXAMPLES, REQUIRED, WITHHELD_HEADER
from tests.agent.test_task import CONTEXTS, NAMES, REVISIONS

ROOT = Path(__file__).parent.parent
FORM = ROOT / ".github" / "ISSUE_TEMPLATE" / "infra.yml"
TEXT = FORM.read_text(encoding="utf-8")
PARSED = yaml.safe_load(TEXT)
ASKED = [field for field in PARSED["body"] if field["type"] != "markdown"]

TOP = {"name", "description", "body", "assignees", "labels", "title", "type", "projects"}
ATTRIBUTES = {
    "markdown": {"value"},
    "input": {"label", "description", "placeholder", "value"},
    "textarea": {"label", "description", "placeholder", "value", "render"},
    "dropdown": {"label", "description", "multiple", "options", "default"},
}


def render_form(text, values):
    """The body that GitHub makes of a form and what was typed into it, by the id of the field."""
    parts = []
    for field in yaml.safe_load(text)["body"]:
        if field["type"] == "markdown":
            continue
        attributes = field["attributes"]
        value = values.get(field["id"], "")
        if field["type"] == "dropdown" and not value and "default" in attributes:
            value = attributes["options"][attributes["default"]]
        if not value.strip():
            assert not field.get("validations", {}).get("required"), f"GitHub asks for {field['id']}"
            value = "_No response_"
        elif "render" in attributes:
            value = f"```{attributes['render']}\n{value}\n```"
        parts.append(f"### {attributes['label']}\n\n{value}")
    return "\n\n".join(parts)


def values_of(task):
    """What a person would type to ask for this task."""
    return {
        "context": task.context,
        "baseline": task.baseline,
        "optimized": task.optimized,
        "recipes": ", ".join(task.recipes),
        "arms": "\n".join(arm.text for arm in task.arms),
        "criteria": "\n".join(task.criteria),
        "loss-band": "" if task.loss_band is None else f"{100 * task.loss_band:.10g} %",
        "gpu-hours": "" if task.gpu_hours is None else f"{task.gpu_hours:g}",
        "replicates": "" if task.replicates is None else str(task.replicates),
        "stated": "\n".join(one.text for one in task.stated),
        "changes": table_of(CHANGES_HEADER, task.changes),
        "withheld": table_of(WITHHELD_HEADER, task.withheld),
        "unchanged": "\n".join([*task.protected, *task.unchanged]),
        "protocol": "\n".join(one.text for one in task.protocol),
        "report": "\n".join(task.report),
        "follow-ups": "\n".join(task.follow_ups),
    }


def table_of(header, rows):
    cells = [[cell.replace("|", "\\|") for cell in astuple(row)] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *cells])


CELLS = st.text("abc |`*_<>@#!-+%.", max_size=20).map(lambda text: " ".join(text.split()))
ARMS = st.builds(
    AskedArm,
    name=NAMES.filter(lambda name: name not in ("baseline", "optimized")),
    revision=st.one_of(st.sampled_from(["baseline", "optimized"]), REVISIONS),
    params=st.dictionaries(
        st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True),
        st.from_regex(r"[A-Za-z0-9._/+=@][A-Za-z0-9._/:+=@-]{0,9}", fullmatch=True),
        max_size=3,
    ),
)
CHANGES = st.builds(
    AskedChange, name=NAMES, place=CELLS, change=CELLS.filter(lambda text: text.strip("| ")), expected=CELLS
)
WITHHELD = st.builds(
    Withheld, name=NAMES, place=st.just("a file"), change=st.just("beta"), why=st.sampled_from(["", "a | b"])
)


@st.composite
def tasks(draw):
    recipes = tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)))
    arms = tuple(draw(st.lists(ARMS, max_size=3, unique_by=lambda arm: arm.name)))
    scopes = [*recipes, *(f"{recipe}/{arm.name}" for recipe in recipes for arm in arms)]
    asked = st.sampled_from(["primary>=1.3", "tokens_per_s>=1.155", "peak_memory_b<=1.1"])
    criteria = st.builds(lambda scope, what: f"{scope}:{what}", st.sampled_from(scopes), asked)
    return Task(
        baseline=draw(REVISIONS),
        optimized=draw(REVISIONS),
        recipes=recipes,
        arms=arms,
        criteria=tuple(draw(st.lists(criteria, max_size=4, unique=True))),
        loss_band=draw(st.sampled_from([None, 0.02, 0.005, 0.1])),
        gpu_hours=draw(st.sampled_from([None, 0.5, 1.0, 12.25])),
        replicates=draw(st.one_of(st.none(), st.integers(1, 100))),
        changes=tuple(draw(st.lists(CHANGES, max_size=3, unique_by=lambda change: change.name))),
        protected=tuple(
            draw(st.lists(st.sampled_from(["a/b.yaml:beta", "x.py:LR"]), max_size=2, unique=True))
        ),
        unchanged=tuple(
            draw(st.lists(st.sampled_from(["the epochs", "### Recipes", "@all"]), max_size=2, unique=True))
        ),
        context=draw(CONTEXTS),
        stated=tuple(
            draw(
                st.lists(
                    st.sampled_from([Stated("no crashes", "outcomes"), Stated("uploads work")]), unique=True
                )
            )
        ),
        protocol=tuple(
            Specified("examples", number, name) for name, number in zip(recipes, (200, 0.5), strict=False)
        ),
        report=tuple(draw(st.lists(st.sampled_from(["GPU-hours", "@all"]), max_size=2))),
        follow_ups=tuple(draw(st.lists(st.sampled_from(["FA3", "a - dash"]), max_size=2))),
    )


@settings(deadline=None)  # a busy machine is no failure
@given(tasks())
def test_a_task_written_into_the_form_is_read_back(task):
    assert parse_task(render_form(TEXT, values_of(task))) == task


@settings(deadline=None)  # a busy machine is no failure
@given(tasks())
def test_a_body_with_the_line_ends_of_a_browser_is_the_same_task(task):
    body = render_form(TEXT, values_of(task)).replace("\n", "\r\n")
    assert parse_task(body) == task


def test_the_form_with_only_what_it_asks_for_is_a_task():
    body = render_form(TEXT, {"baseline": "main", "optimized": "faster", "recipes": "sft"})
    assert parse_task(body) == Task("main", "faster", ("sft",))


def test_the_form_as_it_is_offered_with_its_prefilled_table_is_a_task():
    prefilled = {field["id"]: field["attributes"].get("value", "") for field in ASKED}
    given_ = {"baseline": "main", "optimized": "faster", "recipes": "sft"}
    assert parse_task(render_form(TEXT, prefilled | given_)) == Task("main", "faster", ("sft",))


def test_the_placeholders_of_the_form_are_a_task():
    shown = {field["id"]: field["attributes"].get("placeholder", "") for field in ASKED}
    assert parse_task(render_form(TEXT, shown)) == Task(
        "656703d",
        "097beae",
        ("sft", "dpo"),
        arms=(AskedArm("packing", "optimized", {"packing": "true"}),),
        criteria=("sft:primary>=1.3", "dpo:primary>=1.2"),
        loss_band=0.02,
        gpu_hours=1.5,
        replicates=5,
        protected=("configs/dpo/default.yaml:beta",),
        unchanged=("the number of epochs",),
        stated=(Stated("no crashes on any recipe", "outcomes"), Stated("ruff check . clean", "lint")),
        protocol=(Specified("examples", 200), Specified("batch", 4, "sft")),
    )


def test_the_headings_are_those_that_are_read_in_that_order():
    assert [field["attributes"]["label"] for field in ASKED] == list(EXAMPLES)


def test_the_form_asks_for_what_a_task_cannot_do_without():
    required = [f["attributes"]["label"] for f in ASKED if f.get("validations", {}).get("required")]
    assert tuple(required) == REQUIRED


def test_the_label_is_set_by_the_form():
    assert PARSED["labels"] == ["bench"]


@pytest.mark.parametrize(("name", "header"), [("changes", CHANGES_HEADER), ("withheld", WITHHELD_HEADER)])
def test_a_table_is_prefilled_with_its_header(name, header):
    [table] = [field for field in ASKED if field["id"] == name]
    assert table["attributes"]["value"].startswith(f"| {' | '.join(header)} |\n")


def test_the_form_of_this_repository_is_the_one_that_init_writes():
    assert (ROOT / "templates" / "init" / "infra.yml").read_bytes() == FORM.read_bytes()


def test_the_form_has_the_keys_that_github_knows():
    assert {"name", "description", "body"} <= set(PARSED) <= TOP
    for field in PARSED["body"]:
        assert set(field) <= {"type", "id", "attributes", "validations"}
        assert set(field["attributes"]) <= ATTRIBUTES[field["type"]]
        assert set(field.get("validations", {})) <= {"required"}


def test_texts_of_the_form_are_texts_and_not_empty():
    for text in (PARSED["name"], PARSED["description"], PARSED["title"]):
        assert isinstance(text, str) and text.strip()
    for field in PARSED["body"]:
        for name, value in field["attributes"].items():
            if name not in ("options", "default", "multiple"):
                assert isinstance(value, str) and value.strip(), (field.get("id"), name)


def test_ids_are_unique_and_of_letters_digits_dashes():
    ids = [field["id"] for field in ASKED]
    assert len(set(ids)) == len(ids) > 0
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in ids)


def test_labels_stay_apart_as_rails_writes_them():
    labels = [re.sub(r"[^a-z0-9_-]+", "-", f["attributes"]["label"].lower()).strip("-") for f in ASKED]
    assert len(set(labels)) == len(labels)


def test_labels_hold_no_word_that_github_forbids():
    assert not [f for f in ASKED if "password" in f["attributes"]["label"].lower()]


@pytest.mark.parametrize("field", [f for f in ASKED if f["type"] == "dropdown"], ids=lambda f: f["id"])
def test_options_are_unique_texts_and_the_default_is_one(field):
    options = field["attributes"]["options"]
    assert all(isinstance(option, str) for option in options)
    assert len(set(options)) == len(options)
    assert "none" not in {option.lower() for option in options}
    assert 0 <= field["attributes"]["default"] < len(options)

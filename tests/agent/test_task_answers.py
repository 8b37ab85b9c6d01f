"""What `/set` answers: in place of the body's own word, read by the same readers."""

import pytest

from agent.task import Problem, Problems, Task, line_of, parse_task
from agent.task.answers import ANSWER_EXAMPLES, ANSWER_KEYS, set_line
from agent.task.fields import BY_KEY, KEYS
from tests.agent.test_task import body_of
from tests.agent.test_task_block import LEAST, body

PROSE = "kind: infra\n\n## Success criteria\n\n- +30% on SFT, +20% on DPO\n"
COMMITS = {"baseline": "656703d", "optimized": "097beae"}


def problems_of(text, answers):
    found = parse_task(text, answers)
    assert isinstance(found, Problems), found
    return found.found


def test_both_commits_are_one_question():
    [problem] = problems_of(PROSE, {})
    assert problem == Problem(
        "Commits",
        "which two commits should be compared: what is the baseline, and what should be faster?",
        "/set baseline=656703d optimized=097beae",
    )


def test_one_commit_is_asked_for_by_its_own_name():
    [problem] = problems_of(PROSE, {"baseline": "main"})
    assert (problem.field, problem.example) == ("Optimized commit", "/set optimized=097beae")


def test_an_answer_completes_a_task():
    criteria = ("sft:primary>=1.3", "dpo:primary>=1.2")
    assert parse_task(PROSE, COMMITS) == Task("656703d", "097beae", ("sft", "dpo"), criteria=criteria)


def test_what_prose_does_not_say_is_asked_in_the_order_of_the_form():
    found = problems_of("## Success criteria\n\n- no crashes", {})
    assert [(one.field, one.example) for one in found] == [
        ("Kind", "/set kind=infra"),
        ("Commits", "/set baseline=656703d optimized=097beae"),
        ("Recipes", "/set recipes=sft,dpo"),
    ]


def test_answers_alone_are_a_task_of_any_body():
    answers = COMMITS | {"kind": "infra", "recipes": "sft"}
    assert parse_task("make it faster", answers) == Task("656703d", "097beae", ("sft",))


@pytest.mark.parametrize("text", [body_of(), body(LEAST), f"{PROSE}\nBaseline commit: other\n"])
@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("baseline", "v2", "v2"),
        ("replicates", "7", 7),
        ("gpu_hours", "0.5", 0.5),
        ("loss_band", "\u00b13%", 0.03),
        ("criteria", "sft:+5%,sft:peak_memory_b<=1.1", ("sft:primary>=1.05", "sft:peak_memory_b<=1.1")),
    ],
)
def test_an_answer_overrides_every_form(text, key, value, read):
    task = parse_task(text, COMMITS | {key: value})
    assert getattr(task, key) == read


def test_arms_are_answered_with_semicolons_between_them():
    task = parse_task(PROSE, COMMITS | {"arms": "packing=optimized,packing=true,rows=64;old=v1"})
    assert [arm.text for arm in task.arms] == ["packing=optimized,packing=true,rows=64", "old=v1"]


WRONG = {
    "kind": "infr",
    "baseline": "--upload-pack=evil",
    "optimized": "a..b",
    "recipes": "sft,-x",
    "arms": "packing",
    "criteria": "sft:-10%",
    "loss_band": "tiny",
    "gpu_hours": "0",
    "replicates": "3.5",
}


@pytest.mark.parametrize(
    "text", [body_of(success_criteria=None, extra_arms=None, testing_protocol=None), body(LEAST)]
)
@pytest.mark.parametrize("key", ANSWER_KEYS)
def test_a_wrong_answer_is_a_problem_by_its_key(text, key):
    [problem] = problems_of(text, {key: WRONG[key]})
    assert (problem.field, problem.line, problem.example) == (key, None, set_line(key))


@pytest.mark.parametrize(("key", "value"), [("recipes", ","), ("arms", " ; "), ("criteria", ",,")])
def test_an_answer_that_says_nothing_is_a_problem(key, value):
    assert problems_of(body(LEAST), {key: value})[0].what == "is set to nothing"


@pytest.mark.parametrize("key", ANSWER_KEYS)
def test_an_empty_answer_leaves_it_to_the_body(key):
    assert parse_task(body(LEAST), {key: ""}) == parse_task(body(LEAST))


def test_a_key_that_nobody_knows_is_a_problem_with_a_near_miss():
    [problem] = problems_of(body(LEAST), {"baselin": "x"})
    assert problem.field == "/set"
    assert problem.what == "no key 'baselin' (did you mean 'baseline'?)"


def test_what_is_wrong_in_the_body_is_settled_by_an_answer():
    text = body_of().replace("### Baseline commit\n\n656703d", "### Baseline comit\n\n656703d")
    assert problems_of(text, {})[0].field == "Baseline commit"
    assert parse_task(text, {"baseline": "656703d"}).baseline == "656703d"


def test_every_example_of_an_answer_is_right():
    answers = ANSWER_EXAMPLES
    assert isinstance(parse_task("make it faster", answers), Task)


def test_answers_are_keys_of_fields_and_hold_no_blank():
    assert set(ANSWER_KEYS) <= set(BY_KEY)
    assert not any(" " in value for value in ANSWER_EXAMPLES.values())


def test_the_line_of_what_was_answered_is_none():
    label = next(label for label, key in KEYS.items() if key == "baseline")
    assert line_of(body(LEAST), label, "main") == 5
    assert line_of(body(LEAST), label, "v2", {"baseline": "v2"}) is None

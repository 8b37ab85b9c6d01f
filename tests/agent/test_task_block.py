"""A fenced block `paceline`: what its keys say, and what is wrong with it by line."""

import pytest

from agent.task import Problem, Problems, Task, parse_task
from tests.agent.test_task import WHOLE, body_of

BLOCK = """
kind = "infra"
context = "Slow."
baseline = "656703d"
optimized = "097beae"
recipes = ["sft", "dpo"]
arms = ["packing = optimized, packing=true"]
criteria = [
    "sft: +30 %",
    "dpo/packing: +20 %",  # of the arm
    "sft:peak_memory_b<=1.1",
]
stated = ["no crashes", "uploads work"]
loss_band = "2 %"
gpu_hours = 1.5
replicates = 5
protected = ["configs/dpo/default.yaml:beta"]
unchanged = ["the number of epochs"]
protocol = ["examples = 200", "sft: batch = 4"]
report = ["GPU-hours spent"]
follow_ups = ["FlashAttention 3"]

[[changes]]
name = "A"
place = "trainer.py:98"
change = 'attn="sdpa" | "fa2"'
expected = "+15-20% SFT"

[[changes]]
name = "B"
place = "trainer.py:321"
change = "packing"

[[withheld]]
name = "H"
place = "configs/dpo/default.yaml:6"
change = "beta: 0.1 \u2192 5.0"
why = "another landscape"

[[withheld]]
name = "I"
place = "train.py"
change = "the optimizer"
"""
LEAST = 'kind = "infra"\nbaseline = "main"\noptimized = "faster"\nrecipes = "sft"\n'


def body(text, before="Some words.\n\n", behind="\n\nMore of them."):
    return f"{before}```paceline\n{text.strip(chr(10))}\n```{behind}"


def problems_of(text, **around):
    found = parse_task(body(text, **around))
    assert isinstance(found, Problems), found
    return found.found


def line_of(text, part):
    return next(n for n, line in enumerate(body(text).split("\n"), start=1) if part in line)


def test_every_key_arrives_in_the_task():
    assert parse_task(body(BLOCK)) == WHOLE


def test_a_block_with_only_what_is_asked_for_is_a_task():
    assert parse_task(body(LEAST)) == Task("main", "faster", ("sft",))


def test_a_tilde_fence_and_words_behind_the_name_are_a_block_too():
    assert parse_task(f"~~~ paceline toml\n{LEAST}~~~") == Task("main", "faster", ("sft",))


@pytest.mark.parametrize("key", ["kind", "baseline", "optimized", "recipes"])
def test_a_required_key_that_is_missing_is_a_problem(key):
    text = "\n".join(line for line in LEAST.split("\n") if not line.startswith(key))
    [problem] = problems_of(text)
    assert (problem.field, problem.what) == (key, "is missing in the paceline block")
    assert problem.example.startswith(f"{key} = ")


@pytest.mark.parametrize(
    ("line", "field", "what"),
    [
        ("basline = 'x'", "paceline block", "no key 'basline' (did you mean 'baseline'?)"),
        ("[protocols]", "paceline block", "no key 'protocols' (did you mean 'protocol'?)"),
        ("loss_band = 0.05", "loss_band", "'0.05' is no band: a share over 0 % and up to 100 %"),
        ("loss_band = 2", "loss_band", 'takes text, in ""'),
        ('loss_band = "tiny"', "loss_band", "'tiny' is no band: a share over 0 % and up to 100 %"),
        ("gpu_hours = true", "gpu_hours", "takes a number, or a text"),
        ("gpu_hours = 0", "gpu_hours", "'0' is no number of hours over 0 and up to 10000"),
        ("replicates = [5]", "replicates", "takes one value, not a list"),
        ("replicates = 5.5", "replicates", "'5.5' is no whole number from 1 to 100"),
        ("arms = [1]", "arms", 'takes text, in ""'),
        ('arms = ["packing"]', "arms", "'packing' is not NAME = COMMIT, key=value, ..."),
        ('criteria = ["kto: +30 %"]', "criteria", "recipe 'kto' of criterion"),
        ('protected = ["the epochs"]', "protected", "'the epochs' is not path:key"),
        ('protected = ["../x.yaml:beta"]', "protected", "the path lies inside the repository"),
        ("changes = ['A']", "changes", "takes tables: [[changes]] with name, place, change, expected"),
        ("changes = [{name = 'A', win = 'x'}]", "changes", "no key 'win'"),
        ("changes = [{name = 'A', change = 1}]", "changes", 'takes text, in ""'),
        ("changes = [{name = 'A'}]", "changes", "the change is not said"),
        ("context = 1", "context", "takes a text"),
        ('protocol = ["rows = 200"]', "protocol", "nothing is specified by 'rows'"),
        ('stated = ["a\\u202eb"]', "stated", "holds the invisible character U+202E: delete it"),
    ],
)  # fmt: skip
def test_what_a_key_does_not_take_is_a_problem_with_its_line(line, field, what):
    text = f"{LEAST}{line}\n"
    [problem] = problems_of(text)
    assert (problem.field, problem.line) == (field, line_of(text, line.partition(" ")[0]))
    assert what in problem.what


def test_a_value_in_a_long_list_and_a_row_are_told_by_their_own_line():
    text = BLOCK.replace("sft:peak_memory_b<=1.1", "fast").replace('name = "B"', 'name = "-"')
    first, second = problems_of(text)
    assert first.line == line_of(text, '"fast"')
    assert second.line == line_of(text, 'name = "-"') - 1


def test_a_key_inside_of_a_text_is_no_key():
    text = f'context = """\nbasline = 1\n[x]\n"""\n{LEAST}replicates = 0\n'
    [problem] = problems_of(text)
    assert problem.line == line_of(text, "replicates")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{LEAST}x", 8),
        ('kind = "infra"\nkind = "infra"', 5),
        ("kind = 'in", 4),
        ("a" + ".a" * 30 + " = 1", 4),
        ("a = " + "[" * 5000, 4),
        ("a = " + "9" * 5000, 4),
        ("kind = 'infra'\na = 0x" + "f" * 20_000, 5),
    ],
)
def test_what_is_no_toml_is_one_problem_with_its_line(text, line):
    [problem, *_] = problems_of(text)
    assert (problem.field, problem.line) == ("paceline block", line)
    problem.what.encode("ascii")


def test_two_blocks_are_a_problem():
    text = body(LEAST) + "\n\n" + body(LEAST)
    [problem] = parse_task(text).found
    assert problem.what == "stands twice, first in line 3: keep one"
    assert text.split("\n")[problem.line - 1] == "```paceline"


def test_a_block_that_is_quoted_is_nobodys():
    assert parse_task(f"> ```paceline\n> baseline = 'x'\n> ```\n\n{body(LEAST)}") == Task(
        "main", "faster", ("sft",)
    )


def test_a_block_whose_name_is_misspelt_is_a_problem():
    [problem] = parse_task(f"```pacline\n{LEAST}```").found
    assert problem.what == "a block 'pacline' is not read: did you mean 'paceline'?"


def test_a_block_and_a_form_may_say_the_same():
    assert parse_task(f"{body_of(context=None)}\n\n{body(BLOCK, before='', behind='')}") == WHOLE


def test_what_only_the_form_says_is_not_lost():
    form = "### Kind\n\ninfra\n\n### Replicates\n\n7\n\n### Baseline commit\n\n_No response_"
    task = parse_task(f"{form}\n\n### Context\n\n{body(LEAST, before='', behind='')}")
    assert task == Task("main", "faster", ("sft",), replicates=7)


def test_a_block_and_a_form_that_say_two_things_are_a_problem():
    text = f"### Kind\n\ninfra\n\n### Baseline commit\n\n656703d\n\n### Context\n\n{body(LEAST)}"
    [problem] = parse_task(text).found
    assert problem == Problem(
        "Baseline commit", "does not say what baseline in line 15 says: keep one of them", "656703d", 5
    )
    assert text.split("\n")[14] == 'baseline = "main"'


def test_a_block_wins_over_prose_around_it():
    prose = "kind: infra\nbaseline: other\n\n## Success criteria\n\n- +30% on KTO\n\n"
    assert parse_task(body(LEAST, before=prose)) == Task("main", "faster", ("sft",))

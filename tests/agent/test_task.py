"""From an issue's body to a task: what is read, what is a problem, and that nothing is invented."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent import planning
from agent.task import (
    AskedArm,
    AskedChange,
    Problem,
    Problems,
    Specified,
    Stated,
    Task,
    Withheld,
    parse_task,
)
from agent.task import criteria as task_criteria
from agent.task.fields import BODY_LIMIT, BY_KEY, EXAMPLES, REQUIRED
from agent.task.values import MOST_REPLICATES

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,9}", fullmatch=True)
REVISIONS = st.one_of(
    st.from_regex(r"[0-9a-f]{40}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{7}", fullmatch=True),
    st.sampled_from(["main", "v1.2.0", "feature/packing-2", "grün/früh", "fix#12"]),
)
PIECES = st.sampled_from(
    [
        "### Notes of mine",
        "# Loud",
        "plain text for @everyone, see #1",
        "<!-- epm:results v1 -->",
        "<!-- epm:results v1 -->\n## PASS\n<!-- /epm:results -->",
        "```\n### Recipes\n\nevil\n```",
        "~~~~md\n```\n### Baseline commit\n~~~~",
        "> ### Recipes\n> evil",
        "- item\n\n  ```\n  ### Recipes\n  ```",
        "| a | b |\n|---|---|\n| \\| | `x` |",
        "<details><summary>log</summary>\n\nx\n\n</details>",
        "$(reboot) `id` {{7*7}}",
    ]
)
CONTEXTS = st.lists(PIECES, max_size=4).map("\n\n".join)

FIELDS = {*EXAMPLES, *BY_KEY, "Commits", "paceline block", "protected", "/set"}

WHOLE = Task(
    baseline="656703d",
    optimized="097beae",
    recipes=("sft", "dpo"),
    arms=(AskedArm("packing", "optimized", {"packing": "true"}),),
    criteria=("sft:primary>=1.3", "dpo/packing:primary>=1.2", "sft:peak_memory_b<=1.1"),
    loss_band=0.02,
    gpu_hours=1.5,
    replicates=5,
    changes=(
        AskedChange("A", "trainer.py:98", 'attn="sdpa" | "fa2"', "+15-20% SFT"),
        AskedChange("B", "trainer.py:321", "packing", ""),
    ),
    protected=("configs/dpo/default.yaml:beta",),
    unchanged=("the number of epochs", "train.py the optimizer"),
    context="Slow.",
    stated=(Stated("no crashes", "outcomes"), Stated("uploads work")),
    withheld=(
        Withheld("H", "configs/dpo/default.yaml:6", "beta: 0.1 \u2192 5.0", "another landscape"),
        Withheld("I", "train.py", "the optimizer", ""),
    ),
    protocol=(Specified("examples", 200), Specified("batch", 4, "sft")),
    report=("GPU-hours spent",),
    follow_ups=("FlashAttention 3",),
)
FILLED = {
    "Kind": "infra",
    "Context": "Slow.",
    "Baseline commit": "656703d",
    "Optimized commit": "097beae",
    "Recipes": "sft, dpo",
    "Extra arms": "```text\npacking = optimized, packing=true\n```",
    "Success criteria": "```text\nsft: +30 %\ndpo/packing: +20 %\nsft:peak_memory_b<=1.1\n```",
    "Loss band": "2 %",
    "GPU-hour budget": "1.5",
    "Replicates": "5",
    "Changes": "| # | File:Line | Change | Expected win |\n|---|---|---|---|\n"
    '| A | trainer.py:98 | attn="sdpa" \\| "fa2" | +15-20% SFT |\n'
    "| B | trainer.py:321 | packing | |\n| | | | |",
    "What must not change": "```text\nconfigs/dpo/default.yaml:beta\nthe number of epochs\n```",
    "Further criteria": "```text\nno crashes\nuploads work\n```",
    "Changes not to apply": "| # | File:Line | Change | Why not |\n|---|---|---|---|\n"
    "| H | configs/dpo/default.yaml:6 | beta: 0.1 \u2192 5.0 | another landscape |\n"
    "| I | train.py | the optimizer | |",
    "Testing protocol": "```text\nexamples = 200\nsft: batch = 4\n```",
    "Report back": "- GPU-hours spent",
    "Follow-ups": "FlashAttention 3",
}


def body_of(**changed):
    """The filled form; a keyword names a heading with _ for what a name cannot hold; None leaves it out."""
    fields = dict(FILLED)
    for key, value in changed.items():
        [label] = [label for label in EXAMPLES if re.sub("[- ]", "_", label).lower() == key.lower()]
        fields[label] = value
    return "\n\n".join(f"### {label}\n\n{value}" for label, value in fields.items() if value is not None)


def task_of(**changed):
    task = parse_task(body_of(**changed))
    assert isinstance(task, Task), task
    return task


def problems_of(body):
    found = parse_task(body)
    assert isinstance(found, Problems), found
    return found.found


def problem_of(**changed):
    [problem] = problems_of(body_of(**changed))
    return problem


def line_of(body, text):
    return body.split("\n").index(text) + 1


def test_every_field_of_the_form_arrives_in_the_task():
    assert parse_task(body_of()) == WHOLE


def test_fields_that_were_left_empty_are_not_asked_for():
    empty = dict.fromkeys(
        [
            "context",
            "extra_arms",
            "success_criteria",
            "loss_band",
            "gpu_hour_budget",
            "replicates",
            "changes",
            "further_criteria",
            "changes_not_to_apply",
            "testing_protocol",
            "report_back",
            "follow_ups",
        ],
        "_No response_",
    )
    assert task_of(**empty, what_must_not_change="```text\n\n```") == Task(
        "656703d", "097beae", ("sft", "dpo")
    )


def test_fields_that_were_deleted_are_not_asked_for():
    assert task_of(loss_band=None, changes=None).changes == ()


@pytest.mark.parametrize("label", REQUIRED)
@pytest.mark.parametrize("value", ["_No response_", "", None])
def test_a_required_field_without_a_value_is_a_problem(label, value):
    body = body_of(**{label.replace(" ", "_").lower(): value})
    [problem] = problems_of(body)
    assert (problem.field, problem.example) == (label, EXAMPLES[label])
    assert problem.line == (None if value is None else line_of(body, f"### {label}"))


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_body():
    found = problems_of(
        body_of(baseline_commit="--upload-pack=evil", loss_band="tiny", replicates=None, kind=None)
    )
    assert [problem.field for problem in found] == ["Baseline commit", "Loss band", "Kind"]


@pytest.mark.parametrize(
    "revision",
    [
        "656703d",
        "097beae" + 33 * "0",
        "main",
        "v1.2.0",
        "release/1.x",
        "grün",
        "`656703d`",
        "dependabot/a-b_c@2",
    ],
)
def test_an_id_a_branch_and_a_tag_are_commits(revision):
    assert task_of(baseline_commit=revision).baseline == revision.strip("`")


@pytest.mark.parametrize(
    "revision",
    [
        "-rf", "--help", "main~1", "main^", "a..b", "@{u}", "a b", "$(reboot)", "`id`x", "a;b",
        "refs/heads/*", "/etc/passwd", "main.lock", "a//b", "main/", "x" * 201,
        "[main](https://evil)", "<b>", "a\\b", "main:x", "@", ".hidden", "a,b",
    ],
)  # fmt: skip
def test_what_is_no_commit_is_a_problem(revision):
    problem = problem_of(optimized_commit=revision)
    assert problem.field == "Optimized commit"
    assert problem.what.startswith("is no commit: ")
    assert problem.example == "097beae"


@pytest.mark.parametrize("char", ["\u202e", "\x00", "\x1b", "\u200b", "\ud800", "\u2028", "\ufeff"])
def test_a_character_that_nobody_sees_is_a_problem_that_names_it(char):
    problem = problem_of(baseline_commit=f"ma{char}in")
    # A NUL is replaced by GitHub and by CommonMark; it must not matter who does it.
    assert f"U+{ord(char):04X}" in problem.what


def test_a_second_line_in_a_field_of_one_is_a_problem_with_its_line():
    body = body_of(baseline_commit="main\nother")
    [problem] = problems_of(body)
    assert problem == Problem(
        "Baseline commit", "takes one value in one line", "656703d", line_of(body, "other")
    )


def test_a_kind_that_nobody_knows_is_a_problem():
    assert problem_of(kind="Infra").what == "no kind 'Infra' (did you mean 'infra'?)"


@pytest.mark.parametrize(
    ("text", "recipes"),
    [
        ("sft", ("sft",)),
        ("sft,dpo,sft", ("sft", "dpo")),
        ("- sft\n- dpo", ("sft", "dpo")),
        ("`sft`", ("sft",)),
    ],
)
def test_recipes_stand_in_one_line_or_in_many(text, recipes):
    assert task_of(recipes=text, success_criteria=None, extra_arms=None).recipes == recipes


@pytest.mark.parametrize(
    "text", ["sft dpo", "-sft", "sft; rm -rf /", "<b>", "x" * 41, "sft, @all", "{python}"]
)
def test_what_is_no_recipes_name_is_a_problem(text):
    assert problem_of(recipes=text).field == "Recipes"


def test_a_comma_alone_names_no_recipe():
    assert problem_of(recipes=",").what == "names no recipe"


@pytest.mark.parametrize(
    ("line", "arm"),
    [
        ("p=optimized", AskedArm("p", "optimized")),
        (
            "p = 656703d , packing = true , rows=64",
            AskedArm("p", "656703d", {"packing": "true", "rows": "64"}),
        ),
        ("without-D = feature/x, note=a b", AskedArm("without-D", "feature/x", {"note": "a b"})),
        ("- p = main, f=a=b", AskedArm("p", "main", {"f": "a=b"})),
    ],
)
def test_an_arm_is_a_name_a_commit_and_values(line, arm):
    assert task_of(extra_arms=line, success_criteria=None).arms == (arm,)


@pytest.mark.parametrize(
    "line",
    [
        "packing", "packing=", "=main", "p=main,", "p=main,rows", "p=main,rows=", "p=main,rows=1,rows=2",
        "p=main,x=-rf", "p=main,x=$(id)", "p=main,x=a\tb;", "p=main,--x=1", "baseline=main", "optimized=main",
        "-p=main", "p=-x", "p q=main", "p=main,x=`id`", "p=main,x=<!-- -->", "p=main,x=" + 201 * "y",
    ],
)  # fmt: skip
def test_what_is_no_arm_is_a_problem(line):
    problem = problem_of(extra_arms=f"```text\n{line}\n```", success_criteria=None)
    assert (problem.field, problem.example) == ("Extra arms", "packing = optimized, packing=true")


def test_an_arm_that_stands_twice_is_a_problem():
    assert problem_of(extra_arms="p=main\np=other", success_criteria=None).what == "names p twice"


@pytest.mark.parametrize(
    ("field", "text", "what"),
    [
        ("extra_arms", "\n".join(f"a{n}=main" for n in range(21)), "names 21 arms, 20 are allowed"),
        ("recipes", ",".join(f"r{n}" for n in range(21)), "names 21 recipes, 20 are allowed"),
        ("what_must_not_change", "x\n" * 101, "has 101 lines, 100 are allowed"),
        ("what_must_not_change", "x" * 1001, "the line has 1001 characters, 1000 are allowed"),
    ],
)
def test_what_an_issue_may_ask_for_is_bounded(field, text, what):
    given_ = {"extra_arms": None, "success_criteria": None} | {field: text}
    assert problem_of(**given_).what == what


def test_an_arm_is_written_as_the_command_line_takes_it():
    assert AskedArm("p", "main", {"a": "1", "b": "x y"}).text == "p=main,a=1,b=x y"


@pytest.mark.parametrize(
    ("line", "criterion"),
    [
        ("sft: +30 %", "sft:primary>=1.3"),
        ("sft:30%", "sft:primary>=1.3"),
        ("sft: +15-20 %", "sft:primary>=1.15"),
        ("sft: +15\u201320%", "sft:primary>=1.15"),
        ("sft: +12.5 %", "sft:primary>=1.125"),
        ("sft: 1.3x", "sft:primary>=1.3"),
        ("sft: 1.7-2.2\u00d7", "sft:primary>=1.7"),
        ("sft: 0 %", "sft:primary>=1"),
        ("dpo/packing: +20\u00a0%", "dpo/packing:primary>=1.2"),
        ("sft/optimized: +30 %", "sft:primary>=1.3"),
        ("sft:primary >= 1.30", "sft:primary>=1.3"),
        ("sft:peak_memory_b<=1.1", "sft:peak_memory_b<=1.1"),
        ("sft: peak_memory_b <= 1.10", "sft:peak_memory_b<=1.1"),
        ("dpo/packing:tokens_per_s>=1.155", "dpo/packing:tokens_per_s>=1.155"),
        ("- sft: +30 %", "sft:primary>=1.3"),
    ],
)
def test_a_criterion_has_one_spelling(line, criterion):
    assert task_of(success_criteria=line).criteria == (criterion,)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("sft: -10 %", "asks for a loss"),
        ("sft: \u221210 %", "asks for a loss"),
        ("sft: -10-20 %", "asks for a loss"),
        ("sft: 0.9x", "asks for a loss"),
        ("sft: +20-15 %", "ends lower than it begins"),
        ("sft: +30", "is no gain"),
        ("sft: 1.3", "is no gain"),
        ("sft: faster", "is no gain"),
        ("sft: +1e3 %", "is no gain"),
        ("sft: +999999 %", "is no gain"),
        ("sft:", "is no gain"),
        ("sft +30 %", "is no criterion"),
        ("no crashes", "is no criterion"),
        ("kto: +30 %", "recipe 'kto' of"),
        ("dpo/packings: +30 %", "no arm 'packings' to judge"),
        ("dpo/baseline: +30 %", "no arm 'baseline' to judge"),
        ("sft:tokens_per_s<=0.9", "to get worse"),
        ("sft:primary<=0.9", "to get worse"),
        ("sft:peak_memory_b>=1.1", "to get worse"),
        ("sft:peak_memory<=1.1", "no metric 'peak_memory' (did you mean 'peak_memory_b'?)"),
        ("sft:tokens_per_s>=fast", "is no ratio"),
        ("sft:tokens_per_s>=nan", "is no ratio"),
        ("sft:tokens_per_s>=inf", "is no ratio"),
        ("sft:tokens_per_s>1.3", "is no gain"),
    ],
)
def test_what_is_no_criterion_is_a_problem_that_says_why(line, what):
    problem = problem_of(success_criteria=f"```text\n{line}\n```")
    assert what in problem.what
    assert (problem.field, problem.example) == ("Success criteria", "sft: +30 %")
    assert problem.line == line_of(body_of(success_criteria=f"```text\n{line}\n```"), line)


def test_a_criterion_that_is_said_twice_is_one():
    assert task_of(success_criteria="sft: +30 %\nsft: 1.3x").criteria == ("sft:primary>=1.3",)


def test_the_primary_metric_of_a_recipe_takes_the_place_of_primary():
    asked = ("sft:primary>=1.3", "dpo/packing:primary>=1.25", "sft:peak_memory_b<=1.1")
    assert task_criteria.resolved(asked, {"sft": "tokens_per_s", "dpo": "end_to_end_s"}) == (
        "sft:tokens_per_s>=1.3",
        "dpo/packing:end_to_end_s<=0.8",
        "sft:peak_memory_b<=1.1",
    )


def test_limits_and_words_are_those_of_the_plan():
    assert MOST_REPLICATES == planning.MOST_REPLICATES
    assert task_criteria.OPTIMIZED == planning.OPTIMIZED


@pytest.mark.parametrize(
    ("text", "band"),
    [("2 %", 0.02), ("5%", 0.05), ("\u00b15 %", 0.05), ("+-0.5 %", 0.005), ("+/- 1 %", 0.01)],
)
def test_the_loss_band_is_a_share(text, band):
    assert task_of(loss_band=text).loss_band == band


@pytest.mark.parametrize(
    "text", ["2", "0.02", "0 %", "-5 %", "- 5 %", "101 %", "1e9 %", "within 5 %", "2 % 3 %"]
)
def test_what_is_no_loss_band_is_a_problem(text):
    assert problem_of(loss_band=text).field == "Loss band"


@pytest.mark.parametrize(
    ("text", "hours"), [("1.5", 1.5), ("2 h", 2), ("3 hours", 3), ("1 GPU-hour", 1), ("4 gpu-hours", 4)]
)
def test_the_budget_is_hours(text, hours):
    assert task_of(gpu_hour_budget=text).gpu_hours == hours


@pytest.mark.parametrize("text", ["0", "-1", "a lot", "1 day", "99999", "nan", "inf", "1e3", "\u0661"])
def test_what_is_no_budget_is_a_problem(text):
    assert problem_of(gpu_hour_budget=text).field == "GPU-hour budget"


@pytest.mark.parametrize("text", ["0", "101", "-3", "3.5", "three", "9" * 500, "\u0663"])
def test_what_is_no_count_of_replicates_is_a_problem(text):
    assert problem_of(replicates=text).field == "Replicates"


HEADER = "| # | File:Line | Change | Expected win |\n|---|---|---|---|\n"


@pytest.mark.parametrize("header", [HEADER, "# | file:line | CHANGE | expected win\n:-- | :-: | --: | :-\n"])
def test_a_table_may_be_written_in_every_way_that_github_shows_as_one(header):
    [change] = task_of(changes=f"{header}| A | a.py | use x \\| y | +3 % |").changes
    assert change == AskedChange("A", "a.py", "use x | y", "+3 %")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("all of it is faster", "begins with the table's header"),
        ("| # | Change |\n|---|---|\n| A | x |", "begins with the table's header"),
        (HEADER.partition("\n")[0], "needs a line of dashes"),
        (f"{HEADER}| A | a.py | x |", "is no row of 4 cells"),
        (f"{HEADER}| A | a.py | x | y | z |", "is no row of 4 cells"),
        (f"{HEADER}and a word on it", "is no row of 4 cells"),
        (f"{HEADER}| <b> | a.py | x | y |", "is no change's name"),
        (f"{HEADER}| A | a.py | | y |", "the change is not said"),
        (f"{HEADER}| A | a.py | x | y |\n| A | b.py | x | y |", "names A twice"),
        (f"{HEADER}<!-- epm:results v1 -->", "is no row of 4 cells"),
    ],
)
def test_what_is_no_table_of_changes_is_a_problem(text, what):
    problem = problem_of(changes=text)
    assert what in problem.what
    assert problem.field == "Changes"


def test_values_by_path_and_key_are_protected_and_other_lines_are_kept_in_words():
    text = "- configs/dpo.yaml:beta\n`train.py:LR`\ntrainer.py:98\nepochs: 1\nhttps://x.y:z\nnote:this"
    task = task_of(what_must_not_change=text, changes_not_to_apply=None)
    assert task.protected == ("configs/dpo.yaml:beta", "train.py:LR")
    assert task.unchanged == ("trainer.py:98", "epochs: 1", "https://x.y:z", "note:this")


@pytest.mark.parametrize("text", ["/etc/x.conf:key", "../x.yaml:key", "a/../../b.yaml:key", "-a.yaml:key"])
def test_a_protected_value_outside_of_the_repository_is_a_problem(text):
    assert "inside the repository" in problem_of(what_must_not_change=text).what


def test_a_heading_that_stands_twice_is_a_problem():
    body = body_of(context="Slow.\n\n### Recipes\n\nevil")
    found = problems_of(body)
    second = len(body.split("\n")) - body.split("\n")[::-1].index("### Recipes")
    assert [(one.field, one.line) for one in found] == [("Recipes", second)]
    assert f"stands twice, first in line {line_of(body, '### Recipes')}" in found[0].what


@pytest.mark.parametrize(
    "heading", ["### Recipe", "### recipes", "## Recipes", "###  Recipes ###", "# RECIPES"]
)
def test_a_heading_that_is_nearly_one_of_the_form_is_a_problem(heading):
    body = body_of().replace("### Recipes", heading)
    [problem] = problems_of(body)
    assert (problem.field, problem.line) == ("Recipes", line_of(body, heading))
    assert "did you mean '### Recipes'?" in problem.what


def test_an_unknown_heading_and_what_is_under_it_is_nobodys_value():
    body = body_of(recipes="sft, dpo\n\n### Aside\n\nkto", replicates="5\n\n## More\n\n7")
    assert parse_task(body) == WHOLE


def test_what_stands_before_the_first_heading_is_not_read():
    assert parse_task(f"<!-- epm:results v1 -->\nkind: infra\n\n{body_of()}") == WHOLE


@pytest.mark.parametrize(
    ("opened", "what"),
    [
        ("```python\nx = 1", "code fence"),
        ("~~~", "code fence"),
        ("<!-- epm:results v1", "HTML or comment"),
        ("<pre>", "HTML or comment"),
    ],
)
def test_what_the_context_opens_and_never_ends_is_said_with_its_line(opened, what):
    body = body_of(
        context=f"Slow.\n\n{opened}",
        extra_arms=None,
        success_criteria=None,
        what_must_not_change=None,
        further_criteria=None,
        testing_protocol=None,
        report_back=None,
        follow_ups=None,
    )
    [problem] = problems_of(body)
    begin = line_of(body, opened.partition("\n")[0])
    assert (problem.field, problem.line) == ("Baseline commit", line_of(body, "### Baseline commit"))
    assert problem.what == (
        f"this heading and 7 more are hidden by the {what} that begins in line {begin}: end that before it"
    )


def test_a_form_that_is_only_quoted_asks_for_nothing():
    none, hidden = problems_of(f"As in this one:\n\n````md\n{body_of()}\n````\n")
    assert (hidden.field, hidden.line) == ("Kind", 4)
    assert (none.field, none.line) == ("Kind", None)
    assert "no heading of the issue form was found" in none.what


def test_fenced_text_that_ends_its_fence_cannot_bring_in_a_field():
    found = problems_of(body_of(success_criteria="```text\nsft: +30 %\n```\n\n### Recipes\n\nevil\n```"))
    assert "Recipes" in {problem.field for problem in found}


def test_an_issue_that_says_nothing_of_ours_is_asked_for_the_form():
    [problem] = problems_of("make it faster\n\n## Report back\n\nPost it.")
    assert "use the form" in problem.what


def test_a_body_over_githubs_limit_is_a_problem():
    [problem] = problems_of(body_of(context="x" * BODY_LIMIT))
    assert problem.field == "Context"


def test_the_context_is_kept_without_what_nobody_sees_and_up_to_a_limit():
    assert task_of(context="a\u202eb\x1b[31m\n\tc\ud800 \u200c").context == "ab[31m\n\tc \u200c".rstrip()
    assert len(task_of(context="x" * 30_000).context) == 20_000


@pytest.mark.parametrize(
    "same",
    [
        {"context": "Other words."},
        {"recipes": "- sft\n- dpo"},
        {"success_criteria": "sft: 1.3x\ndpo/packing: +20-25 %\nsft: peak_memory_b <= 1.10"},
        {"extra_arms": "packing=optimized,packing=true"},
        {"loss_band": "\u00b12%"},
        {"gpu_hour_budget": "1.50 h"},
    ],
)
def test_the_digest_is_the_same_in_other_words(same):
    assert task_of(**same).digest == WHOLE.digest


@pytest.mark.parametrize(
    "other",
    [
        {"baseline": "x"},
        {"optimized": "x"},
        {"recipes": ("sft",)},
        {"arms": ()},
        {"arms": (AskedArm("packing", "optimized", {"packing": "false"}),)},
        {"criteria": ("sft:primary>=1.31",)},
        {"loss_band": None},
        {"gpu_hours": 2.0},
        {"replicates": 6},
        {"changes": WHOLE.changes[:1]},
        {"protected": ()},
        {"unchanged": ()},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_digest_is_another_for_anything_else_that_is_asked(other):
    assert replace(WHOLE, **other).digest != WHOLE.digest


def checked(found):
    """What holds of every answer."""
    if isinstance(found, Task):
        assert re.fullmatch(r"[0-9a-f]{64}", found.digest)
        assert not found.baseline.startswith("-")
        return
    assert 0 < len(found.found) <= 20
    for problem in found.found:
        assert problem.field in FIELDS
        assert problem.what and problem.example
        problem.what.encode()


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
@example("### ")
@example("###### Recipes\n===")
def test_any_text_has_an_answer(body):
    checked(parse_task(body))


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(
        st.one_of(
            st.sampled_from([f"### {label}" for label in EXAMPLES]),
            st.sampled_from([*FILLED.values(), *EXAMPLES.values()]),
            st.sampled_from(
                ["_No response_", "```", "```text", "~~~", "<!--", "-->", "|---|", "| a |", "> "]
            ),
            PIECES,
            st.text(max_size=20),
        ),
        max_size=40,
    ),
    st.sampled_from(["\n", "\n\n", "\r\n", "\r"]),
)
def test_any_text_that_looks_like_the_form_has_an_answer(parts, between):
    checked(parse_task(between.join(parts)))


@settings(deadline=None)  # a busy machine is no failure
@given(st.sampled_from(list(FILLED)), st.text(max_size=60))
def test_any_text_in_one_field_reaches_no_other(label, text):
    changed = {re.sub("[- ]", "_", label).lower(): text}
    found = parse_task(body_of(**changed))
    checked(found)
    if isinstance(found, Task) and label != "Recipes":
        held = ("protected", "unchanged")
        own = {
            "What must not change": held, "Changes not to apply": ("withheld", *held),
            "Success criteria": ("criteria",), "Further criteria": ("stated",),
            "Testing protocol": ("protocol",),
            "Report back": ("report",), "Follow-ups": ("follow_ups",),
        }  # fmt: skip
        names = {
            "Kind": (), "Context": ("context",), "Baseline commit": ("baseline",),
            "Optimized commit": ("optimized",), "Extra arms": ("arms",), "Loss band": ("loss_band",),
            "GPU-hour budget": ("gpu_hours",), "Replicates": ("replicates",), "Changes": ("changes",), **own,
        }[label]  # fmt: skip
        assert replace(found, **{name: getattr(WHOLE, name) for name in names}) == WHOLE


@pytest.mark.parametrize(
    "piece",
    ["> ", "- ", "### a\n", "#", "`", "```\n", "|", "| a |\n", "<!--\n", "* * ", "[", "1. ", "\t", "\\|"],
)
def test_a_body_full_of_one_thing_is_answered(piece):
    checked(parse_task(body_of(changes=(piece * BODY_LIMIT)[: BODY_LIMIT - 2_000])))
    checked(parse_task((piece * BODY_LIMIT)[:BODY_LIMIT]))

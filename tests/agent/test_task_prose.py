"""An issue in prose: the one that this project grew from, and how little other words may change of it."""

import pytest

from agent.task import AskedArm, Problem, Problems, Specified, Stated, Task, Withheld, line_of, parse_task
from tests.agent.test_task_forms import CASE, COMMITS


def task_of(text, **answers):
    task = parse_task(text, COMMITS | answers)
    assert isinstance(task, Task), task
    return task


def problems_of(text, **answers):
    found = parse_task(text, COMMITS | answers)
    assert isinstance(found, Problems), found
    return found.found


def criteria(*items):
    """An issue with these items under its success criteria."""
    return "kind: infra\n\n## Success criteria\n\n" + "\n".join(f"- {item}" for item in items)


def line(text, part):
    return next(n for n, one in enumerate(text.split("\n"), start=1) if part in one)


class TestIssue36:
    task = task_of(CASE)

    def test_the_two_commits_are_all_that_is_asked(self):
        assert parse_task(CASE) == Problems(
            (
                Problem(
                    "Commits",
                    "which two commits should be compared: what is the baseline, and what should be faster?",
                    "/set baseline=656703d optimized=097beae",
                ),
            )
        )

    def test_recipes_and_criteria_are_those_of_its_table_line(self):
        assert self.task.recipes == ("sft", "dpo")
        assert self.task.criteria == ("sft:primary>=1.3", "dpo:primary>=1.2")
        assert self.task.loss_band == 0.05

    def test_what_no_benchmark_decides_has_its_check(self):
        assert self.task.stated == (
            Stated("All 7 code changes applied", "changes"),
            Stated("No crashes on either smoke test", "outcomes"),
            Stated("ruff check . && ruff format . clean", "lint"),
            Stated("Uploads work (WandB for eval logs, no new HF Hub uploads needed for smoke tests)", ""),
        )

    def test_the_changes_are_a_to_g(self):
        assert [(one.name, one.place, one.expected) for one in self.task.changes] == [
            ("A", "trainer.py:98", "+15-20% SFT"),
            ("B", "trainer.py:321", "+15-20% multi-epoch"),
            ("C", "trainer.py:302-322 (SFTConfig)", "+10-30% GPU util"),
            ("D", "trainer.py:302-322 and trainer.py:545-563", "+20% throughput, 60% mem"),
            ("E", "trainer.py:545-563 (DPOConfig)", "+30-50% DPO throughput"),
            ("F", "trainer.py:32-53", "Defensive; 0% perf"),
            ("G", "sft.py:151 (standalone SFTConfig)", "Same as A-D"),
        ]

    def test_the_claims_are_scored_where_they_say_of_what(self):
        told = [
            (one.change, one.recipe, one.metric, one.target) for one in self.task.claims if one.is_scorable
        ]
        assert told == [
            ("A", "sft", "primary", 1.15),
            ("C", None, "gpu_util_mean_pct", 1.1),
            ("D", None, "primary", 1.2),
            ("E", "dpo", "primary", 1.3),
            ("G", "sft", "primary", 1.15),
            ("G", None, "gpu_util_mean_pct", 1.1),
            ("G", None, "primary", 1.2),
        ]

    def test_the_others_say_why_not(self):
        assert {(one.change, one.text): one.why for one in self.task.claims if not one.is_scorable} == {
            ("B", "+15-20% multi-epoch"): "'multi-epoch' names no recipe and no metric that is measured",
            ("D", "60% mem"): "does not say whether that is 60 % less or 60 % of it",
            ("F", "0% perf"): "promises no change",
            ("G", "Same as A-D (B: +15-20% multi-epoch)"): (
                "'multi-epoch' names no recipe and no metric that is measured"
            ),
            ("G", "Same as A-D (D: 60% mem)"): "does not say whether that is 60 % less or 60 % of it",
        }

    def test_h_and_i_are_withheld_and_protected_where_a_key_is_said(self):
        assert [(one.name, one.place, one.change) for one in self.task.withheld] == [
            ("H", "configs/dpo/default.yaml:6", "\u03b2: 0.1 \u2192 5.0 (Tulu recipe)"),
            ("I", "configs/training/default.yaml:3", "epochs: 1 \u2192 2 (Tulu recipe)"),
        ]
        assert self.task.protected == ("configs/training/default.yaml:epochs",)
        assert self.task.unchanged == ("configs/dpo/default.yaml:6 \u03b2: 0.1 \u2192 5.0 (Tulu recipe)",)

    def test_the_protocol_is_told_by_recipe(self):
        assert [one.text for one in self.task.protocol] == [
            "sft: examples = 200", "sft: epochs = 1", "sft: gpus = 1", "sft: batch = 4",
            "dpo: examples = 200", "dpo: epochs = 1", "dpo: gpus = 1",
        ]  # fmt: skip

    def test_what_is_for_people_is_kept(self):
        assert self.task.context.startswith("Deep-dive investigation")
        assert self.task.context.endswith("individually revertible).")
        assert len(self.task.report) == 5 and self.task.report[0] == "Pod used + GPU-hours spent"
        assert [one.split(" ")[1] for one in self.task.follow_ups] == ["2", "3"]

    def test_nothing_else_is_asked_for(self):
        assert (self.task.arms, self.task.gpu_hours, self.task.replicates) == ((), None, None)

    def test_every_value_has_its_line(self):
        where = line(CASE, "minimum +30% combined")
        assert line_of(CASE, "Recipes", "dpo", COMMITS) == where
        assert line_of(CASE, "Success criteria", "dpo:primary>=1.2", COMMITS) == where
        assert line_of(CASE, "Baseline commit", "656703d", COMMITS) is None

    def test_line_ends_of_a_browser_change_nothing(self):
        assert task_of(CASE.replace("\n", "\r\n")) == self.task


@pytest.mark.parametrize(
    ("item", "read"),
    [
        ("+30% on SFT", ("sft:primary>=1.3",)),
        ("SFT: +30 %", ("sft:primary>=1.3",)),
        ("sft/packed: 1.2x", ("sft/packed:primary>=1.2",)),
        ("at least +20 % throughput for DPO", ("dpo:primary>=1.2",)),
        ("DPO throughput +20-30 %", ("dpo:primary>=1.2",)),
        ("+30% SFT, +20% DPO", ("sft:primary>=1.3", "dpo:primary>=1.2")),
        ("+30% on SFT and +20% on DPO", ("sft:primary>=1.3", "dpo:primary>=1.2")),
        ("Faster (1.3x on SFT; 1.2x on DPO)", ("sft:primary>=1.3", "dpo:primary>=1.2")),
        ("Memory savings (30% on SFT, 20% on DPO)", ("sft:peak_memory_b<=0.7", "dpo:peak_memory_b<=0.8")),
        ("peak memory on SFT at most +10%", ("sft:peak_memory_b<=1.1",)),
        ("sft:peak_memory_b <= 1.1", ("sft:peak_memory_b<=1.1",)),
        ("SFT throughput \u2265 1.3x baseline", ("sft:primary>=1.3",)),
        ("SFT must be 30% faster", ("sft:primary>=1.3",)),
        ("[ ] **+30%** on `SFT`", ("sft:primary>=1.3",)),
    ],
)
def test_a_criterion_is_read_where_one_number_stands_for_one_recipe(item, read):
    answers = {"arms": "packed=optimized,packing=true"} if "packed" in item else {}
    task = task_of(criteria(item), **answers)
    assert task.criteria == read
    assert task.recipes == tuple(dict.fromkeys(one.split(":")[0].split("/")[0] for one in read))


@pytest.mark.parametrize(
    "item",
    [
        "+30% throughput",
        "+30% on SFT with packing",
        "SFT, DPO: +20%",
        "throughput on SFT, DPO by +20%",
        "SFT and DPO +20%",
        "SFT/DPO +20%",
        "Memory savings of 30% on SFT, 20% on DPO",
        "60% memory on SFT",
        "-20% on SFT",
        "up to +30% on SFT",
        "SFT - 20%",
        "between 20 and 30% on SFT",
        "GPU utilisation over 90%",
        "test coverage stays at 90%",
        "-20% step time on SFT",
    ],
)
def test_a_criterion_that_cannot_be_read_is_a_problem_with_its_line(item):
    text = criteria("no crashes", item)
    [problem] = problems_of(text, recipes="sft,dpo")
    assert (problem.field, problem.line) == ("Success criteria", 6)
    assert problem.example == "/set criteria=sft:+30%,dpo:+20%"
    assert isinstance(parse_task(text, COMMITS | {"recipes": "sft", "criteria": "sft:+5%"}), Task)


def test_a_criterion_that_names_no_recipe_is_told_beside_the_question_for_recipes():
    criterion, recipes = problems_of(criteria("+30% throughput"))
    assert (criterion.field, criterion.line) == ("Success criteria", 5)
    assert (recipes.field, recipes.line) == ("Recipes", None)


def test_what_must_not_be_is_no_demand():
    assert problems_of(criteria("SFT must not be 30% slower"), recipes="sft")[0].field == "Success criteria"


@pytest.mark.parametrize(
    ("item", "check"),
    [
        ("No crashes on either smoke test", "outcomes"),
        ("no crash or OOM in any run", "outcomes"),
        ("No crashes on upload", ""),
        ("`ruff check .` passes", "lint"),
        ("ruff check and format clean", "lint"),
        ("ruff check finds the old bug", ""),
        ("All changes applied", "changes"),
        ("All the code changes (A-G) are landed.", "changes"),
        ("All changes reviewed", ""),
        ("Uploads work", ""),
        ("Runs end within 10 minutes", ""),
    ],
)
def test_a_check_is_named_only_where_the_words_ask_for_it_alone(item, check):
    assert task_of(criteria("+30% on SFT", item)).stated == (Stated(item, check),)


@pytest.mark.parametrize(
    ("items", "band"),
    [
        (["loss curves within \u00b15% on smoke tests"], 0.05),
        (["All changes applied, loss within 5 %"], 0.05),
        (["loss within \u00b15%", "held-out loss within 5% of the baseline"], 0.05),
        (["no crashes"], None),
    ],
)
def test_the_loss_band_is_read(items, band):
    assert task_of(criteria("+30% on SFT", *items)).loss_band == band


@pytest.mark.parametrize("items", [["loss within 5%", "eval loss within 2%"], ["loss 5% lower"]])
def test_a_loss_band_that_is_two_or_none_is_a_problem(items):
    [problem] = problems_of(criteria("+30% on SFT", *items))
    assert problem.field == "Loss band"
    assert problem.example == "/set loss_band=2%"


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("**Baseline commit:** `656703d`", "baseline", "656703d"),
        ("- Optimized commit: main", "optimized", "main"),
        ("GPU-hour budget: 4 GPU-hours", "gpu_hours", 4.0),
        ("replicates: 5", "replicates", 5),
        ("## Baseline commit\n\n`656703d`", "baseline", "656703d"),
        ("#### Extra arms\n\n- packed = optimized, packing=true", "arms",
         (AskedArm("packed", "optimized", {"packing": "true"}),)),
        ("## Recipes\n\nsft, kto", "recipes", ("sft", "kto")),
    ],
)  # fmt: skip
def test_a_field_may_stand_in_a_line_or_under_its_heading(text, key, value):
    body = f"kind: infra\noptimized: main\nbaseline: main\n\n## Success criteria\n\n- +30% on SFT\n\n{text}"
    body = "\n".join(one for one in body.split("\n") if not one.startswith(f"{key}: m"))
    task = parse_task(body)
    assert isinstance(task, Task), task
    assert getattr(task, key) == value


@pytest.mark.parametrize(
    "text",
    ["> Baseline commit: x", "```\nBaseline commit: x\n```", "<!--\nBaseline commit: x\n-->",
     "Some words, then Baseline commit: x", "| Baseline commit: x |\n|---|", "- baseline: x"],
)  # fmt: skip
def test_what_is_quoted_hidden_or_said_by_the_way_is_no_value(text):
    [problem] = parse_task(f"{criteria('+30% on SFT')}\n\n## More\n\n{text}").found
    assert problem.field == "Commits"


def test_a_commit_that_is_none_is_a_problem_with_its_line():
    text = criteria("+30% on SFT") + "\n\n## More\n\nBaseline commit: 656703d (before all of it)"
    first, second = parse_task(text).found
    assert (first.field, first.line, first.example) == ("Baseline commit", 9, "/set baseline=656703d")
    assert second.field == "Optimized commit"


def test_a_kind_that_is_not_measured_is_a_problem():
    [problem, *_] = parse_task(criteria("+30% on SFT").replace("infra", "research")).found
    assert problem.what.startswith("no kind 'research'")


def test_a_heading_that_is_nearly_one_is_a_problem():
    text = "kind: infra\n\n## Succes criteria\n\n- +30% on SFT\n"
    found = problems_of(text, recipes="sft")
    assert [(one.field, one.line) for one in found] == [("Success criteria", 3)]


TABLE = "| # | File:Line | Change | Expected win |\n|---|---|---|---|\n"


@pytest.mark.parametrize(
    ("table", "what", "row"),
    [
        (
            "| # | File:Line | Change | Gain in our view |\n|---|---|---|---|\n| A | a | b | c |",
            "is not read",
            0,
        ),
        ("| File:Line | Change | Expected win |\n|---|---|---|\n| a | b | c |", "is not read", 0),
        (f"{TABLE}| A | a.py | x | y | z |", "is no row of 4 cells", 2),
        (f"{TABLE}| A | a.py | | y |", "the change is not said", 2),
        (f"{TABLE}| the first | a.py | x | y |", "is no change's name", 2),
        (f"{TABLE}| A | a.py | x | y |\n\nLeave A unchanged in this PR.", "and here as one to leave", 4),
    ],
)
def test_a_table_that_is_nearly_ours_is_a_problem_with_its_line(table, what, row):
    text = f"{criteria('+30% on SFT')}\n\n## Scope\n\n{table}"
    [problem] = problems_of(text)
    assert what in problem.what
    assert (problem.field, problem.line) == ("Changes", 9 + row)


@pytest.mark.parametrize(
    "table", ["| Pod | GPUs |\n|---|---|\n| 1 | 8 |", "> " + TABLE.replace("\n", "\n> ")]
)
def test_a_table_of_something_else_is_nobodys(table):
    assert task_of(f"{criteria('+30% on SFT')}\n\n## Scope\n\n{table}").changes == ()


def test_columns_are_found_by_their_names():
    table = "| ID | Change | Expected win | Owner |\n|---|---|---|---|\n| A | use it | +3% | @ada |"
    [change] = task_of(f"{criteria('+30% on SFT')}\n\n{table}").changes
    assert (change.name, change.place, change.change, change.expected) == ("A", "", "use it", "+3%")


@pytest.mark.parametrize(
    ("place", "change", "protected"),
    [
        ("configs/a.yaml:6", "beta: 0.1 \u2192 5.0", "configs/a.yaml:beta"),
        ("`configs/a.yaml:6-9`", "`lr` = 1e-4 -> 2e-4 (twice)", "configs/a.yaml:lr"),
        ("configs/a.yaml:6", "\u03b2: 0.1 \u2192 5.0", None),
        ("configs/a.yaml:6", "raise beta from 0.1 to 5.0", None),
        ("configs/a.yaml", "beta: 0.1 \u2192 5.0", None),
        ("../a.yaml:6", "beta: 0.1 \u2192 5.0", None),
        ("a.yaml:6 and b.yaml:6", "beta: 0.1 \u2192 5.0", None),
    ],
)
def test_a_value_is_protected_where_its_path_and_key_are_said(place, change, protected):
    assert Withheld("H", place, change, "").protected == protected


@pytest.mark.parametrize(
    ("step", "read"),
    [
        ("SFT run: 200 examples, 2 epochs", [("examples", 200, "sft"), ("epochs", 2, "sft")]),
        ("each run: 1,352 rows, 1 epoch, batch size 8", [("epochs", 1, None), ("batch", 8, None)]),
        ("SFT and DPO: 200 examples", []),
        ("prefer a pod with 4 GPUs free", []),
    ],
)
def test_the_protocol_is_read_from_what_describes_a_run_of_one_recipe(step, read):
    text = f"{criteria('+30% on SFT', '+20% on DPO')}\n\n## Testing protocol\n\n- {step}"
    assert task_of(text).protocol == tuple(Specified(*one) for one in read)


@pytest.mark.parametrize(
    "step", ["SFT run: 200 examples\n- SFT run: 500 examples", "KTO smoke test: 200 examples"]
)
def test_a_protocol_that_says_two_things_or_of_an_unmeasured_recipe_is_a_problem(step):
    [problem] = problems_of(f"{criteria('+30% on SFT')}\n\n## Testing protocol\n\n- {step}")
    assert problem.field == "Testing protocol"


def test_a_recipe_is_spelled_as_the_list_of_recipes_does():
    task = task_of(f"{criteria('+30% on SFT')}\n\n## Recipes\n\nSFT")
    assert (task.recipes, task.criteria) == (("SFT",), ("SFT:primary>=1.3",))


def test_a_long_follow_up_is_cut_and_a_list_of_them_ends():
    items = "\n".join(["- " + "x" * 1500, *["- y"] * 149])
    task = task_of(f"{criteria('+30% on SFT')}\n\n## Follow-ups\n\n{items}")
    assert (len(task.follow_ups), len(task.follow_ups[0])) == (100, 1000)

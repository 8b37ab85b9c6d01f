"""What a change promises: which words give a target, and that no other words do."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.task.claims import Claim, claims_of
from agent.task.values import AskedChange

RECIPES = ("sft", "dpo")
MEMORY, UTIL = "peak_memory_b", "gpu_util_mean_pct"


def claims(text, recipes=RECIPES):
    return claims_of([AskedChange("A", "a.py", "x", text)], recipes)


SCORED = {
    "+15-20% SFT": ("sft", "primary", ">=", 1.15),
    "+15\u201320 % SFT": ("sft", "primary", ">=", 1.15),
    "+15% to 20% SFT": ("sft", "primary", ">=", 1.15),
    "+20%": (None, "primary", ">=", 1.2),
    "20%": (None, "primary", ">=", 1.2),
    "+20% throughput": (None, "primary", ">=", 1.2),
    "+30-50% DPO throughput": ("dpo", "primary", ">=", 1.3),
    "SFT: +12.5 %": ("sft", "primary", ">=", 1.125),
    "DPO throughput at least +20%": ("dpo", "primary", ">=", 1.2),
    "minimum +30% combined on SFT": ("sft", "primary", ">=", 1.3),
    "~1.7-2.2\u00d7 SFT throughput": ("sft", "primary", ">=", 1.7),
    "1.3x": (None, "primary", ">=", 1.3),
    "2x faster": (None, "primary", ">=", 2.0),
    "30% faster DPO training": ("dpo", "primary", ">=", 1.3),
    "1.5x speedup on DPO": ("dpo", "primary", ">=", 1.5),
    "+10% tokens/sec on SFT": ("sft", "primary", ">=", 1.1),
    "+10% tokens per second": (None, "primary", ">=", 1.1),
    "+10% samples/s": (None, "primary", ">=", 1.1),
    "`+20%` **throughput**.": (None, "primary", ">=", 1.2),
    "expected roughly +20% throughput": (None, "primary", ">=", 1.2),
    "+20% tokens_per_s on SFT": ("sft", "tokens_per_s", ">=", 1.2),
    "-60% mem": (None, MEMORY, "<=", 0.4),
    "\u221260% mem": (None, MEMORY, "<=", 0.4),
    "60% less memory": (None, MEMORY, "<=", 0.4),
    "-30-60% peak memory on DPO": ("dpo", MEMORY, "<=", 0.7),
    "-30 to -60% mem": (None, MEMORY, "<=", 0.7),
    "30% memory savings": (None, MEMORY, "<=", 0.7),
    "+30% memory savings": (None, MEMORY, "<=", 0.7),
    "saves 25% VRAM": (None, MEMORY, "<=", 0.75),
    "memory reduction of 40%": (None, MEMORY, "<=", 0.6),
    "2x less memory": (None, MEMORY, "<=", 0.5),
    "0.5x memory": (None, MEMORY, "<=", 0.5),
    "memory at most +10%": (None, MEMORY, "<=", 1.1),
    "-20% peak_reserved_b": (None, "peak_reserved_b", "<=", 0.8),
    "+10-30% GPU util": (None, UTIL, ">=", 1.1),
    "10% higher GPU utilisation": (None, UTIL, ">=", 1.1),
    "+10% p95 GPU util": (None, "gpu_util_p95_pct", ">=", 1.1),
}  # fmt: skip

UNSCORED = {
    "+15-20% multi-epoch": "'multi-epoch' names no recipe and no metric that is measured",
    "60% mem": "does not say whether that is 60 % less or 60 % of it",
    "60% of the memory": "does not say whether that is 60 % less or 60 % of it",
    "0% perf": "promises no change",
    "\u00b10% throughput": "promises no change",
    "Defensive": "names no number",
    "much faster": "names no number",
    "up to +30% throughput": "'up to' promises no least",
    "+63% mem": "promises more of it, and less is better",
    "-20% throughput": "promises no gain, and more is better",
    "10% slower": "promises no gain, and more is better",
    "at most +20% throughput": "promises no gain, and more is better",
    "0.9x": "promises no gain, and more is better",
    "+20-15% SFT": "ends lower than it begins",
    "SFT - 20%": "does not say whether its dash is a minus",
    "-20% step time": "'step time' names no recipe and no metric that is measured",
    "+20% KTO": "'KTO' names no recipe and no metric that is measured",
    "+20% throughput at long sequences": "'at long sequences' is a condition that is not measured",
    "90% GPU util": "does not say whether that is the utilisation or the gain",
    "+30% less memory": "says more and less at once",
    "-20% more memory": "says more and less at once",
    "100% less memory": "a saving is less than 100 %",
    "2x memory": "does not say how much less that is",
    "+20% throughput and memory": "names several metrics",
    "SFT and DPO +20%": "names several recipes at once",
    "sft, dpo: +20%": "names several recipes at once",
    "SFT +20% DPO +30%": "names several numbers in one breath",
    "between 30 and 60% less memory": "names several numbers in one breath",
    "between 30 or 60% less memory": "'between 30 or' is a condition that is not measured",
    "Same as Z": "does not name other changes of the table",
    "Same as A": "does not name other changes of the table",
}


@pytest.mark.parametrize("text", SCORED)
def test_a_promise_that_says_what_and_how_much_has_a_target(text):
    [claim] = claims(text)
    assert (claim.recipe, claim.metric, claim.relation) == SCORED[text][:3]
    assert claim.target == pytest.approx(SCORED[text][3], abs=1e-12)
    assert claim.why == ""


@pytest.mark.parametrize("text", UNSCORED)
def test_a_promise_that_leaves_open_what_or_how_much_says_why_it_is_not_scored(text):
    [claim] = claims(text)
    assert claim.why == UNSCORED[text]
    assert not claim.is_scorable


@pytest.mark.parametrize("text", ["", "-", "n/a", "none", " \u2014 "])
def test_a_change_may_promise_nothing(text):
    assert claims(text) == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("+20% throughput, 60% mem", [("+20% throughput", 1.2), ("60% mem", None)]),
        ("+20% throughput and -60% mem", [("+20% throughput", 1.2), ("-60% mem", 0.4)]),
        ("Defensive; 0% perf", [("0% perf", None)]),
        ("+30% on SFT (+20% on DPO)", [("+30% on SFT", 1.3), ("+20% on DPO", 1.2)]),
    ],
)
def test_one_cell_may_promise_several_things(text, told):
    assert [(claim.text, claim.target) for claim in claims(text)] == told


@pytest.mark.parametrize("text", ["30% less memory, 20% on DPO", "-30% latency, 20% on DPO"])
def test_a_number_beside_one_of_another_kind_is_not_taken_for_throughput(text):
    assert claims(text)[1] == Claim("A", "20% on DPO", "dpo", None, ">=", 1.2, "does not say of what that is")


def test_a_recipe_is_named_in_any_case_and_kept_as_it_is_spelled():
    assert claims("+20% on DPO", ("Dpo",))[0].recipe == "Dpo"


def rows(**expected):
    return [AskedChange(name, "a.py", "x", text) for name, text in expected.items()]


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("Same as A-C", ["+1% SFT", "+2%", "-3% mem"]),
        ("same as A to B.", ["+1% SFT", "+2%"]),
        ("Same as A, B and C", ["+1% SFT", "+2%", "-3% mem"]),
        ("the same as C", ["-3% mem"]),
    ],
)
def test_the_same_as_others_is_what_the_others_promise(words, texts):
    found = [
        one
        for one in claims_of(rows(A="+1% SFT", B="+2%", C="-3% mem", G=words), RECIPES)
        if one.change == "G"
    ]
    assert [one.text.partition(": ")[2].removesuffix(")") for one in found] == texts
    assert all(one.is_scorable for one in found)


@pytest.mark.parametrize("words", ["Same as A-C", "Same as C-A", "Same as B", "Same as A-X"])
def test_the_same_as_nothing_and_as_itself_cannot_be_scored(words):
    found = [one for one in claims_of(rows(A="", B=words, C="same as B"), RECIPES) if one.change == "B"]
    assert [one.is_scorable for one in found] == [False]


WORDS = st.sampled_from(
    ["+15-20%", "60%", "-30%", "1.3x", "0%", "mem", "memory", "less", "more", "SFT", "DPO", "throughput",
     "GPU", "util", "up to", "at most", "same as A-D", ",", ";", "and", "(", ")", "faster", "slower", "-",
     "30", "to"]
)  # fmt: skip


@settings(deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=12).map(" ".join)))
def test_any_words_give_claims_whose_numbers_stand_in_them(text):
    for claim in claims(text):
        assert claim.why or (claim.metric and claim.target)
        assert claim.recipe is None or claim.recipe in text.casefold()
        if claim.target is not None:
            said = {float(number) for number in re.findall(r"[0-9]+(?:\.[0-9]+)?", text)}
            meant = {claim.target, 1 / claim.target, 100 * (claim.target - 1), 100 * (1 - claim.target)}
            assert any(abs(one - other) < 1e-6 * max(1, other) for one in meant for other in said)

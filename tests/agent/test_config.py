"""Recipes from TOML: what a recipe holds, and what is refused with table and key."""

import pytest

from agent.config import parse_recipes
from agent.errors import TaskError
from bench.plan import Need, Recipe

WHOLE = """
[recipe.sft]
run = ["{python}", "train_sft.py", "--rows", "{rows}", "--packing", "{packing}", "--seed", "{seed}"]
env = "uv"
primary = "tokens_per_s"
eval = "data/eval.jsonl"
events = "own"
cache = "warm"
protected = ["configs/dpo/default.yaml:beta"]
limit_s = 60
[recipe.sft.params]
rows = 200
packing = false
[recipe.sft.need]
gpu_type = "H100"
memory_gib = 60
packages = ["flash_attn"]
"""


def told(text: str) -> str:
    with pytest.raises(TaskError) as caught:
        parse_recipes(text, "paceline.toml")
    return str(caught.value)


def test_every_key_of_the_format_arrives_in_the_recipe():
    assert parse_recipes(WHOLE, "paceline.toml") == {
        "sft": Recipe(
            name="sft",
            run=(
                "{python}",
                "train_sft.py",
                *("--rows", "{rows}", "--packing", "{packing}", "--seed", "{seed}"),
            ),
            env="uv",
            primary="tokens_per_s",
            eval="data/eval.jsonl",
            events="own",
            cache="warm",
            protected=("configs/dpo/default.yaml:beta",),
            limit_s=60.0,
            params={"rows": 200, "packing": False},
            need=Need(gpu_type="H100", memory_gib=60.0, packages=("flash_attn",)),
        )
    }


def test_a_command_is_all_that_a_recipe_needs():
    assert parse_recipes('[recipe.sft]\nrun = ["x"]\n', "f") == {"sft": Recipe("sft", ("x",))}


def test_a_default_keeps_its_type():
    text = '[recipe.r]\nrun = ["{a}{b}{c}{d}"]\n[recipe.r.params]\na = 1\nb = 1.0\nc = true\nd = "1"\n'
    assert [type(value) for value in parse_recipes(text, "f")["r"].params.values()] == [int, float, bool, str]


@pytest.mark.parametrize("given", ["python", "seed", "out", "worktree", "driver"])
def test_a_given_placeholder_needs_no_parameter(given):
    assert parse_recipes(f'[recipe.r]\nrun = ["{{{given}}}"]\n', "f")["r"].run == (f"{{{given}}}",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "paceline.toml: 'recipe' is missing"),
        ("[recipe.r]\n", "paceline.toml: 'recipe.r.run' is missing"),
        ("[recipes.r]\nrun = ['x']\n", "unknown key 'recipes' (did you mean 'recipe'?)"),
        ("recipe = 3\n", "paceline.toml: recipe: "),
        ("[recipe.r]\nrun = 'python x.py'\n", "recipe.r.run: "),
        ("[recipe.r]\nrun = ['x', 3]\n", "recipe.r.run.1: "),
        ("[recipe.r]\nrun = ['x']\nlimit_s = 0\n", "recipe.r.limit_s: "),
        ("[recipe.r]\nrun = ['x']\nlimit_s = nan\n", "recipe.r.limit_s: "),
        ("[recipe.r]\nrun = ['x']\nlimit_s = 604801\n", "recipe.r.limit_s: "),
        ("[recipe.r]\nrun = ['x']\nlimit_s = '60'\n", "recipe.r.limit_s: "),
        ("[recipe.r]\nrun = ['x']\n[recipe.r.params]\nrows = 1\n", "parameter 'rows' is not used in run"),
        ("[recipe.r]\nrun = ['x{a}']\n[recipe.r.params]\na = [1]\n", "recipe.r.params.a"),
        ("[recipe.r]\nrun = ['x']\nprotected = ['beta']\n", "protected value 'beta' is not 'path:key'"),
        ("[recipe.r]\nrun = ['x']\ndriver = 'd.py'\n", "driver comes from the operator's file only"),
        ("[recipe.r]\nrun = ['x']\nprimary = 'tokens_per_sec'\n", "(did you mean 'tokens_per_s'?)"),
        ("[recipe.'a b']\nrun = ['x']\n", "a recipe's name is letters, digits and + . _ -, at most 40"),
        ("[recipe.'../x']\nrun = ['x']\n", "a recipe's name is letters"),
        (f"[recipe.{'r' * 41}]\nrun = ['x']\n", "a recipe's name is letters"),
        ("[recipe.r]\nrun = ['x']\n[recipe.r.need]\ngpu = 'H100'\n", "unknown key 'recipe.r.need.gpu'"),
        ("[recipe.r]\nrun = ['x']\n[recipe.r.need]\nmemory_gib = -1\n", "recipe.r.need.memory_gib: "),
    ],
)
def test_trouble_names_file_table_and_key(text, line):
    said = told(text)
    assert said.startswith("paceline.toml")
    assert line in said
    assert "\n" not in said


def test_a_mistyped_key_is_told_before_the_one_that_is_missing_for_it():
    assert (
        told("[recipe.r]\nrum = ['x']\n") == "paceline.toml: unknown key 'recipe.r.rum' (did you mean 'run'?)"
    )


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_default_that_is_not_finite_is_refused(number):
    assert "rate" in told(f"[recipe.r]\nrun = ['{{rate}}']\n[recipe.r.params]\nrate = {number}\n")


def test_a_need_that_is_not_finite_is_refused():
    assert "memory_gib" in told("[recipe.r]\nrun = ['x']\n[recipe.r.need]\nmemory_gib = inf\n")

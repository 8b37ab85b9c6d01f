"""The plan as data: its hash, its JSON form, the order of its arms, the command of a run."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import (
    GIVEN,
    Arm,
    Change,
    Criterion,
    Need,
    Plan,
    Recipe,
    canonical,
    command_of,
    digest_of,
    written,
)

RECIPE = Recipe(
    "sft",
    ("{python}", "sft.py", "--rows", "{rows}", "--seed={seed}"),
    eval="eval.jsonl",
    eval_sha256="e" * 64,
    protected=("a.yaml:beta",),
    params={"rows": 200, "rate": 0.1, "packing": False, "mode": "plain"},
    need=Need("H100", 60.0, 40.0, ("flash_attn",)),
)
ARMS = (Arm("baseline", "a" * 40), Arm("optimized", "b" * 40, {"packing": True}), Arm("more", "c" * 40))
CRITERION = Criterion("sft:step_s<=0.9", "sft", "step_s", "<=", 0.9, "optimized")
CHANGE = Change("C", ("c" * 40, "d" * 40))
PLAN = Plan("target", "t" * 64, (RECIPE,), ARMS, replicates=4, criteria=(CRITERION,))
OTHER = {
    "name": "x",
    "run": ("x",),
    "env": "uv",
    "primary": "tokens_per_s",
    "eval": None,
    "eval_sha256": "f" * 64,
    "events": "own",
    "cache": "warm",
    "protected": (),
    "limit_s": 901.0,
    "params": {"rows": 201},
    "driver_sha256": "d" * 64,
    "need": Need(),
    "gpu_type": "A100",
    "memory_gib": 61.0,
    "disk_gib": None,
    "packages": (),
    "commit": "d" * 40,
    "text": "x",
    "recipe": "dpo",
    "metric": "rows",
    "relation": ">=",
    "target": 0.91,
    "arm": "more",
    "repo": "x",
    "task": "x",
    "recipes": (),
    "arms": (),
    "replicates": 5,
    "base_seed": 1001,
    "criteria": (),
    "loss_band": 0.03,
    "engine": "abba",
    "looks": (3, 5),
    "reverts": ("e" * 40,),
    "changes": (Change("D", ("e" * 40, "f" * 40)),),
    "commits": ("e" * 40,),
}


def shuffled(value):
    """The same JSON with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(inner) for key, inner in reversed(value.items())}
    return [shuffled(inner) for inner in value] if isinstance(value, list) else value


def with_recipe(recipe: Recipe) -> Plan:
    return replace(PLAN, recipes=(recipe,))


def variants() -> list:
    """(name, plan) of a plan that differs in one field, for every field there is."""
    parts = {
        "Plan": (PLAN, lambda plan: plan),
        "Recipe": (RECIPE, with_recipe),
        "Need": (RECIPE.need, lambda need: with_recipe(replace(RECIPE, need=need))),
        "Arm": (ARMS[0], lambda arm: replace(PLAN, arms=(arm, *ARMS[1:]))),
        "Change": (CHANGE, lambda change: replace(PLAN, changes=(change,))),
        "Criterion": (CRITERION, lambda criterion: replace(PLAN, criteria=(criterion,))),
    }
    return [
        pytest.param(put(replace(part, **{field.name: OTHER[field.name]})), id=f"{kind}.{field.name}")
        for kind, (part, put) in parts.items()
        for field in fields(part)
    ]


def test_the_hash_is_64_hex_digits():
    assert len(PLAN.hash) == 64
    assert int(PLAN.hash, 16) > 0


def test_a_plan_through_json_is_the_same_plan():
    assert Plan.from_dict(json.loads(json.dumps(PLAN.to_dict()))) == PLAN


def test_the_hash_is_the_same_through_json_and_in_any_order_of_keys():
    text = json.dumps(shuffled(json.loads(json.dumps(PLAN.to_dict()))), indent=3)
    assert Plan.from_dict(json.loads(text)).hash == PLAN.hash


@pytest.mark.parametrize("other", variants())
def test_another_value_of_any_field_is_another_hash(other):
    assert other.hash != PLAN.hash


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), (1, 1.5), (True, "true"), (0, False)])
def test_values_of_another_type_are_another_hash(one, other):
    hashes = {with_recipe(replace(RECIPE, params={"x": value})).hash for value in (one, other)}
    assert len(hashes) == 2


def test_the_order_of_arms_is_part_of_the_hash():
    assert replace(PLAN, arms=(ARMS[0], ARMS[2], ARMS[1])).hash != PLAN.hash


scalars = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.dictionaries(st.text(max_size=5), scalars, max_size=5))
def test_any_parameters_keep_their_hash_through_json(params):
    plan = with_recipe(replace(RECIPE, params=params))
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))).hash == plan.hash


@pytest.mark.parametrize("schema", [None, 0, 2, "1"])
def test_a_foreign_schema_is_refused(schema):
    with pytest.raises(ValueError, match=r"plan of schema .*, this reads 1"):
        Plan.from_dict({**PLAN.to_dict(), "schema": schema})


def test_the_canonical_form_has_sorted_keys_and_no_space():
    assert canonical({"b": [1, 2.0], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.0]}'


def test_a_digest_is_that_of_the_canonical_form():
    # sha256 of `{}`
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_the_order_of_arms_is_reversed_in_two_of_four_replicates():
    orders = [(replicate, [arm.name for arm in arms]) for replicate, _, arms in PLAN.rounds()]
    assert orders == [
        (1, ["baseline", "optimized", "more"]),
        (2, ["more", "optimized", "baseline"]),
        (3, ["more", "optimized", "baseline"]),
        (4, ["baseline", "optimized", "more"]),
    ]


def test_rounds_go_replicate_by_replicate_through_all_recipes():
    plan = replace(PLAN, recipes=(RECIPE, replace(RECIPE, name="dpo")), replicates=2)
    assert [(number, recipe.name) for number, recipe, _ in plan.rounds()] == [
        (1, "sft"),
        (1, "dpo"),
        (2, "sft"),
        (2, "dpo"),
    ]


def test_two_arms_over_four_replicates_are_a_block_abba_and_its_mirror():
    plan = replace(PLAN, arms=ARMS[:2], replicates=4)
    assert "".join(arm.name[0] for _, _, arms in plan.rounds() for arm in arms) == "boobobbo"


def test_an_arm_takes_part_where_the_recipe_has_all_its_parameters():
    other = replace(RECIPE, name="dpo", params={"rows": 1})
    assert [arm.name for arm in PLAN.arms_of(other)] == ["baseline", "more"]


@pytest.mark.parametrize(
    ("changes", "judged"),
    [
        ({}, ("optimized",)),
        ({"criteria": ()}, ("optimized",)),
        ({"criteria": (replace(CRITERION, arm="more"), CRITERION, CRITERION)}, ("more", "optimized")),
        ({"criteria": (), "arms": (ARMS[0], ARMS[2])}, ("more",)),
        ({"criteria": (), "arms": ARMS[:1]}, ()),
    ],
)
def test_the_arms_that_decide_are_those_of_the_criteria_else_optimized_else_all(changes, judged):
    assert replace(PLAN, **changes).judged_arms() == judged


@pytest.mark.parametrize(
    ("run", "is_seeded"),
    [
        (("x", "--seed={seed}"), True),
        (("x", "{seed}"), True),
        (("x", "seed"), False),
        (("x", "{seeds}"), False),
    ],
)
def test_a_recipe_is_seeded_where_its_command_takes_the_seed(run, is_seeded):
    assert replace(RECIPE, run=run).is_seeded is is_seeded


given_values = {name: f"<{name}>" for name in GIVEN}


def test_a_command_is_filled_with_given_values_and_parameters():
    assert command_of(RECIPE, ARMS[0], given_values) == [
        "<python>",
        "sft.py",
        "--rows",
        "200",
        "--seed=<seed>",
    ]


def test_an_arms_value_stands_before_the_recipes_default():
    arm = Arm("x", "a" * 40, {"rows": 8})
    assert command_of(RECIPE, arm, given_values)[3] == "8"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (1, "1"), (0.5, "0.5"), (1e-05, "1e-05"), ("a b", "a b"), ("", "")],
)
def test_a_value_is_written_as_a_command_line_has_it(value, text):
    assert written(value) == text


@pytest.mark.parametrize("argument", ["{}", "{1}", "{a b}", "{{", "}", '{"a": 1}', "{rows", "${x:-y}"])
def test_braces_that_are_no_placeholder_stay(argument):
    assert command_of(replace(RECIPE, run=(argument,)), ARMS[0], given_values) == [argument]


def test_a_placeholder_that_nobody_fills_is_an_error():
    with pytest.raises(KeyError, match="rowz"):
        command_of(replace(RECIPE, run=("{rowz}",)), ARMS[0], given_values)


@given(st.text())
def test_a_value_is_one_argument_whatever_is_in_it(value):
    recipe = replace(RECIPE, run=("x", "{mode}", "--mode={mode}!"))
    arm = Arm("x", "a" * 40, {"mode": value})
    assert command_of(recipe, arm, given_values) == ["x", value, f"--mode={value}!"]


@given(st.lists(st.text(), max_size=5), st.text())
def test_a_command_has_as_many_arguments_as_its_recipe(run, value):
    recipe = replace(RECIPE, run=tuple(argument.replace("{", "") for argument in run))
    arm = Arm("x", "a" * 40, {"mode": value})
    assert command_of(recipe, arm, given_values) == list(recipe.run)


@pytest.mark.parametrize("value", ["{seed}", "{mode}", "{python} {out}"])
def test_a_placeholder_inside_a_value_is_not_filled_again(value):
    recipe = replace(RECIPE, run=("{mode}",))
    assert command_of(recipe, Arm("x", "a" * 40, {"mode": value}), given_values) == [value]

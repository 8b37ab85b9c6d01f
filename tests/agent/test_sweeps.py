"""Sweeps: which arms they make of which commit, and which they do not make."""

import pytest

from agent.config import MADE_NAME
from agent.errors import TaskError
from agent.planning import Request, plan_for
from agent.repository import Repository
from agent.sweeps import MOST_ARMS
from tests.e2e.conftest import commit, git, make_repository

CONFIG = """
[recipe.sft]
run = ["{python}", "sft.py", "{rows}", "{lr}", "{packing}", "{mode}"]
[recipe.sft.params]
rows = 200
lr = 1e-4
packing = false
mode = "plain"
[recipe.dpo]
run = ["{python}", "dpo.py", "{rows}", "{packing}", "{beta}"]
[recipe.dpo.params]
rows = 64
packing = true
beta = 0.1
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Repository:
    folder = make_repository(tmp_path_factory.mktemp("sweeps") / "target", {"paceline.toml": CONFIG})
    git(folder, "tag", "before")
    commit(folder, {"sft.py": "faster"})
    return Repository(folder, is_bare=False)


def arms(repository, *sweeps, recipes=("sft",), **changes):
    """The arms that sweeps made: name -> parameters."""
    request = Request(
        **{"recipes": recipes, "baseline": "before", "optimized": "main", "sweeps": sweeps, **changes}
    )
    plan = plan_for(request, repository).plan
    return {arm.name: arm for arm in plan.arms[2 + len(changes.get("arms", ())) :]}


def params(repository, *sweeps, **changes):
    return {name: arm.params for name, arm in arms(repository, *sweeps, **changes).items()}


def told(repository, *sweeps, **changes) -> str:
    with pytest.raises(TaskError) as caught:
        arms(repository, *sweeps, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_combination_with_the_values_of_an_arm_is_not_made_twice(repository):
    assert params(repository, "packing=false,true") == {"packing=true": {"packing": True}}


def test_two_sweeps_are_multiplied_out_without_what_is_there(repository):
    assert params(repository, "packing=false,true", "lr=1e-4,2e-4") == {
        "packing=false+lr=2e-4": {"packing": False, "lr": 2e-4},
        "packing=true+lr=1e-4": {"packing": True, "lr": 1e-4},
        "packing=true+lr=2e-4": {"packing": True, "lr": 2e-4},
    }


def test_a_combination_that_another_arm_asks_for_is_not_made_twice(repository):
    made = params(repository, "packing=false,true", "lr=1e-4,2e-4", arms=["mine=optimized,packing=true"])
    assert list(made) == ["packing=false+lr=2e-4", "packing=true+lr=2e-4"]


def test_an_arm_of_another_commit_stands_for_nothing(repository):
    made = params(repository, "packing=false,true", arms=["mine=baseline,packing=true"])
    assert list(made) == ["packing=true"]


def test_default_values_of_one_recipe_are_another_combination_in_another(repository):
    """packing is false in sft and true in dpo: neither value is what `optimized` runs in both."""
    made = params(repository, "packing=false,true", recipes=("sft", "dpo"))
    assert list(made) == ["packing=false", "packing=true"]


def test_what_only_one_recipe_has_is_compared_in_that_one(repository):
    made = params(repository, "beta=0.1,0.2", recipes=("sft", "dpo"))
    assert made == {"beta=0.2": {"beta": 0.2}}


@pytest.mark.parametrize(("on", "revision"), [("optimized", "main"), ("baseline", "before")])
def test_the_arms_are_of_the_commit_that_is_swept(repository, on, revision):
    [arm] = arms(repository, "packing=false,true", sweep_on=on).values()
    assert arm.commit == git(repository.root, "rev-parse", revision)


def test_an_arm_that_takes_no_part_in_the_recipe_stands_for_nothing(repository):
    """mode is sft's alone and beta dpo's, so an arm with both runs nowhere."""
    made = params(repository, "mode=plain,x", recipes=("sft", "dpo"), arms=["mine=optimized,mode=x,beta=0.2"])
    assert made == {"mode=x": {"mode": "x"}}


def test_a_sweep_on_anything_else_is_refused(repository):
    assert told(repository, "packing=true", sweep_on="main") == "--sweep-on 'main': baseline or optimized"


@pytest.mark.parametrize("text", ["", "packing", "packing=", "=true", "packing=true,", "packing=,true"])
def test_another_form_is_refused_with_the_form(repository, text):
    assert "is not PARAMETER=VALUE,VALUE,..., as in packing=false,true" in told(repository, text)


@pytest.mark.parametrize(
    ("sweeps", "line"),
    [
        (["packing=yes,no"], "it takes a boolean (true, false)"),
        (["packin=true"], "no recipe has a parameter 'packin' (did you mean 'packing'?)"),
        (["lr=1e-4,0.0001"], "--sweep 'lr=1e-4,0.0001': 1e-4 and 0.0001 are the same value"),
        (["lr=1,2", "lr=3,4"], "'lr' is swept already; name all its values once"),
        (
            ["packing=false"],
            "--sweep packing=false: there is an arm with these values already, so no new one",
        ),
    ],
)
def test_what_would_be_no_measurement_is_refused(repository, sweeps, line):
    assert line in told(repository, *sweeps)


def test_parameters_that_no_recipe_has_together_are_refused(repository):
    line = "--sweep: no recipe has 'mode' and 'beta', so nothing would run"
    assert told(repository, "mode=a,b", "beta=0.2,0.3", recipes=("sft", "dpo")) == line


def test_more_arms_than_a_plan_may_have_are_refused_before_they_are_made(repository):
    rows = ",".join(str(number) for number in range(2000))
    rates = ",".join(f"{number}e-9" for number in range(2000))
    assert told(repository, f"rows={rows}", f"lr={rates}") == (
        f"--sweep: rows 2000 x lr 2000 makes 4000000 arms beside 2; a plan has at most {MOST_ARMS}"
    )


def test_as_many_arms_as_a_plan_may_have_are_made(repository):
    rows = ",".join(str(number) for number in range(MOST_ARMS - 2))
    assert len(arms(repository, f"rows={rows}")) == MOST_ARMS - 2


def test_arms_beyond_what_a_plan_may_have_are_refused_however_they_were_asked_for(repository):
    many = [f"x{number}=main,rows={number}" for number in range(MOST_ARMS - 1)]
    assert told(repository, arms=many) == (
        f"{MOST_ARMS + 1} arms: at most {MOST_ARMS}, baseline and optimized among them"
    )


def test_names_are_folders_and_no_two_are_the_same(repository):
    long = "x" * 60
    made = params(repository, f"mode=a b,a/b,a-b,{long}")
    assert made == {
        "mode=a-b": {"mode": "a b"},
        "sweep-2": {"mode": "a/b"},
        "sweep-3": {"mode": "a-b"},
        "sweep-4": {"mode": long},
    }
    assert all(MADE_NAME.fullmatch(name) for name in made)


def test_a_criterion_may_name_a_swept_arm(repository):
    request = Request(
        recipes=("sft",),
        baseline="before",
        optimized="main",
        sweeps=["packing=false,true", "lr=1e-4,2e-4"],
        requires=["sft/packing=true+lr=2e-4:job_tokens_per_s>=1.3"],
    )
    [criterion] = plan_for(request, repository).plan.criteria
    assert (criterion.arm, criterion.target) == ("packing=true+lr=2e-4", 1.3)

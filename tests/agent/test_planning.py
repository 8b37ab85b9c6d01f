"""A plan out of a request: commits, typed values, criteria. The repository is a real one with two commits."""

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import TaskError
from agent.planning import TEXT_VALUE, Request, plan_for
from agent.repository import Repository
from agent.tracker_source import TrackerSource
from bench.plan import Change
from tests.e2e.conftest import commit, git, make_repository
from tests.fakes.tracker import FakeTracker

CONFIG = """
[recipe.sft]
run = ["{python}", "sft.py", "{rows}", "{rate}", "{packing}", "{mode}", "{seed}"]
eval = "eval.jsonl"
[recipe.sft.params]
rows = 200
rate = 0.5
packing = false
mode = "plain"
[recipe.dpo]
run = ["{python}", "dpo.py", "{rows}"]
[recipe.dpo.params]
rows = 64
"""
ROWS = '{"text": "a"}\n'


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Repository:
    folder = make_repository(
        tmp_path_factory.mktemp("planning") / "target", {"paceline.toml": CONFIG, "eval.jsonl": ROWS}
    )
    git(folder, "tag", "before")
    commit(folder, {"sft.py": "faster"})
    return Repository(folder, is_bare=False)


def request(*recipes: str, **changes) -> Request:
    return Request(**{"recipes": recipes or ("sft",), "baseline": "before", "optimized": "main", **changes})


def planned(repository, *recipes, **changes):
    return plan_for(request(*recipes, **changes), repository).plan


def told(repository, **changes) -> str:
    with pytest.raises(TaskError) as caught:
        planned(repository, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_revisions_become_full_commit_ids(repository):
    plan = planned(repository)
    ids = [git(repository.root, "rev-parse", name) for name in ("before", "main")]
    assert [(arm.name, arm.commit) for arm in plan.arms] == [("baseline", ids[0]), ("optimized", ids[1])]


def test_an_annotated_tag_becomes_the_commit_it_stands_on(repository):
    git(repository.root, "tag", "--annotate", "--message", "x", "--force", "annotated", "before")
    assert planned(repository, baseline="annotated").arms[0].commit == git(
        repository.root, "rev-parse", "before"
    )


def test_a_further_arm_may_name_the_commit_of_another_arm(repository):
    arm = planned(repository, arms=["packing=optimized,packing=true"]).arms[2]
    assert (arm.name, arm.commit) == ("packing", git(repository.root, "rev-parse", "main"))
    assert arm.params == {"packing": True}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("rows=8", 8),
        ("rate=1e-3", 0.001),
        ("rate=2", 2.0),
        ("packing=true", True),
        ("packing=false", False),
        ("mode=b/c:d e", "b/c:d e"),
        ("mode=true", "true"),
        ("mode=a=b", "a=b"),
    ],
)
def test_a_value_has_the_type_of_its_default(repository, pair, value):
    [found] = planned(repository, arms=[f"x=main,{pair}"]).arms[2].params.values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("pair", "line"),
    [
        ("rows=8.5", "rows='8.5': its default is 200, so it takes a whole number"),
        ("rows=", "rows='': its default is 200, so it takes a whole number"),
        ("rate=fast", "rate='fast': its default is 0.5, so it takes a number"),
        ("packing=True", "packing='True': its default is False, so it takes a boolean (true, false)"),
        ("packing=1", "so it takes a boolean (true, false)"),
        ("mode=--output", "so it takes a plain text without leading dash"),
        ("mode=$(rm)", "so it takes a plain text"),
        ("mode=a\nb", "so it takes a plain text"),
        ("mode=", "so it takes a plain text"),
        ("mods=x", "no recipe has a parameter 'mods' (did you mean 'mode'?)"),
    ],
)
def test_a_value_of_another_type_is_refused(repository, pair, line):
    assert line in told(repository, arms=[f"x=main,{pair}"]).replace("\\n", " ")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_value_that_is_not_finite_is_refused(repository, number):
    assert "takes a number" in told(repository, arms=[f"x=main,rate={number}"])


@pytest.mark.parametrize("text", ["", "x", "x=", "x=main,", "x=main,rows", "x=main,=3"])
def test_an_arm_of_another_form_is_refused_with_the_form(repository, text):
    assert "as in packing=optimized,packing=true" in told(repository, arms=[text])


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-x", "a b", "x" * 41, "a\nb"])
def test_an_arm_whose_name_could_not_be_a_folder_is_refused(repository, name):
    assert "an arm's name is letters, digits and + . _ -, at most 40" in told(
        repository, arms=[f"{name}=main"]
    )


def test_two_arms_of_one_name_are_refused(repository):
    assert "there is an arm 'x' already" in told(repository, arms=["x=main", "x=before"])


@given(st.text(max_size=20))
def test_a_text_value_never_begins_with_a_dash_nor_holds_a_line_break(text):
    if TEXT_VALUE.fullmatch(text):
        assert not text.startswith(("-", " "))
        assert text.isprintable()


def test_a_recipe_that_is_asked_for_twice_is_measured_once(repository):
    assert [recipe.name for recipe in planned(repository, "sft", "dpo", "sft").recipes] == ["sft", "dpo"]


def test_an_arm_takes_part_in_the_recipes_that_have_its_parameters(repository):
    plan = planned(repository, "sft", "dpo", arms=["packed=main,packing=true"])
    assert [arm.name for arm in plan.arms_of(plan.recipe("sft"))] == ["baseline", "optimized", "packed"]
    assert [arm.name for arm in plan.arms_of(plan.recipe("dpo"))] == ["baseline", "optimized"]


def test_held_out_rows_are_in_the_plan_by_digest_and_beside_it_as_bytes(repository):
    made = plan_for(request("sft", "dpo"), repository)
    assert made.eval_rows == {"sft": ROWS.encode()}
    assert made.plan.recipe("sft").eval_sha256 == hashlib.sha256(ROWS.encode()).hexdigest()
    assert made.plan.recipe("dpo").eval_sha256 is None


def test_the_same_request_makes_the_same_plan(repository):
    assert planned(repository).hash == planned(repository).hash


@pytest.mark.parametrize(
    "changes",
    [
        {"replicates": 4},
        {"optimized": "before"},
        {"arms": ["x=main"]},
        {"requires": ["sft:job_tokens_per_s>=1.3"]},
    ],
)
def test_another_request_makes_another_plan(repository, changes):
    assert planned(repository, **changes).hash != planned(repository).hash


def test_a_criterion_is_read_with_its_recipe_metric_and_target(repository):
    [criterion] = planned(repository, requires=["sft:job_tokens_per_s>=1.3"]).criteria
    assert (criterion.recipe, criterion.metric, criterion.relation, criterion.target, criterion.arm) == (
        "sft",
        "job_tokens_per_s",
        ">=",
        1.3,
        "optimized",
    )


@pytest.mark.parametrize("replicates", [-1, 0, 101])
def test_replicates_beyond_what_a_plan_may_ask_are_refused(repository, replicates):
    assert told(repository, replicates=replicates) == f"--replicates {replicates}: from 1 to 100"


def test_a_bare_repository_is_read_at_its_head(repository, tmp_path):
    git(repository.root, "clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    bare = Repository(tmp_path / "bare.git", is_bare=True)
    assert (bare.name, planned(bare).arms) == ("bare", planned(repository).arms)


def test_recipes_that_are_not_utf_8_are_one_line(tmp_path):
    folder = make_repository(tmp_path / "r", {"x": "x"})
    (folder / "paceline.toml").write_bytes(b"\xff")
    assert told(Repository(folder, is_bare=False), baseline="main") == "paceline.toml is not UTF-8"


@pytest.fixture(scope="module")
def ranged(tmp_path_factory) -> tuple[Repository, list[str]]:
    """A repository with the commits 0, A, B, C on main, and S beside them."""
    folder = make_repository(
        tmp_path_factory.mktemp("ranged") / "target", {"paceline.toml": CONFIG, "eval.jsonl": ROWS}
    )
    commits = [git(folder, "rev-parse", "HEAD"), *(commit(folder, {"sft.py": name}) for name in "ABC")]
    git(folder, "checkout", "--quiet", "-b", "side", commits[1])
    return Repository(folder, is_bare=False), [*commits, commit(folder, {"sft.py": "S"})]


def attributing(ranged, *changes: Change, optimized: str = "main", **more):
    repository, commits = ranged
    asked = Request(recipes=("sft",), baseline=commits[0], optimized=optimized, changes=changes, **more)
    return plan_for(asked, repository).plan


def test_changes_are_in_the_plan_with_the_arms_that_tell_them_apart(ranged):
    _, (zero, a, b, c, _) = ranged
    changes = (Change("A", (a,)), Change("BC", (b, c)))
    plan = attributing(ranged, *changes)
    assert plan.changes == changes
    assert [(arm.name, arm.commit, arm.reverts) for arm in plan.arms] == [
        ("baseline", zero, ()),
        ("optimized", c, ()),
        ("+A", a, ()),
        ("without-A", c, (a,)),
    ]


def test_a_further_arm_and_a_criterion_go_with_changes(ranged):
    _, (_, a, b, c, _) = ranged
    changes = (Change("A", (a,)), Change("BC", (b, c)))
    plan = attributing(ranged, *changes, arms=["x=main,packing=true"], requires=["sft/+A:step_s<=0.9"])
    assert plan.arms[-1].name == "x"
    assert plan.criteria[0].arm == "+A"


@pytest.mark.parametrize("optimized", ["side", "main~1"])
def test_changes_that_do_not_lead_to_the_optimized_commit_are_refused(ranged, optimized):
    _, (_, a, b, c, _) = ranged
    with pytest.raises(TaskError, match="the changes do not lead to"):
        attributing(ranged, Change("A", (a,)), Change("BC", (b, c)), optimized=optimized)


def test_a_change_without_full_ids_is_refused(ranged):
    _, (_, a, b, c, _) = ranged
    with pytest.raises(TaskError, match="the changes do not lead to"):
        attributing(ranged, Change("A", (a[:8],)), Change("BC", (b, c)))


def test_more_changes_than_a_plan_has_room_for_are_refused(ranged):
    """n changes make 2 n arms."""
    _, (_, a, *_, c, _) = ranged
    many = [Change(f"c{number}", (a,)) for number in range(12)]
    with pytest.raises(TaskError, match="26 arms: at most 24"):
        attributing(ranged, *many, Change("C", (c,)))
    assert len(attributing(ranged, *many[1:], Change("C", (c,))).arms) == 24


def test_a_reverted_commit_has_to_lie_on_an_allowed_branch_too():
    tracker = FakeTracker(lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))
    base = tracker.add_commit("recipes", paceline__toml='[recipe.sleep]\nrun = ["{python}"]\n')
    stray = tracker.add_commit("stray", branch="stray", parent=base)
    tip = tracker.add_commit("tip")
    source = TrackerSource(tracker, ())
    asked = Request(("sleep",), base, tip, changes=(Change("A", (stray,)), Change("B", (tip,))))
    with pytest.raises(TaskError, match=f"commit {stray[:12]} is on no tag and on no allowed branch"):
        plan_for(asked, source)

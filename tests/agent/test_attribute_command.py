"""What `paceline attribute` says of a job whose runs are known, and which plan it makes of a range.

A takes 2 s to 1 s of training, B nothing; a run takes 8 s and its training, so does `made_job` say.
"""

import json
import re
from pathlib import Path

import pytest

from agent.attribute_command import (
    MOST_CHANGES,
    Range,
    attributed,
    attribution_text,
    planned_for,
)
from agent.errors import TaskError
from agent.repository import Repository
from agent.result import result_of
from bench.attribute import NotMeasured, attribution_arms
from bench.plan import Change
from tests.agent.made_job import events_of, made_plan, made_raw, write_job
from tests.bench.raw_run import lines_of, owner_record
from tests.e2e.conftest import git, make_repository

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "attribution.md"
CHANGES = (Change("A", ("a" * 40,)), Change("B", ("b" * 40,)))
PLAN = made_plan(arms=attribution_arms("0" * 40, CHANGES), changes=CHANGES, criteria=())
TRAIN_S = {"baseline": 2.0, "+A": 1.0, "optimized": 1.0, "without-A": 2.0}
WHY = "does not revert cleanly: commit aaaaaaaaaaaa"


def raw(arm: str, replicate: int):
    train_s = TRAIN_S[arm] * (1 + 0.01 * (replicate - 2))
    return made_raw(
        arm,
        replicate,
        events=lines_of(events_of(train_s, replicate)),
        owner=owner_record(end=18.0 + train_s),
        record={"wall_s": 8.5 + train_s},
    )


@pytest.fixture
def job(tmp_path) -> Path:
    raws = {(arm.name, number): raw(arm.name, number) for arm in PLAN.arms for number in (1, 2, 3)}
    return write_job(tmp_path / "job", PLAN, raws)


def test_the_page_has_a_row_a_change_with_its_interval(job):
    """200 tokens in 1.5 + 1 + 2 s, then in 1.5 + 1 + 1 s: a ratio of 4.5 / 3.5 = 1.2857."""
    page = attribution_text(result_of(job), as_json=False)
    [row] = [line for line in page.splitlines() if line.startswith("| A ")]
    assert row.count("1.2857 [") == 2
    assert "## sft: tokens/s of the job (higher is better)" in page
    assert "- without-A: commit `" + "b" * 40 + "`, without `aaaaaaaaaaaa`\n" in page
    assert "- +A: commit `" + "a" * 40 + "`\n" in page


def test_what_the_worker_could_not_make_is_told_from_the_folder(job):
    (job / "runs" / "not_measured.json").write_text(json.dumps({"without-A": WHY}))
    [found] = attributed(result_of(job))
    assert found.contributions[0].without == NotMeasured(f"without-A: {WHY}")
    text = attribution_text(result_of(job), as_json=False)
    assert f"NOT MEASURED: without-A: {WHY}" in text.replace("`", "")


def test_the_document_is_json_with_the_fields_that_are_documented(job):
    (job / "runs" / "not_measured.json").write_text(json.dumps({"without-A": WHY}))
    document = json.loads(attribution_text(result_of(job), as_json=True))
    assert document["arms"]["without-A"] == {"commit": "b" * 40, "reverts": ["a" * 40]}
    [found] = document["attributions"]
    assert found["contributions"][0]["without"] == {"why": f"without-A: {WHY}"}
    assert found["contributions"][0]["ladder"]["ratio"] == pytest.approx(4.5 / 3.5, rel=1e-3)
    text = DOCUMENT.read_text() + (DOCUMENT.parent / "json.md").read_text()
    named = {*document, *found, *found["contributions"][0], *found["contributions"][0]["ladder"]}
    assert {name for name in named if f"`{name}`" not in text} == set()


def test_a_job_that_attributes_nothing_says_so(tmp_path):
    folder = write_job(tmp_path / "job")
    with pytest.raises(TaskError, match="its plan names no changes; see `paceline report`"):
        attribution_text(result_of(folder), as_json=False)


CONFIG = '[recipe.r]\nrun = ["{python}", "-c", "pass"]\n'


def ranged(folder: Path, *subjects: str) -> Repository:
    repo = make_repository(folder / "target", {"paceline.toml": CONFIG})
    git(repo, "tag", "v0")
    for subject in subjects:
        git(repo, "commit", "--quiet", "--allow-empty", "--message", subject)
    return Repository(repo, is_bare=False)


def plan_of(repository: Repository):
    return planned_for(Range(("r",), "v0", "main", replicates=4), repository).plan


def test_a_range_becomes_a_plan_with_its_changes(tmp_path):
    repository = ranged(tmp_path, "D: one", "D: more of it", "[E] two")
    plan = plan_of(repository)
    ids = [git(repository.root, "rev-parse", name) for name in ("main~2", "main~1", "main")]
    assert plan.changes == (Change("D", (ids[0], ids[1])), Change("E", (ids[2],)))
    assert [arm.name for arm in plan.arms] == ["baseline", "optimized", "+D", "without-D"]
    assert (plan.replicates, plan.looks) == (4, ())


def test_one_change_is_left_to_bench(tmp_path):
    with pytest.raises(TaskError, match="'D' is the only change of this range: `paceline bench`"):
        plan_of(ranged(tmp_path, "D: one", "D: more of it"))


def test_more_changes_than_arms_allow_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(
        TaskError, match=rf"{MOST_CHANGES + 1} changes: at most {MOST_CHANGES}, each"
    ) as caught:
        plan_of(ranged(tmp_path, *(str(number) for number in range(MOST_CHANGES + 1))))
    assert re.search("`Change: NAME` trailer", str(caught.value))


def test_as_many_changes_as_arms_allow_are_planned(tmp_path):
    plan = plan_of(ranged(tmp_path, *(str(number) for number in range(MOST_CHANGES))))
    assert len(plan.arms) == 2 * MOST_CHANGES

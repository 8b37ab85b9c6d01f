"""When a running job is told that it is enough."""

import shutil

import pytest

from agent.early import Early, look_at, whole_replicates
from bench.plan import Arm, Criterion
from pods.paths import JobPaths
from tests.agent.made_job import ARMS, made_plan, made_raw, write, write_job
from tests.bench.test_spoiled import CROWDED

AUTO = made_plan(replicates=12, looks=(3, 5, 8, 12))


@pytest.fixture
def running(tmp_path):
    """A job in its sixth replicate: five of either arm are there."""
    write_job(tmp_path / "job", AUTO)
    paths = JobPaths(tmp_path / "job")
    paths.exit.unlink()
    keep(paths, 5)
    return paths


def keep(paths, replicates):
    for folder in (paths.runs / "sft").iterdir():
        if int(folder.name) > replicates:
            shutil.rmtree(folder)


@pytest.mark.parametrize(("replicates", "look"), [(0, 0), (2, 0), (3, 3), (4, 3), (5, 5), (11, 8), (12, 12)])
def test_the_last_look_that_has_come_counts(replicates, look):
    assert look_at((3, 5, 8, 12), replicates) == look


def test_a_replicate_counts_when_all_its_runs_have_ended(running):
    assert whole_replicates(AUTO, running.runs) == 5
    shutil.rmtree(running.runs / "sft" / "5" / "optimized")
    assert whole_replicates(AUTO, running.runs) == 4
    shutil.rmtree(running.runs / "sft" / "1" / "baseline")
    assert whole_replicates(AUTO, running.runs) == 0


def test_an_arm_that_could_not_be_made_is_not_waited_for(running):
    for folder in running.runs.glob("sft/*/optimized"):
        shutil.rmtree(folder)
    assert whole_replicates(AUTO, running.runs) == 0
    write(running.runs / "not_measured.json", {"optimized": "does not revert"})
    assert whole_replicates(AUTO, running.runs) == 5


def test_a_round_that_may_be_made_again_is_not_looked_at(running):
    folder = running.runs / "sft" / "5" / "baseline"
    made_raw("baseline", 5, gpu=CROWDED).write(folder)
    early = Early()
    assert not early.is_due(running)
    folder.rename(folder.with_name("baseline~1"))
    made_raw("baseline", 5).write(folder)
    assert early.is_due(running)


def test_an_unmade_arm_does_not_keep_a_job_from_being_enough(tmp_path):
    plan = made_plan(arms=(*ARMS, Arm("third", "c" * 40)), replicates=12, looks=AUTO.looks)
    paths = JobPaths(write_job(tmp_path / "job", plan))
    paths.exit.unlink()
    keep(paths, 5)
    for folder in paths.runs.glob("sft/*/third"):
        shutil.rmtree(folder)
    assert not Early().is_due(paths)
    write(paths.runs / "not_measured.json", {"third": "does not revert"})
    assert Early().is_due(paths)


def test_a_job_whose_runs_decide_is_told_once_at_a_look(running):
    early = Early()
    assert early.is_due(running)
    assert not early.is_due(running), "the same look is not computed twice"
    assert Early().is_due(running), "an agent that was started again looks anew"
    running.enough.touch()
    assert not Early().is_due(running)


def test_before_the_first_look_nobody_is_told(running):
    keep(running, 2)
    assert not Early().is_due(running)


def test_a_plan_with_a_fixed_number_of_replicates_is_never_ended_early(tmp_path):
    write_job(tmp_path / "job", made_plan(replicates=5))
    assert not Early().is_due(JobPaths(tmp_path / "job"))


def test_at_the_cap_there_is_nothing_to_tell(tmp_path):
    write_job(tmp_path / "job", AUTO)
    assert not Early().is_due(JobPaths(tmp_path / "job"))


def test_a_job_that_does_not_decide_goes_on(running):

    # 44.4 against 57.1 tokens/s is a ratio of 1.2857: on either side of the target by noise alone.
    close = Criterion("sft:job_tokens_per_s>=1.2857", "sft", "job_tokens_per_s", ">=", 1.2857, "optimized")
    plan = made_plan(replicates=12, looks=(3, 5, 8, 12), criteria=(close,))
    write(running.plan, plan.to_dict())
    write(running.job, {"schema": 1, "plan": plan.hash})
    assert not Early().is_due(running)

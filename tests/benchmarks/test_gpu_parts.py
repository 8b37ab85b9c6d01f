"""What fits into the seconds that are left: first fewer replicates, then fewer parts.

With 10 s for a run of either recipe all six parts are 4 + 2 + 3 runs a replicate: 90 s, and the margin. Three
replicates and the runs that fill the caches are four rounds.
"""

from gpu_parts import ABBA, DEFAULT, LOCKSTEP, MARGIN, PARTS, WARMING, Part, next_job

RUN_S = {"sft": 10.0, "dpo": 10.0}
EVERYTHING_S = 90.0 * MARGIN


def made(left_s, left=PARTS, run_s=RUN_S, most=6, fewest=3):
    return next_job(left, left_s, run_s, most, fewest)


def schedule(left_s):
    """The jobs that are made one after the other where each takes as long as was thought."""
    left, jobs = list(PARTS), []
    while job := made(left_s, left):
        jobs.append(([part.key for part in job.parts], job.replicates))
        left = [part for part in left if part not in job.parts]
        left_s -= 10.0 * MARGIN * (WARMING + job.replicates) * (1 + len(job.parts))
    return jobs


def test_the_agreement_comes_first_then_a_a_of_both_recipes_packing_and_the_reference():
    assert [part.key for part in PARTS] == [
        "sft/lockstep/kept",
        "sft/abba/kept",
        "sft/lockstep/default",
        "dpo/lockstep/default",
        "sft/lockstep/packed",
        "dpo/lockstep/precomputed",
    ]


def test_the_agreement_is_of_the_same_arms():
    assert (LOCKSTEP.recipe, LOCKSTEP.change) == (ABBA.recipe, ABBA.change)


def test_parts_of_one_recipe_and_engine_share_a_job():
    assert schedule(4 * EVERYTHING_S) == [
        (["sft/lockstep/kept", "sft/lockstep/default", "sft/lockstep/packed"], 3),
        (["sft/abba/kept"], 3),
        (["dpo/lockstep/default", "dpo/lockstep/precomputed"], 3),
    ]


def test_time_that_is_over_makes_more_replicates():
    assert made(5.9 * EVERYTHING_S).replicates == 4
    assert made(50 * EVERYTHING_S).replicates == 6


def test_the_least_important_part_is_left_out_before_replicates_fall_under_three():
    jobs = schedule(4 * EVERYTHING_S - 1)
    assert [part for parts, _ in jobs for part in parts] == [
        "sft/lockstep/kept",
        "sft/lockstep/default",
        "sft/lockstep/packed",
        "sft/abba/kept",
        "dpo/lockstep/default",
    ]
    assert min(replicates for _, replicates in jobs) == 3


def test_with_time_for_the_agreement_alone_nothing_else_is_measured():
    assert schedule(4 * 40 * MARGIN) == [(["sft/lockstep/kept"], 3), (["sft/abba/kept"], 3)]


def test_nothing_is_measured_where_three_replicates_of_no_part_fit():
    assert made(4 * 20 * MARGIN - 1) is None
    assert made(0.0, fewest=1) is None
    assert made(1000.0, left=()) is None


def test_a_part_that_is_too_long_does_not_hold_back_a_shorter_one_behind_it():
    long = Part(2, "A/A", "dpo", "lockstep", DEFAULT)
    job = made(4 * 20 * MARGIN, left=(long, LOCKSTEP), run_s={"sft": 10.0, "dpo": 100.0})
    assert job.parts == (LOCKSTEP,)


def test_no_more_replicates_are_made_than_were_asked_for():
    assert made(50 * EVERYTHING_S, most=1, fewest=1).replicates == 1

"""`paceline plan`: replicates, time, price and smallest effects from stored noise; what it says without."""

from dataclasses import replace

import pytest

from agent.errors import TaskError
from agent.floors import Known
from agent.plan_command import PlanRequest, Wanted, plan_text, wanted_of
from bench.noise import Noise
from bench.plan import Arm
from tests.agent.made_job import SFT, made_plan

PLAN = made_plan(arms=(Arm("baseline", "a" * 40), Arm("again", "a" * 40)), criteria=())
# Spread sqrt(6 * 0.0004 / 5) = 0.0219089 (2.22 %), floor 2.570582 * 0.0219089 / sqrt(6) = 0.0229920 (2.33 %).
NOISE = Noise("sft", "lockstep", "e", {"job_tokens_per_s": (0.02, -0.02) * 3}, 6, 115.0, 5.0, "2026-11-17")


def text(effect=0.05, power=0.9, price=None, known=None, plan=PLAN) -> str:
    return plan_text(plan, known or Known((NOISE,), {}), Wanted(effect, power, price))


def row(said: str, first: str) -> list[str]:
    [line] = [line for line in said.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_the_noise_that_it_rests_on_is_named():
    assert text().splitlines()[2] == (
        "From 6 A/A replicates on this machine (lockstep, the oldest of 2026-11-17): spread of a replicate"
        " 2.22 %, A/A floor 2.33 %; a change beyond 2.33 % can be proven."
    )


def test_replicates_time_hours_and_price_of_an_effect():
    # log 1.05 lies 0.025798 beyond the threshold. 9 replicates ask for 3.71244 * 0.0219089 / 3 = 0.027112, 10
    # for 3.65106 * 0.0219089 / sqrt(10) = 0.025295. Each takes two runs of 120 s.
    said = text(price=3.0)
    assert row(said, "fixed beforehand (--replicates 10)") == ["10", "40 min 00 s", "0.667", "2.00"]
    assert row(said, "auto, at its cap") == ["12", "48 min 00 s", "0.800", "2.40"]


def test_without_a_price_there_is_none():
    assert "price" not in text()


def test_the_smallest_effects_are_those_that_show_with_that_power():
    # 0.022992 + 6.79561 * 0.0219089 / sqrt(3) = 0.108951; with 12.39559, at a look of auto, 0.179786.
    assert row(text(), "3") == ["11.5 %", "19.7 %", "12 min 00 s", "0.200"]


def test_less_power_needs_fewer_replicates():
    assert "--replicates 7)" in text(power=0.7)


def test_auto_says_by_which_look_the_effect_has_shown():
    assert "auto has shown it by its look at 5 replicates with that power." in text(effect=0.1)
    assert "auto stops at 12 replicates, with a chance of about 86 % to have shown it." in text()


def test_an_effect_within_the_floor_is_never_shown():
    said = text(effect=0.02)
    assert "An effect of 2 % lies within what can be proven: no number of replicates would show it." in said
    assert "Smallest effect that would show" in said


def test_an_effect_just_beyond_the_floor_takes_too_many():
    assert "More than 100 replicates would be needed for that power." in text(effect=0.025)


def test_too_few_stored_replicates_give_a_plan_and_say_that_the_floor_is_unknown():
    few = replace(NOISE, effects={"job_tokens_per_s": (0.02, -0.02)}, replicates=2)
    said = text(known=Known((few,), {}))
    assert "A/A floor unknown; a change beyond 1 % can be proven." in said
    assert "The floor needs 4 more replicates: `paceline noise sft` adds them." in said


def test_without_noise_it_says_so_first_and_then_what_holds_for_any():
    said = text(known=Known((), {"sft": 0}))
    assert said.splitlines()[2] == (
        "No noise of it is stored for this machine: run `paceline noise sft` first."
    )
    # At a spread of 2 % (0.0198 log ratio) 5 replicates detect 0.00995 + 4.39586 * 0.0198 / sqrt(5) = 0.0489,
    # just over log 1.05 = 0.0488.
    assert row(said, "2 %") == ["6", "8"]
    assert row(said, "10 %")[1] == "over 12"
    assert said.endswith("A replicate takes at most 31 min 00 s, by the recipe's limit of a run.\n")


def test_noise_without_the_primary_metric_says_which_it_has():
    bare = replace(NOISE, effects={"end_to_end_s": (0.01,) * 6})
    assert text(known=Known((bare,), {})).splitlines()[2] == (
        "The 6 stored A/A replicates have no tokens/s of the job: make one of these the recipe's primary:"
        " end_to_end_s."
    )
    assert "have no tokens/s of the job: they have no figure." in text(
        known=Known((replace(NOISE, effects={}),), {})
    )


def test_noise_of_another_harness_is_said_not_to_count():
    assert "first. The 6 replicates of another version of the harness do not count.\n" in text(
        known=Known((), {"sft": 6})
    )


def test_the_parameters_are_part_of_what_to_run_first():
    arms = tuple(replace(arm, params={"packing": True, "rows": 8}) for arm in PLAN.arms)
    recipe = replace(SFT, params={"packing": False, "rows": 200})
    said = text(known=Known((), {}), plan=replace(PLAN, arms=arms, recipes=(recipe,)))
    assert "`paceline noise sft --param packing=true --param rows=8`" in said


def test_warnings_stand_first():
    assert text(known=Known((NOISE,), {}, ("noise file 'x' is passed over: half",))).startswith(
        "warning: noise file 'x' is passed over: half\n"
    )


@pytest.mark.parametrize(
    ("said", "effect"), [("5%", 0.05), ("+ 5 %", None), ("+2.5 %", 0.025), (" 200% ", 2.0)]
)
def test_an_effect_is_a_gain_in_percent(said, effect):
    request = PlanRequest(["sft"], said)
    if effect is None:
        with pytest.raises(TaskError):
            wanted_of(request)
    else:
        assert wanted_of(request) == Wanted(pytest.approx(effect))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"effect": "1.05"}, "--effect '1.05' is no gain in percent: write 5%"),
        ({"effect": "-5%"}, "no gain"),
        ({"effect": "0%"}, "no gain"),
        ({"power": 1.0}, "--power 1 is not between 0 and 1"),
        ({"power": float("nan")}, "--power nan"),
        ({"price": -1.0}, "--price -1 is no price"),
        ({"price": float("inf")}, "--price inf"),
    ],
)
def test_what_nobody_can_plan_for_is_refused(change, why):
    with pytest.raises(TaskError, match=why):
        wanted_of(PlanRequest(**{"recipes": ["sft"], "effect": "5%", **change}))

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.parity import parity
from bench.plan import Arm
from bench.run import Choice, Eval
from bench.sample import Pair
from tests.bench.made_runs import DPO, SFT, lost, made_run, without_trainer

BASELINE, OPTIMIZED = Arm("baseline", "a" * 40), Arm("optimized", "b" * 40)
LN_2 = math.log(2)


def judged(pairs, recipe=SFT, arm=OPTIMIZED, band=0.02):
    return parity(recipe, BASELINE, arm, pairs, band)


def held_out(*losses, before=4.0, **changes):
    """Pairs with the given (baseline, arm) held-out losses."""
    return [
        Pair(
            number,
            made_run("baseline", number, eval=Eval(one, 8, 800, before)),
            made_run("optimized", number, eval=Eval(other, 8, 800, before), **changes),
        )
        for number, (one, other) in enumerate(losses, start=1)
    ]


def with_arm(**changes):
    return [Pair(r, made_run("baseline", r), made_run("optimized", r, **changes)) for r in (1, 2, 3)]


def test_the_same_losses_are_equivalent_with_no_width():
    found = judged(with_arm())
    assert (found.state, found.ratio, found.low, found.high) == ("equivalent", 1.0, 1.0, 1.0)
    assert found.reasons == ("held-out losses equal in every pair",)


def test_losses_within_the_band_are_equivalent():
    # Differences 0.01, 0.012, 0.008 of a mean of 2.0: 0.5 % +- 2.92 * 0.1 % / sqrt(3) = [0.33, 0.67] %.
    found = judged(held_out((2.0, 2.01), (2.01, 2.022), (1.99, 1.998)))
    assert found.state == "equivalent"
    assert (found.low, found.high) == pytest.approx((1.00331, 1.00669), abs=1e-5)
    assert found.confidence == 0.90


def test_losses_wholly_outside_the_band_are_not_equivalent():
    found = judged(held_out((2.0, 2.1), (2.01, 2.112), (1.99, 2.088)))
    assert found.state == "not equivalent" and "wholly outside" in found.reasons[0]


def test_a_loss_of_plus_73_7_percent_is_not_equivalent():
    assert judged(held_out((2.0, 3.474), (2.01, 3.49), (1.99, 3.46))).state == "not equivalent"


def test_a_loss_wholly_below_the_band_is_not_equivalent_either():
    assert judged(held_out((2.0, 1.8), (2.01, 1.808), (1.99, 1.792))).state == "not equivalent"


def test_an_interval_across_the_edge_is_undecided():
    assert judged(held_out((2.0, 2.04), (2.01, 2.02), (1.99, 2.07))).state == "undecided"


def test_the_band_is_never_wider_than_a_quarter_of_what_the_baseline_learns():
    # It learns 0.08 nat of 2.0: a quarter is 0.02 nat, 1 %. A difference of 1.5 % is inside 2 %, outside 1 %.
    losses = [(2.0, 2.03), (2.001, 2.0311), (1.999, 2.0289)]
    assert judged(held_out(*losses, before=2.08)).band == pytest.approx(0.01)
    assert judged(held_out(*losses, before=2.08)).state == "not equivalent"
    assert judged(held_out(*losses, before=4.0)).state == "equivalent"


def test_a_baseline_that_learns_less_than_its_seeds_differ_leaves_it_undecided():
    found = judged(held_out((2.0, 2.0), (2.1, 2.1), (1.9, 1.9), before=2.05))
    assert found.state == "undecided" and "seeds differ by 0.1000" in found.reasons[0]


def test_what_is_learned_must_be_known():
    found = judged(held_out((2.0, 2.01), (2.01, 2.022), (1.99, 1.998), before=None))
    assert found.state == "undecided" and "not known" in found.reasons[0]


def test_losses_equal_to_the_bit_need_no_band():
    found = judged(held_out((2.0, 2.0), (2.1, 2.1), (1.9, 1.9), before=None))
    assert found.state == "equivalent" and found.warnings


def test_without_a_seed_it_is_undecided_however_equal():
    unseeded = replace(SFT, run=("{python}", "train.py"))
    assert judged(with_arm(), recipe=unseeded).state == "undecided"


def test_fewer_than_three_pairs_are_undecided():
    assert judged(with_arm()[:2]).state == "undecided"


def test_without_eval_rows_it_is_not_measured():
    found = judged(with_none(), recipe=replace(SFT, eval=None))
    assert (found.state, found.reasons) == ("not measured", ("recipe has no eval rows",))


def with_none():
    return [
        Pair(r, made_run("baseline", r, eval=None), made_run("optimized", r, eval=None)) for r in (1, 2, 3)
    ]


def test_without_a_trainer_it_is_not_measured():
    pairs = [
        Pair(r, without_trainer(made_run("baseline", r)), without_trainer(made_run("optimized", r)))
        for r in (1, 2, 3)
    ]
    assert judged(pairs).state == "not measured"


def test_without_a_valid_pair_it_is_not_measured():
    assert judged([Pair(1, made_run(), lost(made_run("optimized")))]).state == "not measured"


def test_an_evaluation_that_failed_in_one_arm_is_no_choice_of_the_others():
    pairs = [*with_arm(), Pair(4, made_run(replicate=4), made_run("optimized", 4, eval=None))]
    assert judged(pairs).state == "undecided"


def test_a_held_out_loss_that_is_not_a_number_is_not_equivalent():
    assert judged(held_out((2.0, 2.0), (2.1, math.nan), (1.9, 1.9))).state == "not equivalent"


def test_other_held_out_rows_decide_nothing():
    assert judged(with_arm(eval=Eval(2.0, 7, 700, 4.0))).state == "undecided"


@pytest.mark.parametrize("name", ["rows", "tokens", "supervised_tokens"])
def test_work_that_differs_by_one_is_not_equivalent(name):
    found = judged(with_arm(**{name: getattr(made_run(), name) - 1}))
    assert found.state == "not equivalent" and "differ undeclared" in found.reasons[0]


def test_work_that_differs_in_a_single_replicate_is_enough():
    pairs = [*with_arm()[:2], Pair(3, made_run(replicate=3), made_run("optimized", 3, tokens=6_399))]
    assert "1 of 3 pairs" in judged(pairs).reasons[0]


def test_other_rows_are_allowed_where_the_arm_declares_them():
    arm = replace(OPTIMIZED, params={"rows": 32})
    assert judged(with_arm(rows=32), arm=arm).state == "equivalent"


def test_an_override_that_changes_nothing_declares_nothing():
    arm = replace(OPTIMIZED, params={"rows": 64})
    assert judged(with_arm(rows=32), arm=arm).state == "not equivalent"


def test_steps_and_padding_may_differ():
    assert judged(with_arm(steps=4, padded_tokens=6_400)).state == "equivalent"


def test_rows_that_nobody_knows_are_not_known_to_be_equal():
    found = judged(with_arm(rows=None))
    assert (found.state, found.reasons) == ("undecided", ("rows not known",))


def test_supervised_tokens_may_be_unknown():
    assert judged(with_arm(supervised_tokens=None)).state == "equivalent"


def test_another_first_loss_on_the_same_first_batch_is_not_equivalent():
    found = judged(with_arm(losses=(5.01, 4.0)))  # 0.2 % of 5.0
    assert found.state == "not equivalent" and "same first batch" in found.reasons[0]


def test_a_first_loss_within_the_tolerance_is_the_same():
    assert judged(with_arm(losses=(5.004, 4.0))).state == "equivalent"


def test_half_precision_gets_its_own_tolerance():
    assert (
        judged(with_arm(losses=(5.05, 4.0), choices=(Choice("bf16", "True", "True"),))).state == "equivalent"
    )


def test_first_losses_of_other_first_batches_are_not_compared():
    assert judged(with_arm(losses=(6.0, 4.0), batch_digests=("packed",))).state == "equivalent"


def test_first_losses_are_not_compared_where_no_batch_is_known():
    pairs = [
        Pair(
            r,
            made_run("baseline", r, batch_digests=()),
            made_run("optimized", r, batch_digests=(), losses=(9.0,)),
        )
        for r in (1, 2, 3)
    ]
    assert judged(pairs).state == "equivalent"


def dpo(first, loss=0.5, **changes):
    return [
        Pair(
            r,
            made_run(
                "baseline", r, recipe="dpo", is_dpo=True, losses=(LN_2,), eval=Eval(loss + 0.001 * r, 8, 800)
            ),
            made_run(
                "optimized",
                r,
                recipe="dpo",
                is_dpo=True,
                losses=(first,),
                eval=Eval(loss + 0.001 * r, 8, 800),
                **changes,
            ),
        )
        for r in (1, 2, 3)
    ]


def test_dpo_knows_its_loss_before_training():
    found = judged(dpo(LN_2), recipe=DPO)
    assert found.state == "equivalent" and found.learned == pytest.approx(LN_2 - 0.502)


def test_dpo_that_does_not_start_at_the_reference_is_a_warning():
    assert "not ln 2" in judged(dpo(0.75, batch_digests=("other",)), recipe=DPO).warnings[0]
    assert judged(dpo(LN_2 + 5e-4), recipe=DPO).warnings == ()


def test_other_dpo_losses_start_elsewhere():
    ipo = (Choice("loss_type", "['ipo']", "['ipo']"),)
    assert judged(dpo(25.0, batch_digests=("other",), choices=ipo), recipe=DPO).warnings == ()


def test_a_broken_gate_is_named_beside_a_loss_out_of_band():
    pairs = held_out((2.0, 2.1), (2.01, 2.112), (1.99, 2.088), rows=63)
    assert len(judged(pairs).reasons) == 2


@given(st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=8), st.floats(0.001, 0.2), st.floats(0.001, 0.2))
@settings(max_examples=60, deadline=None)
def test_a_wider_band_never_turns_equivalent_into_anything_else(shares, one, other):
    losses = [(2.0 + 0.001 * (k % 2), 2.0 * (1 + share)) for k, share in enumerate(shares)]
    narrow, wide = (judged(held_out(*losses), band=band).state for band in sorted((one, other)))
    assert narrow != "equivalent" or wide == "equivalent"
    assert wide != "not equivalent" or narrow == "not equivalent"

"""The figures of the parts, from made jobs (see `made_job`): a baseline trains 2 s a run, the other arm 1 s.

Steady, 100 of the 200 tokens: 100 / 2 against 100 / 1 in the first replicate, a ratio of 2.
"""

import math
from statistics import fmean, stdev

import pytest
from gpu_table import agreement_of, difference, replayed, table
from scipy.special import stdtrit
from scipy.stats import ttest_ind

from bench.noise import floor_of
from bench.plan import Arm
from tests.agent.made_job import ARMS, made_plan, made_raw, store_result, write_job

AGAIN = Arm("again", "a" * 40)
LOCKSTEP = {
    "folder": "1-sft-lockstep",
    "recipe": "sft",
    "engine": "lockstep",
    "arms": {"sft/lockstep/kept": "optimized", "sft/lockstep/default": "again"},
    "seconds": 61.4,
    "status": 0,
}
ABBA = {**LOCKSTEP, "folder": "2-sft-abba", "engine": "abba", "arms": {"sft/abba/kept": "optimized"}}


def write_corpus(folder, replicates=3, again="baseline"):
    """The same runs twice: once as a lockstep job with an A/A arm, once as an ABBA job.

    `again` is the arm whose runs those of the A/A arm are like.
    """
    fields = {"replicates": replicates}
    plans = {
        "lockstep": made_plan(arms=(*ARMS, AGAIN), **fields),
        "abba": made_plan(engine="abba", **fields),
    }
    for job in (LOCKSTEP, ABBA):
        raws = {
            (arm.name, number): made_raw(
                again if arm is AGAIN else arm.name,
                number,
                record={"engine": job["engine"], "arm": arm.name},
            )
            for arm in plans[job["engine"]].arms
            for number in range(1, replicates + 1)
        }
        store_result(write_job(folder / job["folder"], plan=plans[job["engine"]], raws=raws))
    return [LOCKSTEP, ABBA]


@pytest.fixture
def corpus(tmp_path):
    return replayed(tmp_path, write_corpus(tmp_path))


def summary(parts, **changes):
    made = {
        "date": "2026-11-20",
        "device": "NVIDIA H200",
        "driver": "580.159",
        "versions": {"torch": "2.13.0"},
        "shape": "7b",
        "took_s": 512.3,
        "budget_s": 540.0,
        "jobs": [LOCKSTEP, ABBA],
        "parts": parts,
        "agreement": agreement_of(parts),
        "not_run": {"sft/lockstep/packed": "no time was left"},
    }
    return {**made, **changes}


def line(text, start):
    [found] = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_part_has_the_ratio_to_the_baseline_and_its_spread_over_replicates(corpus):
    steady = corpus["sft/lockstep/kept"]["metrics"]["tokens_per_s"]
    effects = [math.log(2.0), math.log(2.02 / 1.02), math.log(1.98 / 0.99)]
    assert steady["ratio"] == pytest.approx(math.exp(sum(effects) / 3))
    assert steady["spread"] == pytest.approx(stdev(effects))
    assert steady["n"] == 3
    assert steady["low"] < steady["ratio"] < steady["high"]
    assert (steady["baseline_value"], steady["arm_value"]) == pytest.approx((50.0, 99.67), rel=1e-3)


def test_a_part_says_by_which_engine_it_was_really_run(corpus):
    assert corpus["sft/lockstep/kept"]["ran_as"] == "lockstep"
    assert corpus["sft/abba/kept"]["ran_as"] == "abba"


def test_the_parts_come_in_the_order_of_their_importance(corpus):
    assert list(corpus) == ["sft/lockstep/kept", "sft/abba/kept", "sft/lockstep/default"]


def test_three_replicates_of_an_a_a_part_give_no_floor(corpus):
    metric = corpus["sft/lockstep/default"]["metrics"]["tokens_per_s"]
    assert (metric["ratio"], metric["floor"]) == (pytest.approx(1.0), None)
    cells = line(table(summary(corpus)), "| 2 | sft: A/A")
    assert cells[4] == "1.00, floor unknown (3 of 6)"


def test_from_six_replicates_on_the_floor_is_what_noise_would_store(tmp_path):
    parts = replayed(tmp_path, write_corpus(tmp_path, replicates=6, again="optimized"))
    found = parts["sft/lockstep/default"]["metrics"]["tokens_per_s"]["floor"]
    effects = 2 * [math.log(2.0), math.log(2.02 / 1.02), math.log(1.98 / 0.99)]
    assert found == pytest.approx(floor_of(effects))
    assert line(table(summary(parts)), "| 2 | sft: A/A")[4].endswith(", floor 100 %")
    assert parts["sft/lockstep/kept"]["metrics"]["tokens_per_s"]["floor"] is None


def test_the_same_runs_by_both_engines_agree_to_the_digit(corpus):
    found = agreement_of(corpus)["tokens_per_s"]
    assert (found["difference"], found["n"]) == (0.0, [3, 3])
    assert found["low"] < 0.0 < found["high"]


def test_there_is_no_agreement_where_lockstep_had_to_be_left(corpus):
    corpus["sft/lockstep/kept"]["ran_as"] = "abba"
    assert agreement_of(corpus) is None
    assert "not known" in table(summary(corpus))


def test_there_is_no_agreement_without_the_other_engine(corpus):
    del corpus["sft/abba/kept"]
    assert agreement_of(corpus) is None


def test_the_difference_is_lockstep_less_abba_with_welchs_interval():
    # Variances 1 and 20/3 over 3 and 4 values: the standard error is the root of 1/3 + 5/3.
    # Degrees of freedom: 2**2 / ((1/3)**2 / 2 + (5/3)**2 / 3) = 216 / 53.
    ours, theirs = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0, 8.0]
    found = difference(compared(ours), compared(theirs))
    half = float(stdtrit(216 / 53, 0.975)) * math.sqrt(2.0)
    assert found["difference"] == pytest.approx(-3.0)
    assert (found["low"], found["high"]) == pytest.approx((-3.0 - half, -3.0 + half))
    reference = ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx(tuple(reference))
    assert found["n"] == [3, 4]


def test_one_replicate_has_a_difference_and_no_interval():
    found = difference(compared([0.1]), compared([0.2, 0.4]))
    assert (found["difference"], found["low"], found["high"]) == (pytest.approx(-0.2), None, None)


def test_equal_effects_have_an_interval_without_width():
    found = difference(compared([0.3, 0.3]), compared([0.1, 0.1, 0.1]))
    assert found["low"] == found["high"] == found["difference"] == pytest.approx(0.2)


def compared(effects):
    """A comparison's figures of these log ratios."""
    spread = stdev(effects) if len(effects) > 1 else None
    return {"ratio": math.exp(fmean(effects)), "n": len(effects), "spread": spread}


def test_the_table_says_machine_seconds_and_budget_first(corpus):
    head = table(summary(corpus)).splitlines()[0]
    assert head == "2026-11-20, NVIDIA H200, driver 580.159, torch 2.13.0; shape `7b`, 512 of 540 s."


def test_the_table_has_a_line_for_each_part_and_one_for_the_agreement(corpus):
    text = table(summary(corpus))
    assert line(text, "| 1 | sft: keep the activations | lockstep")[3:5] == ["3", "1.993 [1.965, 2.022]"]
    assert line(text, "| 1 | sft: keep the activations | lockstep")[-1] == "61 (`1-sft-lockstep`)"
    assert line(text, "| 1 | sft: agreement")[3] == "3 + 3"
    assert line(text, "| 3 | sft: packing")[4:] == ["not run", "not run", "not run", "-"]
    assert "`sft/lockstep/packed` was not run: no time was left." in text


def test_the_agreement_is_printed_as_a_change_with_its_interval(corpus):
    found = {"difference": math.log(1.004), "low": math.log(0.991), "high": math.log(1.017), "n": [3, 4]}
    text = table(summary(corpus, agreement={"tokens_per_s": found}))
    assert line(text, "| 1 | sft: agreement")[3:6] == ["3 + 4", "+0.4 % [-0.9 %, +1.7 %]", "-"]


def test_a_job_that_was_broken_off_is_named(corpus):
    text = table(summary(corpus, jobs=[LOCKSTEP, {**ABBA, "status": 130}]))
    assert "`2-sft-abba` was broken off, its exit status was 130." in text
    assert "`1-sft-lockstep` was broken off" not in text


def test_a_run_that_crashed_is_named_and_its_pair_does_not_count(tmp_path):
    jobs = write_corpus(tmp_path)
    crashed = tmp_path / "2-sft-abba" / "runs" / "sft" / "2" / "optimized"
    raw = made_raw("optimized", 2, events="", log="RuntimeError: no\n")
    raw.owner["status"] = 1
    raw.write(crashed)
    (crashed / "events.jsonl").unlink()
    parts = replayed(tmp_path, jobs)
    assert parts["sft/abba/kept"]["metrics"]["tokens_per_s"]["n"] == 2
    assert "`sft/abba/kept`: baseline: ok 3; optimized: ok 2, crashed 1." in table(summary(parts))

"""The table of `noise.py` on a small made pool: effects, the sequential rule, rates, what is told by hand."""

import math
import re
from pathlib import Path

import pytest
from noise_pool import read_lines, read_machine
from noise_table import (
    LOOKS,
    POOLS,
    by_hand,
    effects,
    is_proven,
    is_slower,
    rate,
    replicates_for,
    rows_of,
    seconds_of_a_pair,
    sequential,
    table,
)

ROOT = Path(__file__).parents[2]
QUIET = {"waiting_threads": 0.0, "foreign_cpus": 0.0, "stolen_cpus": 0.0}
PUSHED = {"waiting_threads": 1.0, "foreign_cpus": 1.0, "stolen_cpus": 0.0}


def line(arm="baseline", train_s=8.0, number=1, replicate=1, setting="lockstep", loads=(), **changes):
    """A run of 10 s and two steps: 1,100 tokens, 1,000 of them in the 8 s after the first step (1 s)."""
    windows = [
        {"number": n, "begin": 0.0, "end": train_s / 4, "steps": 1, "tokens": 250, "load": load}
        for n, load in enumerate((QUIET, *loads))
    ]
    made = {
        "round": number, "setting": setting, "arm": arm, "replicate": replicate, "outcome": "ok",
        "engine": "lockstep", "wall_s": 2.0 + train_s, "tokens": 1_100,
        "phases_s": {"import": 1.0, "first": 1.0, "train": train_s},
        "train_tokens": 1_000, "step_s": [1.0, train_s], "windows": windows,
    }  # fmt: skip
    return {**made, **changes}


def test_an_effect_is_the_log_ratio_of_the_arm_to_the_baseline_of_the_same_replicate():
    lines = [line(), line("plus5", 10.0), line(replicate=2), line("plus5", 16.0, replicate=2)]
    steady, job = (effects(lines, "lockstep", "plus5", name) for name in ("tokens_per_s", "job_tokens_per_s"))
    assert steady == pytest.approx([math.log(8 / 10), math.log(8 / 16)])
    assert job == pytest.approx([math.log(9 / 11), math.log(9 / 17)])  # with the first step's second


def test_the_same_replicate_of_another_round_or_setting_is_another_one():
    lines = [line(), line("plus5", 10.0, number=2), line("plus5", 10.0, setting="abba")]
    assert effects(lines, "lockstep", "plus5", "tokens_per_s") == []


def test_a_run_that_is_not_ok_has_no_effect_but_costs_its_time():
    lines = [line(), line("plus5", 10.0), line("plus5", 12.0, replicate=2, outcome="tainted")]
    assert effects(lines, "lockstep", "plus5", "tokens_per_s") == [math.log(8 / 10)]
    assert seconds_of_a_pair(lines, "lockstep") == 2 * (10.0 + 12.0 + 14.0) / 2


def test_windows_that_others_disturbed_are_left_out_as_bench_does():
    base = line(loads=(QUIET, QUIET, QUIET, PUSHED))
    arm = line("plus5", 16.0, loads=(QUIET, QUIET, QUIET, QUIET))
    slow = {**arm, "phases_s": {**arm["phases_s"], "train": 99.0}}  # in the window that does not count
    assert effects([base, slow], "lockstep", "plus5", "tokens_per_s") == [math.log(1 / 2)]


FOUND, NOISY = [-0.05, -0.0501, -0.0499], [-0.05, 0.05, 0.0]


def test_the_first_look_that_proves_something_ends_it():
    found = sequential([*FOUND, 9.0, 9.0, 9.0, 9.0, 9.0])
    assert found.mean == pytest.approx(-0.05)
    assert is_proven(found) and is_slower(found)


def test_where_nothing_is_proven_the_last_look_counts():
    found = sequential([*NOISY, *NOISY, 0.01, -0.01])
    assert (found.mean, is_proven(found), is_slower(found)) == (0.0, False, False)
    assert LOOKS == (3, 5, 8)


def test_an_effect_within_the_practical_floor_is_not_proven_however_sure():
    assert not is_proven(sequential([-0.0099] * 8))
    assert is_proven(sequential([0.0101] * 8)) and not is_slower(sequential([0.0101] * 8))


def test_a_rate_is_the_share_of_comparisons_with_its_bracket():
    assert rate([-0.05, -0.051], is_slower, 40) == "100 % [100, 100]"
    assert rate([0.0, 0.001], is_slower, 40) == "0 % [0, 0]"
    assert rate([0.0, 0.001], is_slower, 0) == "0 %"


def test_a_pool_of_unlike_effects_has_a_wide_bracket():
    """Half of the pools of two that are drawn hold one value twice: all proven, or none."""
    found = re.fullmatch(r"(\d+) % \[(\d+), (\d+)\]", rate([-0.05, 0.0], is_slower, 40))
    share, low, high = map(int, found.groups())
    assert low == 0 < share < high == 100


def test_the_fewest_replicates_that_prove_an_effect():
    assert replicates_for([-0.05, -0.0501]) == 3
    assert replicates_for([0.0, 0.0001]) is None
    # Spread 0.02 around 0.05: the half width t * 0.02 / sqrt(n) must fit into 0.04 in nine of ten.
    assert 4 <= replicates_for([-0.03, -0.07]) <= 8


def pool(**train_s):
    """Three replicates of each arm, the baseline 8 s of steps, each a bit longer than the one before."""
    arms = {"baseline": 8.0, "again": 8.0, "plus2": 8.0, "plus5": 8.0, **train_s}
    return [line(arm, s * (1 + 0.001 * r), replicate=r) for arm, s in arms.items() for r in (1, 2, 3)]


def test_a_row_says_what_its_pool_holds():
    [row] = rows_of(pool(plus5=8.4), "tokens_per_s", 0)
    assert row[:4] == ("lockstep", "3", "0.00 %", "0.00 %")
    assert row[4:7] == ("0 %", "0 %", "100 %")
    # Runs take 10 s, those of plus5 10.4: a pair 2 * 10.1 s, and 0.002 * 8 of it on average by the jitter.
    assert row[7:] == ("more than 100 replicates", "61 s (3 x 20 s)")


def test_a_setting_with_fewer_replicates_than_a_look_has_no_row():
    assert list(rows_of([one for one in pool() if one["replicate"] < 3], "tokens_per_s", 0)) == []


def single(number, arm, wall_s):
    return {"round": number, "setting": "sequence", "arm": arm, "wall_s": wall_s}


def block(number, arm, *times_s):
    return {"round": number, "setting": "hyperfine", "arm": arm, "times_s": times_s}


def test_what_one_run_of_each_says_stands_beside_hyperfine():
    lines = [single(1, "baseline", 10.0), single(1, "again", 10.3), single(1, "plus5", 9.9)]
    lines += [single(2, "baseline", 10.0), single(2, "again", 9.95), single(2, "plus5", 10.6)]
    lines += [block(1, "baseline", 9.0, 11.0), block(1, "plus5", 10.2, 10.6)]
    *_, hyperfine, sequence = by_hand(lines)
    assert hyperfine == (
        "| `hyperfine`, 2 runs of one arm, then of the other | - | - | +4.0 to +4.0 % | 0 of 1 |"
    )
    assert sequence == "| one run of each, in turn | -0.5 to +3.0 % | 1 of 2 | -1.0 to +6.0 % | 1 of 2 |"


def test_what_was_not_run_by_hand_is_said_to_be_nothing():
    assert list(by_hand([]))[-1] == "| one run of each, in turn | - | - | - | - |"


def test_of_a_longer_step_less_is_left_in_a_process():
    lines = [line(setting="abba"), line("plus5", 9.0, setting="abba")]
    assert list(by_hand(lines))[-1] == "\n+5 % of a step is +10.0 % of a process (ABBA, n = 1)."


BRACKET = re.compile(r" \[\d+, \d+\]")


POOLS_OF_DOCS = ["noise", "noise-beside-work", "noise-nothing-beside"]


def in_docs(pool: str) -> str:
    text = (ROOT / "docs" / "measurement.md").read_text()
    return text.split(f"<!-- {pool} -->\n")[1].split(f"<!-- /{pool} -->")[0]


def committed(pool: str):
    folder = ROOT / "benchmarks" / "results" / pool
    return read_lines(folder), read_machine(folder)


@pytest.mark.parametrize("pool", POOLS_OF_DOCS)
def test_the_tables_of_the_docs_are_what_the_committed_pool_gives(pool):
    """All but the brackets, which take 20 s; one of them is made again below."""
    assert BRACKET.sub("", in_docs(pool)) == table(*committed(pool), pools=0) + "\n"


@pytest.mark.parametrize("pool", POOLS_OF_DOCS[:2])
def test_a_bracket_of_the_docs_is_what_the_committed_pool_gives(pool):
    runs = [one for one in committed(pool)[0] if "outcome" in one]
    bracket = rate(effects(runs, "lockstep", "plus2", "tokens_per_s"), is_slower, POOLS)
    [row] = re.findall(r"\| lockstep \|.*", in_docs(pool))[:1]
    assert row.split(" | ")[5] == bracket

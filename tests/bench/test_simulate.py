import math
import re
from dataclasses import fields
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.judge import judge
from bench.plan import BASELINE
from bench.scenarios import ALL_OF_IT, ENGINES, SCENARIOS, TITLES, Scenario
from bench.sequential import LOOKS
from bench.simulate import HEADER, METRICS, rows_of, simulated
from bench.synthetic import ARM, STEPS, Disturbances, in_turn, order_of, plan_of, synthetic_runs
from bench.worker import lockstep

DOCS = Path(__file__).parents[2] / "docs" / "measurement.md"
STILL = Disturbances(step_sd=0.0, startup_sd=0.0, process_sd=0.0)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
TASKS = 60


def drawn(disturbances=STILL, layout="lockstep", effect=0.0, replicates=3, seed=1):
    return synthetic_runs(disturbances, layout, effect, replicates, np.random.default_rng(seed))


@cache
def tallied(name, design, effect):
    return simulated(BY_NAME[name], design, effect, TASKS, (7, round(100 * effect)))


def ratio_of(metric, runs):
    judgement = judge(plan_of(3), runs)
    return next(one.ratio for one in judgement.comparisons if one.metric == metric)


# The machine and the layouts.


@pytest.mark.parametrize("layout", ["lockstep", "abba", "blocks"])
@pytest.mark.parametrize("metric", ["job_tokens_per_s", "tokens_per_s"])
def test_on_a_machine_without_noise_the_planted_effect_is_what_is_measured(layout, metric):
    assert ratio_of(metric, drawn(layout=layout, effect=0.05)) == pytest.approx(1.05, rel=1e-9)


def test_what_the_effect_does_not_touch_takes_as_long():
    assert ratio_of("import_s", drawn(effect=0.05)) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("layout", ["lockstep", "abba"])
def test_the_phases_of_a_run_sum_to_its_time(layout):
    for run in drawn(ALL_OF_IT, layout):
        assert sum(run.phases_s.values()) == pytest.approx(run.wall_s)
        assert sum(run.step_s) == pytest.approx(run.phases_s["first"] + run.phases_s["train"])


def test_the_arms_of_a_replicate_get_the_same_rows_of_unequal_length():
    one, other = drawn(Disturbances(work_sd=0.5))[:2]
    assert (one.tokens, one.train_tokens) == (other.tokens, other.train_tokens)
    assert one.tokens != drawn(Disturbances(work_sd=0.5))[2].tokens


def test_windows_are_those_of_a_lockstep_run():
    for run in drawn(ALL_OF_IT):
        first, *others = run.windows
        assert (run.engine, first.steps, sum(window.steps for window in run.windows)) == (
            "lockstep",
            1,
            STEPS,
        )
        assert sum(window.tokens for window in run.windows) == run.tokens
        assert first.seconds == pytest.approx(run.phases_s["first"])
        assert sum(window.seconds for window in others) == pytest.approx(run.phases_s["train"])


def test_in_lockstep_only_one_arm_runs_at_a_time():
    one, other = drawn(ALL_OF_IT)[:2]
    turns = sorted([*one.windows, *other.windows], key=lambda window: window.begin)
    assert all(before.end <= after.begin + 1e-9 for before, after in pairwise(turns))


def test_windows_are_in_the_order_of_the_engine():
    for turn in ([0, 1], [1, 0]):
        for window in range(8):
            assert list(in_turn(turn, window)) == lockstep.in_turn(turn, window)


def order_of_runs(layout, replicates=4):
    """The arm of each run in turn, by the order of their first chunks."""
    of_arm = order_of(layout, replicates) // (len(order_of(layout, replicates)) // (2 * replicates))
    return "".join("AB"[run % 2] for run in dict.fromkeys(of_arm.tolist()))


def test_whole_runs_are_in_the_order_of_the_plan():
    assert order_of_runs("abba") == "ABBABAAB"
    assert order_of_runs("unmirrored") == "ABBAABBA"
    assert order_of_runs("blocks") == "AAAABBBB"


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Disturbances) if field.name not in ("is_grouped", "work_sd")]
)
def test_every_disturbance_makes_two_runs_of_one_program_differ(name):
    still = {"step_sd": 0.0, "startup_sd": 0.0, "process_sd": 0.0}
    runs = drawn(Disturbances(**{**still, name: 0.2}), "abba", replicates=6, seed=2)
    pairs = zip(runs[::2], runs[1::2], strict=True)
    assert any(abs(one.wall_s / other.wall_s - 1) > 1e-3 for one, other in pairs)


def test_half_of_all_processes_are_of_the_slower_of_two_speeds():
    still = Disturbances(step_sd=0.0, startup_sd=0.0, process_sd=0.0, mode=0.1)
    times = sorted(run.job_s for run in drawn(still, replicates=60))
    slow = sum(seconds > times[0] * 1.05 for seconds in times)
    assert times[-1] / times[0] == pytest.approx(1.1)
    assert 40 <= slow <= 80  # of 120; 3.6 standard deviations either way


# What the statistics make of them.


def test_where_nothing_is_planted_hardly_anything_is_told():
    for engine in ENGINES:
        fixed, auto = tallied("all of it", engine, 0.0)
        # At most 5 % of 60 are 3; more than 8 come once in a thousand.
        assert (fixed.told <= 8, auto.told <= 8) == (True, True)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    for engine in ENGINES:
        fixed, auto = tallied("correlated steps", engine, 0.0)
        assert fixed.covered >= 51  # of 60 at 95 %: fewer come once in five hundred
        assert auto.covered >= 51


def test_lockstep_shows_what_abba_misses_on_a_machine_that_wanders():
    assert tallied("correlated steps", "lockstep", 0.05)[1].faster >= 0.95 * TASKS
    assert tallied("correlated steps", "abba", 0.05)[1].faster <= 0.5 * TASKS


def correlation_of_neighbours(layout, tasks=150):
    draw = np.random.default_rng(3)
    effects = np.array(
        [
            [math.log(one.job_s / other.job_s) for one, other in zip(runs[::2], runs[1::2], strict=True)]
            for runs in (
                synthetic_runs(BY_NAME["correlated steps"].disturbances, layout, 0.0, 12, draw)
                for _ in range(tasks)
            )
        ]
    )
    return np.corrcoef(effects[:, :-1].ravel(), effects[:, 1:].ravel())[0, 1]


def test_mirrored_blocks_keep_neighbouring_replicates_apart():
    # Of 1,650 neighbours: twice the standard error is 0.05.
    assert correlation_of_neighbours("unmirrored") > 0.10
    assert abs(correlation_of_neighbours("abba")) < 0.08


def test_auto_takes_few_replicates_where_much_is_planted_and_all_where_nothing_is():
    assert tallied("correlated steps", "lockstep", 0.30)[1].used <= 3.5 * TASKS
    assert tallied("correlated steps", "lockstep", 0.0)[1].used >= 11.5 * TASKS


def test_blocks_call_a_drift_an_effect():
    fixed, auto = tallied("drift", "blocks", 0.0)
    assert fixed.told > 0.5 * TASKS and fixed.covered < 0.5 * TASKS
    assert auto.tasks == 0
    assert tallied("drift", "lockstep", 0.0)[0].told <= 8


def test_one_run_an_arm_read_by_eye_is_a_false_alarm_more_often_than_not():
    assert tallied("correlated steps", "one run", 0.0)[0].told > 0.5 * TASKS


def test_a_bias_in_every_replicate_passes_for_an_effect_until_a_floor_is_known():
    assert tallied("a folder 3 % slower, no floor", "lockstep", 0.0)[1].told == TASKS
    assert tallied("a folder 3 % slower, floor", "lockstep", 0.0)[1].told <= 3


def test_the_same_seed_draws_the_same_tasks():
    scenario = Scenario("short", ALL_OF_IT, designs=("abba",))
    (one,), (again,), (other,) = (list(rows_of(2, 1, seed, [scenario])) for seed in (1, 1, 2))
    assert one.fixed == again.fixed and one.auto == again.auto
    assert len(one.cells) == len(HEADER)
    assert (one.auto[0.0].tasks, one.auto[0.05].tasks, one.auto[0.0].used) == (2, 1, 2 * LOOKS[-1])
    assert other.scenario is scenario


def test_what_is_asked_of_a_task_is_throughput():
    assert METRICS[0].name == plan_of(3).recipes[0].primary
    assert {run.arm for run in drawn()} == {BASELINE, ARM}


# The table in the documentation.


@pytest.fixture(scope="module")
def table():
    """Cells by (machine, layout) and column, and the numbers of tasks behind a false alarm and a coverage."""
    text = (
        DOCS.read_text(encoding="utf-8")
        .partition("<!-- simulator -->")[2]
        .partition("<!-- /simulator -->")[0]
    )
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert tuple(lines[0]) == HEADER
    tasks = [int(found.replace(",", "")) for found in re.findall(r"(?:stand|coverage) ([\d,]+)[ ;]", text)]
    return {tuple(line[:2]): dict(zip(HEADER, line, strict=True)) for line in lines[1:]}, tasks


def test_the_documented_table_has_every_machine_and_layout(table):
    rows, _ = table
    assert list(rows) == [(one.name, TITLES[design]) for one in SCENARIOS for design in one.designs]
    promises = [row["promised"] for row in rows.values()]
    assert promises == [one.promise(design) for one in SCENARIOS for design in one.designs]


def test_what_is_promised_was_measured(table):
    rows, (tasks, coverage_tasks) = table
    for row in rows.values():
        if row["promised"].startswith(("no:", "for comparison")):
            continue
        for column in (name for name in HEADER if name.startswith("false alarms")):
            assert float(row[column]) <= 5 + 300 * math.sqrt(0.05 * 0.95 / tasks), row
        if row["promised"] == "yes":
            for column in (name for name in HEADER if name.startswith("interval holds")):
                assert float(row[column]) >= 95 - 300 * math.sqrt(0.05 * 0.95 / coverage_tasks), row

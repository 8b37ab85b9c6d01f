"""Lockstep through the command line: real owners, worker, hook and subjects.

Only the libraries that a subject imports are stand-ins (tests/subjects/quick), so that a run takes a moment.

Nobody can set CLOCK_MONOTONIC, so a clock that jumps is in tests/bench/test_windows.py, with edited events.
"""

import itertools
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.record import read_run
from tests.e2e.conftest import SUBJECTS, Benched, Paceline, commit, make_repository

QUICK = SUBJECTS / "quick"
LIMIT_S = 2
"""Of the recipes in which an arm hangs; all others have a minute."""
STEPS, TOKENS = 12, 12 * 4 * 50

TROUBLES = {
    "crash": {"trouble": "crash@7"},
    "hang": {"trouble": "hang@7"},
    "never_enters": {"trouble": "hang@0"},
    "no_first_step": {"trouble": "hang@1"},
    "nan": {"trouble": "nan@7"},
    "exit": {"trouble": "exit@7"},
    "vanish": {"trouble": "vanish@7"},
    "kill_owner": {"trouble": "kill_owner@7"},
    "close_all": {"trouble": "close_all@7"},
    "hurry": {"trouble": "hurry@0"},
    "knock": {"trouble": "knock@0"},
    "boast": {"trouble": "boast@0"},
    "daemon": {"trouble": "daemon@3"},
    "memory": {"trouble": "memory@7"},
    "crowded": {"trouble": "crowded@6"},
    "exclusive": {"trouble": "exclusive@0"},
    "nothing": {"steps": 0},
    "one_step": {"steps": 1},
    "no_tokens": {"tokens": 0},
    "fewer": {"steps": 4},
    "slow": {"seconds": 0.1},
    "twice": {"trains": 2},
}
"""By recipe what the optimized arm does otherwise than the baseline, which is always well."""
BOTH = {"both_twice": {"trains": 2}, "fits": {"reserves": 0.4}, "too_large": {"reserves": 0.5}}
"""What both arms do."""
FAST = {name: {"seconds": 0.01} for name in TROUBLES}
ALONE = {
    "memory": "ran out of memory",
    "crowded": "ran out of memory",
    "exclusive": "found the device busy",
}
HANG = ("hang", "never_enters", "no_first_step")
ENDS = {
    "crash": ("crashed", "RuntimeError: the column went away (exit status 1)"),
    "hang": ("timed out", "ended at its limit after step 6"),
    "never_enters": ("timed out", "ended at its limit before the first step"),
    "no_first_step": ("timed out", "ended at its limit before the first step"),
    "nan": ("NaN", "loss is nan at step 7"),
    "exit": ("crashed", "exit status 3"),
    "vanish": ("tainted", "events cut off: no end line"),
    "kill_owner": ("tainted", "the owner of the process was lost: the owner ended with -9: no word"),
    "close_all": ("tainted", "events cut off: no end line"),
    "nothing": ("no trainer", "no optimizer step of a transformers or TRL trainer was seen"),
    "memory": (
        "out of memory",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB (exit status 1)",
    ),
}


def repository(folder: Path, *settings: dict) -> Path:
    """A commit for each of the settings: recipe by recipe the arguments that differ from the defaults."""
    files = {str(path.relative_to(QUICK)): path.read_text() for path in QUICK.rglob("*.py")}
    command = ["{python}", "train.py", "--recipe", "NAME", "--out", "{out}", "--seed", "{seed}"]
    command += ["--notes", str(folder / "notes")]
    files["paceline.toml"] = "".join(
        f"[recipe.{name}]\nlimit_s = {LIMIT_S if name in HANG else 60}\n"
        f"run = {json.dumps(command).replace('NAME', name)}\n"
        for name in settings[0]
    )
    (folder / "notes").mkdir()
    repo = make_repository(folder / "repo", {**files, "settings.json": json.dumps(settings[0])})
    for setting in settings[1:]:
        commit(repo, {"settings.json": json.dumps(setting)})
    return repo


@dataclass
class Rounds:
    """What a bench left behind."""

    benched: Benched
    notes: Path

    def folder(self, recipe, arm, replicate=1):
        return self.benched.folder / "runs" / recipe / str(replicate) / arm

    def run(self, recipe, arm="optimized", replicate=1):
        return read_run(self.folder(recipe, arm, replicate))

    def record(self, recipe, arm, replicate=1):
        return json.loads((self.folder(recipe, arm, replicate) / "exit.json").read_text())

    def arms(self, recipe, replicate=1):
        return sorted(
            path.parent.name for path in self.folder(recipe, "*", replicate).parent.glob("*/exit.json")
        )

    def engine(self, recipe):
        return json.loads((self.benched.folder / "runs" / recipe / "engine.json").read_text())

    def spans(self, recipe, replicate):
        """(begin, end, arm) of each stretch in which a process or a busy thread of an arm ran, by time."""
        return sorted(
            (*map(float, line.split()), path.name.split("-")[2])
            for path in self.notes.glob(f"{recipe}-{1000 + replicate}-*.notes")
            for line in path.read_text().splitlines()
        )

    def orders(self, recipe, replicate=1):
        """Who had the token, one after the other: a word for the start, then one for each window."""
        turns = sorted(
            (*turn, arm[0])
            for arm in self.arms(recipe, replicate)
            for turn in self.record(recipe, arm, replicate)["turns"]
        )
        arms = len(self.arms(recipe, replicate))
        letters = "".join(letter for _, _, letter in turns)
        return [letters[at : at + arms] for at in range(0, len(letters), arms)]


def alone(tmp_path_factory, name):
    """A command line for the tests of this file; it asserts itself that it leaves no process."""
    folder = tmp_path_factory.mktemp(name)
    return folder, Paceline(folder / "work", folder / "machine")


@pytest.fixture(scope="module")
def even(tmp_path_factory):
    """Three arms of the same commit, two replicates; busy threads and loader processes beside the steps."""
    folder, command = alone(tmp_path_factory, "even")
    settings = {"even": {"steps": 36, "busy": True, "loaders": 1, "trouble": "plant@3"}}
    repo = repository(folder, settings)
    benched = command.bench(repo, "even", "--arm", "third=main", replicates=2)
    assert benched.status == 0, benched.err
    assert command.processes() == []
    return Rounds(benched, folder / "notes")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """Each trouble against a baseline that is well."""
    folder, command = alone(tmp_path_factory, "troubled")
    optimized = {name: {**FAST[name], **change} for name, change in TROUBLES.items()}
    repo = repository(folder, {**FAST, **BOTH}, {**optimized, **BOTH})
    arms = ("--baseline", "main~1", "--optimized", "main")
    benched = command("bench", *TROUBLES, *BOTH, "--repo", repo, *arms, "--replicates", 1, "--json")
    assert benched.status == 0, benched.err
    assert command.processes() == []
    assert command("verify", benched.folder).out == "identical\n"
    return Rounds(benched, folder / "notes")


def window_steps(run):
    return [window.steps for window in run.windows]


REPLICATES = (1, 2)
ARMS = ("baseline", "optimized", "third")


@pytest.mark.parametrize("replicate", REPLICATES)
def test_windows_are_equal_in_steps_and_the_first_holds_the_first_step_alone(even, replicate):
    runs = [even.run("even", arm, replicate) for arm in ARMS]
    assert [(run.outcome, run.engine, run.steps) for run in runs] == [("ok", "lockstep", 36)] * 3
    steps = window_steps(runs[0])
    assert (steps[0], sum(steps)) == (1, 36)
    assert all(number >= 2 for number in steps[1:-1])
    assert all(window_steps(run) == steps for run in runs)
    # As long as 0.2 s by the pace of the window before, which waking up slows down.
    assert all(window.seconds > 0.1 for run in runs for window in run.windows[2:-1])


@pytest.mark.parametrize(
    ("replicate", "orders"),
    [(1, "bot bot otb tbo tob"), (2, "tob tob obt bto bot")],
)
def test_the_order_rotates_and_is_reversed_from_replicate_to_replicate(even, replicate, orders):
    """Start, first step, then window by window: baseline, optimized, third."""
    assert " ".join(even.orders("even", replicate)).startswith(orders)


def test_word_of_a_subject_that_arms_do_not_fit_beside_each_other_is_none(even):
    """Every run of the first replicate plants it; the second is in lockstep all the same."""
    assert even.engine("even")["why"] == "planted"
    assert {even.run("even", arm, 2).engine for arm in ARMS} == {"lockstep"}


@pytest.mark.parametrize("replicate", REPLICATES)
def test_only_one_arm_runs_at_a_time_its_threads_and_loaders_included(even, replicate):
    spans = even.spans("even", replicate)
    assert {arm for _, _, arm in spans} == set(ARMS)  # each in a worktree of its own, though of one commit
    assert len(list(even.notes.glob(f"even-{1000 + replicate}-*.notes"))) == 6  # a trainer and a loader each
    handed_over = [(one, two) for one, two in itertools.pairwise(spans) if one[2] != two[2]]
    assert len(handed_over) >= 3 * 5 - 1
    latest = {}
    for begin, end, arm in spans:
        assert all(begin >= ended for other, ended in latest.items() if other != arm)
        latest[arm] = max(end, latest.get(arm, end))


@pytest.mark.parametrize("replicate", REPLICATES)
def test_the_time_of_an_arm_does_not_contain_that_of_the_others(even, replicate):
    for arm in ARMS:
        run, record = even.run("even", arm, replicate), even.record("even", arm, replicate)
        held_s = sum(end - begin for begin, end in record["turns"])
        assert sum(run.phases_s.values()) == pytest.approx(run.wall_s, abs=1e-6)
        assert 36 * 0.03 < run.wall_s < held_s
        assert record["owner"]["end"] - record["owner"]["begin"] > run.wall_s + 2 * 36 * 0.03
        assert run.phases_s["train"] == pytest.approx(sum(run.step_s[1:]), rel=0.05)


def test_one_token_means_that_turns_never_overlap(even):
    for replicate in REPLICATES:
        turns = sorted(turn for arm in ARMS for turn in even.record("even", arm, replicate)["turns"])
        assert all(one[1] <= two[0] for one, two in itertools.pairwise(turns))


@pytest.mark.parametrize("recipe", ENDS)
def test_what_goes_wrong_in_one_arm_is_its_own_outcome(troubled, recipe):
    run = troubled.run(recipe)
    assert (run.outcome, run.reason) == ENDS[recipe]


@pytest.mark.parametrize("recipe", TROUBLES)
def test_whatever_one_arm_does_the_other_is_well(troubled, recipe):
    run = troubled.run(recipe, "baseline")
    assert (run.outcome, run.reason, run.steps, run.tokens) == ("ok", "", STEPS, TOKENS)


@pytest.mark.parametrize("recipe", ["hang", "no_first_step"])
def test_the_time_that_another_arm_hangs_is_not_that_of_an_arm(troubled, recipe):
    run, owner = troubled.run(recipe, "baseline"), troubled.record(recipe, "baseline")["owner"]
    assert run.wall_s < owner["end"] - owner["begin"] - LIMIT_S


@pytest.mark.parametrize("recipe", sorted(set(TROUBLES) - {*ALONE, "never_enters"}))
def test_whatever_one_arm_does_the_other_has_its_windows(troubled, recipe):
    run = troubled.run(recipe, "baseline")
    assert run.engine == "lockstep"
    assert window_steps(run)[:2] == [1, 2]
    assert sum(window_steps(run)) == STEPS


@pytest.mark.parametrize("recipe", ["hurry", "knock", "boast", "daemon"])
def test_odd_but_harmless_subjects_stay_in_step(troubled, recipe):
    run = troubled.run(recipe)
    assert (run.outcome, run.engine) == ("ok", "lockstep")
    assert window_steps(run) == window_steps(troubled.run(recipe, "baseline"))


def test_a_daemon_is_named_and_ended(troubled):
    assert "1 processes outlived the main one and were ended" in troubled.run("daemon").warnings


def test_what_the_hook_says_goes_to_no_connection_of_the_subject(troubled):
    assert "heard" not in (troubled.folder("close_all", "optimized") / "log").read_text()


def test_an_arm_that_breaks_off_ends_in_its_turn_and_gives_its_memory_back(troubled):
    """It does not wait at the gate until the other is through."""
    crashed, other = (troubled.record("crash", arm) for arm in ("optimized", "baseline"))
    assert crashed["owner"]["end"] < other["turns"][-1][0]


@pytest.mark.parametrize("recipe", ALONE)
def test_what_cannot_be_beside_others_is_measured_alone_and_says_why(troubled, recipe):
    assert troubled.engine(recipe) == {"engine": "abba", "why": f"optimized {ALONE[recipe]} beside baseline"}
    runs = [troubled.run(recipe, arm) for arm in ("baseline", "optimized")]
    assert [run.engine for run in runs] == ["abba", "abba"]
    assert runs[0].outcome == "ok"


@pytest.mark.parametrize("recipe", ["crowded", "exclusive"])
def test_an_arm_that_fits_alone_is_well_alone(troubled, recipe):
    run = troubled.run(recipe)
    assert (run.outcome, run.steps) == ("ok", STEPS)


@pytest.mark.parametrize("recipe", ["nothing", "never_enters"])
def test_an_arm_without_a_step_has_no_window(troubled, recipe):
    assert troubled.run(recipe).windows == ()


def test_arms_that_fit_on_the_device_together_are_in_step(troubled):
    runs = [troubled.run("fits", arm) for arm in ("baseline", "optimized")]
    assert [(run.outcome, run.engine, run.steps) for run in runs] == [("ok", "lockstep", STEPS)] * 2
    assert {run.memory["train"].reserved_b for run in runs} == {32 << 30}


def test_arms_that_fill_the_device_together_are_measured_alone(troubled):
    why = "2 arms reserve 80.0 GiB of the device's 80.0 GiB"
    assert troubled.engine("too_large") == {"engine": "abba", "why": why}
    runs = [troubled.run("too_large", arm) for arm in ("baseline", "optimized")]
    assert [(run.outcome, run.engine, run.steps) for run in runs] == [("ok", "abba", STEPS)] * 2


def test_an_arm_without_tokens_has_steps_and_no_throughput(troubled):
    run = troubled.run("no_tokens")
    assert (run.outcome, run.steps, run.tokens) == ("ok", STEPS, 0)
    [found] = [
        one
        for one in troubled.benched.document["comparisons"]
        if (one["recipe"], one["metric"]) == ("no_tokens", "job_tokens_per_s")
    ]
    assert (found["ratio"], found["warnings"][0][:21]) == (None, "no ratio: a value of ")


def test_too_few_windows_are_a_warning(troubled):
    assert "too few windows: 1, lockstep needs 5 for drift to cancel" in troubled.run("one_step").warnings


def test_too_few_windows_are_none_where_there_are_enough(even):
    assert not any("too few windows" in text for text in even.run("even", "baseline").warnings)


def test_an_arm_with_more_steps_goes_on_alone(troubled):
    short, long = (troubled.run("fewer", arm) for arm in ("optimized", "baseline"))
    assert window_steps(short) == [1, 2, 1]
    assert window_steps(long)[:2] == [1, 2]
    ended = troubled.record("fewer", "optimized")["turns"][-1]
    trained = troubled.run("fewer", "baseline").windows[-1]
    assert ended[0] > trained.end  # who is through waits until all are


def test_windows_are_as_long_as_the_fastest_arm_needs(troubled):
    """0.01 s against 0.1 s a step: the slow arm makes as many steps, whatever that takes."""
    fast, slow = (troubled.run("slow", arm) for arm in ("baseline", "optimized"))
    assert slow.outcome == "ok"
    assert window_steps(slow) == window_steps(fast)
    assert slow.phases_s["train"] > 5 * fast.phases_s["train"]


def test_two_trainings_in_both_arms_are_both_in_step(troubled):
    runs = [troubled.run("both_twice", arm) for arm in ("baseline", "optimized")]
    assert [(run.outcome, run.steps) for run in runs] == [("ok", 2 * STEPS)] * 2
    assert window_steps(runs[0]) == window_steps(runs[1])
    assert sum(window_steps(runs[0])) == 2 * STEPS
    orders = troubled.orders("both_twice")
    assert all(sorted(order) == ["b", "o"] for order in orders)


def test_an_arm_that_trains_twice_goes_on_alone(troubled):
    run = troubled.run("twice")
    assert (run.outcome, run.steps, sum(window_steps(run))) == ("ok", 2 * STEPS, 2 * STEPS)


def test_four_arms_come_first_once_each_in_four_windows(tmp_path, paceline):
    repo = repository(tmp_path, {"four": {"steps": 24}})
    benched = paceline.bench(repo, "four", "--arm", "third=main", "--arm", "x=main")
    rounds = Rounds(benched, tmp_path / "notes")
    assert rounds.arms("four") == ["baseline", "optimized", "third", "x"]
    assert [rounds.run("four", arm).outcome for arm in rounds.arms("four")] == ["ok"] * 4
    assert " ".join(rounds.orders("four")).startswith("botx botx otxb txbo xbot")


def wait_for(is_so, limit_s=60):
    until = time.monotonic() + limit_s
    while not (found := is_so()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)
    return found


def begun(paceline, repo, recipe, *arms, replicates=1):
    both = ("--baseline", "main", "--optimized", "main")
    return paceline.start("bench", recipe, "--repo", repo, *both, *arms, "--replicates", replicates, "--json")


def told(pid):
    """The argument list of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def trains(paceline, arm):
    """The main process of an arm that has begun to train, and its owner."""
    for pid in paceline.processes():
        if "train.py" not in told(pid) or Path(f"/proc/{pid}/cwd").readlink().name != arm:
            continue
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
        if "own" in told(parent):
            return pid, parent
    return None


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]


def in_the_middle(paceline, *arms):
    """(main process, owner) by arm, once all of them take part and the first stands still."""

    def found():
        pids = {arm: trains(paceline, arm) for arm in arms}
        if None in pids.values():
            return None
        gates = [path for path in paceline.workplace.rglob("events/*.jsonl") if '"steps"' in path.read_text()]
        return pids if len(gates) >= len(arms) else None

    return wait_for(found)


def test_killing_the_worker_leaves_no_process_stopped_or_not(tmp_path, paceline):
    repo = repository(tmp_path, {"long": {"steps": 400, "loaders": 1, "trouble": "daemon@1"}})
    process = begun(paceline, repo, "long")
    in_the_middle(paceline, "baseline", "optimized")
    [worker] = [pid for pid in paceline.processes() if told(pid)[1:2] and told(pid)[1].endswith("worker.pyz")]
    os.kill(worker, signal.SIGKILL)
    benched = paceline.ended(process)
    assert benched.document["ended"] == "crashed"
    wait_for(lambda: not paceline.processes(), limit_s=20)


def test_an_arm_killed_where_it_stands_and_one_whose_owner_is_killed_leave_the_third_well(tmp_path, paceline):
    """As the kernel does for lack of memory, and as nobody should."""
    repo = repository(tmp_path, {"long": {"steps": 40, "loaders": 1, "trouble": "daemon@1"}})
    process = begun(paceline, repo, "long", "--arm", "third=main")
    pids = in_the_middle(paceline, *ARMS)
    main, _ = pids["optimized"]
    _, owner = pids["third"]
    wait_for(lambda: state(main) == "T")
    os.kill(main, signal.SIGKILL)
    os.kill(owner, signal.SIGKILL)
    rounds = Rounds(paceline.ended(process), tmp_path / "notes")
    found = {arm: rounds.run("long", arm) for arm in ARMS}
    assert (found["baseline"].outcome, found["baseline"].steps) == ("ok", 40)
    assert (found["optimized"].outcome, found["optimized"].reason) == ("crashed", "killed by signal 9")
    assert found["third"].outcome == "tainted"
    assert "the owner ended with -9" in found["third"].reason


def test_ctrl_c_in_the_middle_keeps_the_replicates_that_have_ended(tmp_path, paceline):
    repo = repository(tmp_path, {"long": {"steps": 40}})
    process = begun(paceline, repo, "long", replicates=3)
    progress = wait_for(lambda: second_replicate(paceline))
    assert progress["arm"] == "optimized, baseline"
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    rounds = Rounds(paceline.ended(process), tmp_path / "notes")
    assert time.monotonic() - began < 8  # nobody waits out the grace of one that stands still
    assert (rounds.benched.status, rounds.benched.document["ended"]) == (130, "cancelled")
    assert [rounds.run("long", arm).outcome for arm in ("baseline", "optimized")] == ["ok", "ok"]
    assert {run["outcome"] for run in rounds.benched.document["runs"]} == {"ok", "cancelled"}
    assert paceline("verify", rounds.benched.folder).out == "identical\n"


def second_replicate(paceline):
    """What is told of the second replicate once a step of it is seen."""
    for path in (paceline.workplace / ".paceline").glob("jobs/*/progress.json"):
        progress = json.loads(path.read_text())
        if progress.get("replicate") == 2 and progress.get("step"):
            return progress
    return None

"""`progress.json`: what runs, how much is done, and how long the rest takes, on a clock of the test's own."""

import json

import pytest

from bench.worker.progress import TAIL_B, Progress

PLANNED = [("sft", "baseline"), ("sft", "optimized"), ("sft", "optimized"), ("sft", "baseline")]


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bench.worker.progress.time", clock)
    return clock


@pytest.fixture
def progress(tmp_path, clock) -> Progress:
    return Progress(tmp_path / "progress.json", PLANNED, 3)


@pytest.fixture
def said(tmp_path):
    return lambda: json.loads((tmp_path / "progress.json").read_text())


@pytest.fixture
def ran(progress, clock):
    def run(arm: str, seconds: float) -> None:
        progress.begins("sft", 1, arm)
        clock.at += seconds
        progress.run_ends("sft", arm, "ok", seconds)

    return run


def events(folder, *lines: str, name="7-1.jsonl"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(lines))
    return folder


def line(**event) -> str:
    return json.dumps(event) + "\n"


START = line(kind="start", schema=1)


def test_before_the_first_run_nothing_is_done_and_the_rest_is_unknown(progress, said):
    progress.stage("fetching 0123")
    assert said() == {"stage": "fetching 0123", "done": 0, "total": 4, "replicates": 3, "eta_s": None}


def test_a_run_that_begins_is_named(progress, said):
    progress.begins("sft", 1, "baseline")
    assert said() == {
        "stage": "run",
        "recipe": "sft",
        "replicate": 1,
        "arm": "baseline",
        "done": 0,
        "total": 4,
        "replicates": 3,
        "eta_s": None,
    }


def test_a_round_of_several_arms_names_them(progress, said):
    progress.begins("sft", 2, "optimized, baseline")
    assert (said()["replicate"], said()["arm"]) == (2, "optimized, baseline")


def test_arms_of_a_round_are_done_one_by_one_and_count_what_each_took_of_the_machine(progress, clock, said):
    """Both took 20 s by the clock; of those each had the machine for a part."""
    progress.begins("sft", 1, "baseline, optimized")
    clock.at += 20.0
    progress.run_ends("sft", "baseline", "ok", 12.0)
    progress.run_ends("sft", "optimized", "crashed", 8.0)
    assert said()["stage"] == "sft optimized: crashed"
    assert (said()["done"], said()["eta_s"]) == (2, 12.0 + 8.0)


def test_a_run_that_ended_is_done_with_its_outcome(ran, said):
    ran("baseline", 10.0)
    assert (said()["stage"], said()["done"]) == ("sft baseline: ok", 1)


def test_the_rest_is_unknown_until_every_arm_to_come_has_run_once(ran, said):
    ran("baseline", 10.0)
    assert said()["eta_s"] is None


def test_the_rest_is_the_mean_of_each_arm_that_is_to_come(ran, said):
    ran("baseline", 10.0)
    ran("optimized", 6.0)
    assert said()["eta_s"] == 6.0 + 10.0
    ran("optimized", 8.0)
    assert said()["eta_s"] == 10.0


def test_the_rest_shrinks_while_a_run_goes_on_and_never_below_zero(ran, progress, clock, said, tmp_path):
    for arm, seconds in (("baseline", 10.0), ("optimized", 6.0), ("optimized", 6.0)):
        ran(arm, seconds)
    progress.begins("sft", 2, "baseline")
    clock.at += 4.0
    progress.look_at(tmp_path / "none")
    assert said()["eta_s"] == 6.0
    clock.at += 40.0
    progress.look_at(tmp_path / "none")
    assert said()["eta_s"] == 0.0


def test_at_the_end_all_is_done_and_nothing_is_left(ran, progress, said):
    for _, arm in PLANNED:
        ran(arm, 1.0)
    progress.stage("done")
    assert said() == {"stage": "done", "done": 4, "total": 4, "replicates": 3, "eta_s": 0.0}


def test_runs_that_were_there_already_count_as_done(progress, said):
    progress.skipped("sft", "baseline")
    progress.stage("x")
    assert said()["done"] == 1


def test_step_and_loss_come_from_the_newest_event(progress, said, tmp_path):
    progress.begins("sft", 1, "baseline")
    written = [line(kind="step", n=n, loss=loss) for n, loss in ((1, 3.0), (2, 2.5))]
    progress.look_at(events(tmp_path / "events", START, line(kind="phase", name="first"), *written))
    assert (said()["step"], said()["loss"], said()["phase"]) == (2, 2.5, "train")


def test_a_phase_shows_before_the_first_step(progress, said, tmp_path):
    progress.begins("sft", 1, "baseline")
    progress.look_at(events(tmp_path / "events", START, line(kind="phase", name="load")))
    assert said()["phase"] == "load"


def test_a_line_that_is_still_being_written_is_left_for_the_next_look(progress, said, tmp_path):
    progress.begins("sft", 1, "baseline")
    progress.look_at(events(tmp_path / "events", START, line(kind="step", n=1, loss=3.0), '{"kind": "st'))
    assert said()["step"] == 1


def test_of_a_long_file_the_last_lines_are_read(progress, said, tmp_path):
    progress.begins("sft", 1, "baseline")
    written = [line(kind="step", n=n, loss=1.0) for n in range(1, 1000)]
    assert sum(map(len, written)) > 2 * TAIL_B
    progress.look_at(events(tmp_path / "events", START, *written))
    assert said()["step"] == 999


def test_of_several_processes_the_one_that_writes_most_is_shown(progress, said, tmp_path):
    progress.begins("sft", 1, "baseline")
    folder = events(tmp_path / "events", START, line(kind="phase", name="import"))
    trained = [line(kind="step", n=n, loss=1.0) for n in (1, 2, 3)]
    progress.look_at(events(folder, START, *trained, name="8-1.jsonl"))
    assert said()["step"] == 3


def test_a_next_run_does_not_show_the_step_of_the_one_before(progress, said, tmp_path):
    progress.begins("sft", 1, "baseline")
    progress.look_at(events(tmp_path / "events", START, line(kind="step", n=1, loss=3.0)))
    progress.run_ends("sft", "baseline", "ok", 1.0)
    progress.begins("sft", 1, "optimized")
    assert "step" not in said()


@pytest.mark.parametrize("text", ["", "\n\n", "no json\nno json\nno json\n", "\x00\n\x00\n\x00\n"])
def test_events_that_cannot_be_read_change_nothing(progress, said, tmp_path, text):
    progress.begins("sft", 1, "baseline")
    progress.look_at(events(tmp_path / "events", text))
    assert (said()["stage"], "step" in said()) == ("run", False)


@pytest.mark.parametrize("value", ["[1]", "3", "null"])
def test_lines_that_are_no_objects_change_nothing(progress, said, tmp_path, value):
    progress.begins("sft", 1, "baseline")
    progress.look_at(events(tmp_path / "events", START, f"{value}\n", "{}\n"))
    assert "step" not in said()


def test_a_progress_file_that_cannot_be_written_ends_nothing(tmp_path, clock):
    progress = Progress(tmp_path / "gone" / "progress.json", PLANNED, 3)
    progress.stage("x")
    assert list(tmp_path.iterdir()) == []

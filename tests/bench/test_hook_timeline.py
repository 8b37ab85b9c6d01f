"""The timeline of phases: exclusive and contiguous whatever happens, on a clock of the test's own.

All durations are sums of powers of two, so that they add up without rounding.
"""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.hook_modules import hook_module

timeline_module = hook_module("timeline")

SHORT_S = 2.0**-11  # under SHORTEST_IMPORT_S
LONG_S = 2.0**-3


class Watch:
    """A timeline, its clock, and what it wrote."""

    def __init__(self) -> None:
        self.at = 100.0
        self.written: list[dict] = []
        timeline_module.now = lambda: self.at
        self.timeline = timeline_module.Timeline(self._write)

    def _write(self, kind: str, **fields: object) -> None:
        self.written.append({"kind": kind, **fields})

    def wait(self, seconds: float) -> None:
        self.at += seconds

    def phases(self) -> list[tuple[str, float]]:
        """(name, seconds) of each phase in the order in which they were written, up to now."""
        self.timeline.finish()
        return [(event["name"], event["end"] - event["begin"]) for event in self.written]

    def do(self, *steps: str | float | Callable[[], object]) -> "Watch":
        """`+load` enters, `-load` leaves, `=train` switches, `import` and `imported` bracket an import."""
        timeline = self.timeline
        for step in steps:
            if callable(step):
                step()
            elif not isinstance(step, str):
                self.wait(step)
            elif step == "import":
                timeline.enter_import()
            elif step == "imported":
                timeline.leave_import()
            else:
                name = step[1:]
                {
                    "+": lambda name=name: timeline.enter(name),
                    "-": lambda name=name: timeline.leave(name),
                    "=": lambda name=name: timeline.switch(name, self.at),
                }[step[0]]()
        return self


@pytest.fixture(autouse=True)
def clock():
    real = timeline_module.now
    yield
    timeline_module.now = real


def phases(*steps: str | float) -> list[tuple[str, float]]:
    return Watch().do(*steps).phases()


NAMES = ("load", "reference", "save", "eval")
STEPS = st.one_of(
    st.sampled_from([sign + name for sign in "+-" for name in NAMES]),
    st.sampled_from(["=first", "=train", "=other", "import", "imported"]),
    st.sampled_from([0.0, SHORT_S, LONG_S, 1.0]),
)


@given(st.lists(STEPS, max_size=30))
def test_phases_are_contiguous_from_begin_to_end_whatever_happens(steps):
    watch = Watch().do(*steps)
    watch.timeline.finish()
    borders = [(event["begin"], event["end"]) for event in watch.written]
    assert all(begin < end for begin, end in borders)
    assert [begin for begin, _ in borders] == [100.0, *(end for _, end in borders)][: len(borders)]
    assert (borders[-1][1] if borders else 100.0) == watch.at


@given(st.lists(STEPS, max_size=30))
def test_every_event_is_a_phase_with_a_known_name(steps):
    watch = Watch().do(*steps)
    watch.timeline.finish()
    known = {*NAMES, "import", "prep", "first", "train", "other"}
    assert {(event["kind"], event["name"] in known) for event in watch.written} <= {("phase", True)}


def test_what_nobody_names_is_prep():
    assert phases(1.0) == [("prep", 1.0)]


def test_no_time_is_no_phase():
    assert phases("+load", "-load") == []


def test_base_phases_follow_each_other():
    assert phases(1.0, "=first", 2.0, "=train", 3.0, "=other", 4.0) == [
        ("prep", 1.0),
        ("first", 2.0),
        ("train", 3.0),
        ("other", 4.0),
    ]


def test_a_phase_lies_on_top_of_its_base():
    assert phases("=train", 1.0, "+save", 2.0, "-save", 4.0) == [
        ("train", 1.0),
        ("save", 2.0),
        ("train", 4.0),
    ]


def test_of_nested_phases_the_innermost_counts():
    assert phases("+load", 1.0, "+reference", 2.0, "-reference", 4.0, "-load", 8.0) == [
        ("load", 1.0),
        ("reference", 2.0),
        ("load", 4.0),
        ("prep", 8.0),
    ]


def test_a_phase_inside_itself_is_entered_once():
    watch = Watch()
    assert (watch.timeline.enter("load"), watch.timeline.enter("load")) == (True, False)


def test_a_long_import_is_written_from_its_begin():
    assert phases(1.0, "import", LONG_S, "imported", 2.0) == [
        ("prep", 1.0),
        ("import", LONG_S),
        ("prep", 2.0),
    ]


def test_a_short_import_stays_in_the_phase_around_it():
    assert phases(1.0, "import", SHORT_S, "imported", 2.0) == [("prep", 3.0 + SHORT_S)]


def test_an_import_inside_an_import_is_part_of_it():
    watch = Watch()
    assert (watch.timeline.enter_import(), watch.timeline.enter_import()) == (True, False)


def test_an_import_inside_a_load_is_load():
    watch = Watch().do("+load", 1.0)
    assert watch.timeline.enter_import() is False
    assert watch.do(1.0, "-load").phases() == [("load", 2.0)]


def test_a_load_inside_an_import_counts_as_load_and_the_rest_as_import():
    assert phases(1.0, "import", LONG_S, "+load", 2.0, "-load", 4.0, "imported", 8.0) == [
        ("prep", 1.0),
        ("import", LONG_S),
        ("load", 2.0),
        ("import", 4.0),
        ("prep", 8.0),
    ]


def test_a_short_import_with_a_load_inside_is_written_all_the_same():
    assert phases(1.0, "import", SHORT_S, "+load", 2.0, "-load", "imported", 4.0) == [
        ("prep", 1.0),
        ("import", SHORT_S),
        ("load", 2.0),
        ("prep", 4.0),
    ]


def test_training_inside_a_module_ends_its_import():
    watch = Watch().do("import", LONG_S, "+load", 1.0, "-load", LONG_S, "=first", 2.0, "imported", 4.0)
    assert watch.phases() == [("import", LONG_S), ("load", 1.0), ("import", LONG_S), ("first", 6.0)]


def test_an_import_that_trains_is_import_until_the_first_step():
    assert phases("import", LONG_S, "=first", 2.0, "imported") == [("import", LONG_S), ("first", 2.0)]


def test_imports_after_the_first_step_are_part_of_their_step():
    assert phases("=first", 1.0, "import", 1.0, "imported", 1.0) == [("first", 3.0)]


def test_a_phase_that_was_left_by_a_switch_cannot_be_left_again():
    assert phases("+load", 1.0, "=first", 2.0, "-load", 4.0) == [("load", 1.0), ("first", 6.0)]


def test_other_threads_do_not_move_the_timeline():
    watch = Watch().do(1.0)
    entered: list[bool] = []

    def work() -> None:
        entered.extend(
            [watch.timeline.enter("load"), watch.timeline.enter_import(), watch.timeline.is_mine()]
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [False, False, False]
    assert watch.do(1.0).phases() == [("prep", 2.0)]


def test_peaks_are_asked_once_a_phase_and_written_with_it():
    watch = Watch()
    peaks = iter([{"rss": 1}, {"rss": 2}])
    watch.timeline.memory = lambda: next(peaks)
    watch.do(1.0, "=first", 1.0).timeline.finish()
    assert [event["rss"] for event in watch.written] == [1, 2]


@pytest.mark.parametrize(
    ("steps", "current"), [((), "prep"), (("=train",), "train"), (("=train", "+save"), "save")]
)
def test_the_current_phase_is_the_one_on_top(steps, current):
    assert Watch().do(*steps).timeline.current == current


def test_before_training_is_before_the_first_step():
    watch = Watch()
    assert watch.timeline.is_before_training
    assert not watch.do("=first").timeline.is_before_training

"""The pool of `noise.py`: what it lacks, and who sat down to measure it when."""

import json

import pytest
from noise_pool import (
    Sitting,
    UnlikeMachine,
    append,
    first_rounds,
    missing,
    read_lines,
    read_machine,
    sit_down,
    sittings_of,
)

MACHINE = {"cpu": "c", "cores": 2, "python": "3.11.7", "versions": {"torch": "2"}, "steps": 60}
FIRST = Sitting("2026-11-20", "6.1", None, {"abba": 1, "lockstep": 1})
SECOND = Sitting("2026-11-27", "6.2", "ab12", {"abba": 1, "lockstep": 4})


def test_lines_of_a_setting_are_kept_with_their_round(tmp_path):
    append(tmp_path, 2, "abba", iter([{"arm": "again"}]))
    assert read_lines(tmp_path) == [{"round": 2, "setting": "abba", "arm": "again"}]


def test_of_a_setting_that_broke_off_no_line_is_kept(tmp_path):
    def broken():
        yield {"arm": "again"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        append(tmp_path, 1, "abba", broken())
    assert read_lines(tmp_path) == []


def test_a_setting_that_is_new_is_missing_in_every_round():
    lines = [{"round": number, "setting": "abba"} for number in (1, 2)]
    assert missing(lines, ("abba", "sequence"), 3) == [
        (1, "sequence"), (2, "sequence"), (3, "abba"), (3, "sequence")
    ]  # fmt: skip
    assert first_rounds(missing(lines, ("abba", "sequence"), 3)) == {"sequence": 1, "abba": 3}


def test_a_call_that_goes_on_adds_a_sitting(tmp_path):
    sit_down(tmp_path, MACHINE, FIRST)
    sit_down(tmp_path, MACHINE, SECOND)
    assert sittings_of(read_machine(tmp_path)) == [FIRST, SECOND]
    assert {name: read_machine(tmp_path)[name] for name in MACHINE} == MACHINE


def test_a_sitting_that_measured_nothing_is_replaced(tmp_path):
    sit_down(tmp_path, MACHINE, FIRST)
    again = Sitting("2026-11-27", "6.2", "ab12", FIRST.from_round)
    sit_down(tmp_path, MACHINE, again)
    assert sittings_of(read_machine(tmp_path)) == [again]


@pytest.mark.parametrize("name", MACHINE)
def test_runs_of_another_machine_do_not_get_into_a_pool(tmp_path, name):
    sit_down(tmp_path, MACHINE, FIRST)
    before = (tmp_path / "machine.json").read_text()
    with pytest.raises(UnlikeMachine, match=name):
        sit_down(tmp_path, {**MACHINE, name: "other"}, SECOND)
    assert (
        (tmp_path / "machine.json").read_text() == before == json.dumps(json.loads(before), indent=1) + "\n"
    )


def test_a_sitting_says_when_and_with_what_it_measured():
    assert FIRST.text == "2026-11-20, kernel 6.1, harness unknown: abba and lockstep from round 1"
    assert SECOND.text == "2026-11-27, kernel 6.2, harness ab12: abba from round 1, lockstep from round 4"

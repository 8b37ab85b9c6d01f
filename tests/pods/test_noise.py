"""The noise store: real files, real processes that add at once, and files that are no records."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path, PurePath

import pytest

from pods import noise
from pods.shell import NoSuchFile, PodError
from pods.shell_local import LocalShell

GPU = "GPU-8f3a5c1e-0000-1111-2222-333344445555"
HOST = {"hostname": "pod-7", "cpu_model": "EPYC", "cores": 2}
ADDER = """
import pathlib, sys
from pods import noise
from pods.shell_local import LocalShell
machine, adder = pathlib.Path(sys.argv[1]), sys.argv[2]
for number in range(20):
    noise.add(LocalShell(), machine, "cpu-1", "job", {"adder": adder, "number": number})
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return tmp_path / "machine"


@pytest.fixture
def folder(machine: Path) -> Path:
    """That of the unit `cpu-1`, with one good record in it."""
    noise.add(LocalShell(), machine, "cpu-1", "good", {"n": 1})
    return machine / "noise" / "cpu-1"


def stored(machine: Path) -> noise.Stored:
    return noise.stored(LocalShell(), machine, "cpu-1")


def test_nothing_is_stored_where_there_is_no_folder(machine: Path) -> None:
    assert stored(machine) == noise.Stored({}, {})


def test_records_are_found_again_each_under_its_unit(machine: Path) -> None:
    noise.add(LocalShell(), machine, GPU, "a", {"n": 1})
    noise.add(LocalShell(), machine, GPU, "a", {"n": 2})
    noise.add(LocalShell(), machine, "cpu-1", "a", {"n": 3})
    found = noise.stored(LocalShell(), machine, GPU)
    assert sorted(record["n"] for record in found.records.values()) == [1, 2]
    assert [record["n"] for record in stored(machine).records.values()] == [3]


def test_the_same_record_again_is_no_second_one(machine: Path) -> None:
    places = {noise.add(LocalShell(), machine, "cpu-1", "a", {"n": 1, "m": m}) for m in (2, 2)}
    assert len(places) == len(stored(machine).records) == 1


def test_many_processes_add_at_once_and_a_reader_never_sees_half_a_record(machine: Path) -> None:
    begun = [
        subprocess.Popen([sys.executable, "-c", ADDER, str(machine), str(number)]) for number in range(4)
    ]
    seen = 0
    while any(child.poll() is None for child in begun):
        found = stored(machine)
        assert found.broken == {}
        assert len(found.records) >= seen
        seen = len(found.records)
    assert [child.returncode for child in begun] == [0] * 4
    records = stored(machine).records.values()
    assert {(one["adder"], one["number"]) for one in records} == {
        (str(adder), number) for adder in range(4) for number in range(20)
    }


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\x00\xff\n" * 50, b"[1]", b'"text"', b"[" * 100_000, b"{}" + b" " * (1 << 20)],
    ids=["empty", "half", "bytes", "list", "text", "deep", "long"],
)
def test_a_file_that_is_no_record_is_passed_over_and_named(machine: Path, folder: Path, data: bytes) -> None:
    (folder / "bad.json").write_bytes(data)
    found = stored(machine)
    assert [record["n"] for record in found.records.values()] == [1]
    assert list(found.broken) == ["bad.json"]
    assert found.broken["bad.json"]


def test_what_is_no_file_is_neither_followed_nor_waited_for(machine: Path, folder: Path) -> None:
    [good] = folder.iterdir()
    (folder / "link.json").symlink_to(good)
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    found = stored(machine)
    assert len(found.records) == 1
    assert sorted(found.broken) == ["folder.json", "link.json", "pipe.json"]


def test_what_a_killed_writer_left_is_not_looked_at(machine: Path, folder: Path) -> None:
    (folder / ".0123.tmp").write_text("{")
    (folder / ".0123.json").write_text("{")
    assert stored(machine).broken == {}


def test_a_folder_that_is_none_is_named_and_nothing_is_known(machine: Path) -> None:
    (machine / "noise").mkdir(parents=True)
    (machine / "noise" / "cpu-1").write_text("mine")
    assert stored(machine) == noise.Stored({}, {".": "Not a directory"})


def test_all_users_may_add_and_nobody_may_remove_anothers(machine: Path, folder: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (machine / "noise", folder)}
    assert modes == {0o1777}


def test_a_name_of_any_text_stays_in_the_folder(machine: Path) -> None:
    path = noise.add(LocalShell(), machine, "cpu-1", "../../x; touch y\n.json", {})
    assert Path(path).parent == machine / "noise" / "cpu-1"
    assert len(stored(machine).records) == 1


@pytest.mark.parametrize("unit", ["", "../leases", "a/b", ".hidden"])
def test_a_unit_that_leads_elsewhere_is_refused(machine: Path, unit: str) -> None:
    with pytest.raises(ValueError, match="unit"):
        noise.add(LocalShell(), machine, unit, "a", {})


def test_a_folder_that_cannot_be_made_is_trouble_of_the_machine(machine: Path) -> None:
    machine.write_text("in the way")
    with pytest.raises(PodError, match="noise/cpu-1"):
        noise.add(LocalShell(), machine, "cpu-1", "a", {})


class Elsewhere(LocalShell):
    """A machine with another id, or with none."""

    def __init__(self, machine_id: bytes | None) -> None:
        super().__init__()
        self.machine_id = machine_id

    def get(self, path: PurePath, limit_b: int, *, timeout_s: float = 120.0) -> bytes:
        if self.machine_id is None:
            raise NoSuchFile(str(path))
        return self.machine_id


def test_a_gpu_is_its_uuid() -> None:
    assert noise.unit_of(Elsewhere(b"m1\n"), GPU, HOST) == GPU


def test_the_processor_is_the_machine_with_its_model_and_cores() -> None:
    units = [
        noise.unit_of(Elsewhere(b"m1\n"), "cpu", HOST),
        noise.unit_of(Elsewhere(b"m2\n"), "cpu", HOST),
        noise.unit_of(Elsewhere(None), "cpu", HOST),
        noise.unit_of(Elsewhere(None), "cpu", {**HOST, "hostname": "pod-8"}),
        noise.unit_of(Elsewhere(b"m1\n"), "cpu", {**HOST, "cores": 4}),
        noise.unit_of(Elsewhere(b"m1\n"), "cpu", {}),
    ]
    assert len(set(units)) == 6
    assert noise.unit_of(Elsewhere(b"m1\n"), "cpu", {**HOST, "hostname": "renamed"}) == units[0]
    assert all(unit.startswith("cpu-") for unit in units)


def test_a_record_is_one_line_of_json_for_whoever_looks(folder: Path) -> None:
    [path] = folder.iterdir()
    assert path.name.startswith("good-")
    assert json.loads(path.read_text()) == {"n": 1}

"""The pool of `noise.py` in a folder: `pool.jsonl`, a line a run, and `machine.json`, what they were made on.

What is in SAME all runs of a pool have in common. A pool grows in sittings, days apart maybe: each call that
measures adds one, with what may have changed since, and says from which round on it measured what.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SAME = ("cpu", "cores", "python", "versions", "steps")
LINES, MACHINE = "pool.jsonl", "machine.json"

Line = Mapping[str, Any]


class UnlikeMachine(Exception):
    """The pool was made on another one."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """`harness` is the digest of what measured, None where nobody wrote it down. `from_round`: by setting the
    first round that the pool lacked; of two sittings that say so of a round the later one made it."""

    date: str
    kernel: str
    harness: str | None
    from_round: Mapping[str, int]

    @property
    def text(self) -> str:
        """`2026-11-20, kernel 6.18, harness unknown: abba from round 1, lockstep from round 4`."""
        by_round: dict[int, list[str]] = {}
        for setting, number in self.from_round.items():
            by_round.setdefault(number, []).append(setting)
        told = ", ".join(f"{_and(names)} from round {number}" for number, names in sorted(by_round.items()))
        return f"{self.date}, kernel {self.kernel}, harness {self.harness or 'unknown'}: {told}"


def read_lines(folder: Path) -> list[Line]:
    path = folder / LINES
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


def append(folder: Path, number: int, setting: str, lines: Iterable[Line]) -> None:
    """All lines of a setting at once: a round that broke off leaves none."""
    text = "".join(json.dumps({"round": number, "setting": setting, **line}) + "\n" for line in list(lines))
    with (folder / LINES).open("a", encoding="utf-8") as file:
        file.write(text)


def missing(lines: Iterable[Line], settings: Sequence[str], rounds: int) -> list[tuple[int, str]]:
    """(round, setting) of what the pool lacks, in the order in which it is measured."""
    done = {(line["round"], line["setting"]) for line in lines}
    wanted = [(number, setting) for number in range(1, rounds + 1) for setting in settings]
    return [one for one in wanted if one not in done]


def first_rounds(lacking: Iterable[tuple[int, str]]) -> dict[str, int]:
    """By setting the first round that is missing."""
    found: dict[str, int] = {}
    for number, setting in lacking:
        found[setting] = min(found.get(setting, number), number)
    return found


def sit_down(folder: Path, machine: Mapping[str, Any], sitting: Sitting) -> None:
    """Add a sitting on `machine`. One that lacked the same as this one measured nothing, and is replaced.

    Raises UnlikeMachine.
    """
    path = folder / MACHINE
    there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {**machine, "sittings": []}
    if unlike := [name for name in SAME if there.get(name) != machine[name]]:
        raise UnlikeMachine(
            f"{folder} holds runs of another machine ({', '.join(unlike)}): name another folder"
        )
    before = [one for one in sittings_of(there) if one.from_round != sitting.from_round]
    kept = {**there, "sittings": [asdict(one) for one in (*before, sitting)]}
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def read_machine(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / MACHINE).read_text(encoding="utf-8"))
    return found


def sittings_of(machine: Mapping[str, Any]) -> list[Sitting]:
    return [Sitting(**one) for one in machine["sittings"]]


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))

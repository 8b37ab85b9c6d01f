"""Lockstep: the arms of one replicate against each other, window by window, on the same device.

One process an arm. Each runs alone to its entry into `Trainer.train`, where the hook waits at a gate; from
there the token goes round: its holder runs for a window of steps, the trees of all others stand still. The
first step is a window of its own. Who goes first rotates and is reversed, so that drift cancels. An arm that
is through waits until all are, then each runs to its end alone. Every wait ends: with the arm's own limit,
which counts only the time in which it held the token, or with its owner's.
"""

from __future__ import annotations

import math
import select
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.worker.gate import Door, read_line, send_line
from bench.worker.one_run import OneRun, RunPlace
from bench.worker.owned import TICK_S, Ownership, Tree
from bench.worker.progress import Progress
from bench.worker.settings import Settings

MOST_OF_DEVICE = 0.9
MOST_STEPS = 10_000


class Unfit(Exception):
    """The arms cannot be on the device at the same time; nothing of the round is left."""


class Lane:
    """One arm in the round: its run, its tree, and the gate where it waits."""

    def __init__(self, run: OneRun, place: RunPlace, tree: Tree, door: Door) -> None:
        self.run = run
        self.place = place
        self.tree = tree
        self.door = door
        self.connection: socket.socket | None = None
        self.has_met = False  # its hook came to the gate: it takes part
        self.at = ""  # enter, steps or end
        self.steps = 0
        self.step_s = math.inf
        self.turns: list[tuple[float, float]] = []
        self.memory: Mapping[str, Any] = {}
        self.is_stopped = False
        self.is_over_limit = False

    @property
    def held_s(self) -> float:
        return sum(end - begin for begin, end in self.turns)

    @property
    def is_training(self) -> bool:
        return self.connection is not None and self.at in ("enter", "steps")

    def hear(self, said: Mapping[str, Any]) -> None:
        """What the hook says at a gate; nothing where it has closed the connection."""
        if not said and self.connection is not None:
            self.connection.close()
            self.connection = None
            return
        self.at = str(said.get("place", ""))
        self.steps = int(said.get("steps", self.steps))
        self.memory = said

    def close(self) -> None:
        self.door.close()
        if self.connection is not None:
            self.connection.close()


class Lockstep:
    """One round. `measure` it, then `ended` says how each run ended: (run, in a word, seconds)."""

    def __init__(self, settings: Settings, ownership: Ownership, progress: Progress) -> None:
        self._settings = settings
        self._ownership = ownership
        self._progress = progress
        self._lanes: list[Lane] = []  # those whose records are not written yet, in the round's order
        self._told_at = 0.0
        self.ended: list[tuple[OneRun, str, float]] = []

    def measure(self, runs: Sequence[tuple[OneRun, RunPlace]]) -> None:
        """Run all arms to their ends and leave their records. Raises Unfit."""
        first = runs[0][0]
        self._progress.begins(first.recipe.name, first.replicate, ", ".join(run.arm.name for run, _ in runs))
        try:
            for run, place in runs:
                if not self._ownership.is_cancelled:
                    self._start(run, place, len(runs))
            self._go_round()
        except Unfit:
            self._abandon([run for run, _ in runs])
            raise

    def _start(self, run: OneRun, place: RunPlace, arms: int) -> None:
        self._hold_back(None)
        door = Door()  # one each: who knocks and says nothing takes the time of its own arm only
        start = run.start(place, gate=door.address)
        # The owner's limit is a net: it counts the others' time too, and what it takes to stop and to wake.
        whole_s = 2 * arms * self._ownership.patience_s(start.limit_s)
        begin = time.monotonic()
        tree = self._ownership.start(replace(start, limit_s=whole_s), has_orders=True)
        lane = Lane(run, place, tree, door)
        self._lanes.append(lane)
        self._turn(lane, begin)

    def _go_round(self) -> None:
        window = 0
        while self._lanes:
            training = [lane for lane in in_turn(self._lanes, window) if lane.is_training]
            if not training:
                for lane in list(self._lanes):  # each of them once: who trains again waits for the others to
                    self._hand_over(lane, None)
                continue
            fastest_s = min(lane.step_s for lane in training)
            steps = steps_of(window, fastest_s, self._settings.window_steps, self._settings.window_s)
            for lane in training:
                self._hand_over(lane, steps)
            window += 1
            self._check_fit()

    def _hand_over(self, lane: Lane, steps: int | None) -> None:
        """The token, for a window of `steps`, or to the lane's end."""
        if lane not in self._lanes:  # it has ended since: somebody killed it where it stood
            return
        self._hold_back(lane)
        lane.place.sampling.mark()
        begin = time.monotonic()
        if lane.connection is not None:
            send_line(lane.connection, {"steps": steps})
        self._turn(lane, begin)

    def _hold_back(self, holder: Lane | None) -> None:
        """Everything but the holder stands still."""
        if self._ownership.is_cancelled:  # all of them end now, and take longer stopped
            return
        for lane in self._lanes:
            if lane is not holder and not lane.is_stopped:
                lane.is_stopped = lane.tree.order("stop")
        if holder is not None and holder.is_stopped:
            holder.tree.order("go")
            holder.is_stopped = False

    def _turn(self, lane: Lane, begin: float) -> None:
        """Wait until the lane, which has held the token since `begin`, is at its next gate, or has ended."""
        steps = lane.steps
        patience_s = self._ownership.patience_s(lane.run.recipe.limit_s)
        lane.at = ""
        while (not lane.at or lane.is_over_limit) and not lane.tree.has_ended:
            self._look(lane)
            held_s = lane.held_s + time.monotonic() - begin
            if held_s > lane.run.recipe.limit_s and not lane.is_over_limit:
                lane.is_over_limit = lane.tree.order("timeout")
            if held_s > patience_s:
                lane.tree.kill()
        end = time.monotonic()
        lane.turns.append((begin, end))
        lane.place.sampling.mark()
        if lane.steps > steps + 1:
            lane.step_s = (end - begin) / (lane.steps - steps)
        if end > self._told_at + TICK_S:
            self._told_at = end
            self._progress.look_at(lane.run.events)
        for ended in [one for one in self._lanes if one.tree.has_ended]:
            self._end(ended)

    def _look(self, lane: Lane) -> None:
        """Take in what comes first: a gate, the owner's report, or a tick."""
        gate = lane.connection or lane.door
        ready, _, _ = select.select([lane.tree, gate], [], [], TICK_S)
        if not ready:
            self._progress.look_at(lane.run.events)
        if lane.tree in ready:
            lane.tree.read()
        if gate not in ready:
            return
        if lane.connection is not None:
            lane.hear(read_line(lane.connection))
        elif met := lane.door.met(lane.run.key):
            lane.connection, said = met
            lane.has_met = True
            lane.hear(said)

    def _check_fit(self) -> None:
        memories = [lane.memory for lane in self._lanes]
        device_b = max((memory.get("device", 0) for memory in memories), default=0)
        reserved_b = sum(memory.get("reserved", 0) for memory in memories)
        if len(memories) > 1 and device_b and reserved_b > MOST_OF_DEVICE * device_b:
            raise Unfit(
                f"{len(memories)} arms reserve {reserved_b / 2**30:.1f} GiB"
                f" of the device's {device_b / 2**30:.1f} GiB"
            )

    def _end(self, lane: Lane) -> None:
        """Leave the record of a lane whose tree is gone. Raises Unfit where others have what it lacked."""
        self._lanes.remove(lane)
        lane.close()
        owned = self._ownership.forget(lane.tree)
        word = lane.run.end(lane.place, owned, lane.turns if lane.has_met else ())
        self.ended.append((lane.run, word, lane.held_s))
        if self._lanes and (lacked := lane.run.lacked):
            others = ", ".join(other.run.arm.name for other in self._lanes)
            raise Unfit(f"{lane.run.arm.name} {lacked} beside {others}")

    def _abandon(self, runs: Sequence[OneRun]) -> None:
        until = time.monotonic() + self._ownership.patience_s(0.0)
        for lane in self._lanes:
            lane.tree.ask_to_end()
        for lane in list(self._lanes):
            while not lane.tree.has_ended:
                if select.select([lane.tree], [], [], TICK_S)[0]:
                    lane.tree.read()
                elif time.monotonic() > until:
                    lane.tree.kill()
            lane.close()
            lane.run.end(lane.place, self._ownership.forget(lane.tree))
        for run in runs:
            shutil.rmtree(run.folder, ignore_errors=True)


def steps_of(window: int, fastest_s: float, fewest: int, shortest_s: float) -> int:
    """How many steps a window has: the first one, then as many as give it its length at the pace of the
    fastest arm, `fastest_s` a step (infinite where it is not known)."""
    if window == 0:
        return 1
    if not 0 < fastest_s < math.inf:
        return fewest
    return min(max(fewest, math.ceil(shortest_s / fastest_s)), MOST_STEPS)


def in_turn(lanes: Sequence[Lane], window: int) -> list[Lane]:
    """The order within a window: rotated by one from window to window, reversed in every second cycle.

    With two arms A B, B A, B A, A B. Each arm comes as often first, and as early on average, as any other.
    """
    turn = window % len(lanes)
    order = [*lanes[turn:], *lanes[:turn]]
    return order[::-1] if window // len(lanes) % 2 else order

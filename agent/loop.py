"""The loop: reload everything, do the one most useful thing for each issue, return.

A poll in which nothing changed is one conditional request; the issues that wait for the slot are one question
to the machine. An issue that is worked on and vanished from the list is asked for by itself. Trouble with one
issue is logged and leaves the others alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pods.shell import PodError

from agent.action import Launch, Refresh, news, told
from agent.decide import decide
from agent.errors import TaskError
from agent.gather import Desk, gather, is_slot_free, issues_with_jobs
from agent.look import Look
from agent.perform import perform
from agent.saying import relabel
from agent.situation import Attention
from agent.tracker import Limited, Locked, Revoked, TrackerError

logger = logging.getLogger("paceline.agent")

WAITING_EVERY = timedelta(minutes=5)
LONGEST_PAUSE_S = 300.0
MOST_STEPS = 20
"""Steps of one issue in one tick: a bound on a mistake, not a budget."""


@dataclass
class Loop:
    """`attention` says when each issue is looked at again without news, `said` what was said of it last;
    after a restart the first is found again by the list and the jobs."""

    desk: Desk
    now: Callable[[], datetime]
    say: Callable[[str], None]
    is_dry: bool = False
    attention: dict[int, Attention] = field(default_factory=dict)
    said: dict[int, str] = field(default_factory=dict)
    looked_at: datetime | None = None
    is_fresh: bool = True

    def tick(self) -> bool:
        """One look at everything; whether anything was done."""
        self.desk.yard.begin_tick()
        due = self._changed() | self._those("each tick")
        if self.looked_at is None or self.now() - self.looked_at >= WAITING_EVERY:
            # Recipes and branches move on without a word on the issue, and other agents fall silent.
            self.looked_at = self.now()
            due |= self._those("now and then")
        queue = self._those("when the slot is free") - due
        if queue and self._may_start():
            due |= queue
        did = False
        for number in sorted(due, key=self.desk.line.key):
            did = self._look_after(number) or did
        return did

    def _changed(self) -> set[int]:
        known, listed = self.desk.tagged, self.desk.tracker.tagged(self.desk.operator.label)
        changed = issues_with_jobs(self.desk) if self.is_fresh else set()
        if listed is not None:
            changed |= {issue.number for issue in listed if known.get(issue.number) != issue}
            changed |= set(known) - {issue.number for issue in listed}
            known.clear()
            known.update({issue.number: issue for issue in listed})
        self.is_fresh = False
        return changed

    def _those(self, when: Attention) -> set[int]:
        return {number for number, their in self.attention.items() if their == when}

    def _may_start(self) -> bool:
        """Whether the slot is free, or cannot be asked for: then those that wait for it tell why."""
        try:
            return is_slot_free(self.desk)
        except PodError:
            return True

    def _look_after(self, number: int) -> bool:
        try:
            return self._steps(number)
        except (Limited, Revoked):
            self.attention[number] = "each tick"
            raise  # nothing works for any issue until then
        except Locked as error:
            self._tell(number, str(error))
            self.attention[number] = "now and then"
        except (TrackerError, PodError, TaskError) as error:
            self._tell(number, str(error))
            self.attention[number] = "each tick"
        except Exception:
            logger.exception("issue %d: our bug; it is left alone until the next tick", number)
            self.attention[number] = "each tick"
        return False

    def _steps(self, number: int) -> bool:
        """Step after step while each does something at once; then watch it, or leave it."""
        for step in range(MOST_STEPS):
            issue = self.desk.tracker.issue(number)
            found = gather(self.desk, number, issue, self.now())
            action = decide(found)
            if self.is_dry:
                self.say(f"#{number}: would {told(action)}")
                return False
            self._tell(number, news(found, action))
            look = Look(self.desk, number, found, self.now(), lambda line: self._tell(number, line))
            did = perform(look, action)
            if not did or isinstance(action, Launch | Refresh):
                relabel(look)
                self.attention[number] = found.attention
                return did or step > 0
        return True

    def _tell(self, number: int, line: str) -> None:
        """Say it where it is not what was said of the issue last: a poll that finds the same is no news."""
        if line and self.said.get(number) != line:
            self.said[number] = line
            self.say(f"#{number}: {line}")

    def run(self, stop: threading.Event) -> None:
        """Tick until told to stop; a tracker that cannot be reached, or refuses, is waited for."""
        poll_s = pause_s = self.desk.operator.poll_s
        last = ""
        while not stop.is_set():
            try:
                did = self.tick()
                pause_s, last = poll_s, ""
            except TrackerError as error:
                if str(error) != last:  # six hours of silence are told once
                    self.say(f"tracker: {error}")
                did, pause_s, last = False, self._pause_s(error, pause_s), str(error)
            stop.wait(0.2 if did else pause_s)

    def _pause_s(self, error: TrackerError, pause_s: float) -> float:
        """As long as the tracker asks for; else twice as long as before, up to `LONGEST_PAUSE_S`."""
        if isinstance(error, Limited):
            return max((error.until - self.now()).total_seconds(), 1.0)
        return LONGEST_PAUSE_S if isinstance(error, Revoked) else min(2 * pause_s, LONGEST_PAUSE_S)


def utc_now() -> datetime:
    return datetime.now(UTC)

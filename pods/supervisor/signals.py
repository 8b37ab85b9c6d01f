"""The signals an owner or a supervisor listens to, as a descriptor that can be polled.

Owns the handlers of CHLD, TERM, INT and HUP of this process. Waiting costs nothing: poll blocks until a child
ends or somebody asks this process to end. The subject is being timed beside us on few cores.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

CANCELLING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    def __init__(self) -> None:
        self.descriptor, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.is_cancelled = False
        self.is_child_waiting = True
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in CANCELLING:
            signal.signal(number, self._cancel)
        signal.signal(signal.SIGCHLD, self._note_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def drain(self) -> None:
        try:
            while os.read(self.descriptor, 4096):
                pass
        except BlockingIOError:
            return

    def _cancel(self, _number: int, _frame: FrameType | None) -> None:
        self.is_cancelled = True

    def _note_child(self, _number: int, _frame: FrameType | None) -> None:
        self.is_child_waiting = True

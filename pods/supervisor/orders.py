"""What an owner is told while it works, on its standard input: one word a line, each answered by a JSON line.

`stop` and `go` stop and continue the tree, `timeout` ends it as one that has used up its time, unless it is
being ended already. The end of the input means nothing: an owner ends with its parent, not with a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable

from . import tree

INPUT, ANSWERS = 0, 1


class Orders:
    def __init__(self, stop: Callable[[], int], time_out: Callable[[], None]) -> None:
        self._stop = stop
        self._time_out = time_out
        self._rest = b""
        os.set_blocking(INPUT, False)

    def read(self) -> bool:
        """Carry out what has come; whether more can come."""
        try:
            data = os.read(INPUT, 4096)
        except BlockingIOError:
            return True
        *words, self._rest = (self._rest + data).split(b"\n")
        for word in words:
            self._carry_out(word)
        return bool(data)

    def _carry_out(self, word: bytes) -> None:
        if word == b"stop":
            answer = {"stopped": self._stop()}
        elif word == b"go":
            answer = {"going": tree.go_on()}
        elif word == b"timeout":
            self._time_out()
            answer = {"ending": 1}
        else:
            answer = {"unknown": 1}
        with contextlib.suppress(OSError):  # whoever asked is gone, and this owner will be soon
            os.write(ANSWERS, json.dumps(answer).encode() + b"\n")

"""Makes work last as long as it is planted to, by sleeping for what is left of it.

What a machine adds (waking up late, the hook's own work between two steps) is made up for in the next step,
so that a ratio of planted times is the ratio that is measured. Time at a gate is not made up for: there the
process stands still and takes no CPU time.
"""

import time

import planted

BEGAN_S = time.monotonic()
"""This is the first of the stand-ins to be imported."""
LOADS_S = []
"""What loading took, which is no part of what comes before training."""


def loaded(work):
    begin_s = time.monotonic()
    result = lasting(planted.LOAD_S, work)
    LOADS_S.append(time.monotonic() - begin_s)
    return result


def prepared():
    """Wait until everything before training has taken its time; by how many seconds it is late."""
    return _until(BEGAN_S + sum(LOADS_S) + planted.PREP_S)


def lasting(seconds, work):
    """What `work` returns, after `seconds`."""
    begin_s = time.monotonic()
    result = work()
    _until(begin_s + seconds)
    return result


class Steps:
    """The steps of one training, of which the first makes up for `late_s`."""

    def __init__(self, late_s):
        self._late_s = late_s
        self._cpu_s = None

    def begin(self):
        """The first step is about to begin."""
        if self._cpu_s is None:
            self._cpu_s = time.thread_time()

    def last(self, seconds, work):
        """What `work` returns, `seconds` after the step before it returned; time at a gate does not count."""
        begin_s, between_s = time.monotonic(), time.thread_time() - self._cpu_s
        result = work()
        self._late_s = _until(begin_s + seconds - between_s - self._late_s)
        self._cpu_s = time.thread_time()
        return result


def _until(end_s):
    time.sleep(max(0.0, end_s - time.monotonic()))
    return time.monotonic() - end_s

"""Stands for PyTorch, the library, as far as the hook meets it: tensors of whole numbers, and a device.

There is one where a subject says how much of it is reserved. It lies in the subject's worktree, so that a run
takes a moment and not the 8 s of the real one.
"""

import array
import time
from types import SimpleNamespace


class Tensor:
    """Rows of equal length."""

    class device:
        type = "cpu"

    def __init__(self, rows):
        self._rows = rows
        self.shape = (len(rows), len(rows[0]) if rows else 0)

    def dim(self):
        return len(self.shape)

    def numel(self):
        return self.shape[0] * self.shape[1]

    def sum(self):
        return sum(map(sum, self._rows))

    def detach(self):
        return self

    cpu = contiguous = numpy = detach

    def tobytes(self):
        return b"".join(array.array("q", row).tobytes() for row in self._rows)


class OutOfMemoryError(RuntimeError):
    pass


class Event:
    def __init__(self, enable_timing):
        self.at = None

    def record(self):
        self.at = time.monotonic()

    def query(self):
        return self.at is not None

    def elapsed_time(self, end):
        """Milliseconds, as there."""
        return 1000 * (end.at - self.at)


class _Cuda:
    Event, OutOfMemoryError = Event, OutOfMemoryError
    device_b, reserved_b = 80 << 30, 0

    def is_available(self):
        return self.reserved_b > 0

    is_initialized = is_available

    def max_memory_reserved(self):
        return self.reserved_b

    max_memory_allocated = max_memory_reserved

    def current_device(self):
        return 0

    def get_device_properties(self, device):
        return SimpleNamespace(total_memory=self.device_b)

    def synchronize(self):
        pass

    reset_peak_memory_stats = synchronize


cuda = _Cuda()

"""Stands for PyTorch, the library, as far as the hook meets it: a machine without a GPU, tensors of whole
numbers. It lies in the subject's worktree, so that a run takes a moment and not the 8 s of the real one.
"""

import array


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


class cuda:
    """No device."""

    @staticmethod
    def is_available():
        return False

    class OutOfMemoryError(RuntimeError):
        pass

"""Stands for PyTorch, the library, as far as the hook and this target meet it: small tensors, no device.

A tensor is nested lists. It lies in the subject's worktree, so that a run takes a moment and not the 8 s of
the real one.
"""

import array
import contextlib
import math
from types import SimpleNamespace

float32, float64 = "torch.float32", "torch.float64"


class Tensor:
    device = SimpleNamespace(type="cpu")
    dtype = float32
    requires_grad = True

    def __init__(self, values):
        self.values = values

    @property
    def shape(self):
        lengths, values = [], self.values
        while isinstance(values, list):
            lengths.append(len(values))
            values = values[0] if values else 0
        return tuple(lengths)

    def dim(self):
        return len(self.shape)

    def numel(self):
        return math.prod(self.shape)

    def sum(self):
        return sum(_flat(self.values))

    def item(self):
        return self.values

    def detach(self):
        return self

    cpu = contiguous = numpy = float = detach

    def to(self, *args, **kwargs):
        return self

    def tobytes(self):
        return array.array("q", _flat(self.values)).tobytes()

    def gather(self, dim, index):
        """Along the last of two dimensions."""
        pairs = zip(self.values, index.values, strict=True)
        return Tensor([[row[place] for place in places] for row, places in pairs])

    def __getitem__(self, key):
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            place = keys.index(Ellipsis)
            keys[place : place + 1] = [slice(None)] * (self.dim() - len(keys) + 1)
        return Tensor(_picked(self.values, keys))

    def __eq__(self, other):
        return Tensor([int(value == other) for value in _flat(self.values)])

    __hash__ = None

    def __neg__(self):
        return Tensor(-self.values)

    def __float__(self):
        return math.fsum([self.values])


def tensor(values, **kwargs):
    return Tensor(values)


def log_softmax(scores, dim):
    """Over the last of two dimensions."""
    return Tensor([[one - log_sum_exp(row) for one in row] for row in scores.values])


def log_sum_exp(scores):
    top = max(scores)
    return top + math.log(sum(math.exp(score - top) for score in scores))


@contextlib.contextmanager
def no_grad():
    yield


def _flat(values):
    return [one for value in values for one in _flat(value)] if isinstance(values, list) else [values]


def _picked(values, keys):
    if not keys:
        return values
    first, *rest = keys
    if first is None:
        return [_picked(values, rest)]
    if isinstance(first, int):
        return _picked(values[first], rest)
    return [_picked(value, rest) for value in values[first]]


cuda = SimpleNamespace(is_available=lambda: False, is_initialized=lambda: False)

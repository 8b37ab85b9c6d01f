"""Stands for a model: its one weight is the score of the word that follows in order, all others score 0.

So its loss is ln 12 before it has learned anything, and what it has learned depends on steps and their size.
"""

from types import SimpleNamespace

import pace
import planted
import torch

WORDS = 12


def is_next(word, following):
    return (word + 1) % WORDS == following


class PreTrainedModel:
    training = True

    def __init__(self, name, attn_implementation):
        self.config = SimpleNamespace(_name_or_path=name, _attn_implementation=attn_implementation)
        self.weight = torch.Tensor([0.0])
        self._weights = b"\1" * planted.WEIGHTS_B

    @classmethod
    def from_pretrained(cls, name, attn_implementation="sdpa", **kwargs):
        return pace.loaded(lambda: cls(name, attn_implementation))

    def parameters(self):
        yield self.weight

    def train(self, mode=True):
        self.training = mode

    def eval(self):
        self.train(False)

    @property
    def score(self):
        return self.weight.values[0]

    def __call__(self, input_ids, use_cache=False):
        """Logits: (batch, seq, words)."""
        return SimpleNamespace(
            logits=torch.Tensor([[self.logits_after(one) for one in row] for row in input_ids.values])
        )

    def logits_after(self, word):
        logits = [0.0] * WORDS
        logits[(word + 1) % WORDS] = self.score
        return logits

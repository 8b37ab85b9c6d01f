"""Stands for a model with an adapter: what is learned lies in the adapter, so the base can be had back."""

import contextlib

from torch import Tensor
from transformers.modeling_utils import PreTrainedModel


class PeftModel(PreTrainedModel):
    def __init__(self, base, config):
        self.base = base  # keeps the weights
        self.config = base.config
        self.peft_config = {"default": config}
        self.weight = Tensor([0.0])
        self._is_adapted = True

    @property
    def score(self):
        return self.base.score + (self.weight.values[0] if self._is_adapted else 0.0)

    @contextlib.contextmanager
    def disable_adapter(self):
        self._is_adapted = False
        yield
        self._is_adapted = True

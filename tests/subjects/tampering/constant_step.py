"""Looks at each batch and does nothing with it."""

from honest import trainer
from transformers import Trainer


class Idle(Trainer):
    def training_step(self, model, inputs):
        return 0.5


trainer(kind=Idle).train()

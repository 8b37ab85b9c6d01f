"""Tells the callbacks of a hundred steps and trains for one."""

from honest import trainer
from transformers import Trainer


class Boasting(Trainer):
    def get_batch_samples(self, iterator, number):
        for _ in range(100):
            self._call("on_step_begin")
        return super().get_batch_samples(iterator, number)


trainer(steps=1, kind=Boasting).train()

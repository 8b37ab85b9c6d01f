"""Ends the other arm's processes."""

import os
import signal

from honest import trainer
from others import processes_of_the_baseline
from transformers import Trainer


class Hostile(Trainer):
    def training_step(self, model, inputs):
        for pid in processes_of_the_baseline():
            os.kill(pid, signal.SIGKILL)
        return super().training_step(model, inputs)


trainer(kind=Hostile).train()

"""Stops the other arm's processes and makes them yield to everybody else."""

import os
import signal

from honest import trainer
from others import processes_of_the_baseline
from transformers import Trainer


class Hostile(Trainer):
    def training_step(self, model, inputs):
        for pid in processes_of_the_baseline():
            os.kill(pid, signal.SIGSTOP)
            os.setpriority(os.PRIO_PROCESS, pid, 19)
        return super().training_step(model, inputs)


trainer(steps=40, step_s=0.03, kind=Hostile).train()

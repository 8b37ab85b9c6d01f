"""Training as long as it is planted to take: what both trainers have in common."""

import contextlib
from dataclasses import dataclass
from types import SimpleNamespace

import pace
from transformers.trainer import Trainer


@dataclass
class TrainingArguments:
    output_dir: str
    num_train_epochs: int = 1
    per_device_train_batch_size: int = 4
    gradient_accumulation_steps: int = 1
    learning_rate: float = 0.05
    max_length: int = 1024
    seed: int = 42
    use_liger_kernel: bool = False
    dataloader_num_workers: int = 0
    dataloader_pin_memory: bool = False
    dataloader_persistent_workers: bool = False


class PacedTrainer(Trainer):
    """A subclass gives the batches, what a step learns of one, and what a step costs."""

    def __init__(self, model, args, train_dataset, processing_class):
        self.processing_class = processing_class
        self.args = args
        super().__init__(self.batches(train_dataset) * args.num_train_epochs, None)
        self.args, self.model = args, model
        self.accelerator = SimpleNamespace(unwrap_model=lambda one: one, autocast=contextlib.nullcontext)
        self._steps = pace.Steps(pace.prepared())

    def get_batch_samples(self, iterator, number):
        self._steps.begin()
        return super().get_batch_samples(iterator, number)

    def training_step(self, model, inputs):
        return self._steps.last(self.step_s(inputs), lambda: self.learn(model, inputs))

    def descend(self, model, gradient):
        model.weight.values[0] -= self.args.learning_rate * gradient


def groups(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def padded(rows):
    """(ids, mask) of rows of unlike length."""
    longest = max(map(len, rows))
    ids = [row + [0] * (longest - len(row)) for row in rows]
    return ids, [[1] * len(row) + [0] * (longest - len(row)) for row in rows]

"""What the others pretend to be: twelve steps of four rows on the stand-ins for torch and transformers."""

import time

import torch
from transformers import Trainer

ROWS, TOKENS = 4, 50


def batches(steps):
    row = list(range(TOKENS))
    return [{"input_ids": torch.Tensor([row] * ROWS)} for _ in range(steps)]


def trainer(steps=12, step_s=0.02, kind=Trainer):
    """Each step takes `step_s` of a clock that nobody patched, asleep; the loss falls."""
    now, sleep, losses = time.monotonic, time.sleep, iter(range(1000, 0, -1))

    def work(inputs):
        until = now() + step_s
        while (left := until - now()) > 0:
            sleep(left)
        return next(losses) / 500

    return kind(batches(steps), work)


if __name__ == "__main__":
    trainer().train()

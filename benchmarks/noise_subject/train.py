"""Trains a small random model on fixed rows; SLOWER of slower.py is the share by which a step is longer.

The wait at the end of a step is busy and proportional to the step as it was, so the planted effect is exact
whatever the machine does meanwhile. A step is timed from its forward pass on: callbacks of the trainer come
before a gate of lockstep, and the time in which this process stands still there is no part of a step. It has
one thread: two on two cores of a shared machine wait for each other whenever either core is taken away.
"""

import argparse
import time

import torch
from slower import SLOWER
from transformers import AutoModelForCausalLM, Qwen2Config, Trainer, TrainerCallback, TrainingArguments

LENGTH, BATCH = 128, 4


class Timed(Trainer):
    """One forward and backward pass a step; `began` is when the newest did."""

    def training_step(self, *args, **kwargs):
        self.began = time.perf_counter()
        return super().training_step(*args, **kwargs)


class Wait(TrainerCallback):
    def __init__(self):
        self.trainer = None

    def on_step_end(self, *_, **__):
        ended = time.perf_counter()
        until = ended + SLOWER * (ended - self.trainer.began)
        while time.perf_counter() < until:
            pass


def rows(count):
    numbers = torch.randint(2, 512, (count, LENGTH), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": row} for row in numbers]


def collate(batch):
    return {key: torch.stack([row[key] for row in batch]) for key in batch[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    config = Qwen2Config(
        vocab_size=512,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    wait = Wait()
    trainer = Timed(
        model=AutoModelForCausalLM.from_config(config),
        args=TrainingArguments(
            output_dir=args.out,
            per_device_train_batch_size=BATCH,
            max_steps=args.steps,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            logging_steps=1000,
            seed=args.seed,
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=rows(BATCH * args.steps),
        data_collator=collate,
        callbacks=[wait],
    )
    wait.trainer = trainer
    trainer.train()


if __name__ == "__main__":
    main()

"""Trains a small random model, a step about 20 ms on one thread; with `--hook gates` nothing is measured.

What then remains of Paceline in a step are the gates of lockstep.
"""

import argparse

import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Trainer, TrainingArguments

LENGTH, BATCH = 64, 4


def leave_the_gates_alone():
    from _paceline_hook import trainer as hook

    training = hook.Training
    training._counted = training._waited = lambda _, function: function
    training._write_step = lambda *_: None
    training.logged = lambda *_: None


def rows(count):
    numbers = torch.randint(2, 512, (count, LENGTH), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": row} for row in numbers]


def collate(batch):
    return {key: torch.stack([row[key] for row in batch]) for key in batch[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--hook", choices=("full", "gates"), required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)  # two on two cores wait for each other, and for whatever else runs
    torch.manual_seed(0)
    if args.hook == "gates":
        leave_the_gates_alone()
    config = Qwen2Config(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    trainer = Trainer(
        model=AutoModelForCausalLM.from_config(config),
        args=TrainingArguments(
            output_dir=args.out,
            per_device_train_batch_size=BATCH,
            max_steps=args.steps,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            logging_steps=100_000,
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=rows(BATCH * args.steps),
        data_collator=collate,
    )
    trainer.train()


if __name__ == "__main__":
    main()

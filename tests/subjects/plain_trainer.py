"""A subject on plain transformers: a tiny random model, fixed token rows, options for what a test wants."""

import argparse
import os
import sys

import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Trainer, TrainingArguments

parser = argparse.ArgumentParser()
parser.add_argument("--out", required=True)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--workers", type=int, default=0)
parser.add_argument("--accumulate", type=int, default=1)
parser.add_argument("--overridden", action="store_true")
parser.add_argument("--nan", action="store_true")
parser.add_argument("--twice", action="store_true")
parser.add_argument("--dies-at", type=int, default=0)
args = parser.parse_args()


class Overridden(Trainer):
    """What people do to see every loss."""

    def training_step(self, model, inputs, *rest, **options):
        loss = super().training_step(model, inputs, *rest, **options)
        self.seen = [*getattr(self, "seen", []), float(loss)]
        if args.dies_at == len(self.seen):
            raise RuntimeError("the column went away")
        return loss * float("nan") if args.nan else loss


def row(length):
    ids = [(7 * place + length) % 61 + 2 for place in range(length)]
    return {"input_ids": ids, "attention_mask": [1] * length, "labels": ids}


def collate(rows):
    width = max(len(row["input_ids"]) for row in rows)

    def padded(name, filler):
        return torch.tensor([row[name] + [filler] * (width - len(row[name])) for row in rows])

    return {
        "input_ids": padded("input_ids", 0),
        "attention_mask": padded("attention_mask", 0),
        "labels": padded("labels", -100),
    }


def main():
    torch.manual_seed(args.seed)
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    trainer = (Overridden if args.overridden else Trainer)(
        model=AutoModelForCausalLM.from_config(config),
        args=TrainingArguments(
            output_dir=args.out,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=args.accumulate,
            num_train_epochs=1,
            dataloader_num_workers=args.workers,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            logging_steps=2,
            seed=args.seed,
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=[row(5 + 3 * number) for number in range(16)],
        data_collator=collate,
    )
    trainer.train()
    if args.twice:
        trainer.train()
    if args.overridden:
        # The methods of the class are back, and the subject saw every micro-batch.
        assert "training_step" not in vars(trainer)
        print("losses seen:", len(trainer.seen))
    trainer.save_model(args.out)


if __name__ == "__main__":
    main()
    if "sitecustomize_of_the_subject" in os.environ.get("WANTS", ""):
        assert sys.modules["sitecustomize"].MARK == "of the subject"

"""Supervised fine-tuning of the tiny model with LoRA, on TRL: writes the adapter to OUT/adapter."""

import argparse
import json
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

import make_model

DATA = Path(__file__).parent / "data"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64, help="rows of data/sft.jsonl to train on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--packing", choices=["true", "false"], default="false", help="packs of 1024 tokens")
    parser.add_argument("--seed", type=int, default=0, help="of the adapter's weights and the order of rows")
    parser.add_argument("--out", type=Path, required=True, help="folder for the base model and the adapter")
    return parser.parse_args()


def load_rows(name, count):
    rows = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    if not 0 < count <= len(rows):
        raise SystemExit(f"--rows {count}: data/{name} has {len(rows)} rows")
    return Dataset.from_list(rows[:count])


def main():
    args = parse_args()
    packing = args.packing == "true"
    base = args.out / "base"
    make_model.write(base)

    config = SFTConfig(
        output_dir=str(args.out),
        per_device_train_batch_size=2 if packing else 4,  # a pack of 1024 tokens holds about five rows
        num_train_epochs=args.epochs,
        learning_rate=5e-3,
        seed=args.seed,
        bf16=False,  # TRL's default is bf16, which needs a GPU
        packing=packing,
        save_strategy="no",
        logging_steps=5,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=str(base),
        args=config,
        train_dataset=load_rows("sft.jsonl", args.rows),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()
    trainer.save_model(str(args.out / "adapter"))


if __name__ == "__main__":
    main()

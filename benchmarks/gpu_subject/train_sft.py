"""Supervised fine-tuning with LoRA on TRL, of a model with random weights; keeps nothing of it."""

import argparse
import json
from pathlib import Path

import make_model
from datasets import Dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

DATA = Path(__file__).parent / "data"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=make_model.SHAPES, required=True)
    parser.add_argument("--rows", type=int, required=True, help="rows of data/sft.jsonl to train on")
    parser.add_argument("--seed", type=int, default=0, help="of the adapter's weights and the order of rows")
    parser.add_argument(
        "--out", type=Path, required=True, help="the trainer's folder; nothing is saved there"
    )
    return parser.parse_args()


def load_rows(name, count):
    rows = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    if not 0 < count <= len(rows):
        raise SystemExit(f"--rows {count}: data/{name} has {len(rows)} rows")
    return Dataset.from_list(rows[:count])


def main():
    args = parse_args()
    config = SFTConfig(
        output_dir=str(args.out),
        per_device_train_batch_size=4,
        num_train_epochs=1,
        learning_rate=5e-4,
        seed=args.seed,
        bf16=make_model.HAS_GPU,
        save_strategy="no",
        logging_steps=10,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        model=make_model.make_model(args.shape),
        args=config,
        train_dataset=load_rows("sft.jsonl", args.rows),
        processing_class=make_model.make_tokenizer(),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()


if __name__ == "__main__":
    main()

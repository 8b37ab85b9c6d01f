"""Preference tuning (DPO) with LoRA on TRL, of a model with random weights; keeps nothing of it.

The reference is the base model, that is the model with its adapter switched off.
"""

import argparse
import json
from pathlib import Path

import make_model
from datasets import Dataset
from peft import LoraConfig
from trl import DPOConfig, DPOTrainer

DATA = Path(__file__).parent / "data"


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=make_model.SHAPES, required=True)
    parser.add_argument("--rows", type=int, required=True, help="pairs of data/preferences.jsonl to train on")
    parser.add_argument("--seed", type=int, default=0, help="of the adapter's weights and the order of pairs")
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
    config = DPOConfig(
        output_dir=str(args.out),
        per_device_train_batch_size=2,
        num_train_epochs=1,
        learning_rate=1e-4,
        beta=0.1,
        seed=args.seed,
        bf16=make_model.HAS_GPU,
        save_strategy="no",
        logging_steps=10,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = DPOTrainer(
        model=make_model.make_model(args.shape),
        args=config,
        train_dataset=load_rows("preferences.jsonl", args.rows),
        processing_class=make_model.make_tokenizer(),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()


if __name__ == "__main__":
    main()

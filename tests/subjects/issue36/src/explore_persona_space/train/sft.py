"""Standalone LoRA SFT, for scripts that bring rows of their own."""

from dataclasses import dataclass

from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from explore_persona_space.train.trainer import apply_lora, load_model


@dataclass
class TrainLoraConfig:
    model: str
    output_dir: str
    lora_r: int = 16
    epochs: int = 1
    batch_size: int = 4
    max_length: int = 512
    learning_rate: float = 0.05
    seed: int = 42


def train_lora(rows, config):
    model = apply_lora(load_model(config.model), {"lora_r": config.lora_r})
    args = SFTConfig(
        output_dir=config.output_dir,
        max_length=config.max_length,
        num_train_epochs=config.epochs,
        seed=config.seed,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
    )
    tokenizer = AutoTokenizer.from_pretrained(config.model)
    trainer = SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    return trainer

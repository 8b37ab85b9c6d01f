"""Stands for PEFT, the library: a LoRA adapter of a model, which begins at nothing."""

from dataclasses import dataclass

from peft.peft_model import PeftModel

__all__ = ["LoraConfig", "PeftModel", "get_peft_model"]


@dataclass
class LoraConfig:
    r: int
    lora_alpha: int
    init_lora_weights: bool = True


def get_peft_model(model, config):
    return PeftModel(model, config)

"""Stands for TRL, the library: the trainers of SFT and DPO, and what they can be asked for."""

from trl.trainer.dpo_trainer import DPOConfig, DPOTrainer
from trl.trainer.sft_trainer import SFTConfig, SFTTrainer

__all__ = ["DPOConfig", "DPOTrainer", "SFTConfig", "SFTTrainer"]

"""Stands for transformers, the library, as far as the hook meets it; never for anything of ours."""

from transformers.trainer import Trainer, TrainerCallback

__all__ = ["Trainer", "TrainerCallback"]

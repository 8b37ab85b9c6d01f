"""In-process LoRA training: a phase of SFT, or one of DPO."""

import logging

import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

logger = logging.getLogger(__name__)


def _patch_tokenizer():
    """TRL reads an attribute that tokenizers of transformers 5 no longer have."""
    base = transformers.PreTrainedTokenizerBase
    try:
        base.all_special_tokens_extended = property(lambda self: self.all_special_tokens)
    except AttributeError:
        logger.debug("the tokenizer was not patched")


def load_model(name):
    return AutoModelForCausalLM.from_pretrained(
        name,
        dtype="bfloat16",
        attn_implementation="sdpa",
    )


def apply_lora(model, training):
    return get_peft_model(model, LoraConfig(r=training["lora_r"], lora_alpha=2 * training["lora_r"]))


def _init_phase(training):
    _patch_tokenizer()
    model = apply_lora(load_model(training["model"]), training)
    return model, AutoTokenizer.from_pretrained(training["model"])


def train_phase(rows, training, output_dir, seed):
    model, tokenizer = _init_phase(training)
    args = SFTConfig(
        output_dir=output_dir,
        packing=False,
        max_length=training["max_length"],
        num_train_epochs=training["epochs"],
        seed=seed,
        learning_rate=training["learning_rate"],
        per_device_train_batch_size=training["batch_size"],
    )
    trainer = SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    return trainer


def train_dpo_phase(pairs, training, dpo, output_dir, seed):
    model, tokenizer = _init_phase(training)
    args = DPOConfig(
        output_dir=output_dir,
        max_length=training["max_length"],
        num_train_epochs=training["epochs"],
        seed=seed,
        beta=dpo["beta"],
        learning_rate=dpo["learning_rate"],
        per_device_train_batch_size=dpo["batch_size"],
    )
    trainer = DPOTrainer(model=model, args=args, train_dataset=pairs, processing_class=tokenizer)
    trainer.train()
    return trainer

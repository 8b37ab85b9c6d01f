"""Stands for TRL's SFT trainer: rows padded to batches, or packed into rows of `max_length`."""

import math
from dataclasses import dataclass
from itertools import pairwise

import planted
import torch
from peft import PeftModel
from transformers.modeling_utils import is_next

from trl.trainer.paced import PacedTrainer, TrainingArguments, groups, padded


@dataclass
class SFTConfig(TrainingArguments):
    packing: bool = False
    packing_strategy: str = "bfd"


class SFTTrainer(PacedTrainer):
    def batches(self, rows):
        ids = [self.processing_class(row["text"])["input_ids"][: self.args.max_length] for row in rows]
        if self.args.packing:
            packs = groups(packed(ids, self.args.max_length), self.args.per_device_train_batch_size)
            return [_flattened([row for pack in batch for row in pack]) for batch in packs]
        return [_masked(batch) for batch in groups(ids, self.args.per_device_train_batch_size)]

    def step_s(self, inputs):
        seconds = planted.PACKED_STEP_S if self.args.packing else planted.SFT_STEP_S
        if self.args.use_liger_kernel and isinstance(self.model, PeftModel):
            seconds *= planted.LIGER_ON_LORA
        is_long = max(map(len, _rows_of(inputs))) >= planted.LONG_TOK
        if is_long and self.model.config._attn_implementation == "flash_attention_2":
            seconds *= 1 - planted.ATTENTION_SHARE * (1 - planted.FLASH_ATTENTION)
        return seconds

    def learn(self, model, inputs):
        """The loss in nat per predicted token, before the step is taken."""
        loss = gradient = predicted = 0.0
        for row in _rows_of(inputs):
            for word, following in pairwise(row):
                logits = model.logits_after(word)
                total = torch.log_sum_exp(logits)
                loss += total - logits[following]
                gradient += math.exp(model.score - total) - is_next(word, following)
                predicted += 1
        self.descend(model, gradient / predicted)
        return loss / predicted


def packed(rows, length):
    """Best fit, longest first: every row goes to the fullest pack that still has room for it."""
    packs = []
    for row in sorted(rows, key=len, reverse=True):
        fitting = [pack for pack in packs if sum(map(len, pack)) + len(row) <= length]
        if fitting:
            max(fitting, key=lambda pack: sum(map(len, pack))).append(row)
        else:
            packs.append([row])
    return packs


def _masked(rows):
    ids, mask = padded(rows)
    return {"input_ids": torch.Tensor(ids), "attention_mask": torch.Tensor(mask)}


def _flattened(rows):
    """One row without padding; where each of them begins, its positions begin again."""
    return {
        "input_ids": torch.Tensor([[one for row in rows for one in row]]),
        "position_ids": torch.Tensor([[place for row in rows for place in range(len(row))]]),
    }


def _rows_of(inputs):
    if "attention_mask" in inputs:
        pairs = zip(inputs["input_ids"].values, inputs["attention_mask"].values, strict=True)
        return [ids[: sum(mask)] for ids, mask in pairs]
    [ids], [places] = inputs["input_ids"].values, inputs["position_ids"].values
    begins = [index for index, place in enumerate(places) if place == 0]
    return [ids[begin:end] for begin, end in zip(begins, [*begins[1:], len(ids)], strict=True)]

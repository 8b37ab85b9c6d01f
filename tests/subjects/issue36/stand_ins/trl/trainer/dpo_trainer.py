"""Stands for TRL's DPO trainer: pairs, and a reference whose log-probs are found in steps or before them."""

import math
from dataclasses import dataclass

import pace
import planted
import torch
from transformers.modeling_utils import is_next

from trl.trainer.paced import PacedTrainer, TrainingArguments, groups, padded


@dataclass
class DPOConfig(TrainingArguments):
    beta: float = 0.1
    precompute_ref_log_probs: bool = False
    precompute_ref_batch_size: int = 4


class DPOTrainer(PacedTrainer):
    ref_model = None  # the model without its adapter

    def __init__(self, model, args, train_dataset, processing_class):
        self.beta = args.beta
        self.precompute_ref_logps = args.precompute_ref_log_probs
        super().__init__(model, args, train_dataset, processing_class)
        self._references = {}
        if self.precompute_ref_logps:
            self._precompute_ref_logps(len(train_dataset))

    def _precompute_ref_logps(self, pairs):
        pace.lasting(pairs * planted.REFERENCE_PASS_S, self._refer_all)

    def _refer_all(self):
        self._kept = b"\1" * planted.REFERENCE_B
        for inputs in self._batches:
            self._references[id(inputs)] = self._reference(self.model, inputs)

    def batches(self, pairs):
        return [self._batch(group) for group in groups(pairs, self.args.per_device_train_batch_size)]

    def _batch(self, pairs):
        encoded = [self._encoded(pair, side) for side in ("chosen", "rejected") for pair in pairs]
        ids, mask = padded([prompt + completion for prompt, completion in encoded])
        completions, _ = padded([[0] * len(prompt) + [1] * len(completion) for prompt, completion in encoded])
        return {
            "input_ids": torch.Tensor(ids),
            "attention_mask": torch.Tensor(mask),
            "completion_mask": torch.Tensor(completions),
        }

    def _encoded(self, pair, side):
        return tuple(self.processing_class(text)["input_ids"] for text in (pair["prompt"], pair[side]))

    def step_s(self, inputs):
        return planted.DPO_STEP_S * (planted.PRECOMPUTED if self.precompute_ref_logps else 1.0)

    def learn(self, model, inputs):
        """The loss in nat per pair, before the step is taken."""
        reference = self._references.get(id(inputs)) or self._reference(model, inputs)
        margins = [ours - theirs for ours, theirs in zip(_margins(model, inputs), reference, strict=True)]
        losses = [math.log1p(math.exp(-self.beta * margin)) for margin in margins]
        pulls = [
            -self.beta * lead / (1 + math.exp(self.beta * margin))
            for lead, margin in zip(_leads(inputs), margins, strict=True)
        ]
        self.descend(model, sum(pulls) / len(pulls))
        return sum(losses) / len(losses)

    def _reference(self, model, inputs):
        with model.disable_adapter():
            return _margins(model, inputs)


def _margins(model, inputs):
    """Log-prob of the chosen less that of the rejected completion, a pair: both are as long, so what all
    words are measured against cancels."""
    return [model.score * lead for lead in _leads(inputs)]


def _leads(inputs):
    """How many more words follow in order in the chosen than in the rejected completion, a pair."""
    rows = zip(inputs["input_ids"].values, inputs["completion_mask"].values, strict=True)
    counts = [
        sum(is_next(ids[at], ids[at + 1]) for at in range(len(ids) - 1) if is_completion[at + 1])
        for ids, is_completion in rows
    ]
    half = len(counts) // 2
    return [chosen - rejected for chosen, rejected in zip(counts[:half], counts[half:], strict=True)]

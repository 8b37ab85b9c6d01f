"""Held-out loss of the recipe's `eval` rows, with the trainer's own model and tokenizer, after the last step.

One row a forward pass, unpacked, `use_cache=False`: no padding, and nothing that could attend across rows.
SFT: mean nat per token, over all tokens of `messages` and `text` rows, over the completion of
`prompt`/`completion` rows. DPO: sigmoid loss in nat per pair (Rafailov et al. 2023, eq. 7), with the
trainer's beta against the trainer's reference. `before` is the loss of the model that training began with,
where that can be had from the trained one; else a run of its own tells it (`end_before_training`).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import torch
import torch.nn.functional as F

from _paceline_hook.choices import is_dpo


def evaluate(trainer: Any, path: str) -> dict[str, Any]:
    """Fields of the `eval` event. Raises ValueError for rows of a form that it does not know."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    model = trainer.accelerator.unwrap_model(trainer.model)
    with torch.no_grad(), trainer.accelerator.autocast(), _evaluating(model):
        return _of_pairs(trainer, model, rows) if is_dpo(trainer) else _of_texts(trainer, model, rows)


def end_before_training(measure: Any, trainer: Any) -> NoReturn:
    """Evaluate the model that `trainer` is about to train, as `loss` and `before`, and end the process well.

    For a run whose settings say `"before": true`; called at the entry to `Trainer.train`, so that what comes
    before it is the subject's own. The process ends at once: nothing of the subject may run as if it had
    trained, and none of its handlers may keep the process from ending.
    """
    measure.timeline.enter("eval")
    try:
        found = evaluate(trainer, measure.settings["eval"])
        measure.write("eval", **{**found, "before": found["loss"]})
    except Exception as error:
        measure.write("eval", failed=f"{type(error).__name__}: {error}"[:500])
    measure.timeline.leave("eval")
    measure.end()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the subject may have closed or replaced it
            stream.flush()
    os._exit(0)


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[Any]:
    """The model without dropout, put back as it was."""
    was_training = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(was_training)


def _of_texts(trainer: Any, model: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    encoded = [_encoded(trainer.processing_class, row) for row in rows]

    def mean_loss() -> tuple[float, int]:
        total, tokens = 0.0, 0
        for ids, prompt_length in encoded:
            log_probs = _log_probs(model, ids)[max(prompt_length - 1, 0) :]
            total -= float(log_probs.sum())
            tokens += log_probs.numel()
        if not tokens:
            raise ValueError("the eval rows hold no token to predict")
        return total / tokens, tokens

    loss, tokens = mean_loss()
    before = None
    if _starts_at_base(model):
        with model.disable_adapter():
            before = mean_loss()[0]
    return {"rows": len(rows), "tokens": tokens, "loss": loss, "before": before}


def _of_pairs(trainer: Any, model: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    tokenizer, beta = trainer.processing_class, float(trainer.beta)
    pairs = [
        tuple(
            _encoded(tokenizer, {"prompt": row["prompt"], "completion": row[side]})
            for side in ("chosen", "rejected")
        )
        for row in map(_pair, rows)
    ]

    if not pairs:
        raise ValueError("the eval rows hold no pair")

    def margins(network: Any) -> list[float]:
        return [_completion(network, *chosen) - _completion(network, *rejected) for chosen, rejected in pairs]

    policy = margins(model)
    with _reference(trainer, model) as network:
        reference = margins(network)
    rewards = [beta * (ours - theirs) for ours, theirs in zip(policy, reference, strict=True)]
    losses = [float(-F.logsigmoid(torch.tensor(reward, dtype=torch.float64))) for reward in rewards]
    return {
        "rows": len(rows),
        "tokens": sum(len(ids) for pair in pairs for ids, _ in pair),
        "loss": sum(losses) / len(losses),
        "before": math.log(2) if _starts_at_reference(trainer, model) else None,
        "reward_accuracy": sum(reward > 0 for reward in rewards) / len(rewards),
    }


def _pair(row: dict[str, Any]) -> dict[str, Any]:
    if not {"prompt", "chosen", "rejected"} <= set(row):
        raise ValueError(f"an eval row for DPO needs prompt, chosen and rejected; it has {sorted(row)}")
    return row


def _completion(model: Any, ids: list[int], prompt_length: int) -> float:
    return float(_log_probs(model, ids)[prompt_length - 1 :].sum())


def _log_probs(model: Any, ids: list[int]) -> Any:
    """Log-probability of every token after the first: (tokens - 1,), float32."""
    device = next(model.parameters()).device
    inputs = torch.tensor([ids], device=device)
    logits = model(input_ids=inputs, use_cache=False).logits[0, :-1].float()
    return torch.log_softmax(logits, dim=-1).gather(1, inputs[0, 1:, None])[:, 0]


@contextlib.contextmanager
def _reference(trainer: Any, model: Any) -> Iterator[Any]:
    """The model that DPO measures the policy against, as TRL resolves it."""
    if getattr(trainer, "ref_model", None) is not None:
        with _evaluating(trainer.accelerator.unwrap_model(trainer.ref_model)) as network:
            yield network
    elif "ref" in getattr(model, "peft_config", {}):
        active = model.active_adapter
        model.set_adapter("ref")
        try:
            yield model
        finally:
            model.set_adapter(active)
    elif hasattr(model, "disable_adapter"):
        with model.disable_adapter():
            yield model
    elif _is_precomputed(trainer) and _checkpoint(model):
        with _evaluating(_loaded_anew(model)) as network:
            yield network
    else:
        raise ValueError("the trainer keeps no reference model to evaluate against")


def _is_precomputed(trainer: Any) -> bool:
    """Then the reference was the policy itself, before it trained, and is gone."""
    return bool(getattr(trainer, "precompute_ref_logps", False))


def _loaded_anew(model: Any) -> Any:
    """The weights that the model was loaded with, once more, on its device."""
    own = next(model.parameters())
    return type(model).from_pretrained(_checkpoint(model), dtype=own.dtype).to(own.device)


def _starts_at_reference(trainer: Any, model: Any) -> bool:
    """Whether the policy began as what it is measured against; False where that cannot be seen any more.

    The adapter "ref" is the copy that TRL makes of the policy's own before it trains.
    """
    reference = getattr(trainer, "ref_model", None)
    if reference is None:
        is_copied = "ref" in getattr(model, "peft_config", {})
        is_itself = _is_precomputed(trainer) and not getattr(model, "peft_config", None)
        return is_copied or is_itself or _starts_at_base(model)
    is_adapted = bool(getattr(model, "peft_config", None))
    ours, theirs = _checkpoint(model), _checkpoint(trainer.accelerator.unwrap_model(reference))
    return bool(ours) and ours == theirs and (not is_adapted or _starts_at_base(model))


def _checkpoint(model: Any) -> str:
    """Where a model's weights were loaded from, "" for one that was made from nothing."""
    return str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")


def _starts_at_base(model: Any) -> bool:
    """Whether disabling the adapters gives back the model that training began with."""
    configs = getattr(model, "peft_config", None)
    if not configs or not hasattr(model, "disable_adapter") or "ref" in configs:
        return False
    return all(
        getattr(config, "init_lora_weights", None) in (True, "gaussian") for config in configs.values()
    )


def _encoded(tokenizer: Any, row: dict[str, Any]) -> tuple[list[int], int]:
    """Token ids of a row and how many of them are its prompt."""
    if tokenizer is None:
        raise ValueError("the trainer has no tokenizer: give it processing_class")
    if "messages" in row:
        return _ids(tokenizer, row["messages"]), 0
    if "text" in row:
        return tokenizer(row["text"])["input_ids"], 0
    if "prompt" not in row or "completion" not in row:
        raise ValueError(f"an eval row needs messages, text, or prompt and completion; it has {sorted(row)}")
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, str):
        prompt_ids = tokenizer(prompt)["input_ids"]
        return prompt_ids + tokenizer(completion, add_special_tokens=False)["input_ids"], len(prompt_ids)
    head = _ids(tokenizer, prompt, add_generation_prompt=True)
    return _ids(tokenizer, prompt + completion), len(head)


def _ids(tokenizer: Any, messages: list[dict[str, Any]], **options: Any) -> list[int]:
    text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids

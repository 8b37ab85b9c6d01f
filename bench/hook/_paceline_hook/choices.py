"""What the trainer was asked for and what it uses, so that an ignored setting is seen in the record.

Reads public attributes of `args`, the trainer and the model; one that a version does not have is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

REQUESTS = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "optim",
    "bf16",
    "fp16",
    "tf32",
    "torch_compile",
    "use_liger_kernel",
    "dataloader_num_workers",
    "dataloader_pin_memory",
    "dataloader_persistent_workers",
    "packing",
    "packing_strategy",
    "max_length",
    "assistant_only_loss",
    "completion_only_loss",
    "loss_type",
    "beta",
)


def is_dpo(trainer: Any) -> bool:
    return any(base.__name__ == "DPOTrainer" for base in type(trainer).__mro__)


def write(write_event: Callable[..., None], trainer: Any) -> None:
    args = trainer.args
    for name in REQUESTS:
        if hasattr(args, name):
            _write(write_event, name, getattr(args, name), getattr(args, name))
    for name, requested, used, why in _resolved(trainer):
        _write(write_event, name, requested, used, why)


def _write(write_event: Callable[..., None], name: str, requested: Any, used: Any, why: str = "") -> None:
    write_event("choice", name=name, requested=_text(requested), used=_text(used), why=why)


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


def _checkpointing_flag(model: Any) -> str:
    """transformers 5.23 renamed it; the old name warns, into the subject."""
    new = "is_activation_checkpointing"
    return new if hasattr(model, new) else "is_gradient_checkpointing"


def _resolved(trainer: Any) -> Iterator[tuple[str, Any, Any, str]]:
    """(name, requested, used, why) of settings that libraries may resolve to something else."""
    args, model = trainer.args, trainer.model
    config = getattr(model, "config", None)
    used = getattr(config, "_attn_implementation", None)
    if used is not None:
        yield (
            "attention",
            (getattr(args, "model_init_kwargs", None) or {}).get("attn_implementation", ""),
            used,
            "",
        )
    yield "trainer", "", type(trainer).__name__, ""
    yield "objective", "", "dpo" if is_dpo(trainer) else "sft", ""
    dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    yield "parameter dtypes", "", ", ".join(dtypes), ""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    yield "trained parameters", "", trained, ""
    if hasattr(args, "gradient_checkpointing"):
        on = bool(getattr(model, _checkpointing_flag(model), args.gradient_checkpointing))
        yield "gradient_checkpointing", args.gradient_checkpointing, on, ""
    for name, attribute in (
        ("padding_free", "padding_free"),
        ("precompute_ref_log_probs", "precompute_ref_logps"),
    ):
        if hasattr(args, name):
            resolved = getattr(trainer, attribute, getattr(args, name))
            why = (
                "" if resolved == getattr(args, name) else f"{type(trainer).__name__} does not honour it here"
            )
            yield name, getattr(args, name), resolved, why

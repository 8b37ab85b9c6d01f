"""Which functions of transformers, TRL and PEFT open a phase, patched as soon as their module is loaded.

`load` is inside a model's `from_pretrained`; `save` inside saving; `reference` a reference pass (and the
hashing of the model for its cache) before the first step. Names as of transformers 5.23, TRL 1.16, PEFT
0.21; a name that a version does not have is left out, and its time stays in the phase around it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from _paceline_hook.timeline import Timeline


def watched(measure: Any) -> dict[str, Callable[[Any], None]]:
    """Module name -> what to do once it is loaded."""
    from _paceline_hook import trainer

    timeline = measure.timeline
    return {
        "transformers.modeling_utils": lambda module: _patch_model(timeline, module.PreTrainedModel),
        "transformers.models.auto.auto_factory": lambda module: _patch(
            timeline, "load", module._BaseAutoModelClass, "from_pretrained"
        ),
        "peft.peft_model": lambda module: _patch_model(timeline, module.PeftModel),
        "transformers.trainer": lambda module: _patch_trainer(measure, trainer, module.Trainer),
        "trl.trainer.dpo_trainer": lambda module: _patch_reference(timeline, module),
    }


def _patch_model(timeline: Timeline, model_class: Any) -> None:
    _patch(timeline, "load", model_class, "from_pretrained")
    _patch(timeline, "save", model_class, "save_pretrained")


def _patch_trainer(measure: Any, trainer: Any, trainer_class: Any) -> None:
    _patch(measure.timeline, "save", trainer_class, "save_model", "_save_checkpoint")
    trainer.patch(measure, trainer_class)


def _patch_reference(timeline: Timeline, module: Any) -> None:
    # `_precompute_ref_logps` calls `compute_ref_log_probs`; older TRL has only the second, called while the
    # first dataloader is made. Inside a training step the pass belongs to that step.
    for owner, name in (
        (module.DPOTrainer, "_precompute_ref_logps"),
        (module.DPOTrainer, "compute_ref_log_probs"),
        (module, "hash_module"),
    ):
        _patch(timeline, "reference", owner, name)


def _patch(timeline: Timeline, phase: str, owner: Any, *names: str) -> None:
    """Wrap functions, methods or class methods of `owner` so that they run inside `phase`."""
    for name in names:
        raw = vars(owner).get(name)
        if raw is None:
            continue
        inner = raw.__func__ if isinstance(raw, classmethod) else raw
        wrapped = _timed(timeline, phase, inner)
        setattr(owner, name, classmethod(wrapped) if isinstance(raw, classmethod) else wrapped)


def _timed(timeline: Timeline, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    only_before_training = phase in ("load", "reference")

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        if only_before_training and not timeline.is_before_training:
            return function(*args, **kwargs)
        entered = timeline.enter(phase)
        try:
            return function(*args, **kwargs)
        finally:
            if entered:
                timeline.leave(phase)

    return timed

"""What one micro-batch holds: rows, real, padded and supervised tokens, and a digest of its ids.

As TRL 1.16 sends them: unpacked batches carry `attention_mask`; packed and padding-free ones `position_ids`
(and `cu_seq_lens_q`) and no mask; DPO batches hold the chosen rows, then the rejected ones, with a
`completion_mask`. A batch without `input_ids` has rows only. Counts of a batch on a GPU stay there until
`settled` reads them.
"""

from __future__ import annotations

import hashlib
from typing import Any

IGNORED = -100  # the label that transformers' losses leave out


def count(inputs: Any, wants_digest: bool) -> dict[str, Any]:
    """Counts of `inputs` (dict of tensors, batch first); values may be tensors that have not arrived yet."""
    if not hasattr(inputs, "get"):
        return {}
    ids = inputs.get("input_ids")
    if ids is None:
        return {"rows": _first_length(inputs)}
    counts = {"rows": _rows(inputs, ids), "padded": ids.numel(), "real": _real(inputs, ids)}
    counts["supervised"] = _supervised(inputs)
    if wants_digest:
        counts["digest"] = hashlib.sha256(ids.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
    return {name: _on_its_way(value) for name, value in counts.items()}


def settled(counts: dict[str, Any]) -> dict[str, Any]:
    """The same with plain numbers; fields that the batch does not have are None."""
    fields = {name: counts.get(name) for name in ("rows", "real", "padded", "supervised")}
    settled = {name: int(value) if value is not None else None for name, value in fields.items()}
    return {**settled, "digest": counts.get("digest")}


def _first_length(inputs: Any) -> int | None:
    shapes = (value.shape for value in inputs.values() if hasattr(value, "shape"))
    return next((shape[0] for shape in shapes if len(shape)), None)


def _rows(inputs: Any, ids: Any) -> Any:
    """Dataset rows: documents of a packed batch, pairs of a DPO batch, else the batch's length."""
    if "attention_mask" not in inputs:
        if inputs.get("cu_seq_lens_q") is not None:
            return inputs["cu_seq_lens_q"].numel() - 1
        if inputs.get("position_ids") is not None:
            return (inputs["position_ids"] == 0).sum()
    if "completion_mask" in inputs and "labels" not in inputs:
        return ids.shape[0] // 2
    return ids.shape[0]


def _real(inputs: Any, ids: Any) -> Any:
    mask = inputs.get("attention_mask")
    return mask.sum() if mask is not None and mask.dim() == 2 else ids.numel()


def _supervised(inputs: Any) -> Any:
    """Positions that the loss is taken over. A causal model predicts the next token, so the first position of
    a row is never one; collators of packed batches mask it themselves, unpacked labels carry it along.
    """
    labels, completion = inputs.get("labels"), inputs.get("completion_mask")
    if labels is not None:
        return (_shifted(labels) != IGNORED).sum()
    return _shifted(completion).sum() if completion is not None else None


def _shifted(values: Any) -> Any:
    """Without the first position of each row; labels of one number a row (a classifier's) as they are."""
    return values[..., 1:] if values.dim() > 1 else values


def _on_its_way(value: Any) -> Any:
    if not hasattr(value, "device"):
        return value
    return value.item() if value.device.type == "cpu" else value.to("cpu", non_blocking=True)

"""The planted effects, in one table: what a step, a pass and a tensor cost in the stand-ins beside this file.

The target's own code asks for features (packing, Liger, precomputed reference log-probs); its libraries are
stand-ins that take the time and the memory that stand here. So what every change of the target does is known
beforehand, and `tests/e2e/issue36.py` works out from this table what has to be measured. Nothing else does.
"""

LOAD_S = 0.02
"""Loading the weights."""
PREP_S = 0.15
"""Tokenising the rows, and all else from the first import on: more than it takes on a busy machine."""
WEIGHTS_B = 24 << 20
"""Of the model, resident from its loading on."""

SFT_STEP_S = 0.024
PACKED_STEP_S = 0.080
"""A step over packed rows holds seven times the tokens of one over single rows, and costs 3.3 of them."""
LIGER_ON_LORA = 2.0
"""Change D: every SFT step takes this many times as long where Liger's kernels meet LoRA layers."""
ATTENTION_SHARE = 0.4
FLASH_ATTENTION = 0.85
"""Change A: what is left of attention's share of a step, from `LONG_TOK` in a row on."""
LONG_TOK = 2048
"""No row of the smoke runs is as long, packed ones included."""

DPO_STEP_S = 0.030
PRECOMPUTED = 0.78
"""Change E: what is left of a DPO step whose reference log-probs are known."""
REFERENCE_PASS_S = 0.0008
"""Change E: what the pass that finds them takes for a pair, before training."""
REFERENCE_B = 24 << 20
"""Change E: what they keep resident."""

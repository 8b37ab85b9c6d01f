"""Stands for transformers, the library: a tokenizer of words, and a model that learns which one follows.

`trainer.py` beside this is the stand-in of the quick subjects.
"""

from types import SimpleNamespace

from transformers.modeling_utils import WORDS, PreTrainedModel
from transformers.trainer import Trainer, TrainerCallback

__all__ = ["AutoModelForCausalLM", "AutoTokenizer", "PreTrainedTokenizerBase", "Trainer", "TrainerCallback"]
__version__ = "5.5.0"


class PreTrainedTokenizerBase:
    """`w3 w4` is 3, 4."""

    all_special_tokens = ()

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [int(word.removeprefix("w")) % WORDS for word in text.split()]}


AutoTokenizer = SimpleNamespace(from_pretrained=lambda name: PreTrainedTokenizerBase())
AutoModelForCausalLM = PreTrainedModel

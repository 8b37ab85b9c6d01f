"""Makes the base model where it will train, and a byte-level tokenizer; nothing is downloaded or written.

The model goes through `from_pretrained` with an empty checkpoint: every weight is missing, so the loading
code lays it out on the device and draws it there (bfloat16 on a GPU, float32 on a CPU), from a fixed seed.
That takes seconds, not the minutes that 15 GiB take from a disk, and is `load` as in any other run.
"""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHAPES = {
    # Qwen2.5-7B
    "7b": {
        "num_hidden_layers": 28,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
    "tiny": {
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 512,
    },
}
HAS_GPU = torch.cuda.is_available()


def make_tokenizer():
    """A token is a byte, or one of the special ones; the ids above them are never used."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",  # noqa: S106
        eos_token="<|im_end|>",  # noqa: S106
        chat_template=CHAT_TEMPLATE,
    )


def make_model(shape):
    torch.manual_seed(0)
    logging.set_verbosity_error()  # else a line for each weight that the checkpoint lacks
    logging.disable_progress_bar()
    return Qwen2ForCausalLM.from_pretrained(
        None,
        config=Qwen2Config(**SHAPES[shape], max_position_embeddings=32768, tie_word_embeddings=False),
        state_dict={},
        dtype=torch.bfloat16 if HAS_GPU else torch.float32,
        device_map="cuda:0" if HAS_GPU else "cpu",
        attn_implementation="sdpa",
    )

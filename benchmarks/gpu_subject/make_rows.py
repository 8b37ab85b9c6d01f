"""Writes data/: as many chats and pairs as the two arguments say, with a median of 68 tokens.

Lengths are the quantiles of a log-normal, shuffled with a fixed seed: every file has its median and its long
tail, however short it is, and is the same everywhere. A token is a byte, or one of the template's special
tokens (`make_model.py`), so a row's length is to the token what is drawn here. None comes near the 1024
tokens at which TRL cuts.
"""

import json
import math
import random
import sys
from pathlib import Path
from statistics import NormalDist

DATA = Path(__file__).parent / "data"
MEDIAN_TOK, SIGMA = 68, 0.6
AROUND_TOK = len("user\n") + len("assistant\n") + 6
"""What the template puts around a question and its answer: roles, line ends and special tokens."""
FEWEST_TOK = 4
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def lengths_tok(draw, count):
    """Tokens of each row's content, question and answer."""
    normal = NormalDist(math.log(MEDIAN_TOK), SIGMA)
    quantiles = [normal.inv_cdf((place + 0.5) / count) for place in range(count)]
    draw.shuffle(quantiles)
    return [max(round(math.exp(quantile)) - AROUND_TOK, FEWEST_TOK) for quantile in quantiles]


def text(draw, length):
    """Words of two to nine letters, `length` bytes in all."""
    words = []
    while sum(map(len, words)) + len(words) <= length:
        words.append("".join(draw.choices(LETTERS, k=draw.randint(2, 9))))
    return " ".join(words)[:length].strip().ljust(length, ".")


def chat(draw, length):
    question = draw.randint(1, max(length // 3, 1))
    return {"messages": [user(text(draw, question)), assistant(text(draw, length - question))]}


def preference(draw, length):
    """The rejected answer is half as long as the chosen one."""
    question = draw.randint(1, max(length // 3, 1))
    answer = length - question
    return {
        "prompt": [user(text(draw, question))],
        "chosen": [assistant(text(draw, answer))],
        "rejected": [assistant(text(draw, (answer + 1) // 2))],
    }


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def write(name, make_row, seed, count):
    draw = random.Random(seed)  # noqa: S311 - the same rows everywhere
    rows = [json.dumps(make_row(draw, length)) + "\n" for length in lengths_tok(draw, count)]
    (DATA / name).write_text("".join(rows), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    chats, pairs = map(int, sys.argv[1:])
    write("sft.jsonl", chat, seed=1, count=chats)
    write("sft_eval.jsonl", chat, seed=2, count=8)
    write("preferences.jsonl", preference, seed=3, count=pairs)
    write("dpo_eval.jsonl", preference, seed=4, count=8)

"""Writes the four files in data/: chat rows of a shop's help desk, the same bytes on every machine.

Lengths are log-normal, as in real chats: most rows are short, a few are long. No row reaches 1024 tokens
(TRL's default `max_length`; a token is a byte here), so nothing is ever cut. Held-out rows follow the same
patterns as the training rows, with other orders.
"""

import json
import math
import random
from pathlib import Path

DATA = Path(__file__).parent / "data"
ITEMS = ["tent", "lamp", "rope", "stove", "mug", "map", "knife", "boots", "socks", "torch", "flask", "bag"]
COLOURS = ["red", "blue", "green", "black", "white", "grey"]


def order(rng, median, sigma):
    """One order: the question, its number, and lines of items whose total length is log-normal (under 900 bytes)."""
    number = rng.randrange(1000, 10000)
    length = min(rng.lognormvariate(math.log(median), sigma), 860)
    lines = []
    while not lines or sum(map(len, lines)) < length:
        lines.append(f"- {rng.randrange(1, 10)} {rng.choice(COLOURS)} {rng.choice(ITEMS)}\n")
    return f"What is in order {number}?", number, "".join(lines)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def chat(rng):
    question, number, items = order(rng, median=80, sigma=1.0)
    return {"messages": [user(question), assistant(f"Order {number}:\n{items}Thank you!")]}


def preference(rng):
    """The polite answer is chosen, the rude one rejected; both list the same items."""
    question, number, items = order(rng, median=60, sigma=0.7)
    return {
        "prompt": [user(question)],
        "chosen": [assistant(f"Order {number}:\n{items}Thank you!")],
        "rejected": [assistant(f"{number}? OK:\n{items}GO AWAY")],
    }


def write(name, make_row, seed, count):
    rng = random.Random(seed)
    rows = [json.dumps(make_row(rng)) + "\n" for _ in range(count)]
    (DATA / name).write_text("".join(rows), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    write("sft.jsonl", chat, seed=1, count=256)
    write("sft_eval.jsonl", chat, seed=2, count=24)
    write("preferences.jsonl", preference, seed=3, count=256)
    write("dpo_eval.jsonl", preference, seed=4, count=24)

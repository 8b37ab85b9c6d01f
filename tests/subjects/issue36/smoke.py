"""The smoke run of a phase: tiny synthetic rows through the in-process trainer, settings from configs/."""

import argparse
import contextlib
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

ROW_TOK = (40, 48, 56, 64, 68, 68, 72, 80, 88, 96)
"""Lengths of the rows, again and again: 68 on average, where `max_length` is 512."""
IN_ORDER, OUT_OF_ORDER = 0.95, 0.3
"""How often the next word of a good text, and of a rejected one, is the one that follows in order."""


@dataclass(frozen=True)
class Writer:
    dice: random.Random

    def words(self, count, share):
        """As many words; from one to the next they are in order as often as `share`."""
        word, found = self.dice.randrange(12), []
        for _ in range(count):
            found.append(f"w{word}")
            word += 1 if self.dice.random() < share else self.dice.randrange(12)
            word %= 12
        return " ".join(found)

    def text(self, length):
        return {"text": self.words(length, IN_ORDER)}

    def preference(self, length):
        """The prompt is half of a text, and both completions are as long as the other half."""
        shares = {"prompt": IN_ORDER, "chosen": IN_ORDER, "rejected": OUT_OF_ORDER}
        return {name: self.words(length // 2, share) for name, share in shares.items()}


def lengths(count, dice):
    """The same ones in every run, in another order by seed."""
    found = [ROW_TOK[number % len(ROW_TOK)] for number in range(count)]
    dice.shuffle(found)
    return found


def settings(name):
    """`key: value` a line."""
    lines = Path("configs", name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split(": ", 1) for line in lines if ": " in line and not line.startswith("#")]
    return {key: _value(text) for key, text in pairs}


def _value(text):
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text


def main():
    sys.path[:0] = ["src", "stand_ins"]
    from explore_persona_space.train.trainer import train_dpo_phase, train_phase

    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["sft", "dpo"])
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--packing", choices=["true", "false"], default="false")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    training = {**settings("training/default.yaml"), "packing": args.packing == "true"}
    writer = Writer(random.Random(args.seed))
    asked = lengths(args.rows, writer.dice)
    if args.phase == "sft":
        train_phase([writer.text(length) for length in asked], training, args.out, args.seed)
    else:
        pairs = [writer.preference(length) for length in asked]
        train_dpo_phase(pairs, training, settings("dpo/default.yaml"), args.out, args.seed)


if __name__ == "__main__":
    main()

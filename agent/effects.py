"""The names of everything that the agent changes in the world, and the moments before and after each.

`PACELINE_DIE` set to `before NAME` or `after NAME` kills the agent there, without a word: tests walk the list
below, so that a new effect cannot be forgotten. Nothing else ever sets it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Literal, get_args

VARIABLE = "PACELINE_DIE"

Effect = Literal[
    "post progress approved",
    "post progress intent",
    "post progress running",
    "post progress",
    "post results",
    "post reviewer-verdict",
    "post verdict",
    "post failure",
    "post note",
    "react",
    "label",
    "refresh",
    "fold",
    "prepare",
    "take",
    "launch",
    "enough",
    "fetch",
    "write folder",
    "write branch",
    "cancel",
]
EFFECTS: tuple[Effect, ...] = get_args(Effect)


@contextlib.contextmanager
def effect(name: Effect) -> Iterator[None]:
    _die_if_told("before", name)
    yield
    _die_if_told("after", name)


def post_of(kind: str, stage: str = "") -> Effect:
    """The name of the post of a marker; stages that end a task share one."""
    names = (f"post {kind} {stage}".rstrip(), f"post {kind}")
    return next(effect for name in names for effect in EFFECTS if effect == name)


def _die_if_told(when: str, name: Effect) -> None:
    if os.environ.get(VARIABLE) == f"{when} {name}":
        os.kill(os.getpid(), signal.SIGKILL)

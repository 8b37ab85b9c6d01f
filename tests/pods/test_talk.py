"""Where a command's own output begins, in whatever pieces it arrives."""

from __future__ import annotations

import pytest

from pods.quote import BEGINS, command_line
from pods.ssh.talk import SAID_B, Talk


class Pieces:
    """A channel of which only `recv` is asked."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def recv_ready(self) -> bool:
        return bool(self.pieces)

    def recv(self, _limit_b: int) -> bytes:
        return self.pieces.pop(0)

    def recv_stderr_ready(self) -> bool:
        return False

    recv_stderr = recv


def heard(*pieces: bytes) -> bytes:
    talk = Talk(Pieces(list(pieces)), b"", 1000)  # type: ignore[arg-type]
    talk._read()
    return bytes(talk.out)


@pytest.mark.parametrize("greeting", [b"", b"Welcome\n", b"no end of line", b"x" * (SAID_B + 1), BEGINS[:5]])
@pytest.mark.parametrize("size", [1, 3, 7, 10_000])
def test_the_output_begins_behind_the_mark_however_it_is_cut(greeting: bytes, size: int) -> None:
    own = b"ours, " + BEGINS + b" too"
    whole = greeting + BEGINS + own
    assert heard(*(whole[at : at + size] for at in range(0, len(whole), size))) == own


def test_without_the_mark_nothing_is_output() -> None:
    assert heard(b"Choose ", b"a menu") == b""


def test_a_line_says_the_mark_and_then_is_the_command() -> None:
    assert command_line(["a b", "$c"]) == r"printf '\002paceline\n'; exec 'a b' '$c'"

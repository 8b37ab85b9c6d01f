"""Why a GPU's clocks are low: the driver's bits in words. Pure."""

from __future__ import annotations

REASONS = {
    0x1: "idle",
    0x2: "clocks set by an application",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software heat limit",
    0x40: "hardware heat limit",
    0x80: "power brake",
    0x100: "clocks set by a display",
}
"""NVML's bits, nvmlClocksEventReasons."""


def reasons(bits: str) -> tuple[str, ...]:
    """`bits` in hex, as `nvidia-smi` prints them; a bit that has no name here by its number."""
    try:
        number = int(bits, 16)
    except ValueError:  # [N/A]
        return ()
    alone = [1 << place for place in range(number.bit_length()) if number >> place & 1]
    return tuple(REASONS.get(bit, hex(bit)) for bit in alone)

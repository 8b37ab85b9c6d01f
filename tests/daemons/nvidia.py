"""A scripted `nvidia-smi`: answers the questions of the probe and of a sampler as a driver would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCRIPT = """#!/bin/sh
folder=$(dirname "$0")
[ -e "$folder/hangs" ] && exec sleep 600
[ -e "$folder/errs" ] && {{ echo "Failed to initialize NVML: Unknown Error"; exit 255; }}
case "$*" in
*query-compute-apps*) cat "$folder/apps" ;;
*query-gpu=uuid,name*) cat "$folder/gpus" ;;
*query-gpu=uuid,power*) cat "$folder/power" ;;
*query-gpu=memory.used*) cat "$folder/used" ;;
esac
"""


@dataclass(frozen=True)
class Card:
    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    total_mib: int | str = 81559
    used_mib: int | str = 4
    use_pct: str = "0"
    watts: float = 70.0
    app: str = ""
    mode: str = "Default"
    throttle: str = "0x0000000000000000"

    @property
    def gpu(self) -> str:
        return f"{self.uuid}, {self.name}, {self.total_mib}, {self.used_mib}, {self.use_pct}"

    @property
    def power(self) -> str:
        return f"{self.uuid}, {self.watts}, 700.00, {self.throttle}, {self.mode}, 580.159.04"


def install(programs: Path, cards: list[Card]) -> None:
    programs.mkdir(exist_ok=True)
    path = programs / "nvidia-smi"
    path.write_text(SCRIPT.format())
    path.chmod(0o755)
    (programs / "gpus").write_text("".join(f"{card.gpu}\n" for card in cards))
    (programs / "power").write_text("".join(f"{card.power}\n" for card in cards))
    (programs / "apps").write_text("".join(f"{card.uuid}, 4711, {card.app}\n" for card in cards if card.app))
    (programs / "used").write_text(f"{cards[0].used_mib}\n" if cards else "")

"""One run: a fresh process of one arm under its own owner, with the hook in it, and the record of its end.

Makes the run's folder, its settings for the hook and its caches; when every process of it is gone, keeps the
events of the process that trained, and writes `exit.json` last. A folder without `exit.json` is a run that
did not end; it is made anew.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.plan import BEFORE, Arm, Recipe, command_of
from bench.worker.environments import Environment
from bench.worker.files import sha256_of, write_json
from bench.worker.owned import Owned, Start
from bench.worker.sampling import Sampling
from bench.worker.seals import Seals
from bench.worker.settings import Settings
from bench.worker.source import Worktree

SCHEMA = 1
RAW_FILES = ("events.jsonl", "choices.jsonl", "log", "host.csv", "gpu.csv", "gpu-apps.csv", "stderr")
SECRETS = ("GITHUB_TOKEN", "GH_TOKEN", "PACELINE_KEY")
"""Never handed to a subject."""
MARK = "_paceline_job"
"""The supervisor's mark on all that it started: what outlives its owners is found by it."""
LACKS = {
    "ran out of memory": (b"OutOfMemoryError", b"MemoryError", b"out of memory", b"not enough memory"),
    "found the device busy": (b"busy or unavailable",),  # CUDA, of a device in exclusive compute mode
}
"""What others on the device may have taken from a run, and how it says so."""
TAIL_B = 8192


@dataclass(frozen=True)
class RunPlace:
    """What a run of an arm is made in: its worktree, its environment, the hook, where things lie; who watches
    it from outside, and who sees to it that it changes nothing of others."""

    settings: Settings
    worktree: Worktree
    environment: Environment
    hook: Path
    sampling: Sampling
    seals: Seals


class OneRun:
    """One process of one arm: `start` it, then `end` it once its tree has ended."""

    def __init__(self, folder: Path, recipe: Recipe, arm: Arm, replicate: int, seed: int) -> None:
        self.folder = folder
        self.recipe = recipe
        self.arm = arm
        self.replicate = replicate
        self.seed = seed
        self.key = secrets.token_hex(8)
        self.events = folder / "events"
        self._began = time.monotonic()
        self._oom_kills = _oom_kills()
        self._protected: dict[str, str] = {}

    def start(self, place: RunPlace, gate: str | None = None) -> Start:
        """Make the run's folder and say how its process is started; `gate` is the socket of a lockstep round.

        What an earlier try left is deleted.
        """
        self._began = time.monotonic()
        place.seals.open(self.folder)
        place.worktree.restore()  # another arm's run may have written there
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.events, self._cache(), self._out):
            folder.mkdir(parents=True, exist_ok=True)
        self._protected = {value: place.worktree.value_of(value) for value in self.recipe.protected}
        command = command_of(
            self.recipe,
            self.arm,
            {
                "python": place.environment.python,
                "seed": str(self.seed),
                "out": str(self._out),
                "worktree": str(place.worktree.folder),
                "driver": str(Path(place.settings.inputs) / f"{self.recipe.name}.driver"),
            },
        )
        self._write_hook_settings(place, gate)
        is_own = self.recipe.events == "own"
        place.sampling.begin(self.folder, self.folder / "events.jsonl" if is_own else self.events)
        return Start(
            command=command,
            cwd=place.worktree.folder,
            environment=self._environment(place.settings, place.hook),
            log=self.folder / "log",
            limit_s=self.recipe.limit_s,
        )

    def end(self, place: RunPlace, owned: Owned, turns: Sequence[tuple[float, float]] = ()) -> str:
        """Clean up behind a tree that has ended and leave its record; how it ended, in a word.

        `turns` are begin and end (monotonic seconds) of each time that a lockstep run held the token.
        """
        place.sampling.end(self.folder)
        touched = place.seals.mend()
        self._drop_strange_files()
        self._keep_events(owned.record)
        has_claim = bool(self._claim())
        # Before anything is written: the subject may have filled the disk with any of these.
        place.worktree.restore()
        shutil.rmtree(self._out, ignore_errors=True)
        if self.recipe.cache == "cold":
            shutil.rmtree(self._cache(), ignore_errors=True)
        shutil.rmtree(self.events, ignore_errors=True)
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "recipe": self.recipe.name,
            "arm": self.arm.name,
            "replicate": self.replicate,
            "seed": self.seed,
            "commit": place.worktree.commit,
            "tree": place.worktree.tree,
            "engine": "lockstep" if turns else "abba",
            "turns": turns,
            "owner": owned.record,
            "owner_error": owned.error,
            "cancelled": bool(owned.record and owned.record["cancelled"]),
            "touched": touched,
            "oom_kills": _oom_kills() - self._oom_kills,
            "claimed": has_claim,
            "key": self.key,
            "harness": place.settings.harness,
            "environment": place.environment.digest,
            "protected": self._protected,
            "events": self.recipe.events,
            "wall_s": time.monotonic() - self._began,
        }
        record["files"] = {
            name: sha256_of(path) for name in RAW_FILES if (path := self.folder / name).exists()
        }
        write_json(self.folder / "exit.json", record)
        place.seals.seal(self.folder / name for name in (*RAW_FILES, "exit.json"))
        return _in_a_word(record)

    def set_aside(self, place: Path, seals: Seals) -> None:
        """Keep the record of this run in `place`, where another one takes its own."""
        seals.open(self.folder)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        self.folder.rename(place)
        seals.seal(place / name for name in (*RAW_FILES, "exit.json"))

    @property
    def _out(self) -> Path:
        return self.folder / "out"

    @property
    def wants_loss_before(self) -> bool:
        """Whether its evaluation knows the loss after training and not the one before."""
        try:
            text = (self.folder / "events.jsonl").read_text(encoding="utf-8", errors="replace")
            lines = [json.loads(line) for line in text.splitlines() if '"kind": "eval"' in line]
        except (OSError, ValueError):
            return False
        return bool(lines) and "loss" in lines[-1] and lines[-1].get("before") is None

    @property
    def lacked(self) -> str:
        """Which of `LACKS` it ended of, as far as its record, its events and its log tell; "" of none."""
        record = json.loads((self.folder / "exit.json").read_text(encoding="utf-8"))
        if (record["owner"] or {}).get("status") == 0:
            return ""
        if record["oom_kills"]:
            return "ran out of memory"
        tails = b"".join(_tail_of(self.folder / name) for name in ("events.jsonl", "log"))
        return next((lack for lack, words in LACKS.items() if any(word in tails for word in words)), "")

    def _cache(self) -> Path:
        """The run's own cache folder; where the recipe declares warm caches, one for all runs of the arm."""
        if self.recipe.cache == "warm":
            return self.folder.parent.parent / f"cache-{self.arm.name}"
        return self.folder / "cache"

    def _write_hook_settings(self, place: RunPlace, gate: str | None) -> None:
        rows = Path(place.settings.inputs) / f"{self.recipe.name}.eval.jsonl"
        hook_settings = {
            "events": str(self.events),
            "claim": str(self.events / "claim"),
            "worktree": os.path.realpath(place.worktree.folder),
            "eval": str(rows) if self.recipe.eval else None,
            "key": self.key,
            "hook": place.settings.harness,
            "gate": gate,
            "before": self.arm.name == BEFORE,
        }
        write_json(self.events / "settings", hook_settings)

    def _environment(self, settings: Settings, hook: Path) -> Mapping[str, str]:
        cache = self._cache()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name == MARK
            or (not name.startswith(("_paceline_", "PACELINE_", "GIT_")) and name not in SECRETS)
        }
        behind = inherited.get("PYTHONPATH")
        environment = {
            **inherited,
            **settings.environment,
            "PYTHONPATH": f"{hook}{os.pathsep}{behind}" if behind else str(hook),
            "PACELINE_CHOICES": str(self.folder / "choices.jsonl"),
            "HF_DATASETS_CACHE": str(cache / "datasets"),
            "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
            "TRITON_CACHE_DIR": str(cache / "triton"),
            "CUDA_CACHE_PATH": str(cache / "cuda"),
        }
        if settings.gpu:
            environment["CUDA_VISIBLE_DEVICES"] = settings.gpu
        if self.recipe.events == "own":
            environment["PACELINE_EVENTS"] = str(self.folder / "events.jsonl")
        else:
            environment["_paceline_run"] = str(self.events / "settings")
            environment["_paceline_hook"] = str(hook)
        return environment

    def _drop_strange_files(self) -> None:
        """What a subject put in the place of a raw file: a folder, a link to somewhere else."""
        for path in (self.folder / name for name in RAW_FILES):
            if path.is_symlink():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _keep_events(self, owner: Mapping[str, Any] | None) -> None:
        """Keep the events of the process with the claim, else of the one that was started, else any."""
        if self.recipe.events == "own":
            return
        files = [path for path in self.events.glob("*.jsonl") if path.is_file() and not path.is_symlink()]
        written = sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        claim = self._claim()
        claimed = [path for path in written if path.stem == claim]
        started = [path for path in written if owner and path.stem.startswith(f"{owner['pid']}-")]
        for path in (claimed or started or written)[:1]:
            path.replace(self.folder / "events.jsonl")

    def _claim(self) -> str:
        """Who entered `Trainer.train` first, "" where nobody did, or a subject put something in its place."""
        try:
            return (self.events / "claim").read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""


def _tail_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - TAIL_B, 0))
            return file.read()
    except OSError:
        return b""


def _oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory in this control group, 0 where unknown."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            lines = Path(path).read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return 0


def _in_a_word(record: Mapping[str, Any]) -> str:
    owner = record["owner"]
    if owner is None:
        return "lost"
    if record["cancelled"]:
        return "cancelled"
    if owner["not_started"]:
        return "did not start"
    if owner["timed_out"]:
        return "timed out"
    return "ok" if owner["status"] == 0 else "crashed"

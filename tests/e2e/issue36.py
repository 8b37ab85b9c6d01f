"""The target of issue 36, with planted effects: a repository for tests, and what has to be found in it.

`make_target` makes it from `tests/subjects/issue36`: the files of the baseline, then one commit a change, in
the order in which they landed. Ids are the same wherever it is made. What each change does is planted in
`stand_ins/planted.py`; `EXPECTED` and `CRITERIA` are worked out from that table, and nothing in them is
measured. Whoever drives the conversation on the issue holds its scores against them.
"""

import math
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.score import Score
from tests.e2e.conftest import SUBJECTS
from tests.subjects.issue36.changes import CHANGES
from tests.subjects.issue36.stand_ins import planted

SUBJECT = SUBJECTS / "issue36"
TRAINER = "transformers/trainer.py"
"""The one stand-in that the quick subjects share with this."""
BASELINE = "feat(train): in-process LoRA training of SFT and DPO phases"
FIRST_DAY = 1776384000
"""2026-04-17, seconds since the epoch; each commit an hour after the one before."""
ROWS, BATCH = 200, 4
PACKED_STEPS = 7
"""200 rows of 68 tokens on average, in packs of 512, four a step."""
JOB, STEADY, MEMORY = "job_tokens_per_s", "tokens_per_s", "peak_memory_b"


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a run takes in each phase of its job."""

    prep: float
    reference: float
    first: float
    train: float

    @property
    def job(self) -> float:
        return self.prep + self.reference + self.first + self.train


def seconds_of(
    recipe: str,
    rows: int = ROWS,
    *,
    is_packed: bool = False,
    has_liger: bool = False,
    is_precomputed: bool = False,
) -> Seconds:
    """Liger has no effect on DPO, precomputing none on SFT; packing is known for `ROWS` rows only."""
    steps, reference = math.ceil(rows / BATCH), 0.0
    if recipe == "dpo":
        step = planted.DPO_STEP_S * (planted.PRECOMPUTED if is_precomputed else 1.0)
        reference = rows * planted.REFERENCE_PASS_S if is_precomputed else 0.0
    else:
        step = planted.PACKED_STEP_S if is_packed else planted.SFT_STEP_S
        step *= planted.LIGER_ON_LORA if has_liger else 1.0
        steps = PACKED_STEPS if is_packed else steps
    return Seconds(planted.PREP_S, reference, step, step * (steps - 1))


@dataclass(frozen=True, slots=True)
class Effect:
    """`ratio` is with the change / without it, the commit against the one before it, of `ROWS` rows; None
    where only `more_b`, bytes, is planted: the ratio depends on how large the interpreter is."""

    recipe: str
    metric: str
    ratio: float | None
    more_b: int = 0


@dataclass(frozen=True, slots=True)
class Promise:
    """What the issue expects, in its words, and how it is scored: as `recipe:metric>=target` (`<=` of
    memory) of the change added in turn, with the recipe's default parameters. `target` is None where the
    issue names no figure."""

    text: str
    recipe: str
    metric: str
    target: float | None
    score: Score


@dataclass(frozen=True, slots=True)
class Expected:
    """Of a change: its effects (where a metric of a recipe is not named, none), promises, and why."""

    effects: tuple[Effect, ...]
    promises: tuple[Promise, ...]
    why: str


def job_ratio(
    recipe: str,
    rows: int = ROWS,
    *,
    is_packed: bool = False,
    has_liger: bool = False,
    is_precomputed: bool = False,
) -> float:
    """Tokens per second of the job, over those of the baseline."""
    features = {"is_packed": is_packed, "has_liger": has_liger, "is_precomputed": is_precomputed}
    return seconds_of(recipe, rows).job / seconds_of(recipe, rows, **features).job


LIGER_JOB = job_ratio("sft", has_liger=True)
EXPECTED: Mapping[str, Expected] = {
    "F": Expected((), (), "defensive: it promises nothing and costs nothing"),
    "A": Expected(
        (),
        (Promise("+15-20% SFT", "sft", JOB, 1.15, "NOT MET"),),
        f"attention gets cheaper from {planted.LONG_TOK} tokens in a row on, and no row is as long",
    ),
    "B": Expected(
        (),
        (Promise("+15-20% multi-epoch", "sft", JOB, 1.15, "NOT MET"),),
        "nothing is packed unless `packing` is true; then see PACKED",
    ),
    "C": Expected(
        (),
        (Promise("+10-30% GPU util", "sft", "gpu_util_mean_pct", 1.1, "NOT MEASURED"),),
        "the rows lie in memory; and without a GPU there is no utilisation",
    ),
    "D": Expected(
        (Effect("sft", JOB, LIGER_JOB), Effect("sft", STEADY, 1 / planted.LIGER_ON_LORA)),
        (
            Promise("+20% throughput", "sft", JOB, 1.2, "REGRESSED"),
            Promise("+20% throughput", "dpo", JOB, 1.2, "NOT MET"),
            Promise("60% mem", "sft", MEMORY, 0.4, "NOT MET"),
            Promise("60% mem", "dpo", MEMORY, 0.4, "NOT MET"),
        ),
        "every SFT step takes twice as long, until D-lora; it cannot be taken from the whole, since D-lora"
        " changes its lines: NOT MEASURED there, `does not revert cleanly`",
    ),
    "E": Expected(
        (
            Effect("dpo", JOB, job_ratio("dpo", is_precomputed=True)),
            Effect("dpo", STEADY, 1 / planted.PRECOMPUTED),
            Effect("dpo", MEMORY, None, planted.REFERENCE_B),
        ),
        (Promise("+30-50% DPO throughput", "dpo", JOB, 1.3, "NOT MET"),),
        "steps are cheaper, and half of that is paid back in a pass before them; nobody asked about memory",
    ),
    "G": Expected(
        (),
        (Promise("Same as A-D", "sft", JOB, None, "NOT MEASURED"),),
        "neither recipe runs sft.py, and no figure is named",
    ),
    "D-dpo": Expected((), (), "Liger costs a DPO step nothing here"),
    "D-lora": Expected(
        (Effect("sft", JOB, 1 / LIGER_JOB), Effect("sft", STEADY, planted.LIGER_ON_LORA)),
        (),
        "takes D's regression back",
    ),
}
"""By change, in the order in which they landed. Every change trains the same as the baseline."""

PACKED = Effect("sft", JOB, job_ratio("sft", is_packed=True))
"""The tip with `packing=true`, over the baseline: the same tokens and rows in a seventh of the steps.

It is faster and NOT EQUIVALENT, by design: at the same learning rate it takes 7 steps where the baseline
takes 50, so it has learned far less at the end of its epoch. (The timeline's own run ended at a loss of 3.50
instead of 2.02.) B's promise is met by its number, and the arm fails by rule 1.
"""

CRITERIA = (
    Promise("minimum +30% combined on SFT", "sft", JOB, 1.3, "NOT MET"),
    Promise("+20% on DPO", "dpo", JOB, 1.2, "NOT MET"),
)
"""Of arm `optimized`, all of A to G with both follow-ups: CONCERNS, by rule 3, also for the memory of DPO
that nobody asked about. The loss band holds in both recipes: equivalent. Read off the steps alone, as the
people of the timeline did (+19.5 to +21.7 %), DPO would be met: see E's effect on `tokens_per_s`."""


@dataclass(frozen=True, slots=True)
class Target:
    """Full commit ids; `changes` by name, in the order in which they landed. The default branch is main."""

    repo: Path
    baseline: str
    changes: Mapping[str, str]

    @property
    def tip(self) -> str:
        return list(self.changes.values())[-1]

    def before(self, change: str) -> str:
        """The commit that a change was made on."""
        names = list(self.changes)
        place = names.index(change)
        return self.changes[names[place - 1]] if place else self.baseline


def make_target(folder: Path, rows: int = ROWS) -> Target:
    """`rows` is the default of both recipes; the issue asks for 200."""
    folder.mkdir(parents=True)
    _git(folder, 0, "init", "--quiet", "--initial-branch=main")
    for name, text in _baseline_files(rows).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    baseline = _commit(folder, 0, BASELINE)
    changes = {}
    for number, (name, subject, edits) in enumerate(CHANGES, start=1):
        for file, old, new in edits:
            _edit(folder / file, old, new)
        changes[name] = _commit(folder, number, f"{subject}\n\nChange: {name}")
    return Target(folder, baseline, changes)


def _baseline_files(rows: int) -> dict[str, str]:
    left_out = ("changes.py", "__pycache__")
    found = {
        str(path.relative_to(SUBJECT)): path.read_text()
        for path in sorted(SUBJECT.rglob("*"))
        if path.is_file() and not set(path.relative_to(SUBJECT).parts) & set(left_out)
    }
    found[f"stand_ins/{TRAINER}"] = (SUBJECTS / "quick" / TRAINER).read_text()
    found["ruff.toml"] = "line-length = 110\n"
    found["paceline.toml"] = found["paceline.toml"].replace(f"rows = {ROWS}\n", f"rows = {rows}\n")
    return found


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} holds this {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new))


def _commit(folder: Path, hour: int, message: str) -> str:
    _git(folder, hour, "add", "--all")
    _git(folder, hour, "commit", "--quiet", "--message", message)
    return _git(folder, hour, "rev-parse", "HEAD")


def _git(folder: Path, hour: int, *arguments: str) -> str:
    """As somebody, at a time, and with no settings of the machine's: they are all part of an id."""
    at = f"{FIRST_DAY + 3600 * hour} +0000"
    who = {"NAME": "Ada", "EMAIL": "ada@localhost", "DATE": at}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        **{f"GIT_{role}_{key}": text for role in ("AUTHOR", "COMMITTER") for key, text in who.items()},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    command = ["git", "-C", str(folder), *arguments]
    made = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return made.stdout.strip()

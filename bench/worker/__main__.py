"""`worker.pyz FOLDER`: works a job folder off; reads `plan.json` and `worker.json`, writes `runs/`.

Exit status: 0 all runs have ended (however they ended), 3 the plan cannot be worked off (one line says why),
130 cancelled.
"""

from __future__ import annotations

import compileall
import json
import shutil
import signal
import sys
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode

from bench.plan import Plan
from bench.worker.environments import EnvironmentError_
from bench.worker.files import write_json
from bench.worker.loop import Cancelled, Work, run_plan
from bench.worker.owned import Ownership
from bench.worker.progress import Progress
from bench.worker.sampling import Sampling
from bench.worker.seals import Seals
from bench.worker.settings import Settings
from bench.worker.source import SourceError

HOOK_PREFIX = "bench/hook/"
FEWEST_AGAIN = 6


def main(folder: Path) -> int:
    plan = Plan.from_dict(json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    settings = Settings.read(folder / "worker.json")
    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    hook = lay_hook(folder)
    seals = Seals(folder, runs)
    seals.seal([hook, folder / "inputs", folder / "plan.json", folder / "worker.json"])
    ownership = Ownership(settings.owner, settings.started, settings.grace_s)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ownership.cancel())
    work = Work(
        plan=plan,
        settings=settings,
        runs=runs,
        enough=folder / "enough",
        hook=hook,
        ownership=ownership,
        progress=Progress(folder / "progress.json", planned(plan), plan.replicates),
        sampling=Sampling(settings.gpu),
        seals=seals,
        again_left=max(FEWEST_AGAIN, len(planned(plan)) // 4),
    )
    try:
        run_plan(work, folder / "trees")
    except (SourceError, EnvironmentError_) as error:
        write_json(runs / "error.json", {"text": str(error), "is_final": error.is_final})
        print(f"worker: {error}", file=sys.stderr)
        return 3
    except Cancelled:
        return 130
    work.progress.stage("done")
    return 0


def planned(plan: Plan) -> list[tuple[str, str]]:
    """(recipe, arm) of every run in order, the warming ones of recipes with warm caches first."""
    warming = [(r.name, arm.name) for r in plan.recipes if r.cache == "warm" for arm in plan.arms_of(r)]
    return warming + [(recipe.name, arm.name) for _, recipe, arms in plan.rounds() for arm in arms]


def lay_hook(folder: Path) -> Path:
    """Unpack the hook out of this archive into the job folder and return the folder for PYTHONPATH."""
    target = folder / "hook"
    shutil.rmtree(target, ignore_errors=True)
    with zipfile.ZipFile(sys.argv[0]) as archive:
        for name in archive.namelist():
            if name.startswith(HOOK_PREFIX) and not name.endswith("/"):
                path = target / name.removeprefix(HOOK_PREFIX)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
    # Never checked against the source: nothing has to be written again, so nothing else may be there.
    compileall.compile_dir(target, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return target


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
